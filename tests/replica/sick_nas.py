"""A file system with a trouble: what lies in a folder, read-only, as a NAS would give it that is not well.

    python -m tests.replica.sick_nas <folder> <mount point> <source> <trouble> [<file name>]

trouble: none; hung (no answer, ever); slow (each answer takes SLOW_S seconds); or the name of an error such as ESTALE or EIO.
With a file name, only reading the contents of files of that name has it.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mfusepy

SLOW_S = 2.0
_FOR_EVER = 10**6
_ATTRIBUTES = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_atime", "st_mtime", "st_ctime", "st_ino")
_USAGE = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_flag", "f_frsize", "f_namemax")


class SickNas(mfusepy.Operations):
    """The operations of a read-only file system, each of them as sick as it was told to be."""

    use_ns = False

    def __init__(self, folder: Path, trouble: str, only: str):
        self.folder = folder
        self.trouble = trouble
        self.only = only

    def _suffer(self, path: str, *, contents: bool = False) -> None:
        if self.only and not (contents and path.rpartition("/")[2] == self.only):
            return
        if self.trouble == "hung":
            time.sleep(_FOR_EVER)
        elif self.trouble == "slow":
            time.sleep(SLOW_S)
        elif self.trouble != "none":
            raise mfusepy.FuseOSError(getattr(errno, self.trouble))

    def _real(self, path: str) -> str:
        return os.path.join(self.folder, path.lstrip("/"))

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        self._suffer(path)
        found = os.lstat(self._real(path))
        return {name: getattr(found, name) for name in _ATTRIBUTES}

    def readdir(self, path: str, fh: int) -> Iterable[str]:
        self._suffer(path)
        return [".", "..", *os.listdir(self._real(path))]

    def statfs(self, path: str) -> dict[str, int]:
        self._suffer(path)
        found = os.statvfs(self.folder)
        return {name: getattr(found, name) for name in _USAGE}

    def open(self, path: str, flags: int) -> int:
        self._suffer(path)
        return os.open(self._real(path), flags)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._suffer(path, contents=True)
        return os.pread(fh, size, offset)

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0


def main() -> None:
    """Serve until killed."""
    folder, mount, source, trouble, only = [*sys.argv[1:], ""][:5]
    # Nothing is kept by the kernel, so that the trouble is seen at once; others than the one who serves may come in.
    options = {"allow_other": os.geteuid() == 0, "attr_timeout": 0, "entry_timeout": 0, "fsname": source}
    mfusepy.FUSE(SickNas(Path(folder), trouble, only), mount, foreground=True, nothreads=False, ro=True, direct_io=True, **options)


if __name__ == "__main__":
    main()
