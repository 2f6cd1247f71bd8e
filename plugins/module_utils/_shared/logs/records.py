# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Understand log lines: dates of any locale, error records of several lines, and errors that are logged twice.

Pure functions over lines that a first pass found. Times are epoch seconds, offsets are bytes in a file.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..._core.masking import mask, strip_ansi
from .signatures import UNKNOWN, Signature, matching, variables

QUARTER = 900  # zones differ by multiples of a quarter of an hour
WIDEST_ZONE = 14 * 3600
SAME_MOMENT = 90  # seconds between the last line of a file and the file's own time
LONGEST_LINE = 4096  # characters of a line that are looked at
RECORD_SPAN = 8192  # bytes that one error with its stack may take
STACK_WITHIN = 600  # bytes between a message, that may have more lines, and its stack
TWICE_WITHIN = 2.0  # seconds in which the same error of the same process, told by another part of it, is the same one
MAX_DETAILS = 20
OWN_AREAS = ("worker", "backend")
MAX_SHAPES = 60
SAMPLE = 300

_DATE = re.compile(
    r"(?P<a>\d{1,4})[./-] ?(?P<b>\d{1,2})[./-] ?(?P<c>\d{1,4})\.?(?:,? +|T)"
    r"(?:(?P<before>오전|오후|午前|午後|上午|下午) ?)?(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d))?(?:[.,]\d+)?"
    r"(?:[ \u00a0\u202f]?(?P<after>[AaPp]\.?[ \u00a0]?[Mm]\.?(?![A-Za-z])))?(?: ?(?P<zone>Z|[+-]\d\d:?\d\d)(?!\d))?"
)
_BEHIND_A_STACK = ("Node.js v", "Require stack:")
_AFTERNOON = ("오후", "午後", "下午")
_HEADER = re.compile(
    r"^\[(?P<app>[^\]\n]{1,60})\]\s+(?P<pid>\d+)\s+-\s+(?P<date>[^A-Za-z\n][^\n]{6,40}?)\s+(?P<level>LOG|ERROR|WARN|DEBUG|VERBOSE|FATAL)\s+"
    r"(?:\[(?P<context>[^\]\n]{0,100})\]\s*)?(?P<message>.*)$",
    re.S,
)
_STAMP = re.compile(r"^(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?): ")
_RAW = re.compile(r"^(?:Uncaught )?(?:[\w$]+\.)*(?P<name>\w*(?:Error|Exception))(?: \[\w+\])?: (?P<message>.*)$", re.S)
_NGINX = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(?:error|crit|alert|emerg)\] (?:\d+#\d+: )?(?:\*\d+ )?(?P<message>.*)$", re.S)
_LEVEL_WORD = re.compile(r"^.{0,60}?\b(?:ERROR|FATAL)\b[\]:]*\s*(?P<message>.*)$", re.S)
_CALM_LEVEL = re.compile(r"^.{0,60}?\b(?:INFO|LOG|WARN|WARNING|DEBUG|TRACE|VERBOSE)\b")
_ERROR_NAME = re.compile(r"^(?:[\w$]+\.)*\w*(?:Error|Exception)(?: \[\w+\])?: ")
_SHAPES = (
    (re.compile(r"[\w.+%-]*\*{0,3}[\w.+%-]*@[\w.-]+"), "<address>"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"),]+"), "<url>"),
    (re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`"), "<text>"),
    (re.compile(r"(?<![\w<])(?:[A-Za-z]:)?[/\\][\w.@%+~-]+(?:[/\\][\w.@%+~-]*)*"), "<path>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{12,}\b"), "<id>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<host>"),
    (re.compile(r"\b\w*\d[\w.]*_[\w.]*\b|\b\w*_\w*\d[\w.]*\b"), "<id>"),
    (re.compile(r"(?<![A-Za-z-])[+-]?\d+(?:[.,:]\d+)*"), "<n>"),
)


# --- dates


def naive(text: str) -> tuple[dict[str, int], str] | None:
    """Return what the first date of a text may mean, as if it were UTC, by order (``ymd``, ``mdy``, ``dmy``), and its zone.

    The likelier order comes first: with AM and PM the month, otherwise the day. None when there is no date.
    """
    match = _DATE.search(text)
    if not match:
        return None
    hour, half = int(match["hour"]), match["before"] or match["after"] or ""
    if half:
        hour = hour % 12 + (12 if half in _AFTERNOON or half[0] in "Pp" else 0)
    rest = (hour, int(match["minute"]), int(match["second"] or 0))
    parts = {name: match[name] for name in "abc"}
    if len(parts["a"]) == 4:
        orders = {"ymd": "abc"}
    elif half:
        orders = {"mdy": "cab", "dmy": "cba"}
    else:
        orders = {"dmy": "cba", "mdy": "cab"}
    meant = {}
    for order, places in orders.items():
        seconds = _seconds(*(int(parts[place]) for place in places), *rest)
        if seconds is not None:
            meant[order] = seconds
    return (meant, match["zone"] or "") if meant else None


def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    if not (2000 <= year < 2200 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


@dataclass(frozen=True)
class Clock:
    """How the dates of a process are to be read: the order of day and month, and seconds to add to them.

    Logs name no zone, and the process's zone may be another one than ours. "" and None: not known, then the likelier
    order and this host's zone are taken.
    """

    order: str = ""
    offset: float | None = None

    def moment(self, text: str) -> float | None:
        """Return the time of the first date in a text, None when there is none."""
        found = naive(text)
        if found is None:
            return None
        meant, zone = found[0], found[1]
        seconds = meant.get(self.order)
        if seconds is None:
            seconds = next(iter(meant.values()))
        if zone:
            return float(seconds - _zone(zone))
        return float(seconds) + self.offset if self.offset is not None else _local(seconds)


def _zone(zone: str) -> int:
    if zone == "Z":
        return 0
    return (-1 if zone[0] == "-" else 1) * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)


def _local(seconds: int) -> float:
    parts = time.gmtime(seconds)
    return time.mktime((*parts[:6], 0, 0, -1))


def clock_of(tail: str, modified: float) -> Clock | None:
    """Return the clock that makes the last line of a file as old as the file's own time; None when none fits."""
    for line in reversed(strip_ansi(tail).split("\n")[-200:]):
        if not line.strip() or line[0] in " \t{}]-":
            continue
        found = naive(line[:200])
        if found is None:
            return None  # the file's time is that of a line without a date
        meant, zone = found[0], found[1]
        for order, seconds in meant.items():
            offset = float(-_zone(zone)) if zone else round((modified - seconds) / QUARTER) * float(QUARTER)
            if abs(modified - seconds - offset) <= SAME_MOMENT and abs(offset) <= WIDEST_ZONE:
                return Clock(order, None if zone else offset)
        return None
    return None


# --- one line


@dataclass
class Start:
    """The first line of an error: its message, and what the line says about itself."""

    message: str
    date: str = ""
    pid: int = 0
    context: str = ""
    raw: bool = False  # a bare stack, without date and level


def start_of(line: str) -> Start | None:
    """Return the error that begins with a line (without colours); None when the line goes on with one or is no error."""
    stamp = _STAMP.match(line)
    date = stamp.group(0) if stamp else ""
    if stamp:
        line = line[stamp.end() :]
    header = _HEADER.match(line)
    if header:
        if header["level"] not in ("ERROR", "FATAL"):
            return None
        return Start(header["message"].strip(), header["date"], int(header["pid"][:9]), header["context"] or "")
    nginx = _NGINX.match(line)
    if nginx:
        return Start(nginx["message"], line[:19])
    if line.startswith("{"):
        return _json_start(line)
    if _RAW.match(line):
        return Start(line.strip(), date, raw=not date)
    if line[:1] in (" ", "\t"):
        return None
    worded = _LEVEL_WORD.match(line)
    if worded and not _CALM_LEVEL.match(line):
        found = naive(line[:60])
        return Start(worded["message"].strip() or line.strip(), date or (line[:60] if found else ""))
    return None


def _json_start(line: str) -> Start | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or str(entry.get("level")).lower() not in ("error", "fatal", "50", "60"):
        return None
    said = next((entry[key] for key in ("message", "msg", "error") if isinstance(entry.get(key), str)), "")
    date = next((str(entry[key]) for key in ("timestamp", "time", "ts") if isinstance(entry.get(key), str)), "")
    pid = entry.get("pid")
    return Start(said, date, pid if isinstance(pid, int) else 0, str(entry.get("context") or ""))


def is_calm(line: str) -> bool:
    """Whether a line is a message of a level below ERROR."""
    stamp = _STAMP.match(line)
    if stamp:
        line = line[stamp.end() :]
    header = _HEADER.match(line)
    return header["level"] not in ("ERROR", "FATAL") if header else bool(_CALM_LEVEL.match(line))


def core(message: str) -> str:
    """Return a message without the name of its error: the same error, whoever tells it."""
    return _ERROR_NAME.sub("", message, count=1).strip()


def shape(message: str) -> str:
    """Return a message with everything that varies replaced, so that equal errors have equal shapes."""
    text = mask(message.split("\n", 1)[0], 240)
    for pattern, word in _SHAPES:
        text = pattern.sub(word, text)
    return text[:160].strip()


# --- records and groups


@dataclass
class Record:
    """One error: where it begins, and what is known of it so far."""

    offset: int
    end: int
    start: Start
    time: float | None
    cores: set[str]
    texts: list[str] = field(default_factory=list)
    paired: bool = False


@dataclass
class Group:
    """All errors of one kind: how many, when first and last (epoch seconds), one masked sample, and what they name.

    domains: of the addresses that SES did not take.
    after: the last one is not older than this (None: no bound is known). exact: its time is that of a dated line or of
    the end of a file, no estimate. pid: who wrote the last one, 0 when the line did not say.
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

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can carry."""
        return dict(self.__dict__)


# Name, key of the group, details, causes, domains.
Classified = tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


class Collector:
    """Takes the error lines of one file, in order, and groups them.

    path, modified: of the file, which gives the last undated errors their time. since: when the file was read
    before (epoch seconds), None for a first read. read_on: returns some text behind an offset.
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
        """Take one line that the first pass found."""
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
        # Later than the file itself: the zone is another one, and not known. Then the date is of no use.
        return None if when is None or when > self.modified + SAME_MOMENT else when

    def _same(self, opened: Record, start: Start, when: float | None, offset: int) -> bool:
        """Whether a further line tells the error that is open: its stack, or another part of the process."""
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
        """Return name, key, details, causes and domains; errors of sending have a group for each cause, since each ends by itself."""
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
        """Give an error its time; one without a date waits for the next one."""
        group.pid = record.start.pid
        if record.time is None:
            self._undated.append((key, record.offset))
            if len(self._undated) > 1000:  # the order within is lost, the bounds hold
                self._settle(self.modified, tail=False)
            return
        self._settle(record.time, tail=False)
        self._last_date = record.time
        _widen(group, record.time, record.time, exact=True)

    def _settle(self, until: float, *, tail: bool) -> None:
        """Date the waiting errors: not after ``until``, not before the last date; at a tail the last one is that late."""
        waiting, self._undated = self._undated, []
        for number, (key, _offset) in enumerate(waiting):
            group = self.groups[key]
            last = tail and number == len(waiting) - 1
            group.pid = 0
            _widen(group, until, until if last else self._last_date, exact=last)

    def finish(self, rest: Callable[[int], str] | None = None) -> dict[str, Group]:
        """Return the groups.

        rest: returns what stands behind an offset up to the end of the file; None where its end was not reached. Where that is an undated
        error with its stack and nothing else, the file's time is its time. Else it is a bound: other lines may be written for days after it.
        """
        opened = self._open
        last = rest is not None and opened is not None and opened.time is None and is_stack(rest(opened.offset))
        self._close()
        self._settle(self.modified, tail=last)
        return self.groups


def is_stack(text: str) -> bool:
    """Whether a text is one bare error: its line, frames, what Node prints of its fields and its own version, and nothing else."""
    behind = strip_ansi(text).rstrip().split("\n")[1:]
    return all(not line.strip() or line[0] in " \t{}]-" or line.startswith(_BEHIND_A_STACK) for line in behind)


def _is_stack_of(opened: Record, start: Start) -> bool:
    """Whether a bare error right behind a message is its stack: it repeats it, or says the cause of one of Tank's own errors."""
    told, bare = opened.start.message, core(start.message)
    if bare in told or core(told) in bare:
        return True
    first, behind = matching(told), matching(bare)
    return bool(first and behind) and first[0][0].area in OWN_AREAS and behind[0][0].area not in OWN_AREAS


def _widen(group: Group, moment: float, after: float | None, *, exact: bool) -> None:
    group.first = moment if group.first is None else min(group.first, after if after is not None else moment, moment)
    if group.last is None or moment >= group.last:
        group.last, group.after, group.exact = moment, after, exact


def _cause(signature: Signature, word: str) -> str:
    return word if signature.name == "oracle_other" and word else signature.code or signature.name


def plain(signature: Signature, detail: str) -> str:
    """Return a detail fit to be shown: customers' numbers and addresses are masked, folders left out."""
    text = detail.strip(" :;,'\"")
    if signature.name == "worker_file":
        text = re.sub(r"\d{5,}", lambda match: match.group(0)[:2] + "***", text.rsplit("/", 1)[-1])
        text = re.sub(r"(?<=[A-Za-z])\d{3,4}(?=[A-Z_])", "*", text)
    return mask(text, 120)


def merged(groups: Iterable[tuple[str, Group]]) -> dict[str, Group]:
    """Return groups of several files or runs as one, by key."""
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
