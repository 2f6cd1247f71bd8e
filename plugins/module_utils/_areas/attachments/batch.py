# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The batch that makes the attachments: whether it has run, failed, or is still running.

Manual 1, section 6: look at the batch script. Runs in threads of the bounded child: marker and log may lie on the NAS.
"""

from __future__ import annotations

import os
import re
import time
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ..._core.errors import WrongQuestion
from ..._core.masking import mask
from ..._shared.dated_paths import dated
from ..._shared.nas_states import ABSENT, error_name
from ..._shared.text_files import tail
from .facts import BatchFacts

# "0 failed" and "errors: 0" do not count as failures.
FAILED = r"(?i)(?<!\b0\s)\b(?:errors?|failed|failures?|fatal|exceptions?|aborted|traceback|오류|실패)(?!\w|\s{0,2}[:=]\s{0,2}0\b)"
LOG_TAIL = 256 * 1024
RUNNING = 600.0  # seconds since the last line of its log for which a batch counts as running
EARLY = 6.0  # hours before the day begins, from which a batch belongs to that day
# The time stamp of a line: at its start, perhaps behind a bracket or a level; a date in the middle of a line does not count.
_MOMENT = re.compile(
    r"\W{0,3}(?:[A-Z]{3,8}\W{1,3})?(\d{4})[-/.](\d\d)[-/.](\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?(?!\d)"
)


class BatchSettings(NamedTuple):
    """Where the batch leaves its marker and its log, and how to read them.

    failed, finished: patterns of lines of the log. since: times (epoch seconds) from which marker and log count, see :func:`since_of`.
    """

    marker: str
    log: str
    failed: re.Pattern[str]
    finished: re.Pattern[str] | None = None
    since: tuple[float, float] = (0.0, 0.0)
    zone: str = "Asia/Seoul"


def patterns_of(failed: str | None, finished: str | None) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """Return the compiled patterns for lines of the batch's log; raises WrongQuestion for an invalid one."""
    found = []
    for option, text in (("batch_failed", failed or FAILED), ("batch_finished", finished or "")):
        try:
            found.append(re.compile(text))
        except re.error as error:
            raise WrongQuestion(option, text, f"is no regular expression ({error})", "correct it") from error
    return found[0], found[1] if finished else None


def paths_of(marker: str | None, log: str | None, day: date) -> tuple[str, str]:
    """Return marker and log of a day; raises WrongQuestion for a path that is not absolute."""
    for option, path in (("batch_marker", marker), ("batch_log", log)):
        if path and not path.startswith("/"):
            raise WrongQuestion(option, path, "is not an absolute path", "give the whole path on the host")
    return dated("batch_marker", marker or "", day), dated("batch_log", log or "", day)


def since_of(pattern: str | None, day: date, zone: str, early: float) -> float:
    """Return the time (epoch seconds) from which a marker or a log belongs to the day; 0 where its path holds the date."""
    begin = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp() - early * 3600
    return 0.0 if "%" in (pattern or "") else begin


def read_batch(settings: BatchSettings) -> BatchFacts:
    """Return the state of the batch.

    state: none (neither marker nor log is configured), done (the marker exists, or the last line of the log that matches reports the end),
    failed (that line reports a failure), running (the log is being written), not_run (neither marker nor log exists, or both are of an
    earlier day), ended (the log ends without a report), denied (a file cannot be read). line: the matching line, masked. at: epoch seconds
    of the marker or the log; last: the same for people, where it is of an earlier day.
    """
    marker, log, since, zone = settings.marker, settings.log, settings.since, settings.zone
    answer: BatchFacts = {"state": "none", "marker": marker, "log": log, "line": "", "at": None, "last": ""}
    denied, former = False, 0.0
    if marker:
        moment, why = _modified(marker)
        if moment is not None and moment >= since[0]:
            return {**answer, "state": "done", "at": moment}
        denied, former = moment is None and why not in ABSENT, moment or 0.0
    if log:
        moment, why = _modified(log)
        judged = _judge_log(settings, moment) if moment is not None and moment >= since[1] else None
        if judged is not None:
            answer["state"], answer["line"] = judged
            answer["at"] = moment
            return answer
        denied, former = denied or (moment is None and why not in ABSENT), max(former, moment or 0.0)
    if not marker and not log:
        return answer
    if former:
        answer["at"], answer["last"] = former, datetime.fromtimestamp(former, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    return {**answer, "state": "denied" if denied else "not_run"}


def _modified(path: str) -> tuple[float | None, str]:
    try:
        return os.stat(path).st_mtime, ""
    except (OSError, ValueError) as error:
        return None, error_name(error)


def _judge_log(settings: BatchSettings, moment: float) -> tuple[str, str] | None:
    """Return the state by the last line of the log that reports one, and that line; None where the log has no line of the day.

    A batch that failed and then ran again with success is done. moment: when the log was written last.
    """
    text, readable = tail(settings.log, LOG_TAIL)
    if not readable:
        return "denied", ""
    lines = _of_day(text.split("\n"), settings.since[1], ZoneInfo(settings.zone))
    if lines is None:
        return None
    for line in reversed(lines):
        line = line[:2000]
        if settings.finished is not None and settings.finished.search(line):
            return "done", mask(line, 200).strip()
        if settings.failed.search(line):
            return "failed", mask(line, 200).strip()
    return ("running" if time.time() - moment < RUNNING else "ended"), ""


def _of_day(lines: list[str], since: float, zone: ZoneInfo) -> list[str] | None:
    """Return the lines since that time, None where all are older; a line without a date is as old as the one above it.

    A log that collects all days ends with yesterday's report until today's batch begins.
    """
    if not since:
        return lines
    counts = True
    kept: list[str] = []
    for line in lines:
        moment = _moment_of(line, zone)
        if moment is not None:
            counts = moment >= since
            kept = kept if counts else []
        if counts:
            kept.append(line)
    return kept if counts else None


def _moment_of(line: str, zone: ZoneInfo) -> float | None:
    """Return when a line was written (epoch seconds), None for a line without a time stamp; a date alone is the begin of that day."""
    found = _MOMENT.match(line)
    if found is None:
        return None
    *parts, offset = found.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    try:
        written = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        return (written.replace(tzinfo=datetime.strptime(offset, "%z").tzinfo) if offset else written).timestamp()
    except (ValueError, OverflowError):
        return None
