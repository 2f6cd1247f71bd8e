# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The batch that makes the attachments: has it run, did it fail, does it still run? And what it made too long ago.

Manual 1, section 6: look at the batch script. Product facts: attachments are kept about 30 days after sending.
Runs in threads of the bounded child: marker and log may lie on the NAS.
"""

from __future__ import annotations

import os
import re
import time
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ..._core.errors import WrongQuestion
from ..._core.masking import mask
from ..._shared.dated_paths import dated
from ..._shared.nas_states import error_name
from ..._shared.text_files import tail

# "0 failed" and "errors: 0" are no failures.
FAILED = r"(?i)(?<!\b0\s)\b(?:errors?|failed|failures?|fatal|exceptions?|aborted|traceback|오류|실패)(?!\w|\s{0,2}[:=]\s{0,2}0\b)"
LOG_TAIL = 256 * 1024
RUNNING = 600.0  # seconds since the last line of its log for which a batch counts as running
EARLY = 6.0  # hours before the begin of the day from which a batch is that day's
# When a line was written: at its begin, behind a bracket or a level, and not some day that it speaks of.
_MOMENT = re.compile(
    r"\W{0,3}(?:[A-Z]{3,8}\W{1,3})?(\d{4})[-/.](\d\d)[-/.](\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?(?!\d)"
)


def patterns_of(failed: str | None, finished: str | None) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """Return the compiled patterns for lines of the batch's log; raises WrongQuestion for one that is none."""
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
    """Return from when on (epoch seconds) a marker or a log is that day's; 0 where the date in its path says which day's it is."""
    begin = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp() - early * 3600
    return 0.0 if "%" in (pattern or "") else begin


def read_batch(
    marker: str,
    log: str,
    failed: re.Pattern[str],
    finished: re.Pattern[str] | None,
    since: tuple[float, float] = (0.0, 0.0),
    zone: str = "Asia/Seoul",
) -> dict[str, Any]:
    """Return ``state marker log line at last`` of the batch.

    since: from when on marker and log count (see :func:`since_of`). state: none (nothing is known of it), done (its marker, or its
    last word in the log), failed (a line of the log says so), running (the log is written), not_run (neither marker nor log, or both
    of an earlier day), ended (the log ends without a word), denied. line: the one that tells, masked. at: epoch seconds of marker or
    log; last: the same as people read it, where it is of an earlier day.
    """
    answer: dict[str, Any] = {"state": "none", "marker": marker, "log": log, "line": "", "at": None, "last": ""}
    denied, former = False, 0.0
    if marker:
        moment, why = _modified(marker)
        if moment is not None and moment >= since[0]:
            return {**answer, "state": "done", "at": moment}
        denied, former = moment is None and why not in ("ENOENT", "ENOTDIR"), moment or 0.0
    if log:
        moment, why = _modified(log)
        told = _judge_log(log, moment, failed, finished, since[1], ZoneInfo(zone)) if moment is not None and moment >= since[1] else None
        if told is not None:
            return {**answer, **told}
        denied, former = denied or (moment is None and why not in ("ENOENT", "ENOTDIR")), max(former, moment or 0.0)
    if not marker and not log:
        return answer
    if former:
        answer.update(at=former, last=datetime.fromtimestamp(former, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M"))
    return {**answer, "state": "denied" if denied else "not_run"}


def _modified(path: str) -> tuple[float | None, str]:
    try:
        return os.stat(path).st_mtime, ""
    except (OSError, ValueError) as error:
        return None, error_name(error)


def _judge_log(
    log: str, moment: float, failed: re.Pattern[str], finished: re.Pattern[str] | None, since: float, zone: ZoneInfo
) -> dict[str, Any] | None:
    """Judge by the last line that says anything: a batch that failed and was run again with success is done; None: no line of the day."""
    text, readable = tail(log, LOG_TAIL)
    if not readable:
        return {"state": "denied", "at": moment}
    lines = _of_day(text.split("\n"), since, zone)
    if lines is None:
        return None
    for line in reversed(lines):
        line = line[:2000]
        if finished is not None and finished.search(line):
            return {"state": "done", "line": mask(line, 200).strip(), "at": moment}
        if failed.search(line):
            return {"state": "failed", "line": mask(line, 200).strip(), "at": moment}
    return {"state": "running" if time.time() - moment < RUNNING else "ended", "at": moment}


def _of_day(lines: list[str], since: float, zone: ZoneInfo) -> list[str] | None:
    """Return the lines since then, None where all are older; one without a date is as old as the one above it.

    A log to which every day is appended ends with yesterday's word until today's batch begins.
    """
    if not since:
        return lines
    kept, counts = [], True
    for line in lines:
        moment = _moment_of(line, zone)
        if moment is not None:
            counts = moment >= since
            kept = kept if counts else []
        if counts:
            kept.append(line)
    return kept if counts else None


def _moment_of(line: str, zone: ZoneInfo) -> float | None:
    """Return when a line was written (epoch seconds), None where it does not say; a day without a time is its begin."""
    found = _MOMENT.match(line)
    if found is None:
        return None
    *parts, offset = found.groups()
    try:
        written = datetime(*(int(part or 0) for part in parts), tzinfo=zone)
        return (written.replace(tzinfo=datetime.strptime(offset, "%z").tzinfo) if offset else written).timestamp()
    except (ValueError, OverflowError):
        return None


# --- what is kept for too long
