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
from datetime import date
from typing import Any

from ._attachments_content import reason_of
from ._attachments_roots import Root, dated, days_in
from ._errors import WrongQuestion
from ._mask import mask
from ._pm2 import tail

# "0 failed" and "errors: 0" are no failures.
FAILED = r"(?i)(?<!\b0\s)\b(?:errors?|failed|failures?|fatal|exceptions?|aborted|traceback|오류|실패)(?!\w|\s{0,2}[:=]\s{0,2}0\b)"
LOG_TAIL = 256 * 1024
RUNNING = 600.0  # seconds since the last line of its log for which a batch counts as running
MOST_ENTRIES = 50_000


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


def read_batch(marker: str, log: str, failed: re.Pattern[str], finished: re.Pattern[str] | None) -> dict[str, Any]:
    """Return ``state marker log line at`` of the batch.

    state: none (nothing is known of it), done (its marker, or its last word in the log), failed (a line of the log says so),
    running (the log is written), not_run (neither marker nor log), ended (the log ends without a word), denied.
    line: the one that tells, masked. at: epoch seconds of marker or log.
    """
    answer: dict[str, Any] = {"state": "none", "marker": marker, "log": log, "line": "", "at": None}
    denied = False
    if marker:
        moment, why = _modified(marker)
        if moment is not None:
            return {**answer, "state": "done", "at": moment}
        denied = why not in ("ENOENT", "ENOTDIR")
    if log:
        moment, why = _modified(log)
        if moment is not None:
            return {**answer, **_judge_log(log, moment, failed, finished)}
        denied = denied or why not in ("ENOENT", "ENOTDIR")
    if not marker and not log:
        return answer
    return {**answer, "state": "denied" if denied else "not_run"}


def _modified(path: str) -> tuple[float | None, str]:
    try:
        return os.stat(path).st_mtime, ""
    except (OSError, ValueError) as error:
        return None, reason_of(error)


def _judge_log(log: str, moment: float, failed: re.Pattern[str], finished: re.Pattern[str] | None) -> dict[str, Any]:
    """Judge by the last line that says anything: a batch that failed and was run again with success is done."""
    text, readable = tail(log, LOG_TAIL)
    if not readable:
        return {"state": "denied", "at": moment}
    for line in reversed(text.split("\n")):
        line = line[:2000]
        if finished is not None and finished.search(line):
            return {"state": "done", "line": mask(line, 200).strip(), "at": moment}
        if failed.search(line):
            return {"state": "failed", "line": mask(line, 200).strip(), "at": moment}
    return {"state": "running" if time.time() - moment < RUNNING else "ended", "at": moment}


# --- what is kept for too long


def read_kept(root: Root, day: date, keep_days: int) -> dict[str, Any]:
    """Return what one root keeps longer than its policy: ``path how problem old count oldest examples looked more``.

    how: folders (the root holds a date: its folders tell their age) or files (their times do). old: how many are too old.
    oldest: the day of the oldest, YYYY-MM-DD. An old folder without a file counts as cleaned.
    """
    answer: dict[str, Any] = {"path": root.base, "how": "folders" if root.is_dated else "files", "problem": ""}
    answer.update(old=0, oldest="", examples=[], looked=0, more=False)
    try:
        found = _old_folders(root, day, keep_days, answer) if root.is_dated else _old_files(root, day, keep_days, answer)
    except (OSError, ValueError) as error:
        return {**answer, "problem": reason_of(error)}
    found.sort()
    return {**answer, "old": len(found), "oldest": found[0][0] if found else "", "examples": [name for _day, name in found[:5]]}


def _old_folders(root: Root, day: date, keep_days: int, answer: dict[str, Any]) -> list[tuple[str, str]]:
    with os.scandir(root.base) as entries:
        names = [entry.name for number, entry in enumerate(entries) if number < MOST_ENTRIES]
    days = days_in(root.given, root.base, names)
    if names and not days:
        answer["how"] = "untold"
    answer["looked"], answer["more"] = len(days), len(names) >= MOST_ENTRIES
    old = [(found, name) for name, found in days.items() if (day - found).days > keep_days]
    return [(str(found), name) for found, name in sorted(old) if _holds_a_file(os.path.join(root.base, name))]


def _holds_a_file(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(iter(entries), None) is not None
    except OSError:
        return True


def _old_files(root: Root, day: date, keep_days: int, answer: dict[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with os.scandir(root.path) as entries:
        for number, entry in enumerate(entries):
            if number >= MOST_ENTRIES:
                answer["more"] = True
                break
            try:
                modified = date.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime)
            except (OSError, ValueError, OverflowError):
                continue
            answer["looked"] = number + 1
            if entry.is_file(follow_symlinks=False) and (day - modified).days > keep_days:
                found.append((str(modified), entry.name))
    return found
