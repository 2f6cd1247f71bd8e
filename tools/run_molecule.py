"""Run the Molecule scenarios on a replica in containers, one after the other; go on after one that failed, and clean up.

python tools/run_molecule.py [--keep] [scenario...]

A line a scenario; what Molecule printed is in .cache/molecule/<scenario>.log, and the end of it is shown where one failed.
--keep leaves the containers for a look (`molecule test --scenario-name X --destroy never` then takes seconds).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LOGS = CHECKOUT / ".cache" / "molecule"
REPLICA = [sys.executable, str(CHECKOUT / "tests/replica/replica")]
ENGINE = CHECKOUT / "tests/replica/containers"
OWNER = "default"  # the scenario that makes and removes the containers
LONGEST = 300  # seconds for one scenario
TOLD = 60  # lines of a scenario that failed
sys.path.insert(0, str(CHECKOUT))

from tests.replica.containers import engine  # noqa: E402 - found through the line above

ENVIRONMENT = {
    **os.environ,
    "PATH": f"{ENGINE}:{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
    "TANK_REPLICA_NAME": os.environ.get("TANK_REPLICA_NAME", "molecule"),
    "PYTHONPYCACHEPREFIX": str(CHECKOUT / ".cache" / "pycache"),
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
}


def main() -> int:
    """Run the named scenarios, all by default; returns the exit code."""
    existing = sorted(path.parent.name for path in CHECKOUT.glob("molecule/*/molecule.yml"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help=f"of: {', '.join(existing)}")
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
    # The owner's own tests come first: what they find wrong would be wrong everywhere.
    chosen = sorted(options.scenarios or existing, key=lambda name: (name != OWNER, name))
    began = time.monotonic()
    try:
        subprocess.run([*REPLICA, "up", "--containers"], env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True, timeout=900)
        failed = [name for name in chosen if not passes(name)]
    except subprocess.CalledProcessError:
        return 1
    finally:
        if not options.keep:
            subprocess.run([*REPLICA, "down", "--purge"], env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=False, timeout=300)
    print(f"molecule: {len(chosen) - len(failed)} passed, {len(failed)} failed in {time.monotonic() - began:.0f} s")
    return int(bool(failed))


def passes(name: str) -> bool:
    """Run one scenario and say in a line how it went."""
    began = time.monotonic()
    # A scenario that runs by itself prepares its hosts each time; what Molecule remembers of a former run would keep it from that.
    shutil.rmtree(LOGS / f"{name}.home", ignore_errors=True)
    (LOGS / f"{name}.log").unlink(missing_ok=True)
    done = molecule(name, "test", "--destroy", "never")
    state = "ok" if done else "FAILED"
    print(f"molecule: {name:<14} {state:<8} {time.monotonic() - began:6.1f} s", flush=True)
    if not done:
        lines = (LOGS / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(f"    {line}" for line in lines[-TOLD:]), flush=True)
        # The next scenario begins with a replica that is well.
        molecule(name, "cleanup")
        for command in (["fault", "clear"], ["up"]):
            subprocess.run([*REPLICA, *command], env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=False, timeout=300)
    return done


def molecule(name: str, *command: str) -> bool:
    """Run a command of Molecule for a scenario; what it prints goes to the scenario's log. Returns whether it succeeded."""
    argv = [str(Path(sys.executable).parent / "molecule"), *command, "--scenario-name", name, "--no-command-borders"]
    home = LOGS / f"{name}.home"
    with (LOGS / f"{name}.log").open("a", encoding="utf-8") as stream:
        try:
            environment = {**ENVIRONMENT, "ANSIBLE_HOME": str(home)}
            done = subprocess.run(
                argv, cwd=CHECKOUT, env=environment, stdout=stream, stderr=subprocess.STDOUT, check=False, timeout=LONGEST
            )
        except subprocess.TimeoutExpired:
            print(f"molecule: {name} did not end within {LONGEST} s", flush=True)
            return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
