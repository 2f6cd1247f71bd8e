"""Users, commands, ports and waiting: what every part of the replica needs from the operating system."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

APP_USER = "tankmail"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIME_ZONE = "Asia/Seoul"
_PORTS = range(20000, 30000)  # below the ephemeral ports, so that no outgoing connection takes one


class ReplicaError(Exception):
    """What the operator must read: one line, with what to do."""


@dataclass(frozen=True)
class Account:
    """The account that the parts of the replica run as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Result:
    """What a command left: exit code and output."""

    rc: int
    stdout: str
    stderr: str


def is_root() -> bool:
    return os.geteuid() == 0


@lru_cache(maxsize=1)
def can_mount() -> bool:
    """Whether file systems may be mounted: root in a container often may not. Tried where nobody else sees it."""
    return is_root() and run(["unshare", "--mount", "mount", "-t", "tmpfs", "tank-replica", "/tmp"], timeout=20).rc == 0


def app_account() -> Account:
    """The created user `tankmail` when we are root, otherwise the user who runs us."""
    if not is_root():
        entry = pwd.getpwuid(os.geteuid())
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    try:
        entry = pwd.getpwnam(APP_USER)
    except KeyError:
        entry = _created_user(APP_USER)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def account_of(name: str) -> Account:
    """An account that exists."""
    entry = pwd.getpwnam(name)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _created_user(name: str) -> pwd.struct_passwd:
    argv = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    try:
        return pwd.getpwnam(name)  # made by us, or by another command at the same time
    except KeyError:
        raise ReplicaError(f"cannot create the user {name}: {done.stderr.strip()}") from None


def run(
    argv: Sequence[str],
    *,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | str = "/",
    text_in: str | None = None,
    timeout: float = 60,
    umask: int = 0o077,
) -> Result:
    """Run a command to its end, as `account` when given; `env` is its whole environment."""
    identity = {}
    if account and is_root() and account.uid != 0:
        identity = {"user": account.uid, "group": account.gid, "extra_groups": []}
    try:
        done = subprocess.run(
            list(argv),
            input=text_in,
            stdin=subprocess.DEVNULL if text_in is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env=dict(env) if env is not None else clean_environment(),
            cwd=cwd,
            timeout=timeout,
            umask=umask,
            start_new_session=True,
            check=False,
            **identity,
        )
    except subprocess.TimeoutExpired:
        return Result(124, "", f"{argv[0]} did not end within {timeout:g} s")
    return Result(done.returncode, done.stdout, done.stderr)


def run_or_fail(what: str, argv: Sequence[str], **options: Any) -> str:
    """Standard output of a command that must succeed; `what` begins the error line."""
    done = run(argv, **options)
    if done.rc != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise ReplicaError(f"{what} failed (rc {done.rc}): {' | '.join(lines[-4:])}")
    return done.stdout


def clean_environment(path_prefix: Sequence[str] = (), **more: str) -> dict[str, str]:
    """Environment of a child: nothing inherited from the caller."""
    path = ":".join([*path_prefix, SYSTEM_PATH])
    return {"PATH": path, "LANG": "C.UTF-8", "TZ": TIME_ZONE, **more}


def wait_until(condition: Callable[[], object], timeout: float, what: str, interval: float = 0.1) -> None:
    """Ask until the answer is true; ReplicaError with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise ReplicaError(f"{what}: not within {timeout:g} s")
        time.sleep(interval)


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(taken: Sequence[int] = ()) -> int:
    """A loopback port that nobody listens on."""
    for port in random.sample(_PORTS, 200):
        if port not in taken and port_is_free(port):
            return port
    raise ReplicaError("no free loopback port between 20000 and 29999")


def give_to(account: Account, *paths: Path) -> None:
    """Make `account` the owner of the paths and of all below (links themselves, not what they point to)."""
    if not is_root():
        return
    for top in paths:
        os.chown(top, account.uid, account.gid, follow_symlinks=False)
        for folder, names, files in os.walk(top):
            for name in names + files:
                os.chown(os.path.join(folder, name), account.uid, account.gid, follow_symlinks=False)


def write_private(path: Path, text: str, account: Account) -> None:
    """Write a file that only `account` can read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    give_to(account, path)


def replace_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file at once: a reader sees the old one or the new one."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.chmod(mode)
    new.replace(path)


def remove_tree(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def progress(text: str) -> None:
    print(f"replica: {text}", file=sys.stderr, flush=True)
