# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the files of log folders, and what rotates them.

Times are epoch seconds, sizes are bytes.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Sequence
from typing import TypedDict

from ..._core.children import call as bounded
from ..._core.children import user_name
from ..._core.errors import RemediationError
from ..._core.source import Source
from ..._shared import pm2_list, text_files
from ..._shared.kernel_log import syslog_time
from ..._shared.mounts import normal_path
from ..._shared.text_files import whole
from .logrotate import LOGROTATE, covers, rotated_from, rotation_rules
from .read_disks import MAX_ENTRIES

PM2_WITHIN = 1.5  # seconds for PM2's list of log paths


MAX_FILES = 300  # files of one log folder that are returned
HEAD = 2048
_DATES = (
    re.compile(r"(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ](?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"),
    re.compile(r"\[(?P<day>\d\d)/(?P<name>[A-Z][a-z]{2})/(?P<year>\d{4}):(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"),
    re.compile(r" - +(?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d{4}), +(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)"),
)


_MONTHS = {
    name: number for number, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}


class LogFile(TypedDict):
    """A file of a log folder."""

    name: str
    size: int
    modified: float
    mode: str  # in octal digits
    owner: str
    exposed: bool  # other users can read it
    base: str  # the log that this is a rotated part of, "" for a log
    oldest: float | None  # the date of its first line
    ruled: bool  # a rule of logrotate matches it


class _Folder(TypedDict):
    problem: str  # "denied", the system's reason, or "" when it was read
    files: list[LogFile]
    more: int  # files that were not read


class LogFolder(_Folder):
    """A log folder."""

    path: str
    pm2: bool  # PM2 writes here


class LogFilesFacts(TypedDict):
    """The log folders: those that parameters name, and those of PM2's processes."""

    at: float
    folders: list[LogFolder]
    pm2_rotates: bool  # the module pm2-logrotate is online
    not_asked: list[str]  # what could not be read, with the reason


def read_logs(
    log_folders: Sequence[str] | None = None, pm2_home: str | None = None, user: str | None = None, logrotate: Sequence[str] | None = None
) -> LogFilesFacts:
    """Return the files of log folders, and what rotates them.

    pm2_home: the PM2_HOME whose processes' log folders are read as well. user: the user that runs PM2, by default the owner of that folder.
    logrotate: files and folders of logrotate's configuration.
    """
    now = time.time()
    rules, unread = rotation_rules(logrotate or LOGROTATE)
    from_pm2, pm2_rotates, problem = _pm2_folders(pm2_home, user)
    given = [normal_path(folder) for folder in log_folders or []]
    folders = [*given, *(folder for folder in from_pm2 if folder not in given)]
    not_asked = [f"logrotate: {path} may not be read" for path in unread] + ([problem] if problem else [])
    return {
        "at": now,
        "folders": [{"path": folder, "pm2": folder in from_pm2, **_log_folder(folder, rules, now)} for folder in folders],
        "pm2_rotates": pm2_rotates,
        "not_asked": not_asked,
    }


def _pm2_folders(pm2_home: str | None, user: str | None) -> tuple[list[str], bool, str]:
    """Return the folders that PM2's processes log to, whether pm2-logrotate runs, and the reason when this is not known."""
    if not pm2_home:
        return [], False, ""
    outcome = bounded(lambda: pm2_list.read_list(pm2_home, user, PM2_WITHIN / 2), PM2_WITHIN, user=lambda: pm2_list.reader(pm2_home, user))
    listed = outcome.value or {"state": "", "processes": []}
    usual = os.path.join(normal_path(pm2_home), "logs")
    if listed["state"] != "up":
        why = outcome.error.message if isinstance(outcome.error, RemediationError) else listed.get("problem", "")
        return [usual] if os.path.isdir(usual) else [], False, f"pm2: other log folders than {usual} ({why})"
    paths = [process[key] for process in listed["processes"] if not process["module"] for key in ("out_log", "err_log")]
    folders = dict.fromkeys(os.path.dirname(path) for path in paths if path.startswith("/") and not path.startswith("/dev/"))
    rotates = any(process["module"] and "logrotate" in process["name"] and process["status"] == "online" for process in listed["processes"])
    return [normal_path(folder) for folder in folders][:20], rotates, ""


def _log_folder(folder: str, rules: Sequence[str], now: float) -> _Folder:
    try:
        names = os.listdir(folder)
    except (OSError, ValueError) as error:
        denied = isinstance(error, PermissionError)
        return {"problem": "denied" if denied else getattr(error, "strerror", None) or str(error), "files": [], "more": 0}
    files = [entry for entry in (_log_file(folder, name, now) for name in sorted(names)[:MAX_ENTRIES]) if entry]
    files.sort(key=lambda one: (not one["exposed"], -one["size"]))
    for entry in files:
        path = os.path.join(folder, entry["name"])
        entry["ruled"] = any(covers(rule, path) or (entry["base"] and covers(rule, os.path.join(folder, entry["base"]))) for rule in rules)
    return {"problem": "", "files": files[:MAX_FILES], "more": max(0, len(files) - MAX_FILES) + max(0, len(names) - MAX_ENTRIES)}


def _log_file(folder: str, name: str, now: float) -> LogFile | None:
    path = os.path.join(folder, name)
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    base = rotated_from(name)
    return {
        "name": name,
        "size": found.st_size,
        "modified": found.st_mtime,
        "mode": f"{stat.S_IMODE(found.st_mode):04o}",
        "owner": user_name(found.st_uid),
        "exposed": bool(found.st_mode & stat.S_IROTH) and text_files.reachable_by_others(path),
        "base": base,
        "oldest": None if base or not found.st_size else first_date(path, now),
        "ruled": False,
    }


def first_date(path: str, now: float) -> float | None:
    """Return the date of the first dated line of a file (local time where no zone is written), None when none is found."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        text = os.pread(descriptor, HEAD, 0).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return date_in(text, now)


def date_in(text: str, now: float) -> float | None:
    """Return the earliest time in the beginning of a log, None when there is none of the past."""
    moments = [moment for moment in (syslog_time(line, now) for line in text.split("\n")[:5]) if moment]
    for pattern in _DATES:
        found = pattern.search(text)
        if found:
            parts = found.groupdict()
            month = _MONTHS.get(parts.get("name") or "", 0) or whole(parts.get("month"))
            moments.append(_local([whole(parts["year"]), month, *(whole(parts[key]) for key in ("day", "hour", "minute", "second"))]))
    past = [moment for moment in moments if 0 < moment <= now]
    return min(past) if past else None


def _local(parts: Sequence[int]) -> float:
    year, month, day, hour, minute, second = parts
    if not (1990 <= year < 2200 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        return 0.0
    try:
        return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
    except (OverflowError, ValueError):
        return 0.0


LOG_FILES = Source("host.log_files", read_logs, ("log_folders", "pm2_home", "user", "logrotate"))
