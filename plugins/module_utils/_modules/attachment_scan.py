# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of the module attachment_scan: the state of the mount, one outcome for each wanted name, and renames that can be undone."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._actions import rename_attachments
from .._areas.attachments import check_present, check_retention
from .._areas.attachments.match import NAME_PATTERN, shown
from .._areas.attachments.outcomes import details_in
from .._areas.attachments.settings import SILENT_ROOTS
from .._areas.attachments.walk import SILENT
from .._areas.nas import check_disk, check_mount, check_path
from .._core import asking
from .._core.check import Check
from .._core.children import call, user_id
from .._core.errors import ActionFailed, NeedsUser, RemediationError, WrongQuestion
from .._core.finding import unknown
from .._core.questions import Question
from .._core.state import State
from .._shared.dated_paths import day_of, roots_of
from .._shared.mounts import is_below
from .._shared.units import stamp

JOURNAL = "attachments-renamed.jsonl"
PRESENT, RENAMED, UNDONE = "present", "renamed", "undone"
STATES = (PRESENT, RENAMED, UNDONE)
SILENT_CODES = frozenset(("nas.stale", "nas.hung"))
MOST = 100_000  # the most seconds, and the most details that are returned
ALL = 10**9
NAS_SHARE = 0.25  # part of the deadline that the mount may take at most
NAS_MOST = 5.0
SCAN_SHARE = 0.4  # part of the deadline for the first scan where a rename and a second scan follow
RENAME_SHARE = 0.8  # part of the rest of the deadline that the rename may take
WRITE_SHARE = 0.2  # part of the deadline that is reserved for writing the file of all details
STOP_SHARE = 0.8  # part of a child's time after which it starts no further file, so that it ends by itself
NO_TIME = "no_time"  # the reason for a file that the time did not reach
_CLOSED = "this user may not rename there (over NFS, root counts as nobody): name one that may (rename_as), or do it on the NAS itself"
REMEDIES = {
    "EACCES": _CLOSED,
    "EPERM": _CLOSED,
    "EEXIST": "another file has that name by now: look at both",
    "ENOENT": "it has gone meanwhile: ask again",
}
COLUMNS = (
    "name",
    "outcome",
    "code",
    "group",
    "paths",
    "candidates",
    "why",
    "kind",
    "size",
    "equal",
    "differs",
    "shared",
    "times",
    "looked",
)


@dataclass
class Result:
    """The result of a scan as the module returns it; ``rows`` are all details."""

    findings: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    changed: bool = False
    moves: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    gone: list[dict[str, str]] = field(default_factory=list)
    before: str = ""
    after: str = ""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each wanted name, those with a fault first."""
        return self.found.get("details", [])

    def as_dict(self, details: int) -> dict[str, Any]:
        """Return the published form with at most so many details."""
        rows = [public(row) for row in self.rows[:details]]
        names = ("counts", "codes", "folders", "groups", "batch", "complete", "date", "files", "unread", "similar", "took")
        told = {name: self.found.get(name, _EMPTY[name]) for name in names}
        return {
            "findings": self.findings,
            **told,
            "details": rows,
            "details_left": max(0, self.found.get("wanted", 0) - len(rows)),
            "moves": self.moves,
            "not_moved": self.failed,
            "gone": self.gone,
            "changed": self.changed,
        }


_EMPTY: dict[str, Any] = {
    "counts": {},
    "codes": {},
    "folders": [],
    "groups": {},
    "batch": {},
    "complete": False,
    "date": "",
    "files": 0,
    "unread": 0,
    "similar": {},
    "took": {},
}


def public(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without the entries that only a rename needs."""
    return {name: value for name, value in row.items() if name != "move"}


def run(options: Mapping[str, Any], state: State, asked_from: str) -> Result:
    """Run the module with these options; raises WrongQuestion, and ActionFailed with ``partial``, a Result."""
    for name, least in (("deadline", 0.1), ("details", 0)):
        if not least <= options[name] <= MOST:
            raise WrongQuestion(name, options[name], "is out of bounds", f"give {least:g} to {MOST}")
    end = time.monotonic() + options["deadline"]
    if options["state"] == UNDONE:
        return put_back(state, options["rename_as"], end)
    path = options["details_file"]
    if path:
        # First of all, so that the results are not lost because the folder is missing.
        if not state.read_only and os.path.dirname(path) == os.path.normpath(state.directory):
            state.make()
        call(lambda: check_details_file(path, read_only=state.read_only), _left(end, WRITE_SHARE)).get()
    work_end = end - (options["deadline"] * WRITE_SHARE if path else 0)
    renames = options["state"] == RENAMED
    result = scan(options, state, asked_from, time.monotonic() + _left(work_end, SCAN_SHARE if renames else 1.0))
    if renames and not result.wrong:
        result = _rename(options, state, asked_from, result, work_end)
    if path and result.found:
        try:
            _write_details(path, result, state.read_only, end)
        except RemediationError as error:
            error.details["partial"] = result
            raise
    if result.failed:
        raise ActionFailed(_not_moved(result), partial=result)
    return result


def _left(end: float, share: float = 1.0) -> float:
    """Return the seconds until ``end``, or a part of them, at least half a second so that a check can answer."""
    return max(0.5, (end - time.monotonic()) * share)


def _not_moved(result: Result) -> str:
    late = sum(one["why"] == NO_TIME for one in result.failed)
    first = result.failed[0]
    remedy = REMEDIES.get(first["why"], "where the mount is read-only, do it on the NAS itself")
    remedy = "ask again, with more time (deadline)" if late == len(result.failed) else remedy
    return (
        f"{len(result.failed)} of {len(result.failed) + len(result.moves)} files could not be renamed, the first is {first['from']}"
        f" ({first['why']}); {remedy}"
    )


# --- scanning


def scan(options: Mapping[str, Any], state: State, asked_from: str, end: float) -> Result:
    """Check mounts and folders, then attachments. end: monotonic seconds."""
    result = Result()
    left = max(1.0, end - time.monotonic())
    within = min(NAS_MOST, left * NAS_SHARE)
    nas = [_question(check, options, within + 1.0, probe_within=within, paths=options["roots"]) for check in _nas_checks(options)]
    _take(result, asking.ask(nas, asked_from=asked_from, state=state))
    if result.wrong:
        return result
    sick = _sick_places(result.findings)
    if sick and _is_sick(options["wanted_file"] or "", sick):
        result.findings.append(_unknown_names(options, asked_from, result.findings[0]["code"]))
        return result
    options = _around(options, sick)
    left = max(1.0, end - time.monotonic())
    every = ALL if options["details_file"] or options["state"] == RENAMED else options["details"]
    questions = [_question(check_present.CHECK, options, left, answer_within=left * 0.9, details=every)]
    if options["keep_days"] is not None:
        questions.append(_question(check_retention.CHECK, options, left, answer_within=left * 0.9))
    answer = asking.ask(questions, asked_from=asked_from, state=state)
    _take(result, answer)
    found = answer.read.get("attachments.files")
    result.found = {**found, "details": details_in(found)} if found else {}
    return result


def _sick_places(findings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the mounts and folders that do not answer, each with its problem."""
    found: dict[str, str] = {}
    for finding in findings:
        if finding["code"] in SILENT_CODES:
            evidence = finding["evidence"]
            problem = SILENT if finding["code"] == "nas.hung" else evidence.get("error") or "ESTALE"
            where = evidence.get("places") or [evidence["path"] if finding["check"] == "nas.path" else evidence["mount"]]
            found.update(dict.fromkeys(where, problem))
    return found


def _is_sick(place: str, sick: Mapping[str, str]) -> str:
    return next((problem for where, problem in sick.items() if place and is_below(os.path.normpath(place), where)), "")


def _around(options: Mapping[str, Any], sick: Mapping[str, str]) -> dict[str, Any]:
    """Return the options without paths in places that do not answer: another reader would only wait there.

    Other roots are read; a name that they do not hold is then unknown and not missing.
    """
    given = {**options, SILENT_ROOTS: {}}
    if not sick:
        return given
    roots = roots_of(options["roots"], day_of(options["date"], options["timezone"], time.time()))
    problems = {root.given: _is_sick(root.path, sick) for root in roots if not root.is_s3}
    given[SILENT_ROOTS] = {place: problem for place, problem in problems.items() if problem}
    given["roots"] = [root.given for root in roots if root.given not in given[SILENT_ROOTS]]
    given.update({name: None for name in ("batch_marker", "batch_log") if _is_sick(options[name] or "", sick)})
    return given


def _nas_checks(options: Mapping[str, Any]) -> list[Check]:
    named = bool(options["mounts"])
    local = any(not root.startswith("s3://") for root in options["roots"])
    checks = [check_mount.CHECK] if named else []
    return checks + ([check_path.CHECK, check_disk.CHECK] if named or local else [])


def _question(check: Check, options: Mapping[str, Any], deadline: float, **others: Any) -> Question:
    """Return the question for a check with the options that it takes; others keep the default of the check."""
    given = {**options, **others}
    parameters = {name: given[name] if given.get(name) is not None else spec.get("default") for name, spec in check.parameters.items()}
    return Question(check, parameters, deadline)


def _unknown_names(options: Mapping[str, Any], asked_from: str, code: str) -> dict[str, Any]:
    """Return the finding that the wanted names are unknown, since the file with them lies in a mount that does not answer."""
    reason = f"the wanted names are not known: {options['wanted_file']} lies in a mount that does not answer"
    finding = unknown("attachments.present", reason, blocked_by=code, subject=" ".join(options["roots"]))
    return replace(finding, asked_from=asked_from, checked_at=stamp(time.time()) or "").as_dict()


def _take(result: Result, answer: asking.Answer) -> None:
    result.findings += answer.findings
    result.wrong += [line for line in answer.wrong if line not in result.wrong]
    result.warnings += answer.warnings


# --- renaming


def _rename(options: Mapping[str, Any], state: State, asked_from: str, result: Result, end: float) -> Result:
    moves = rename_attachments.plan(result.rows)
    if not moves:
        return result
    if state.read_only:
        return _with_moves(result, [vars(move) for move in moves], [])
    done = _in_child(
        lambda journal, until: rename_attachments.rename(moves, journal, until),
        state,
        options["rename_as"],
        _left(end, RENAME_SHARE),
        result,
    )
    if done["done"]:
        # Only a second scan proves that the names are right now.
        result = scan(options, state, asked_from, end)
    return _with_moves(result, done["done"], [*done["failed"], *_late(done)])


def put_back(state: State, rename_as: str | None, end: float) -> Result:
    """Give all files of the journal their old names back, or in check mode return which. end: monotonic seconds."""
    journal = _journal(state)
    if state.read_only:
        outcome = call(lambda: rename_attachments.standing_moves(journal), _left(end))
        return _with_moves(Result(), outcome.get(), [])
    if not os.path.exists(journal):
        return Result()
    done = _in_child(rename_attachments.undo, state, rename_as, _left(end), Result())
    result = _with_moves(Result(), done["done"], [*done["failed"], *_late(done)])
    result.gone = [_published(move) for move in done["gone"]]
    result.warnings += [f"{one['from']} is not there any more, or is another file; it keeps its name" for one in result.gone]
    if result.failed:
        first = result.failed[0]
        raise ActionFailed(
            f"{len(result.failed)} files could not be given their old names back, the first is {first['from']} ({first['why']});"
            " nothing was overwritten, the others have theirs, and these stay in the journal: see that the NAS is mounted, and ask again",
            partial=result,
        )
    return result


def _late(done: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**move, "why": NO_TIME} for move in done["left"]]


def _journal(state: State) -> str:
    return os.path.join(state.directory, JOURNAL)


def _in_child(
    work: Callable[[int, float], dict[str, Any]], state: State, rename_as: str | None, seconds: float, so_far: Result
) -> dict[str, Any]:
    """Rename in a child as that user; if it does not answer, the error carries what it did according to the journal.

    work: takes the journal, opened by the present user, and the end of its time (monotonic seconds).
    """
    lock = state.lock_file("attachments-renamed")  # creates the folder of the journal as well
    journal = _journal(state)
    begin = os.path.getsize(journal) if os.path.exists(journal) else 0
    until = time.monotonic() + seconds * STOP_SHARE
    opened: list[int] = []

    def become() -> int | None:
        opened.append(rename_attachments.open_journal(journal))
        return user_id("rename_as", rename_as) if rename_as else None

    try:
        return call(lambda: work(opened[0], until), seconds, user=become, lock=lock).get()
    except (WrongQuestion, NeedsUser) as error:
        error.details["partial"] = so_far
        raise
    except RemediationError as error:
        told = rename_attachments.made_since(journal, begin)
        partial = _with_moves(so_far, told["renamed"] or told["undone"], [{**move, "why": "broken_off"} for move in told["open"]])
        remedy = f"what was done stands in {journal} and can be put back with state undone"
        raise ActionFailed(f"renaming broke off: {error.message}; {remedy}", partial=partial) from error


def _published(move: Mapping[str, Any]) -> dict[str, str]:
    before, after = os.path.join(move["folder"], move["old"]), os.path.join(move["folder"], move["new"])
    return {"from": shown(before), "to": shown(after), **({"why": move["why"]} if move.get("why") else {})}


def _with_moves(result: Result, moves: Sequence[Mapping[str, Any]], failed: Sequence[Mapping[str, Any]]) -> Result:
    result.moves, result.failed = [_published(move) for move in moves], [_published(move) for move in failed]
    result.changed = bool(moves)
    result.before = "".join(f"{move['from']}\n" for move in result.moves)
    result.after = "".join(f"{move['to']}\n" for move in result.moves)
    return result


# --- all details in a file


def check_details_file(path: str, *, read_only: bool) -> None:
    """Raise WrongQuestion for a file of details that cannot be written. Runs in a child: the file may lie on a mount that hangs.

    read_only: in check mode, an earlier task would have created the folder.
    """
    if not os.path.isabs(path):
        raise WrongQuestion("details_file", path, "is not an absolute path", "give the whole path on the host")
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        found = None
    except OSError as error:
        raise WrongQuestion("details_file", path, f"cannot be used ({error.strerror})", "give a path in a folder that exists") from error
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise WrongQuestion("details_file", path, "is no plain file", "give another path")
    folder = os.path.dirname(path)
    if read_only and not os.path.lexists(folder):
        return
    if not os.path.isdir(folder):
        raise WrongQuestion("details_file", path, f"cannot be written ({folder} is no folder)", "give a path in a folder that exists")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WrongQuestion(
            "details_file", path, f"cannot be written ({folder} is closed to this user)", "give a folder that may be written"
        )


def _write_details(path: str, result: Result, read_only: bool, end: float) -> None:
    text = details_text(result.rows, os.path.splitext(path)[1].lower() == ".csv")
    differs = call(lambda: _put(path, text, read_only), _left(end)).get()
    result.changed = result.changed or differs


def details_text(rows: Sequence[Mapping[str, Any]], as_csv: bool) -> str:
    """Return all rows as CSV (lists joined by line feeds) or as JSON lines."""
    if not as_csv:
        return "".join(json.dumps(public(row), ensure_ascii=False) + "\n" for row in rows)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])
    return buffer.getvalue()


def _cell(value: Any) -> str:
    """Return one cell; a text that a spreadsheet would read as a formula gets a quote in front."""
    text = "" if value is None else "\n".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not re.match(NAME_PATTERN, text) else text


def _put(path: str, text: str, read_only: bool) -> bool:
    """Write a file of mode 0600 unless it holds the text already; return whether it differs. Only a regular file is replaced."""
    check_details_file(path, read_only=read_only)
    data = text.encode("utf-8", "backslashreplace")
    found = os.lstat(path) if os.path.lexists(path) else None
    if found is not None and found.st_size == len(data) and stat.S_IMODE(found.st_mode) == 0o600:
        with open(path, "rb") as file:
            if file.read() == data:
                return False
    if read_only:
        return True
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".")
    except OSError as error:
        raise WrongQuestion("details_file", path, f"cannot be written ({error.strerror})", "give a path in a folder that exists") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return True
