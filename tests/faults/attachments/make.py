"""Faults of the attachments: each made on the disk of the NAS, or in the names that Oracle's target query wants.

They are of customers who get a mail once a month (but for those of a whole day): the check must find them before the run.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from tests.replica.attachments import days_of, statement_folder
from tests.replica.customers import BY_AUTOMATION, Customer
from tests.replica.interface import APP_HOST, Replica
from tests.replica.logsdb import local_now

from ..breakage import NOTHING, Breakage
from ..nas.make import Step, mend, restore, with_worker

_MONTHLY = 10  # the automation whose customers these are
_OLD_DAYS = 45
_HOUR = 3600
_NEEDS_ROOT = frozenset({"root"})
_NEEDS_FUSE = frozenset({"mount", "fuse"})
_REFUSED = b"<!DOCTYPE html><html><head><title>503</title></head><body>Service Unavailable</body></html>\n"
_APPEND = 'while printf "more,1\\r\\n" >>"$1"; do sleep 0.2; done'


def _customer(extension: str) -> Customer:
    return next(one for one in BY_AUTOMATION[_MONTHLY] if one.attachment("").endswith(f".{extension}"))


def _paths(replica: Replica, extension: str) -> list[Path]:
    """The file of a customer on the disk of the NAS; in the late evening also tomorrow's."""
    customer = _customer(extension)
    return [statement_folder(replica.nas.disk, day) / customer.attachment(f"{day:%Y%m%d}") for day in days_of(local_now())]


def _of_file(extension: str, change: Callable[[Path], object]) -> Step:
    """A set that changes the file of one customer, an hour ago."""

    def make(replica: Replica) -> None:
        for path in _paths(replica, extension):
            change(path)
            for touched in (path, *path.parent.glob(f"*/{path.name}")):
                if touched.exists():
                    os.utime(touched, (time.time() - _HOUR,) * 2)

    return make


# The whole day


def remove_day(replica: Replica) -> None:
    """The batch has not run: no folder, no log."""
    for day in days_of(local_now()):
        shutil.rmtree(statement_folder(replica.nas.disk, day))
        replica.at(APP_HOST).remove(replica.batch_log(day))


def fail_batch(replica: Replica) -> None:
    """The batch has made its folder, and then failed."""
    for day in days_of(local_now()):
        folder = statement_folder(replica.nas.disk, day)
        shutil.rmtree(folder)
        folder.mkdir(mode=0o755)
        moment = f"{day:%Y-%m-%d} 05:10:"
        lines = [
            f"{moment}00 statements of {day:%Y-%m-%d}: started",
            f"{moment}02 ERROR ORA-01555: snapshot too old",
            f"{moment}02 aborted",
        ]
        replica.at(APP_HOST).write(replica.batch_log(day), "\n".join(lines) + "\n", 0o600)


# One file


def _renamed(old: str, new: str) -> Callable[[Path], object]:
    return lambda path: path.rename(path.with_name(path.name.replace(old, new)))


def _copied(contents: bytes | None) -> Callable[[Path], object]:
    """Another one of the same name in a folder below, as a second run of the batch leaves it."""

    def copy(path: Path) -> None:
        below = path.parent / "rerun"
        below.mkdir(mode=0o755, exist_ok=True)
        (below / path.name).write_bytes(path.read_bytes() if contents is None else contents)

    return copy


def _cut(path: Path) -> None:
    """The batch broke off in the middle."""
    os.truncate(path, path.stat().st_size // 2)


def _add_short_line(path: Path) -> None:
    """The batch broke off in the middle of a line, and its next run went on behind it."""
    path.write_bytes(path.read_bytes() + b"GID_2000\r\n")


def fail_reading(replica: Replica) -> None:
    """The NAS lists the file, and its disk cannot be read there."""
    replica.nas.attach_sick("EIO", _paths(replica, "pdf")[0].name)


def append(replica: Replica) -> None:
    """The batch still writes."""
    path = _paths(replica, "csv")[0]
    replica.nas.start("writer", ["sh", "-c", _APPEND, "sh", str(path)])
    before = path.stat().st_size
    replica.wait_until(lambda: path.stat().st_size > before, 10, f"{path} does not grow")


def stop_appending(replica: Replica) -> None:
    replica.nas.end("writer")
    restore(replica)


def keep_old(replica: Replica) -> None:
    """Nobody deletes: the folder of a day long ago is there with its file."""
    old = local_now() - timedelta(days=_OLD_DAYS)
    folder = statement_folder(replica.nas.disk, old)
    folder.mkdir(mode=0o755)
    shutil.copy(_paths(replica, "pdf")[0], folder)


# Names in the database


def _wants(pattern: str | None) -> Step:
    """The database wants another name for one customer; the export of the target query has it."""

    def make(replica: Replica) -> None:
        _set_pattern(replica, pattern and pattern.format(_customer("pdf").attachment("{date}")))
        replica.export_targets()

    return make


def _set_pattern(replica: Replica, pattern: str | None) -> None:
    value = "NULL" if pattern is None else f"'{pattern}'"
    replica.oracle("sql", statement=f"UPDATE TARGET SET ATTACH_PATTERN = {value} WHERE CUST_ID = '{_customer('pdf').cust_id}'")  # noqa: S608


def want_as_delivered(replica: Replica) -> None:
    _set_pattern(replica, _customer("pdf").attachment("{date}"))
    restore(replica)


def _attachment(
    code: str, description: str, make: Step, clear: Step = restore, variant: str = "", needs: frozenset[str] = NOTHING
) -> Breakage:
    return Breakage(f"attachments.{code}", "attachments", description, "", make, clear, 0, needs, variant)


BREAKAGES = (
    _attachment("batch_missing", "the batch has not run", with_worker(remove_day), mend),
    _attachment("batch_missing", "the batch has failed", with_worker(fail_batch), mend, "failed"),
    _attachment("not_found", "a file is missing", _of_file("pdf", Path.unlink)),
    _attachment("case_differs", "a file has its extension in capital letters", _of_file("pdf", _renamed(".pdf", ".PDF"))),
    _attachment("case_differs", "a file has a blank before its extension", _of_file("xls", _renamed(".xls", " .xls")), variant="blank"),
    _attachment("near_name", "a file has a letter more in its name", _of_file("csv", _renamed("MERSTAT", "MERSTATE"))),
    _attachment("near_name", "a file has l for 1 in its name", _of_file("xlsx", _renamed("_1.xlsx", "_l.xlsx")), variant="look_alike"),
    _attachment("duplicated", "a file is there twice", _of_file("pdf", _copied(None))),
    _attachment(
        "duplicated", "a file is there twice, with different contents", _of_file("csv", _copied(b"A,B\r\n1,2\r\n")), variant="different"
    ),
    _attachment("empty", "a file has no contents", _of_file("xlsx", lambda path: os.truncate(path, 0))),
    _attachment(
        "unreadable", "a file is closed to the application's user", _of_file("xls", lambda path: path.chmod(0o600)), needs=_NEEDS_ROOT
    ),
    _attachment("unreadable", "a file gives EIO when it is read", fail_reading, variant="io", needs=_NEEDS_FUSE),
    _attachment("damaged", "a PDF ends in the middle", _of_file("pdf", _cut)),
    _attachment("damaged", "an XLSX ends in the middle", _of_file("xlsx", _cut), variant="xlsx"),
    _attachment("damaged", "an XLS ends in the middle", _of_file("xls", _cut), variant="xls"),
    _attachment("damaged", "a CSV has a line with too few columns", _of_file("csv", _add_short_line), variant="csv"),
    _attachment("wrong_type", "an XLSX is an error page", _of_file("xlsx", lambda path: path.write_bytes(_REFUSED))),
    _attachment("still_written", "a file grows", append, stop_appending),
    _attachment("extension", "the database wants an extension that is not allowed", _wants("{}.docx"), want_as_delivered),
    _attachment("bad_name", "the database wants a name that is a path", _wants("../../../etc/{}"), want_as_delivered),
    _attachment("no_name", "the database wants no name for a customer", _wants(None), want_as_delivered),
    _attachment("retention", "a folder of 45 days ago is still there", keep_old),
)
