"""`make daily-check` in a fresh clone, as the README promises: real clones in folders that only their owner may enter.

Each account has a replica with a name and a base of its own. All of it lies below one folder, which is a file system in memory
where that can be: removing a hundred thousand files from a disk can take minutes.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_packaging import CHECKOUT, copy_of_checkout

ROOT = os.geteuid() == 0
USER = "tank-first-run"
NAME = "first-run"
FOLDER = "운영 checks"  # a blank and letters that are not ASCII
PLACE = Path("/var/lib/tank-first-run")  # with root only
MEMORY = 6 << 20  # KiB that have to be free for a file system in memory
SUDOERS = Path("/etc/sudoers.d") / USER
LONGEST = 600  # seconds for a first run: downloads, and other work on the machine
ALL_ANSWERED = re.compile(r"host\(s\) · (\d+) of \1 checks answered ")  # without root there are fewer
needs_another_user = pytest.mark.skipif(not ROOT or not shutil.which("useradd"), reason="needs root and useradd, to create a user")


@dataclass
class Clone:
    """A clone, the account that works in it and the base of its replicas."""

    account: pwd.struct_passwd
    folder: Path
    base: Path
    first: subprocess.CompletedProcess[str] | None = None

    def environment(self) -> dict[str, str]:
        ours = ("ANSIBLE_", "XDG_", "PYTHON", "MAKE", "MFLAGS", "TANK_", "npm_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = [folder for folder in inherited.get("PATH", os.defpath).split(":") if not Path(folder).is_relative_to(CHECKOUT)]
        own = {"HOME": self.account.pw_dir, "USER": self.account.pw_name, "LOGNAME": self.account.pw_name, "PATH": ":".join(path)}
        return {**inherited, **own, "TANK_REPLICA_NAME": NAME, "TANK_REPLICA_BASE": str(self.base)}

    def run(self, *argv: str | Path, timeout: float = LONGEST, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone, as its account; new files are the account's alone."""
        identity = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if ROOT else {}
        return subprocess.run(
            argv,
            **{"cwd": self.folder, **options},
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            umask=0o077,
            check=False,
            **identity,
        )

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("make", *arguments)

    def daily_check(self) -> subprocess.CompletedProcess[str]:
        return self.make("daily-check", f"ARGS=-e remediation_home={self.base}/records")


def clone_for(account: pwd.struct_passwd, private: Path, base: Path) -> Clone:
    """A clone in the folder `private`, made with mode 0700; nobody else may read a file of it either."""
    private.mkdir(mode=0o700, exist_ok=True)
    checkout = copy_of_checkout(private / FOLDER)
    base.mkdir()
    for path in [base, private, *private.rglob("*")]:
        path.chmod(path.stat().st_mode & (0o755 if path == base else 0o700))
        if ROOT:
            os.chown(path, account.pw_uid, account.pw_gid)
    return Clone(account, checkout, base)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    """A folder that every account may enter (with root), for one run of these tests at a time."""
    if not ROOT:
        yield tmp_path_factory.mktemp("first-run")
        return
    with PLACE.with_suffix(".lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_place()  # of a killed run
        PLACE.mkdir(mode=0o755)
        memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        if int(memory["MemAvailable"].split()[0]) > MEMORY:
            mount = ["mount", "-t", "tmpfs", "-o", "mode=0755", "tank-first-run", PLACE]
            subprocess.run(mount, stderr=subprocess.DEVNULL, check=False)  # a container may not allow it
        try:
            yield PLACE
        finally:
            remove_place()


def remove_place() -> None:
    """End the replicas in the folder and remove all of it."""
    end_replicas(PLACE)
    if os.path.ismount(PLACE):
        subprocess.run(["umount", "--lazy", PLACE], check=True)
    shutil.rmtree(PLACE, ignore_errors=True)


def end_replicas(place: Path) -> None:
    for base in place.glob("*-replica"):
        down = [sys.executable, str(CHECKOUT / "tests/replica/replica"), "--name", NAME, "down", "--purge"]
        environment = {**os.environ, "TANK_REPLICA_BASE": str(base)}
        subprocess.run(down, env=environment, stdout=subprocess.DEVNULL, timeout=LONGEST, check=False)


@pytest.fixture(scope="module")
def user(place) -> Iterator[pwd.struct_passwd]:
    """A new user whose home has mode 0700, and who may use sudo where the machine has it."""
    remove = ["userdel", USER]
    subprocess.run(remove, stderr=subprocess.DEVNULL, check=False)  # of a killed run
    subprocess.run(["useradd", "--no-create-home", "--home-dir", place / "user", "--shell", "/bin/sh", USER], check=True)
    try:
        if SUDOERS.parent.is_dir():
            SUDOERS.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n", encoding="ascii")
            SUDOERS.chmod(0o440)
        yield pwd.getpwnam(USER)
    finally:
        SUDOERS.unlink(missing_ok=True)
        subprocess.run(remove, check=False)


@pytest.fixture(scope="module")
def clones(request, place) -> Iterator[dict[str, Clone]]:
    """The clone of each account after its first daily check; the accounts make it at the same time."""
    made = {"own": clone_for(pwd.getpwuid(os.geteuid()), place / "own", place / "own-replica")}
    if ROOT and shutil.which("useradd"):
        made["user"] = clone_for(request.getfixturevalue("user"), place / "user", place / "user-replica")
    try:
        with ThreadPoolExecutor(len(made)) as pool:
            for clone, done in zip(made.values(), pool.map(Clone.daily_check, made.values())):
                clone.first = done
        yield made
    finally:
        end_replicas(place)  # before their user goes


@pytest.mark.parametrize("whose", ["own", pytest.param("user", marks=needs_another_user)])
def test_the_first_daily_check_is_well_in_a_folder_that_only_its_owner_may_enter(clones, whose):
    done = clones[whose].first
    assert done.returncode == 0, done.stdout
    assert ALL_ANSWERED.search(done.stdout), done.stdout
    assert "Result: passed - all is well" in done.stdout


@needs_another_user
@pytest.mark.skipif(not shutil.which("sudo"), reason="this machine has no sudo")
def test_the_user_may_install_with_sudo(clones):
    done = clones["user"].run("sudo", "-n", "tools/install_os_packages")
    assert "usage, as root: tools/install_os_packages" in done.stdout


def test_a_second_run_installs_nothing(clones):
    done = clones["own"].daily_check()
    assert done.returncode == 0, done.stdout
    assert "setup:" not in done.stdout
    assert "replica:" not in done.stdout


def test_a_fault_without_a_name_is_one_line_that_says_how_to_list_them(clones):
    done = clones["own"].make("-s", "replica-fault", "FAULT=")
    lines = [line for line in done.stdout.splitlines() if not line.startswith("make")]
    assert lines == ["replica: name a fault, as in `make replica-fault FAULT=pm2.stopped`; `make replica-faults` lists them"]
    assert done.returncode == 2
    assert "pm2.stopped " in clones["own"].make("replica-faults").stdout


def test_the_daily_check_finds_a_fault_that_was_set_and_does_not_heal_it(clones):
    assert clones["own"].make("replica-fault", "FAULT=pm2.stopped").returncode == 0
    done = clones["own"].daily_check()
    assert done.returncode == 2, done.stdout
    assert "faults set: pm2.stopped. They are left as they are; `make replica-heal` clears them" in done.stdout
    assert "worker is stopped  [pm2.stopped P1]" in done.stdout
    assert clones["own"].make("replica-heal").returncode == 0


def test_a_path_with_a_colon_is_one_line(clones, tmp_path):
    """PATH cannot hold it."""
    checkout = copy_of_checkout(tmp_path / "a:b")
    done = Clone(clones["own"].account, checkout, tmp_path / "replica").make("-s", "daily-check")
    assert [line for line in done.stdout.splitlines() if not line.startswith("make")] == [
        f"setup: the path of this checkout has a colon, which separates folders in PATH; move it: {checkout}"
    ]


def test_a_replica_outlives_its_checkout(clones):
    """The checkout that started it is removed; another one finds it well, and checks it."""
    clone = clones["own"]
    before = processes(clone)
    shutil.rmtree(clone.folder)
    python = Path(sys.executable)
    environment = clone.environment() | {"ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_HOME": str(clone.base / "ansible")}
    environment["PATH"] = f"{python.parent}:{environment['PATH']}"
    check = [python.with_name("ansible-playbook"), "playbooks/daily_check.yml", "-i", "inventories/replica"]
    for command in ([python, "tests/replica/replica", "up"], [*check, "-e", f"remediation_home={clone.base}/records"]):
        done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert ALL_ANSWERED.search(done.stdout), done.stdout
    assert "Result: passed - all is well" in done.stdout
    assert processes(clone) == before


def processes(clone: Clone) -> dict[str, object]:
    """Pids of what the replica runs for long: PM2's daemon and the servers in Python."""
    instance = clone.base / NAME
    control = {name: json.loads((instance / name / "control.json").read_text(encoding="utf-8")) for name in ("oracle", "aws")}
    return {**control, "pm2": (instance / "home").glob("*/.pm2/pm2.pid").__next__().read_text(encoding="ascii")}
