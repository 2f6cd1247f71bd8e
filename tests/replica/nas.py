"""The NAS of an instance: a disk of its own, and what the host of the applications has mounted of it.

Where mounting is allowed (root) the disk is a small file system on this machine, and the host sees it through a read-only mount;
elsewhere it is a plain folder. Hosts in containers get the folder around the mount point by propagation, so what is mounted here is mounted there.
Nothing here touches the mount point while something is mounted: it may be one that never answers.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .paths import Paths
from .runtime import Runtime, interpreter, runtime_for_sources
from .server_process import Started
from .system import ReplicaError, can_mount, remove_tree, run_or_fail, wait_until

SOURCE = "nas-01:/mti/report"
OTHER_SOURCE = "nas-01:/mti/archive"
SERVER = "tests.replica.sick_nas"
_SIZE = "32m"
_WAIT_S = 15


@dataclass(frozen=True)
class Mounted:
    """One line of the kernel's list of mounts."""

    type: str
    source: str
    read_only: bool


def mounted_on(path: Path) -> list[Mounted]:
    """What is mounted on a path, the topmost last."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, _dash, after = line.partition(" - ")
        words, kind = before.split(), after.split()
        if words[4] == str(path):
            found.append(Mounted(kind[0], kind[1], "ro" in words[5].split(",") or "ro" in kind[2].split(",")))
    return found


@dataclass(frozen=True)
class Nas:
    """The NAS of one instance."""

    paths: Paths

    @property
    def mount(self) -> Path:
        """Where the applications' host has it, on this machine."""
        return self.paths.nas_root

    @property
    def disk(self) -> Path:
        """What the NAS itself sees, and the batch writes to."""
        return self.paths.instance / "nas" if can_mount() else self.mount

    @property
    def _export(self) -> Path:
        """The disk as it is given to others: read-only, and a mount made of it is so from its first moment."""
        return self.paths.instance / "nas-export"

    @property
    def source(self) -> str:
        """What the kernel's list of mounts shows; "" where it is a plain folder."""
        return SOURCE if can_mount() else ""

    def well(self) -> bool:
        """Whether it is mounted as delivered."""
        if not can_mount():
            return self.mount.is_dir()
        return len(mounted_on(self.disk)) == 1 and mounted_on(self.mount) == [Mounted("tmpfs", SOURCE, read_only=True)]

    def ensure(self, *, shared: bool = False) -> None:
        """Make the disk and mount it where that is not so. `shared`: containers are to see what is mounted."""
        if not can_mount():
            self.mount.mkdir(parents=True, exist_ok=True)
            return
        if not mounted_on(self.disk):
            self._mount_disk(self.disk, SOURCE)
        if not mounted_on(self._export):
            self._export.mkdir(exist_ok=True)
            _mount("--bind", str(self.disk), str(self._export))
            _mount("-o", "remount,bind,ro,nosuid,nodev", str(self._export))
        around = self.mount.parent
        around.mkdir(parents=True, exist_ok=True)
        if shared and not mounted_on(around):
            _mount("--bind", str(around), str(around))
            _mount("--make-private", str(around))
            _mount("--make-shared", str(around))
        if not self.well():
            self.attach()

    def _mount_disk(self, where: Path, source: str) -> None:
        where.mkdir(parents=True, exist_ok=True)
        _mount("-t", "tmpfs", "-o", f"size={_SIZE},mode=0755,nosuid,nodev", source, str(where))

    def attach(self, *, read_only: bool = True) -> None:
        """Mount it on the applications' host, instead of whatever is mounted there."""
        self.detach()
        _mount("--bind", str(self._export if read_only else self.disk), str(self.mount))

    def attach_other(self) -> None:
        """Mount another export of the NAS there, with a folder for statements and none of today."""
        self.detach()
        self._mount_disk(self.mount, OTHER_SOURCE)
        (self.mount / "AC" / "statement" / "20200101").mkdir(parents=True)
        _mount("-o", "remount,ro", str(self.mount))

    def detach(self) -> None:
        """Unmount it; what is left is an empty folder of the host itself."""
        self.end("server")
        while mounted_on(self.mount):
            run_or_fail(f"unmount {self.mount}", ["umount", "--lazy", str(self.mount)], timeout=20)
        remove_tree(self.mount)
        self.mount.mkdir(parents=True)

    def attach_sick(self, trouble: str, only: str = "") -> None:
        """Mount the disk through a file system that has a trouble (see sick_nas), with everything or with one file."""
        self.detach()
        argv = [str(interpreter()), "-W", "ignore", "-m", SERVER, str(self.disk), str(self.mount), SOURCE, trouble, only]
        self.start("server", argv).wait_until(lambda: mounted_on(self.mount), _WAIT_S)

    def fill(self, name: str, size: int) -> None:
        """Put a file of so many bytes on the disk."""
        with (self.disk / name).open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, size)

    def remove(self) -> None:
        """End its processes and unmount all of it."""
        for file in self.paths.run.glob("nas-*.pid"):
            self.end(file.stem.removeprefix("nas-"))
        for place in (self.mount, self.mount.parent, self._export, self.paths.instance / "nas"):
            while mounted_on(place):
                run_or_fail(f"unmount {place}", ["umount", "--lazy", str(place)], timeout=20)

    # Processes

    def _file(self, name: str) -> Path:
        return self.paths.run / f"nas-{name}"

    @property
    def _runtime(self) -> Runtime:
        return runtime_for_sources(self.paths.cache)

    def start(self, name: str, argv: Sequence[str]) -> Started:
        """Start a process that names the disk in its arguments, in the background."""
        self.end(name)
        with self._file(f"{name}.log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self._runtime.environment(),
                start_new_session=True,
            )
        self._file(f"{name}.pid").write_text(f"{process.pid}\n", encoding="ascii")
        # For a moment a new program has no arguments yet, and would be taken for a stranger.
        wait_until(lambda: self._pid(name) or process.poll() is not None, _WAIT_S, f"{argv[0]} does not start")
        return Started("the file system of the NAS", process, self._file(f"{name}.log"))

    def end(self, name: str) -> None:
        """Kill a process of :meth:`start` if it lives; whoever waits for a file system of it gets an error then."""
        pid = self._pid(name)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not self._pid(name), _WAIT_S, f"the process {pid} does not end")
            # It has let go of its memory and with it of its name; where it is a child of ours it is soon to be collected.
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self._file(f"{name}.pid").unlink(missing_ok=True)

    def _pid(self, name: str) -> int:
        """The pid of a living process of :meth:`start`, 0 for none; a number that now belongs to another process is none."""
        try:
            pid = int(self._file(f"{name}.pid").read_text(encoding="ascii"))
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return 0
        return pid if os.fsencode(self.disk) in words else 0


def _mount(*arguments: str) -> None:
    if not can_mount():
        raise ReplicaError("mounting is not allowed here")
    run_or_fail(f"mount {arguments[-1]}", ["mount", *arguments], timeout=20)
