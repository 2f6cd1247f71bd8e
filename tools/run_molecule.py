"""Run the Molecule scenarios on replicas in containers, two at a time; go on after one that failed, and clean up.

python tools/run_molecule.py [--lanes N] [--keep] [scenario...]

A line a scenario; what Molecule printed is in .cache/molecule/<scenario>.log, and the end of it is shown where one failed.
--keep leaves the containers for a look (TANK_REPLICA_NAME=molecule-0; `molecule test --scenario-name X --destroy never` then takes
seconds). Each lane has a replica of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue

CHECKOUT = Path(__file__).resolve().parent.parent
LOGS = CHECKOUT / ".cache" / "molecule"
REPLICA = [sys.executable, str(CHECKOUT / "tests/replica/replica")]
ENGINE = CHECKOUT / "tests/replica/containers"
OWNER = "default"  # the scenario that makes and removes the containers
LONGEST = 600  # seconds for one scenario, far more than it takes
# How Ansible (without a following "...ignoring", which scenarios do not use) and pytest begin the line that says what is wrong.
CAUSE = re.compile(r"^(?:fatal: |failed: |\[ERROR\]|E   )")
TOLD = 60  # lines of a scenario that failed
sys.path.insert(0, str(CHECKOUT))

from tests.replica.containers import engine  # noqa: E402 - found through the line above


def main() -> int:
    """Run the named scenarios, all by default; returns the exit code."""
    existing = sorted(path.parent.name for path in CHECKOUT.glob("molecule/*/molecule.yml"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help=f"of: {', '.join(existing)}")
    parser.add_argument("--lanes", type=int, default=2, help="scenarios at work at the same time (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the containers")
    options = parser.parse_args()
    unknown = [name for name in options.scenarios if name not in existing]
    if unknown:
        print(f"molecule: no scenario {', '.join(unknown)}; there are {', '.join(existing)}", file=sys.stderr)
        return 2
    missing = engine.missing()
    if missing:
        print(f"molecule: no containers here: {missing}", file=sys.stderr)
        return 2
    LOGS.mkdir(parents=True, exist_ok=True)
    chosen = sorted(options.scenarios or existing, key=lambda name: (name != OWNER, name))
    began = time.monotonic()
    failed = run(chosen, min(options.lanes, len(chosen)), keep=options.keep)
    print(f"molecule: {len(chosen) - len(failed)} passed, {len(failed)} failed in {time.monotonic() - began:.0f} s")
    return int(bool(failed))


def run(names: Sequence[str], lanes: int, *, keep: bool) -> list[str]:
    """Run the scenarios, each in the lane that is free next; returns those that failed."""
    queue: SimpleQueue[str] = SimpleQueue()
    for name in names:
        queue.put(name)
    replicas = [ReplicaInContainers(number) for number in range(lanes)]
    try:
        replicas[0].up()  # builds the image that all share
        with ThreadPoolExecutor(lanes) as pool:
            outcomes = [pool.submit(replica.run_from, queue) for replica in replicas]
        return [name for outcome in outcomes for name in outcome.result()]
    except subprocess.CalledProcessError:
        return list(names)
    finally:
        if not keep:
            for replica in replicas:
                replica.call("down", "--purge")


class ReplicaInContainers:
    """The replica of one lane, and the scenarios that run on it."""

    def __init__(self, number: int) -> None:
        """Name it by the number of its lane."""
        self.environment = {
            **os.environ,
            "PATH": f"{ENGINE}:{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "TANK_REPLICA_NAME": f"{os.environ.get('TANK_REPLICA_NAME', 'molecule')}-{number}",
            "PYTHONPYCACHEPREFIX": str(CHECKOUT / ".cache" / "pycache"),
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
        }

    def up(self) -> None:
        """Start it; raises CalledProcessError when it does not come up."""
        subprocess.run([*REPLICA, "up", "--containers"], env=self.environment, stdout=subprocess.DEVNULL, check=True, timeout=900)

    def call(self, *arguments: str) -> None:
        """Call the replica's command, whatever comes of it."""
        subprocess.run([*REPLICA, *arguments], env=self.environment, stdout=subprocess.DEVNULL, check=False, timeout=300)

    def run_from(self, queue: SimpleQueue[str]) -> list[str]:
        """Run scenarios until none is left; returns those that failed."""
        failed = []
        self.up()
        while True:
            try:
                name = queue.get_nowait()
            except Empty:
                return failed
            if not self.passes(name):
                failed.append(name)

    def passes(self, name: str) -> bool:
        """Run one scenario and say in a line how it went."""
        began = time.monotonic()
        # A scenario that runs by itself prepares its hosts each time; what Molecule remembers of a former run would keep it from that.
        shutil.rmtree(LOGS / f"{name}.home", ignore_errors=True)
        (LOGS / f"{name}.log").unlink(missing_ok=True)
        done = self.molecule(name, "test", "--destroy", "never")
        lines = [f"molecule: {name:<20} {'ok' if done else 'FAILED':<8} {time.monotonic() - began:6.1f} s"]
        if not done:
            log = (LOGS / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
            lines = [f"{lines[0]}: {cause_in(log)}", *(f"    {line}" for line in log[-TOLD:])]
        print("\n".join(lines), flush=True)
        if not done:
            # The next scenario begins with a replica that is well.
            self.molecule(name, "cleanup")
            self.call("fault", "clear")
            self.call("up")
        return done

    def molecule(self, name: str, *command: str) -> bool:
        """Run a command of Molecule for a scenario; what it prints goes to the scenario's log. Returns whether it succeeded."""
        argv = [str(Path(sys.executable).parent / "molecule"), *command, "--scenario-name", name, "--no-command-borders"]
        environment = {**self.environment, "ANSIBLE_HOME": str(LOGS / f"{name}.home")}
        with (LOGS / f"{name}.log").open("a", encoding="utf-8") as stream:
            try:
                done = subprocess.run(
                    argv, cwd=CHECKOUT, env=environment, stdout=stream, stderr=subprocess.STDOUT, check=False, timeout=LONGEST
                )
            except subprocess.TimeoutExpired:
                print(f"molecule: {name} did not end within {LONGEST} s", flush=True)
                return False
        return done.returncode == 0


def cause_in(log: Sequence[str]) -> str:
    """Return the first line of a scenario's log that tells of a failure, with the task or test it belongs to."""
    heading = ""
    for line in log:
        if line.startswith(("TASK [", "____")):
            heading = line.strip("_* ")
        if CAUSE.match(line):
            return f"{heading}: {line.strip()}"
    return log[-1].strip() if log else "it printed nothing"


if __name__ == "__main__":
    sys.exit(main())
