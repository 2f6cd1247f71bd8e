# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read mounts, how full they are, and what lies in log folders. Runs in a bounded child; walks no whole disks.

Times are epoch seconds, sizes are bytes.
"""

from __future__ import annotations

import glob
import os
import re
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ..._core.children import call as bounded
from ..._core.children import user_name
from ..._core.errors import RemediationError
from ..._shared import pm2_list, text_files
from ..._shared.kernel_log import syslog_time
from ..._shared.mounts import MAX_MOUNTS_TEXT, MOUNTS, _filled, _plain, choose_mounts, parse_mounts
from ..._shared.text_files import text_of, whole

PM2_WITHIN = 1.5  # seconds for the list of log paths
MAX_ENTRIES = 20000  # files looked at in one log folder
FOLDERS_WITHIN = 2.0  # seconds for the sizes of all log folders
DEEP = 3  # levels below a log folder that count for its size
MAX_FILES = 300  # files of one log folder that are returned
HEAD = 2048
LOGROTATE = ("/etc/logrotate.conf", "/etc/logrotate.d")


_LEFTOVER = (
    re.compile(r"^(?P<base>.+?)\.(?:\d{1,4})(?:\.(?:gz|bz2|xz|zst))?$"),
    re.compile(r"^(?P<base>.+?)[-.]\d{4}-?\d\d-?\d\d[-_.\dT]*(?:\.log)?(?:\.(?:gz|bz2|xz|zst))?$"),
    re.compile(r"^(?P<base>.+?)__\d{4}-\d\d-\d\d_[-\d]+\.log(?:\.gz)?$"),
    re.compile(r"^(?P<base>.+?)\.(?:old|gz|bz2|xz|zst)$"),
)
_DATES = (
    re.compile(r"(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ](?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"),
    re.compile(r"\[(?P<day>\d\d)/(?P<name>[A-Z][a-z]{2})/(?P<year>\d{4}):(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"),
    re.compile(r" - +(?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d{4}), +(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)"),
)
_MONTHS = {
    name: number for number, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}


# --- mounts


# --- source host.disks


def read_disks(only: Sequence[str] | None = None, paths: Sequence[str] | None = None, log_folders: Sequence[str] | None = None) -> Any:
    """Return how full the file systems are, and how large the log folders.

    ``at``; ``disks``: ``mount device type size used free files files_used files_free error``, used and free as df shows
    them (what is kept for root counts as neither); ``missing``: mounts of ``only`` that are not mounted; ``folders``:
    ``path size whole largest`` (``name size``), whole is False where the limits of the walk cut it short.
    """
    mounts = parse_mounts(text_of(MOUNTS, MAX_MOUNTS_TEXT) or "")
    chosen, missing = choose_mounts(mounts, only or [], paths or [])
    return {
        "at": time.time(),
        "disks": [{**_without_number(entry), **_filled(entry)} for entry in chosen],
        "missing": missing,
        "folders": folder_sizes(log_folders or []),
    }


def _without_number(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("mount", "device", "type")}


def folder_sizes(folders: Sequence[str]) -> list[dict[str, Any]]:
    """Return what log folders hold on the disk, as far as two seconds reach; a folder that is absent is left out."""
    end = time.monotonic() + FOLDERS_WITHIN
    return [entry for entry in (_folder_size(folder, end) for folder in folders) if entry]


def _folder_size(folder: str, end: float) -> dict[str, Any] | None:
    waiting, size, seen, largest = [(folder, 0)], 0, 0, []
    if not os.path.isdir(folder):
        return None
    while waiting and seen < MAX_ENTRIES and time.monotonic() < end:
        path, level = waiting.pop()
        for entry, found in _entries(path, MAX_ENTRIES - seen):
            seen += 1
            if stat.S_ISDIR(found.st_mode) and level < DEEP:
                waiting.append((entry, level + 1))
            elif stat.S_ISREG(found.st_mode):
                size += found.st_blocks * 512
                largest = sorted([*largest, (found.st_blocks * 512, entry)], reverse=True)[:3]
    names = [{"name": os.path.relpath(path, folder), "size": held} for held, path in largest]
    return {"path": folder, "size": size, "whole": not waiting and seen < MAX_ENTRIES, "largest": names}


def _entries(folder: str, most: int) -> Iterable[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as listing:
            for number, entry in enumerate(listing):
                if number >= most:
                    return
                try:
                    yield entry.path, entry.stat(follow_symlinks=False)
                except OSError:
                    continue
    except (OSError, ValueError):
        return


# --- source host.log_files


def read_logs(
    log_folders: Sequence[str] | None = None, pm2_home: str | None = None, user: str | None = None, logrotate: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the files of log folders, given ones and those of PM2's processes, and what rotates them.

    ``at``; ``folders``: ``path problem pm2`` (PM2 writes here) ``files`` (``name size modified mode owner exposed``
    (others can really read it) ``base`` (the log that this is a rotated part of, "" for a log) ``oldest`` (date of its
    first line, else None) ``ruled`` (a rule of logrotate names it)) ``more`` (files not looked at); ``pm2_rotates``: the
    module pm2-logrotate runs; ``not_asked``.
    """
    now = time.time()
    rules, unread = rotation_rules(logrotate or LOGROTATE)
    from_pm2, pm2_rotates, problem = _pm2_folders(pm2_home, user)
    given = [_plain(folder) for folder in log_folders or []]
    folders = [*given, *(folder for folder in from_pm2 if folder not in given)]
    not_asked = [f"logrotate: {path} may not be read" for path in unread] + ([problem] if problem else [])
    return {
        "at": now,
        "folders": [{"path": folder, "pm2": folder in from_pm2, **_log_folder(folder, rules, now)} for folder in folders],
        "pm2_rotates": pm2_rotates,
        "not_asked": not_asked,
    }


def _pm2_folders(pm2_home: str | None, user: str | None) -> tuple[list[str], bool, str]:
    """Return the folders that PM2's processes log to, whether pm2-logrotate runs, and why this is not known."""
    if not pm2_home:
        return [], False, ""
    outcome = bounded(lambda: pm2_list.read_list(pm2_home, user, PM2_WITHIN / 2), PM2_WITHIN, user=lambda: pm2_list.reader(pm2_home, user))
    listed = outcome.value or {"state": "", "processes": []}
    usual = os.path.join(_plain(pm2_home), "logs")
    if listed["state"] != "up":
        why = outcome.error.message if isinstance(outcome.error, RemediationError) else listed.get("problem", "")
        return [usual] if os.path.isdir(usual) else [], False, f"pm2: other log folders than {usual} ({why})"
    paths = [process[key] for process in listed["processes"] if not process["module"] for key in ("out_log", "err_log")]
    folders = dict.fromkeys(os.path.dirname(path) for path in paths if path.startswith("/") and not path.startswith("/dev/"))
    rotates = any(process["module"] and "logrotate" in process["name"] and process["status"] == "online" for process in listed["processes"])
    return [_plain(folder) for folder in folders][:20], rotates, ""


def _log_folder(folder: str, rules: Sequence[str], now: float) -> dict[str, Any]:
    try:
        names = os.listdir(folder)
    except (OSError, ValueError) as error:
        denied = isinstance(error, PermissionError)
        return {"problem": "denied" if denied else getattr(error, "strerror", None) or str(error), "files": [], "more": 0}
    files = [entry for entry in (_log_file(folder, name, now) for name in sorted(names)[:MAX_ENTRIES]) if entry]
    files.sort(key=lambda one: (not one["exposed"], -one["size"]))
    for entry in files:
        path = os.path.join(folder, entry["name"])
        entry["ruled"] = any(
            _covers(rule, path) or (entry["base"] and _covers(rule, os.path.join(folder, entry["base"]))) for rule in rules
        )
    return {"problem": "", "files": files[:MAX_FILES], "more": max(0, len(files) - MAX_FILES) + max(0, len(names) - MAX_ENTRIES)}


def _log_file(folder: str, name: str, now: float) -> dict[str, Any] | None:
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
    }


def rotated_from(name: str) -> str:
    """Return the log that a file name says it is a rotated part of (``worker.log`` for ``worker.log.2.gz``), else ""."""
    for pattern in _LEFTOVER:
        found = pattern.match(name)
        if found:
            base = found.group("base")
            return base if base.endswith((".log", ".err", ".out")) else f"{base}.log" if name.endswith((".log", ".log.gz")) else base
    return ""


def first_date(path: str, now: float) -> float | None:
    """Return the date of the first dated line of a file (local time where no zone is written), None when none is seen."""
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
    """Return the earliest time that the beginning of a log names, None when it names none that has been."""
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


# --- logrotate


def rotation_rules(places: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the patterns that logrotate rotates, and the files of its configuration that may not be read."""
    rules: list[str] = []
    unread = []
    for place in places:
        names = sorted(glob.glob(os.path.join(glob.escape(place), "*")))[:500] if os.path.isdir(place) else [place]
        for name in names:
            text = text_of(name)
            if text is not None:
                rules += parse_rules(text)
            elif os.path.exists(name) and not os.path.isdir(name):
                unread.append(name)
    return rules[:2000], unread


def parse_rules(text: str) -> list[str]:
    """Return the patterns of one file of logrotate: the absolute paths in front of each ``{``."""
    rules: list[str] = []
    waiting: list[str] = []
    inside = False
    for line in text.split("\n"):
        line = line.strip()
        if inside or line.startswith("#"):
            inside = inside and not line.startswith("}")
            continue
        before, brace, after = line.partition("{")
        words = [single or double or bare for single, double, bare in re.findall(r"'([^']*)'|\"([^\"]*)\"|(\S+)", before)]
        if words and not words[0].startswith("/"):
            waiting = []
        waiting += [word for word in words if word.startswith("/")]
        if brace:
            rules += waiting
            waiting, inside = [], "}" not in after
    return rules


def _covers(rule: str, path: str) -> bool:
    """Whether a pattern names a path; a star does not reach over a slash."""
    rule_parts, path_parts = rule.split("/"), path.split("/")
    return len(rule_parts) == len(path_parts) and all(fnmatchcase(part, pattern) for part, pattern in zip(path_parts, rule_parts))
