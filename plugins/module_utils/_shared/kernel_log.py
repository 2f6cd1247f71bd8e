# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the kernel's log: which processes it killed for lack of memory."""

from __future__ import annotations

import calendar
import contextlib
import os
import re
import time
from collections.abc import Iterable, Sequence
from typing import TypedDict

from .proc import PROC
from .text_files import tail, text_of, whole

KERNEL_MESSAGES = "/dev/kmsg"
KERNEL_LOGS = ("/var/log/kern.log", "/var/log/messages", "/var/log/syslog")
LOG_TAIL = 512 * 1024
MAX_MESSAGES = 20000
_KILL = re.compile(r"[Oo]ut of memory: Kill(?:ed)? process (\d{1,10}) \(([^)]{0,64})\)")
_KILL_GROUP = re.compile(r"oom-kill:.*task_memcg=([^,]*),.*pid=(\d{1,10})")
_SYSLOG_DATE = re.compile(r"^([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)")
_ISO_DATE = re.compile(r"^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?")
_MONTHS = {
    name: number for number, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}


class Kill(TypedDict):
    """A process that the kernel killed for lack of memory; at: epoch seconds, None when the log has no time."""

    at: float | None
    pid: int
    name: str
    group: str  # its cgroup, where the log names it


class KillsFacts(TypedDict):
    """The kills of the kernel's log, None where no log may be read, and the path of that log."""

    killed: list[Kill] | None
    killed_in: str


def parse_kills(lines: Iterable[tuple[float | None, str]]) -> list[Kill]:
    """Return the processes that the kernel killed for lack of memory, oldest first; lines: time and text of each message."""
    groups: dict[int, str] = {}
    kills: list[Kill] = []
    for moment, line in lines:
        named = _KILL_GROUP.search(line) if "oom-kill:" in line else None
        if named:
            groups[int(named.group(2))] = named.group(1)
        killed = _KILL.search(line) if "out of memory: Kill" in line or "Out of memory: Kill" in line else None
        if killed:
            pid = int(killed.group(1))
            kills.append({"at": moment, "pid": pid, "name": killed.group(2), "group": groups.pop(pid, "")})
    return kills[-50:]


def syslog_time(line: str, now: float) -> float | None:
    """Return the time at the beginning of a line of syslog: ISO 8601, or ``Nov 21 10:12:13`` (local, without a year)."""
    iso = _ISO_DATE.match(line)
    if iso:
        return _time_of([int(part) for part in iso.groups()[:6]], iso.group(7))
    found = _SYSLOG_DATE.match(line)
    if not found or found.group(1) not in _MONTHS:
        return None
    year = time.localtime(now).tm_year
    parts = [_MONTHS[found.group(1)], *(int(part) for part in found.groups()[1:])]
    moment = _time_of([year, *parts], None)
    return _time_of([year - 1, *parts], None) if moment is not None and moment > now + 86400 else moment


def _time_of(parts: Sequence[int], zone: str | None) -> float | None:
    year, month, day, hour, minute, second = parts
    if not (1970 <= year < 3000 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        return None
    try:
        if zone is None:
            return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
        east = 0 if zone == "Z" else (-1 if zone[0] == "-" else 1) * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
        return float(calendar.timegm((year, month, day, hour, minute, second)) - east)
    except (OverflowError, ValueError):
        return None


def read_kills() -> KillsFacts:
    """Return the kills of the kernel's log."""
    killed, killed_in = kills_of(time.time(), "")
    return {"killed": killed, "killed_in": killed_in}


def kills_of(now: float, group: str) -> tuple[list[Kill] | None, str]:
    """Return the kills of a readable kernel log and the path of that log; (None, "") where none may be read.

    group: the cgroup whose kills count, "" for all.
    """
    messages = _kernel_messages(now)
    if messages is not None:
        return _of_group(parse_kills(messages), group), KERNEL_MESSAGES
    for path in KERNEL_LOGS:
        text, _modified = tail(path, LOG_TAIL)
        if text:
            lines = (line for line in text.split("\n") if "ill" in line)
            return _of_group(parse_kills((syslog_time(line, now), line) for line in lines), group), path
    return None, ""


def _of_group(kills: Sequence[Kill], group: str) -> list[Kill]:
    return [kill for kill in kills if not group or f"{kill['group']}/".startswith(f"/{group}/")]


def _kernel_messages(now: float) -> list[tuple[float | None, str]] | None:
    """Return time and text of the messages in the kernel's ring buffer, None where this user may not read it; never waits."""
    try:
        descriptor = os.open(KERNEL_MESSAGES, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    uptime = re.match(r"\d{1,12}\.\d{1,6}", text_of(os.path.join(PROC, "uptime")) or "")
    booted = now - float(uptime.group(0) if uptime else 0)
    messages: list[tuple[float | None, str]] = []
    with contextlib.suppress(OSError):  # EAGAIN: there are no more messages
        try:
            while len(messages) < MAX_MESSAGES:
                message = _kernel_message(descriptor, booted)
                if message is not None:
                    messages.append(message)
        finally:
            os.close(descriptor)
    return messages


def _kernel_message(descriptor: int, booted: float) -> tuple[float | None, str] | None:
    try:
        record = os.read(descriptor, 8192).decode("utf-8", "replace")
    except BrokenPipeError:  # overwritten while we read; the next read continues after the gap
        return None
    if not record:
        raise OSError("the end")
    head, _semicolon, text = record.partition(";")
    fields = head.split(",")
    moment = booted + whole(fields[2]) / 1e6 if len(fields) > 2 else None
    return moment, text.split("\n", 1)[0]
