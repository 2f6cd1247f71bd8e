# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines as NestJS writes them, and short ways to collect and read them."""

from __future__ import annotations

import calendar
import itertools
import time

from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import dates, reader, records
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs.limits import Limits

SEOUL = dates.Clock("mdy", -9 * 3600.0)
RED, YELLOW, PLAIN = "\x1b[31m", "\x1b[38;5;3m", "\x1b[39m"


def nest(message, date="11/21/2026, 7:16:12 PM", level="ERROR", context="Processor", pid=4711):
    """Return a line of Nest's console logger, coloured."""
    return f"{RED}[Nest] {pid}  - {PLAIN}{date} {RED}{level:>7}{PLAIN} {YELLOW}[{context}] {PLAIN}{RED}{message}{PLAIN}\n"


def collect(*lines, clock=SEOUL, modified=1795260000.0, since=None, read_on=None):
    """Return the groups of some lines that follow each other, by name; unknown ones by their whole key."""
    collector = records.Collector("/log", clock, modified, since, read_on)
    offset = 0
    for line in lines:
        data = line.encode()
        collector.feed(offset, data)
        offset += len(data)
    text = "".join(lines).encode()
    return collector.finish(lambda begin: text[begin:].decode())


def read(path, cursors=None, first=1 << 30, more=1 << 30, clock=SEOUL, watch=None, now=None):
    """Read a file within 20 s of ``watch`` (by default it stands still); (progress, cursors for the next time, groups by key)."""
    limits = Limits(first, more, until=20.0, clock=watch or (lambda: 0.0))
    progress, cursor, groups = reader.read_file(str(path), cursors or {}, clock, limits, time.time() if now is None else now)
    return progress, {str(path): cursor} if cursor else {}, records.merged(groups)


def over_after(looks):
    """Return a clock whose time is over for all but the first looks at it."""
    passed = itertools.count()
    return lambda: 0.0 if next(passed) < looks else 100.0


def counts(groups):
    """Return how often each signature was seen."""
    found = {}
    for group in groups.values():
        found[group.name] = found.get(group.name, 0) + group.count
    return found


ORACLE, FILE = nest("Oracle connection failed: NJS-503"), nest("File not found: A.pdf (NOT_FOUND: x)")
CALM = nest("Processing job 7", level="LOG")


def append(path, text):
    """Add text to a log."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


EVENING = calendar.timegm((2026, 11, 21, 19, 16, 12))
