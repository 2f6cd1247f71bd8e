"""The NAS of the replica: what is mounted, how it is sick, and that everything comes back. Needs no other part of the replica."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ..attachments import deliver, export_of, statement_folder
from ..customers import CUSTOMERS
from ..fault_control import offers
from ..lifecycle import prepared_cache
from ..logsdb import local_now
from ..nas import OTHER_SOURCE, SOURCE, Mounted, Nas, mounted_on
from ..paths import Paths

needs_mount = pytest.mark.skipif("mount" not in offers("local"), reason="mounting is not allowed here")
needs_fuse = pytest.mark.skipif("fuse" not in offers("local"), reason="a sick mount needs root, /dev/fuse and the package fuse3")
ERRNO = "import os, sys\ntry:\n    os.listdir(sys.argv[1])\nexcept OSError as error:\n    print(error.errno)\n"


@pytest.fixture
def nas(tmp_path):
    paths = Paths(tmp_path, "lab")
    paths.run.mkdir(parents=True)
    made = Nas(paths)
    paths.cache.symlink_to(prepared_cache(Paths.of("lab")).build.parent)
    made.ensure()
    yield made
    made.remove()
    assert [mounted_on(place) for place in (made.mount, made.disk)] == [[], []]


def list_it(nas: Nas) -> str:
    """What listing the mount point says, "" when all is well; in a process that may be left behind."""
    asked = subprocess.Popen([sys.executable, "-c", ERRNO, str(nas.mount)], stdout=subprocess.PIPE, text=True)
    with suppress(subprocess.TimeoutExpired):
        return asked.communicate(timeout=1)[0].strip()
    return "silent"


def test_the_files_of_the_day_are_delivered_again_whatever_was_done_to_them(nas):
    deliver(nas.disk, local_now())
    folder = statement_folder(nas.disk, local_now())
    good = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(good) == len(CUSTOMERS)
    assert max(path.stat().st_mtime for path in folder.iterdir()) < time.time() - 3500, "files that are fresh are looked at twice"
    names = sorted(good)
    (folder / names[0]).unlink()
    (folder / names[1]).write_bytes(b"")
    (folder / names[2]).chmod(0o600)
    (folder / names[3]).rename(folder / "other.pdf")
    (folder / "rerun").mkdir()
    (folder / "rerun" / names[4]).write_bytes(b"x")
    (nas.disk / "AC" / "statement" / "20200101").mkdir()
    kept = (folder / names[5]).stat()
    deliver(nas.disk, local_now())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == good
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    assert (folder / names[5]).stat().st_mtime_ns == kept.st_mtime_ns
    assert folder.name in os.listdir(folder.parent)
    assert "20200101" not in os.listdir(folder.parent)


def test_the_export_has_the_names_of_the_day_and_no_personal_data():
    rows = [[str(one.automation.auto_id), one.cust_id, one.attachment("{date}")] for one in CUSTOMERS[:2]] + [["1", "GID_9", None]]
    day = local_now().replace(year=2026, month=12, day=1)
    assert export_of(rows, day).splitlines() == [
        "CUST_ID,ATTACH_FILE_NAME,ORG_ID",
        *(f"{one.cust_id},{one.attachment('20261201')},10" for one in CUSTOMERS[:2]),
        "GID_9,,10",
    ]


@needs_mount
def test_it_is_mounted_read_only_and_what_lies_below_is_empty(nas):
    assert nas.well()
    assert mounted_on(nas.mount) == [Mounted("tmpfs", SOURCE, read_only=True)]
    (nas.disk / "a").touch()
    assert os.listdir(nas.mount) == ["a"]
    with pytest.raises(OSError, match="Read-only"):
        (nas.mount / "b").touch()
    nas.detach()
    assert (mounted_on(nas.mount), os.listdir(nas.mount)) == ([], [])
    nas.attach_other()
    assert mounted_on(nas.mount) == [Mounted("tmpfs", OTHER_SOURCE, read_only=True)]
    nas.attach(read_only=False)
    (nas.mount / "b").touch()
    nas.ensure()
    assert nas.well()


@needs_fuse
@pytest.mark.parametrize(("trouble", "said"), [("none", ""), ("ESTALE", "116"), ("EIO", "5"), ("EACCES", "13"), ("hung", "silent")])
def test_a_sick_mount_is_as_sick_as_it_was_told_and_is_taken_away(nas, trouble, said):
    (nas.disk / "a").touch()
    nas.attach_sick(trouble)
    assert mounted_on(nas.mount) == [Mounted("fuse", SOURCE, read_only=True)]
    assert list_it(nas) == said
    began = time.monotonic()
    nas.attach()
    assert time.monotonic() - began < 5
    assert (nas.well(), list_it(nas)) == (True, "")


@needs_fuse
def test_one_file_that_cannot_be_read(nas):
    for name in ("a", "b"):
        (nas.disk / name).write_text(name)
    nas.attach_sick("EIO", "a")
    assert (nas.mount / "b").read_text() == "b"
    assert (nas.mount / "a").stat().st_size == 1
    with pytest.raises(OSError, match="Input/output"):
        (nas.mount / "a").read_text()


@needs_fuse
def test_a_mount_whose_server_has_died(nas):
    nas.attach_sick("none")
    nas.end("server")
    assert list_it(nas) == "107"
    nas.ensure()
    assert nas.well()


def test_a_process_of_it_ends_with_it_and_a_strange_one_does_not(nas):
    nas.start("writer", ["sh", "-c", "while sleep 0.1; do :; done", "sh", str(nas.disk)])
    pid = int((nas.paths.run / "nas-writer.pid").read_text())
    nas.end("writer")
    assert not Path(f"/proc/{pid}").exists()
    (nas.paths.run / "nas-writer.pid").write_text(f"{os.getppid()}\n")
    nas.end("writer")
    assert Path(f"/proc/{os.getppid()}").exists()
