"""Faults of the NAS: what is mounted, how it answers, who may go where, and how full it is. Each made for real on the instance's own."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.replica.attachments import statement_folder
from tests.replica.interface import Replica
from tests.replica.logsdb import local_now
from tests.replica.pm2_processes import restart_and_settle

from ..breakage import Breakage
from ..oracle.make import errors_since, make_due

_WAIT_S = 60
_FILLER = "filler.bin"
_NEEDS_MOUNTS = frozenset({"mount"})
_NEEDS_FUSE = frozenset({"mount", "fuse"})
Step = Callable[[Replica], None]


def with_worker(change: Step, said: str = "File not found") -> Step:
    """A set after which customers are due, and that waits for what the worker says when it attaches their files ("" for nothing)."""

    def make(replica: Replica) -> None:
        logged = errors_since(replica)
        change(replica)
        make_due(replica)
        if said:
            replica.wait_until(lambda: logged(said), _WAIT_S, f"worker has not logged {said!r}")

    make.by_worker = True
    return make


def mend(replica: Replica) -> None:
    """Everything as delivered; the worker, started anew, has nothing to say of it any more."""
    restore(replica)
    restart_and_settle(replica, "worker")


def restore(replica: Replica) -> None:
    """Everything as delivered, where the worker has noticed nothing."""
    folder = replica.nas.disk / "AC"
    if folder.is_dir():
        folder.chmod(0o755)
    replica.restore_attachments()
    replica.must(["ls", "-d", f"{replica.facts['nas_root']}/AC/statement/{local_now():%Y%m%d}"])


# Mounts


def unmount(replica: Replica) -> None:
    """Nobody has mounted it after a reboot; the folder lists, and is the host's own."""
    replica.nas.detach()


def mount_other(replica: Replica) -> None:
    replica.nas.attach_other()


def _sick(trouble: str) -> Step:
    return lambda replica: replica.nas.attach_sick(trouble)


def lose_server(replica: Replica) -> None:
    """What served the mount has died: the kernel says ENOTCONN to everybody."""
    replica.nas.attach_sick("none")
    replica.nas.end("server")


def mount_writable(replica: Replica) -> None:
    """Somebody mounted it without `ro`, and opened the folder of the statements to everybody."""
    replica.nas.attach(read_only=False)
    for folder in (statement_folder(replica.nas.disk, local_now()), statement_folder(replica.nas.disk, local_now()).parent):
        folder.chmod(0o777)


# Folders


def move_folder(replica: Replica) -> None:
    """The path on the NAS was changed."""
    (replica.nas.disk / "AC" / "statement").rename(replica.nas.disk / "AC" / "statements")


def close_folder(replica: Replica) -> None:
    """The owner of a folder on the NAS keeps it to itself."""
    (replica.nas.disk / "AC").chmod(0o700)


# How full it is


def _fill(percent: float) -> Step:
    """Fill the disk of the NAS for real."""

    def make(replica: Replica) -> None:
        disk = replica.nas.disk
        usage = os.statvfs(disk)
        wanted = int(usage.f_blocks * percent / 100) - (usage.f_blocks - usage.f_bfree)
        replica.nas.fill(_FILLER, wanted * usage.f_frsize)

    return make


def _nas(
    code: str,
    description: str,
    make: Step,
    clear: Step = mend,
    variant: str = "",
    needs: frozenset[str] = _NEEDS_MOUNTS,
    settle_s: float = 0,
) -> Breakage:
    return Breakage(f"nas.{code}", "nas", description, "", make, clear, settle_s, needs, variant)


BREAKAGES = (
    _nas("not_mounted", "the NAS is not mounted; its folder is there and empty", with_worker(unmount)),
    _nas("wrong_source", "another export of the NAS is mounted", with_worker(mount_other)),
    _nas("stale", "every access says ESTALE", with_worker(_sick("ESTALE")), needs=_NEEDS_FUSE),
    _nas("stale", "every access says EIO", with_worker(_sick("EIO")), variant="io", needs=_NEEDS_FUSE),
    _nas("stale", "the server of the mount has died: ENOTCONN", with_worker(lose_server), variant="disconnected", needs=_NEEDS_FUSE),
    _nas("hung", "the NAS answers nothing, ever", with_worker(_sick("hung"), ""), needs=_NEEDS_FUSE),
    _nas("hung", "each answer of the NAS takes 2 s", _sick("slow"), variant="slow", needs=_NEEDS_FUSE),
    _nas("path_missing", "a folder of the path has another name", with_worker(move_folder), needs=frozenset()),
    _nas("no_permission", "a folder of the path is closed to the application's user", with_worker(close_folder), needs=frozenset({"root"})),
    _nas("no_permission", "the NAS refuses every access", with_worker(_sick("EACCES")), variant="refused", needs=_NEEDS_FUSE),
    _nas("writable", "the NAS is mounted read-write", mount_writable, restore),
    _nas("disk_80", "the disk of the NAS is 84 % full", _fill(84), restore),
    _nas("disk_90", "the disk of the NAS is 95 % full", _fill(95), restore),
)
