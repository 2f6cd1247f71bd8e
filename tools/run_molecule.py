"""Run the Molecule scenarios on replicas in containers, two at a time; go on after one that failed, and clean up.

python tools/run_molecule.py [--lanes N] [--keep] [--part roles|modules] [scenario...]

A line a scenario; what Molecule printed is in .cache/molecule/<scenario>.log, and the end of it is shown where one failed.
Ctrl-C and SIGTERM end what runs, begin no further scenario, and remove the containers: that takes some seconds.
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
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
LOGS = CHECKOUT / ".cache" / "molecule"
MOLECULE = [str(Path(sys.executable).parent / "molecule")]
REPLICA = [sys.executable, str(CHECKOUT / "tests/replica/replica")]
ENGINE = CHECKOUT / "tests/replica/containers"
OWNER = "default"  # the scenario that makes and removes the containers
# Scenarios that together run every role; emergency_rollback makes its backup with release_backup.
OF_ROLES = ("check_runtime", "daily_check", "emergency_rollback")
LONGEST = 600  # seconds for one scenario, far more than it takes
LONGEST_UP = 900  # seconds; the first one builds the image
LONGEST_CALL = 300  # seconds for another command of the replica
# How Ansible (without a following "...ignoring", which scenarios do not use) and pytest begin the line that says what is wrong.
CAUSE = re.compile(r"^(?:fatal: |failed: |\[ERROR\]|E   )")
TOLD = 60  # lines of a scenario that failed
sys.path.insert(0, str(CHECKOUT))

from tests.replica.containers import engine  # noqa: E402 - found through the line above
from tests.replica.processes import end_all  # noqa: E402
from tools.stoppable import STOP, CommandError, finish, stop_on_signals  # noqa: E402


def main() -> int:
    """Run the named scenarios, all by default; returns the exit code."""
    existing = sorted(path.parent.name for path in CHECKOUT.glob("molecule/*/molecule.yml"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help=f"of: {', '.join(existing)}")
    parser.add_argument("--part", choices=["roles", "modules"], help="roles: the scenarios that run each role; modules: the others")
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
    stop_on_signals()
    part = [name for name in existing if options.part is None or (name in OF_ROLES) == (options.part == "roles")]
    chosen = sorted(options.scenarios or part, key=lambda name: (name != OWNER, name))
    began = time.monotonic()
    failed, ill = run(chosen, min(options.lanes, len(chosen)), keep=options.keep)
    if STOP.is_set():
        print(f"molecule: stopped; the containers are {'left' if options.keep else 'not all removed' if ill else 'removed'}", flush=True)
        return 130
    print(f"molecule: {len(chosen) - len(failed)} passed, {len(failed)} failed in {time.monotonic() - began:.0f} s")
    return int(bool(failed or ill))


def run(names: Sequence[str], lanes: int, *, keep: bool) -> tuple[list[str], list[str]]:
    """Run the scenarios, each in the lane that is free next.

    Returns the scenarios that failed or that no replica was there for, and the names of the replicas that did not come up or could
    not be removed.
    """
    queue: SimpleQueue[str] = SimpleQueue()
    for name in names:
        queue.put(name)
    replicas = [ReplicaInContainers(number) for number in range(lanes)]
    ill: set[str] = set()
    try:
        replicas[0].up()  # builds the image that all share
        with ThreadPoolExecutor(lanes) as pool:
            outcomes = [pool.submit(replica.run_from, queue) for replica in replicas]
            failed = [name for outcome in outcomes for name in outcome.result()]
        ill = {replica.name for replica in replicas if not replica.is_up}
    finally:
        if not keep:
            with ThreadPoolExecutor(lanes) as pool:
                gone = list(pool.map(ReplicaInContainers.purge, replicas))
            ill |= {replica.name for replica, is_gone in zip(replicas, gone) if not is_gone}
    while not queue.empty():
        failed.append(queue.get())
    return failed, sorted(ill)


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
        self.is_up: bool | None = None  # None: nobody has tried yet

    @property
    def name(self) -> str:
        """The name of the replica."""
        return self.environment["TANK_REPLICA_NAME"]

    def up(self) -> None:
        """Start it, and say so when it does not come up."""
        self.is_up = self.does("come up", "up", "--containers", seconds=LONGEST_UP)

    def purge(self) -> bool:
        """Remove it, also after Ctrl-C; returns whether nothing of it is left, and says so when something is."""
        return self.does("be removed", "down", "--purge", seconds=LONGEST_CALL, stoppable=False)

    def does(self, what: str, *arguments: str, seconds: float, **options: Any) -> bool:
        """Call the replica's command; returns whether it succeeded, and says that the replica failed to do ``what`` when it did not."""
        try:
            code = finish([*REPLICA, *arguments], seconds=seconds, env=self.environment, out=subprocess.DEVNULL, **options)
            problem = f"ended with exit code {code}" if code else ""
        except CommandError as error:
            problem = str(error)
        if problem:
            print(f"molecule: {self.name} FAILED to {what}: `replica {' '.join(arguments)}` {problem}", flush=True)
        return not problem

    def run_from(self, queue: SimpleQueue[str]) -> list[str]:
        """Run scenarios until none is left, the replica is gone or this program is to stop; returns those that failed."""
        failed = []
        if self.is_up is None:
            self.up()
        while self.is_up and not STOP.is_set():
            try:
                name = queue.get_nowait()
            except Empty:
                break
            if not self.passes(name):
                failed.append(name)
        return failed

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
            lines = [f"{lines[0]}: {cause_in(log)}", *(f"    {line}" for line in log[-TOLD:] if not STOP.is_set())]
        print("\n".join(lines), flush=True)
        if not done:
            self.mend(name)
        return done

    def mend(self, name: str) -> None:
        """Have the next scenario begin with a replica that is well, and leave no server that the scenario has started itself."""
        if not STOP.is_set():
            self.molecule(name, "cleanup")
        end_all(LOGS / f"{name}.home")
        if not STOP.is_set():
            self.does("be mended", "fault", "clear", seconds=LONGEST_CALL)
            self.up()

    def molecule(self, name: str, *command: str) -> bool:
        """Run a command of Molecule for a scenario; what it prints goes to the scenario's log. Returns whether it succeeded."""
        argv = [*MOLECULE, *command, "--scenario-name", name, "--no-command-borders"]
        environment = {**self.environment, "ANSIBLE_HOME": str(LOGS / f"{name}.home")}
        with (LOGS / f"{name}.log").open("a", encoding="utf-8") as stream:
            try:
                return finish(argv, seconds=LONGEST, env=environment, out=stream, cwd=CHECKOUT) == 0
            except CommandError as error:
                stream.write(f"\nmolecule {command[0]} {error}\n")
                return False


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
