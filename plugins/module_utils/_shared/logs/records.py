# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Group the errors of a log: records of several lines, and errors that are logged twice.

Pure functions over the lines that the first pass found. Times are epoch seconds, offsets are bytes in a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import cast

from ..._core.masking import mask, strip_ansi
from .dates import SAME_MOMENT, Clock
from .facts import GroupFacts
from .lines import Start, core, is_calm, shape, start_of
from .signatures import UNKNOWN, Signature, matching, variables

LONGEST_LINE = 4096  # bytes of a line that are parsed
RECORD_SPAN = 8192  # bytes of one error with its stack
STACK_WITHIN = 600  # bytes between a message, which may have several lines, and its stack
TWICE_WITHIN = 2.0  # seconds within which two parts of a process log the same error
MAX_DETAILS = 20
OWN_AREAS = ("worker", "backend")
MAX_SHAPES = 60
SAMPLE = 300

_BEHIND_A_STACK = ("Node.js v", "Require stack:")


@dataclass
class Record:
    """One error that may still get further lines."""

    offset: int
    end: int
    start: Start
    time: float | None
    cores: set[str]
    texts: list[str] = field(default_factory=list)
    paired: bool = False


@dataclass
class Group:
    """All errors of one kind, with one masked sample.

    first, last: times of the first and the last error. after: lower bound of the last time, None when it is not known.
    exact: the last time comes from a dated line or from the end of a file, otherwise it is an estimate.
    pid: process that wrote the last one, 0 when the line has no pid.
    details, causes, domains: with counts, the names in the messages, the codes of other signatures that match, and the domains
    of the addresses that SES rejected.
    """

    name: str
    sample: str
    count: int = 0
    first: float | None = None
    last: float | None = None
    after: float | None = None
    exact: bool = True
    pid: int = 0
    path: str = ""
    details: dict[str, int] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=dict)
    domains: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> GroupFacts:
        """Return the fields as a dictionary for JSON."""
        return cast(GroupFacts, dict(self.__dict__))


# Name and key of the group, details, causes, domains.
Classified = tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


class Collector:
    """Group the error lines of one file, which :meth:`feed` takes in order.

    path, modified: of the file; the time of modification bounds errors without a date. since: time of the former run, None
    for a first read. read_on: returns the further lines of the message at an offset.
    """

    def __init__(
        self, path: str, clock: Clock, modified: float, since: float | None = None, read_on: Callable[[int], str] | None = None
    ) -> None:
        self.path, self.clock, self.modified, self.since = path, clock, modified, since
        self.read_on = read_on
        self.groups: dict[str, Group] = {}
        self.records = 0
        self._open: Record | None = None
        self._undated: list[tuple[str, int]] = []  # group and its place, waiting for the next date
        self._last_date = since
        self._known: dict[str, Classified] = {}

    def feed(self, offset: int, data: bytes) -> None:
        """Process one line that the first pass found."""
        line = strip_ansi(data[:LONGEST_LINE].decode("utf-8", "replace")).rstrip()
        start = start_of(line)
        opened = self._open
        if start is None:
            self._feed_other(offset, len(data), line)
            return
        when = self._time(start)
        if opened is not None and self._same(opened, start, when, offset):
            self._add(opened, start.message, offset, len(data))
            if opened.time is None and when is not None:
                opened.time, opened.start = when, start
            return
        self._close()
        self._open = Record(offset, offset + len(data), start, when, {core(start.message)}, [start.message])

    def _feed_other(self, offset: int, size: int, line: str) -> None:
        opened = self._open
        if is_calm(line):
            return
        found = matching(line)
        if not found:
            return
        near = opened is not None and offset - opened.end <= RECORD_SPAN // 4
        own = found[0][0].area in OWN_AREAS and not line[:1].isspace()
        if opened is not None and near and (not own or core(line) in opened.cores):
            self._add(opened, line, offset, size)
            return
        if opened is None or not line[:1].isspace():
            self._close()
            self._open = Record(offset, offset + size, Start(line.strip(), raw=True), None, {core(line)}, [line.strip()])

    def _time(self, start: Start) -> float | None:
        if not start.date:
            return None
        when = self.clock.moment(start.date)
        # A date later than the file itself is in an unknown zone, so it cannot be used.
        return None if when is None or when > self.modified + SAME_MOMENT else when

    def _same(self, opened: Record, start: Start, when: float | None, offset: int) -> bool:
        """Return whether a line repeats the open error: its stack, or another part of the process that logs it."""
        if offset - opened.end > RECORD_SPAN:
            return False
        if (
            start.raw
            and opened.time is not None
            and offset - opened.end <= STACK_WITHIN
            and not opened.paired
            and _is_stack_of(opened, start)
        ):
            return True
        if core(start.message) not in opened.cores:
            return False
        if (when is None) != (opened.time is None):
            return True
        if when is None or opened.time is None:
            return False
        near = abs(when - opened.time) <= TWICE_WITHIN
        return near and start.pid == opened.start.pid and start.context != opened.start.context

    @staticmethod
    def _add(record: Record, text: str, offset: int, size: int) -> None:
        record.cores.add(core(text))
        record.end = offset + size
        record.paired = True
        if len(record.texts) < 6:
            record.texts.append(text)

    def _close(self) -> None:
        record, self._open = self._open, None
        if record is None:
            return
        self.records += 1
        name, key, details, causes, domains = self._classify(record)
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) >= MAX_SHAPES and name == UNKNOWN:
                key = f"{UNKNOWN}|…"
                group = self.groups.get(key)
            if group is None:
                group = self.groups[key] = Group(name, mask(record.texts[0], SAMPLE), path=self.path)
        group.count += 1
        for counted, words in ((group.details, details), (group.causes, causes), (group.domains, domains)):
            for word in words:
                if word in counted or len(counted) < MAX_DETAILS:
                    counted[word] = counted.get(word, 0) + 1
        self._date(key, group, record)

    def _classify(self, record: Record) -> Classified:
        """Return the classification of an error; errors of sending have a group for each cause, since causes end independently."""
        text = "\n".join(record.texts)
        known = self._known.get(text)
        if known is not None:
            return known
        found = matching(text)
        if not found:
            named = shape(core(record.texts[0]) or record.texts[0])
            known = (UNKNOWN, f"{UNKNOWN}|{named}", (named,), (), ())
        else:
            first, detail = found[0]
            if first.reads_on:
                behind = self.read_on(record.offset) if self.read_on else ""
                details: tuple[str, ...] = tuple(variables(text + "\n" + strip_ansi(behind)))
            else:
                details = (plain(first, detail),) if detail else ()
            causes = tuple(_cause(signature, word) for signature, word in found[1:])
            domains = tuple(word.lower() for signature, word in found if signature.name == "ses_address" and word)
            key = "|".join([first.name, *causes]) if first.name == "worker_ses" else first.name
            known = (first.name, key, () if domains and first.name == "ses_address" else details, causes, domains)
        if len(self._known) < 500:
            self._known[text] = known
        return known

    def _date(self, key: str, group: Group, record: Record) -> None:
        """Date an error; one without a date waits for the next date."""
        group.pid = record.start.pid
        if record.time is None:
            self._undated.append((key, record.offset))
            if len(self._undated) > 1000:  # bounds memory; the bounds of the times stay valid
                self._settle(self.modified, tail=False)
            return
        self._settle(record.time, tail=False)
        self._last_date = record.time
        _widen(group, record.time, record.time, exact=True)

    def _settle(self, until: float, *, tail: bool) -> None:
        """Date the waiting errors between the last date and ``until``; with ``tail`` the last of them is exactly at ``until``."""
        waiting, self._undated = self._undated, []
        for number, (key, _offset) in enumerate(waiting):
            group = self.groups[key]
            last = tail and number == len(waiting) - 1
            group.pid = 0
            _widen(group, until, until if last else self._last_date, exact=last)

    def finish(self, rest: Callable[[int], str] | None = None) -> dict[str, Group]:
        """Return the groups.

        rest: returns the text from an offset to the end of the file; None when the end was not reached. If that text is one undated
        error with its stack and nothing else, the file's time is the error's time. Otherwise it is only an upper bound, since other
        lines may follow the error for days.
        """
        opened = self._open
        last = rest is not None and opened is not None and opened.time is None and is_stack(rest(opened.offset))
        self._close()
        self._settle(self.modified, tail=last)
        return self.groups


def is_stack(text: str) -> bool:
    """Return whether a text is one bare error and nothing else: its line, frames, the fields that Node prints, and Node's version."""
    behind = strip_ansi(text).rstrip().split("\n")[1:]
    return all(not line.strip() or line[0] in " \t{}]-" or line.startswith(_BEHIND_A_STACK) for line in behind)


def _is_stack_of(opened: Record, start: Start) -> bool:
    """Return whether a bare error behind a message is its stack: it repeats the message, or names the cause of an error of Tank."""
    message, bare = opened.start.message, core(start.message)
    if bare in message or core(message) in bare:
        return True
    first, behind = matching(message), matching(bare)
    return bool(first and behind) and first[0][0].area in OWN_AREAS and behind[0][0].area not in OWN_AREAS


def _widen(group: Group, moment: float, after: float | None, *, exact: bool) -> None:
    group.first = moment if group.first is None else min(group.first, after if after is not None else moment, moment)
    if group.last is None or moment >= group.last:
        group.last, group.after, group.exact = moment, after, exact


def _cause(signature: Signature, word: str) -> str:
    return word if signature.name == "oracle_other" and word else signature.code or signature.name


def plain(signature: Signature, detail: str) -> str:
    """Return a detail for display: without folders, with customer numbers and addresses masked."""
    text = detail.strip(" :;,'\"")
    if signature.name == "worker_file":
        text = re.sub(r"\d{5,}", lambda match: match.group(0)[:2] + "***", text.rsplit("/", 1)[-1])
        text = re.sub(r"(?<=[A-Za-z])\d{3,4}(?=[A-Z_])", "*", text)
    return mask(text, 120)


def merged(groups: Iterable[tuple[str, Group]]) -> dict[str, Group]:
    """Return the groups of several files or runs, merged by key."""
    whole: dict[str, Group] = {}
    for key, group in groups:
        known = whole.get(key)
        if known is None:
            whole[key] = group
            continue
        known.count += group.count
        for counted, more in ((known.details, group.details), (known.causes, group.causes), (known.domains, group.domains)):
            for word, number in more.items():
                if word in counted or len(counted) < MAX_DETAILS:
                    counted[word] = counted.get(word, 0) + number
        if group.first is not None:
            known.first = group.first if known.first is None else min(known.first, group.first)
        if group.last is not None and (known.last is None or group.last >= known.last):
            known.last, known.after, known.exact = group.last, group.after, group.exact
            known.pid, known.sample, known.path = group.pid, group.sample, group.path
    return whole
