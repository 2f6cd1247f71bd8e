"""Run the integration targets and tests against a replica of their own.

A target is targets/<name>/tasks/main.yml. It runs as a play on localhost and gets as variables what the replica says of itself
(`replica`, `pm2_executable`, `path_prefix`) and an empty folder (`output_dir`).

python tests/integration/run.py [--part long|rest] [target...]
    long: what takes minutes, since it makes real virtual environments or waits for real processes to live on; rest: everything
    else; by default both
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
CACHE = CHECKOUT / ".cache"
INSTANCE = {"long": "integration-long"}  # the replica of a part and its folder below CACHE; parts may run at the same time
LONGEST = 900  # seconds for one target: it hangs; beside other stages the longest takes 300
OF_REPLICA = ("tests/replica/tests", "tests/replica/oracle/tests")
# Targets and tests.
LONG = (
    "check_runtime",
    "pm2_control",
    "test_check_runtime.py",
    "test_runtime.py",
    "test_rollback.py",
    "test_rollback_layouts.py",
    "tests/replica/tests",
)
PYTEST = [sys.executable, "-m", "pytest", "-q", "-rfEs", "--no-header", "-p", "no:cacheprovider"]


def main(arguments: list[str]) -> int:
    """Run the named targets, or all targets and tests of a part; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--part", choices=["long", "rest"])
    options = parser.parse_args(arguments)
    names = options.targets
    existing = sorted(path.parent.parent.name for path in HERE.glob("targets/*/tasks/main.yml"))
    unknown = set(names) - set(existing)
    if unknown:
        print(f"integration: no target {', '.join(sorted(unknown))}; there are {', '.join(existing)}", file=sys.stderr)
        return 2
    instance = INSTANCE.get(options.part, "integration")
    shutil.rmtree(CACHE / instance, ignore_errors=True)
    (CACHE / instance).mkdir(parents=True)
    try:
        replica(instance, "up")
        failed = run_targets(instance, names or [name for name in existing if belongs(name, options.part)])
        if not names:
            failed += run_pytest(instance, options.part)
    finally:
        replica(instance, "down", "--purge")
    return int(failed > 0)


def belongs(name: str, part: str | None) -> bool:
    """Whether a target or a file of tests belongs to a part; everything does to none."""
    return part is None or (name in LONG) == (part == "long")


def replica(instance: str, *arguments: str) -> str:
    """Return what the replica's command says; its progress goes to the terminal."""
    argv = [sys.executable, str(CHECKOUT / "tests/replica/replica"), "--name", instance, *arguments]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"integration: replica {arguments[0]} failed: {done.stdout.strip()}")
    return done.stdout


def run_targets(instance: str, names: list[str]) -> int:
    """Run each target as a play; returns how many failed."""
    facts = json.loads(replica(instance, "status", "--json"))["facts"]
    # The distribution's Python, as on a customer's host: every user can read it, whoever a task becomes.
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    shared = {"replica": facts, "ansible_python_interpreter": python}
    shared.update({name: facts[name] for name in ("pm2_executable", "path_prefix")})
    failed = [name for name in names if not run_target(CACHE / instance / name, shared)]
    print(f"integration: {len(names) - len(failed)} passed, {len(failed)} failed", flush=True)
    return len(failed)


def run_target(folder: Path, shared: dict[str, Any]) -> bool:
    """Run the target that a folder is named for, there; its output is printed only when it fails."""
    name, output = folder.name, folder / "output"
    output.mkdir(parents=True)
    playbook, variables, log = folder / "play.yml", folder / "vars.json", folder / "output.log"
    tasks = str(HERE / "targets" / name / "tasks" / "main.yml")
    play = {"name": name, "hosts": "localhost", "gather_facts": False, "tasks": [{"include_tasks": {"file": tasks}}]}
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    variables.write_text(json.dumps({**shared, "output_dir": str(output)}), encoding="utf-8")
    argv = [Path(sys.executable).with_name("ansible-playbook"), playbook, "-i", "localhost,", "-c", "local", "-e", f"@{variables}"]
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as stream:
        try:
            code = subprocess.run(argv, cwd=CHECKOUT, stdout=stream, stderr=subprocess.STDOUT, timeout=LONGEST, check=False).returncode
        except subprocess.TimeoutExpired:
            code = -1
    seconds = time.monotonic() - started
    if not code:
        print(f"integration: {name}: ok ({seconds:.1f} s)", flush=True)
        return True
    text = log.read_text(encoding="utf-8")
    said = [line for line in text.splitlines() if line.startswith("[ERROR]: ")] or [f"exit code {code}"]
    print(text, f"integration: {name}: FAILED ({seconds:.1f} s): {'too slow' if code < 0 else said[-1]}", sep="\n", flush=True)
    return False


def run_pytest(instance: str, part: str | None) -> int:
    """Run the tests beside the targets and those of the replica itself, as far as they belong to a part; returns how many places failed."""
    here = [str(path) for path in sorted(HERE.glob("test_*.py")) if belongs(path.name, part)]
    of_replica = [str(CHECKOUT / place) for place in OF_REPLICA if belongs(place, part)]
    environment = {**os.environ, "TANK_REPLICA_NAME": instance}
    places = [here, *([place] for place in of_replica)]
    codes = [subprocess.run([*PYTEST, *place], cwd=CHECKOUT, env=environment, check=False).returncode for place in places]
    return sum(code != 0 for code in codes)


if __name__ == "__main__":
    # SIGTERM ends the replica too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
