"""Run `ansible-test sanity` on a copy of the checkout, since it refuses the link that everything else is content with."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
WORK = CHECKOUT / ".cache" / "sanity"
COPY = WORK / "ansible_collections" / "ops" / "remediation"
# A home of its own: ansible-test keeps its virtual environments there between runs.
HOME = WORK / "home"
LOG = WORK / "output.log"
# Sanity is about the collection. What only develops and tests it never leaves the checkout, has rules of its own
# (Python 3.11, executable scripts) and is judged by ruff.
LEFT_OUT = (
    "inventories/",
    "molecule/",
    "tools/",
    "tests/bench/",
    "tests/faults/",
    "tests/integration/",
    "tests/packaging/",
    "tests/replica/",
)
# What ansible-test of core 2.16, 2.19 and 2.21 looks for before it downloads get-pip.py.
GET_PIP = ("get_pip_23_1_2.py", "get_pip_24_2.py", "get_pip_25_2.py")


def main() -> int:
    """Copy, run, count; returns the exit code."""
    copy_checkout()
    downloads = HOME / ".ansible" / "test" / "cache"
    downloads.mkdir(parents=True, exist_ok=True)
    for name in GET_PIP:
        shutil.copyfile(CHECKOUT / "tools" / "get_pip.py", downloads / name)
    if not (HOME / ".ansible" / "test" / "venv").exists():
        print("sanity: ansible-test makes its virtual environments (about 90 s, once) ...", flush=True)
    # Always the interpreter that runs this: without --python it tries every Python that it finds.
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    tool = Path(sys.executable).with_name("ansible-test")
    argv = [sys.executable, str(tool), "sanity", "--local", "--python", version, "--color", "no", *sys.argv[1:]]
    with LOG.open("w", encoding="utf-8") as log:
        done = subprocess.run(argv, cwd=COPY, env=environment(), stdout=log, stderr=subprocess.STDOUT, check=False)
    return report(LOG.read_text(encoding="utf-8"), done.returncode)


def copy_checkout() -> None:
    """Copy what git tracks or would track."""
    listed = git(CHECKOUT, "ls-files", "-coz", "--exclude-standard")
    shutil.rmtree(COPY, ignore_errors=True)
    for name in filter(None, listed.split("\0")):
        # Not one that is deleted and not yet committed.
        if (CHECKOUT / name).is_file() and not name.startswith(LEFT_OUT):
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, COPY / name)
    # ansible-test asks git for the files; the checkout around this folder ignores it.
    git(COPY, "init", "--quiet")


def git(folder: Path, *arguments: str) -> str:
    """Return what git says in a folder."""
    return subprocess.check_output(["git", *arguments], cwd=folder, text=True)  # noqa: S607 - the git of the PATH is meant


def environment() -> dict[str, str]:
    """Return the environment with another home, in which the user's pip settings still hold."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    for settings in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        if settings.exists():
            kept.setdefault("PIP_CONFIG_FILE", str(settings))
    return {**kept, "HOME": str(HOME)}


def report(output: str, rc: int) -> int:
    """Print what failed, then the numbers; a run without a test is a failure."""
    ran = len(re.findall(r'^Running sanity test "', output, re.MULTILINE))
    told = re.search(r"^FATAL: The (\d+) sanity test", output, re.MULTILINE)
    failed = int(told[1]) if told else int(rc != 0)
    if rc:
        # The errors with what belongs to them; installation messages only when nothing else explains the failure.
        lines = re.findall(r"^(?:ERROR|FATAL|>>>|\[ERROR\]).*$", output, re.MULTILINE) or output.splitlines()[-20:]
        print(*lines, f"sanity: the whole output is in {LOG}", sep="\n")
    print(f"sanity: {max(ran - failed, 0)} passed, {failed} failed", flush=True)
    return rc or int(ran == 0)


if __name__ == "__main__":
    sys.exit(main())
