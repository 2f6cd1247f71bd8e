# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of attachments, readings of them, and file systems that misbehave."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import check_present, read_files

CHECKOUT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(CHECKOUT))
from tests.replica.attachments import _FORMATS  # noqa: E402 - found through the line above

OLD = 1_700_000_000
ROWS = [("Customer", "GID_20001024"), ("Date", "2026-11-21"), ("Amount", "1037")]
CONTENTS = {extension: make(ROWS) for extension, make in _FORMATS.items()}
NAMES = [f"BAC04V403R_MERSTAT_GID_{20001000 + number}_20261121_1.{kind}" for number, kind in enumerate(["xls", "pdf", "xlsx", "csv"] * 3)]


def why_no_fuse():
    """Return why no file system of our own can be mounted, "" where it can."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        return "mounting a file system needs root and /dev/fuse"
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:
        return f"mfusepy cannot be loaded ({error})"
    return ""


needs_fuse = pytest.mark.skipif(bool(why_no_fuse()), reason=why_no_fuse() or "-")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


def put(folder, name, data=None, modified=OLD):
    """Write a file that is what its extension says, long ago."""
    path = Path(os.fsdecode(folder)) / os.fsdecode(name)
    path.write_bytes(CONTENTS[path.suffix.lower()] if data is None else data)
    os.utime(path, (modified, modified))
    return path


def read(roots, wanted=None, **more):
    """Read in this process; the answer of the source."""
    given = {"roots": [str(root) for root in roots], "wanted": wanted, "answer_within": 20.0, "details": 10_000, "settle": 0.0, **more}
    return read_files.read(read_files.prepare(**given), **given)


def outcomes(answer):
    """Return {name: (outcome, code without its area)}."""
    return {row["name"]: (row["outcome"], row["code"].partition(".")[2]) for row in answer["details"]}


def codes(answer):
    """Return the codes of the findings of a reading."""
    return [finding.code for finding in check_present.present_of(answer)]


_SERVER = """
import errno, os, signal, stat, sys, time
import mfusepy
MODE, MOUNT = sys.argv[1], sys.argv[2]
DATA = open(sys.argv[3], "rb").read()
NAMES = sys.argv[4:]
CONTROL = MOUNT + ".mode"
def mode():
    try:
        return open(CONTROL).read().strip() or MODE
    except OSError:
        return MODE
def sick(path, operation):
    now = mode()
    if now == "hung" or (now == "hung-open" and operation == "open") or (now == "hung-folder" and path.startswith("/b")):
        time.sleep(600)
    if now == "slow":
        time.sleep(0.005)
    if now in ("ESTALE", "EIO", "EACCES", "ENOTCONN"):
        raise mfusepy.FuseOSError(getattr(errno, now))
    if now == "EIO-read" and operation == "read":
        raise mfusepy.FuseOSError(errno.EIO)
class Sick(mfusepy.Operations):
    use_ns = True
    def getattr(self, path, fh=None):
        sick(path, "getattr")
        name = path.rpartition("/")[2]
        if path in ("/", "/a", "/b"):
            return dict(st_mode=stat.S_IFDIR | 0o755, st_nlink=2)
        if name not in NAMES or not path.startswith("/a/"):
            raise mfusepy.FuseOSError(errno.ENOENT)
        return dict(st_mode=stat.S_IFREG | 0o644, st_nlink=1, st_size=len(DATA), st_mtime=1_700_000_000 * 10**9)
    def opendir(self, path):
        sick(path, "opendir")
        return 0
    def readdir(self, path, fh):
        sick(path, "readdir")
        return [".", ".."] + (["a", "b"] if path == "/" else NAMES if path == "/a" else [])
    def open(self, path, flags):
        sick(path, "open")
        return 0
    def read(self, path, size, offset, fh):
        sick(path, "read")
        return DATA[offset:offset + size]
    def statfs(self, path):
        sick(path, "statfs")
        return dict(f_bsize=4096, f_frsize=4096, f_blocks=1000, f_bfree=150, f_bavail=150, f_files=0, f_ffree=0, f_favail=0)
mfusepy.FUSE(Sick(), MOUNT, foreground=True, nothreads=False, ro=True, attr_timeout=0, entry_timeout=0, fsname="nas-01:/mti/report")
"""


class Mount:
    """A file system of our own: folder a holds the names, folder b none."""

    def __init__(self, path, server):
        self.path, self.server = path, server

    def become(self, mode):
        """Change how it behaves: healthy, slow, hung, hung-open, hung-folder, EIO-read, or the name of an error."""
        Path(f"{self.path}.mode").write_text(mode)


@contextlib.contextmanager
def mounted(folder, names, mode="healthy"):
    """Mount it; it is taken away whatever hangs in it."""
    path, data = folder / "nas", folder / "data.csv"
    path.mkdir()
    data.write_bytes(CONTENTS[".csv"])
    command = [sys.executable, "-W", "ignore", "-c", _SERVER, "healthy", str(path), str(data), *names]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until(lambda: f" {path} " in Path("/proc/self/mountinfo").read_text())
            mount = Mount(path, server)
            mount.become(mode)
            yield mount
        finally:
            server.kill()
            subprocess.run(["umount", "-l", str(path)], check=False, timeout=20, capture_output=True)
            server.wait(timeout=20)


def until(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
