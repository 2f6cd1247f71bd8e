"""Run the controller's tests and the daily check with each ansible-core that the collection supports, as far as its Python is here.

python tools/versions.py [2.16 ...]

Each has a virtual environment in .cache/versions; the run of the daily check is on a replica of their own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
WORK = CHECKOUT / ".cache" / "versions"
# Each ansible-core, and the versions of Python it runs on that the tests do too.
CORES = {
    "2.16": ("3.11", "3.12"),
    "2.17": ("3.11", "3.12"),
    "2.18": ("3.11", "3.12", "3.13"),
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.12", "3.13", "3.14"),
}
# What the tests below do without, and what would keep another ansible-core out.
LEFT_OUT = re.compile(r"^(?:ansible-core|ansible-lint|antsibull|molecule|pytest-testinfra|mypy|ruff|types-|yamllint)")
UNIT = ("controller", "core", "modules")
ON_A_REPLICA = ("tests/integration/test_daily_check.py", "tests/integration/test_remarks.py")
NEW_IN_2_19 = "ansible.module_utils.testing"  # tests that use it run from there on
PYTEST = ["-m", "pytest", "-q", "-rfE", "--no-header", "-p", "no:cacheprovider"]
REPLICA = "versions"


def main(names: list[str]) -> int:
    """Run them one after the other; returns 1 when tests failed with one."""
    unknown = [name for name in names if name not in CORES]
    if unknown:
        print(f"versions: no ansible-core {', '.join(unknown)}; there are {', '.join(CORES)}", file=sys.stderr)
        return 2
    passed, failed, skipped = 0, 0, 0
    try:
        for name in names or CORES:
            python = next(filter(None, map(find_python, CORES[name])), "")
            if not python:
                print(f"versions: ansible-core {name}: skipped, there is no Python {' or '.join(CORES[name])}", flush=True)
                skipped += 1
                continue
            well = passes(name, python)
            print(f"versions: {name}: {'ok' if well else 'FAILED'}", flush=True)
            passed, failed = passed + well, failed + (not well)
    finally:
        replica = [sys.executable, str(CHECKOUT / "tests/replica/replica"), "--name", REPLICA]
        subprocess.run([*replica, "down", "--purge"], stdout=subprocess.DEVNULL, check=False)
    print(f"versions: {passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return int(failed > 0)


def find_python(version: str) -> str:
    """Return a Python of a version that runs (a shim of pyenv may not), "" when there is none."""
    kept = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python{version}"))
    for candidate in (sys.executable, shutil.which(f"python{version}"), *map(str, kept)):
        check = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
        if candidate and subprocess.run([candidate, "-c", check], capture_output=True, check=False).returncode == 0:
            return candidate
    return ""


def passes(core: str, python: str) -> bool:
    """Run the tests with an ansible-core; what pytest prints goes to the terminal."""
    programs = environment_with(core, python) / "bin"
    environment = {**os.environ, "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}", "TANK_REPLICA_NAME": REPLICA}
    environment["PYTHONPYCACHEPREFIX"] = str(WORK / "pycache")
    # With a prefix: what is counted is this program's own last line.
    done = subprocess.run(
        [str(programs / "python"), *PYTEST, *tests_for(core)], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()[-500:]]
    print("\n".join(f"{core} | {line}" for line in (lines if done.returncode else lines[-1:])), flush=True)
    return done.returncode == 0


def tests_for(core: str) -> list[str]:
    """Return the files of tests that an ansible-core can run."""
    files = [path for folder in UNIT for path in sorted((CHECKOUT / "tests/unit" / folder).glob("test_*.py"))]
    old = tuple(map(int, core.split("."))) < (2, 19)
    fitting = [path for path in files if not (old and NEW_IN_2_19 in path.read_text(encoding="utf-8"))]
    return [*(str(path.relative_to(CHECKOUT)) for path in fitting), *ON_A_REPLICA]


def environment_with(core: str, python: str) -> Path:
    """Return the virtual environment of an ansible-core, made when it is missing or made from other requirements."""
    listed = (CHECKOUT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in listed if line and not line.startswith("#") and not LEFT_OUT.match(line)]
    requirements = "\n".join([f"ansible-core=={core}.*", *wanted, ""])
    folder = WORK / f"{core}-{hashlib.sha256(f'{python} {requirements}'.encode()).hexdigest()[:12]}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        print(f"versions: {core}: installing it with {python} (about 40 s) ...", flush=True)
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
        argv = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(folder / "requirements.txt")]
        installed = subprocess.run(argv, capture_output=True, text=True, check=False)
        if installed.returncode:
            sys.exit(f"versions: {core} cannot be installed: {installed.stderr.strip()[-1500:]}")
        (folder / "done").touch()
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
