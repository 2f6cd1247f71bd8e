# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""attachments.present: whether every wanted file is there, once and whole, and whether the batch has run.

Rules: manual 1, section 6 (NOT_FOUND, DUPLICATED, INVALID, and whether the batch has run; the files are checked before the mail run);
manual 2, sections 7 and 11. Product facts, attachments: names and extensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.evidence import without_empty
from ..._shared.nas_states import ABSENT, STATES, state_of
from .batch import EARLY, FAILED
from .facts import FilesFacts
from .faults import fault
from .match import EXTENSIONS, NAME_PATTERN, UNKNOWN
from .parameters import QUERY_OPTIONS, QUERY_RULES, ROOTS, S3_OPTIONS, SHOWN
from .read_files import FILES
from .walk import SILENT
from .wanted import NAME_COLUMN

FEW = 3  # wanted names; when so many are all missing, the batch is the cause although other files are there
# The faults of single names, worst first.
CODES = tuple(
    f"attachments.{name}"
    for name in (
        "not_found",
        "case_differs",
        "near_name",
        "duplicated",
        "empty",
        "unreadable",
        "damaged",
        "wrong_type",
        "still_written",
        "extension",
        "bad_name",
        "no_name",
    )
)
PARAMETERS: dict[str, dict[str, Any]] = {
    **ROOTS,
    "date": {**ROOTS["date"], "variable": "stack_attachment_date"},
    "wanted": {
        "type": "list",
        "elements": "raw",
        "variable": "stack_attachment_wanted",
        "description": "Wanted file names, or dictionaries with name and group. Without names, the check only reports whether there are files at all.",
    },
    "wanted_file": {
        "type": "str",
        "variable": "stack_attachment_wanted_file",
        "description": (
            "A file on the host with the wanted names, instead of wanted: .csv with a line of column names, .jsonl with an object a"
            " line, any other with a name a line. A date in the path is filled in."
        ),
    },
    "wanted_query": {
        "type": "dict",
        "options": QUERY_OPTIONS,
        **QUERY_RULES,
        "variable": "stack_attachment_wanted_query",
        "description": "A query in Oracle or LogsDB for the wanted names, instead of wanted: {query: SELECT ..., oracle: {host: ...}}.",
    },
    "name_column": {
        "type": "str",
        "default": NAME_COLUMN,
        "variable": "stack_attachment_name_column",
        "description": "Column of the file or the query that holds the name.",
    },
    "group_column": {
        "type": "str",
        "variable": "stack_attachment_group_column",
        "description": "Column of the file or the query that holds the customer group.",
    },
    "depth": {
        "type": "int",
        "default": 3,
        "variable": "stack_attachment_depth",
        "description": "Levels of folders below a root that are read.",
    },
    "extensions": {"type": "list", "elements": "str", "default": list(EXTENSIONS), "description": "Extensions that are allowed."},
    "name_pattern": {"type": "str", "default": NAME_PATTERN, "description": "Regular expression of the names that are allowed."},
    "contents": {"type": "bool", "default": True, "description": "Whether the contents of the wanted files are judged."},
    "deep": {
        "type": "bool",
        "default": False,
        "description": "Whether files are read wholly (up to 256 MB each), instead of their first and last 16 kB.",
    },
    "parallel_reads": {"type": "int", "default": 5, "description": "Files that are read at the same time, at most."},
    "settle": {
        "type": "float",
        "default": 10.0,
        "description": "Seconds after its last change in which a file may still be being written; such a file is read twice.",
    },
    "details": {"type": "int", "default": 20, "description": "Names that are returned one by one, at most."},
    "s3": {
        "type": "dict",
        "options": S3_OPTIONS,
        "variable": "stack_attachment_s3",
        "description": "How S3 is reached; by default as the AWS configuration says.",
    },
    "batch_marker": {
        "type": "str",
        "variable": "stack_attachment_batch_marker",
        "description": "A file that the batch writes when it has finished. A date in it is filled in.",
    },
    "batch_log": {
        "type": "str",
        "variable": "stack_attachment_batch_log",
        "description": "The log of the batch. A date in it is filled in.",
    },
    "batch_failed": {"type": "str", "default": FAILED, "description": "Regular expression of a line of that log that reports a failure."},
    "batch_finished": {"type": "str", "description": "Regular expression of a line of that log that reports the end."},
    "batch_hours_before": {
        "type": "float",
        "default": EARLY,
        "description": (
            "Hours before the day begins, from which a marker or a log without a date in its path belongs to that day, and from which the"
            " dated lines of such a log count."
        ),
    },
    "answer_within": {
        "type": "float",
        "default": 8.0,
        "description": "Seconds after which the check reports what was found so far; less than the deadline of the check.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Return findings for the wanted files that are missing, duplicated or invalid, and where all are missing, for the batch."""
    found: FilesFacts = asked.read("attachments.files")
    return present_of(found)


def present_of(found: FilesFacts) -> list[Finding]:
    """Return the findings of one reading; ok where there is none."""
    check, subject = "attachments.present", subject_of(found)
    findings = _unanswered(check, found, subject)
    missing = _batch(check, found, subject)
    findings += [missing] if missing else []
    for code in CODES:
        if found["codes"].get(code):
            findings.append(_one_code(check, code, found, subject))
    return findings or [_fine(check, found, subject)]


def subject_of(found: FilesFacts) -> str:
    """Return the roots as the parameters have them, which is the same every day."""
    return " ".join(root["given"] for root in found["roots"])


def driver_of(parameters: Mapping[str, Any]) -> str:
    """Return the library that these parameters need: boto3 for roots in S3, oracledb for a query in Oracle, "" for none."""
    if (parameters.get("wanted_query") or {}).get("oracle"):
        return "oracledb"
    return "boto3" if any(str(root).startswith("s3://") for root in parameters.get("roots") or ()) else ""


def _unanswered(check: str, found: FilesFacts, subject: str) -> list[Finding]:
    """Return unknown for wanted names that cannot be read, for each root that did not answer completely, and for files that were not read."""
    findings = []
    problem = found["names"]
    if problem:
        reason = f"the wanted names are not known, so the check only read whether there are files at all; {problem['reason']}"
        findings.append(unknown(check, reason, blocked_by=problem["code"], subject=subject))
    for root in found["roots"]:
        if root["problem"] and root["problem"] not in ABSENT:
            state = "silent" if root["problem"] == SILENT else state_of(root["problem"])
            what = "does not answer" if state == "silent" else f"cannot be read ({root['problem']})"
            reason = (
                f"{root['where'] or root['path']} {what}, so {found['counts'][UNKNOWN]} of {found['wanted']} wanted files are not known"
            )
            findings.append(unknown(check, reason, blocked_by=STATES.get(state, ""), subject=root["given"]))
    if not found["complete"] and not any(root["problem"] for root in found["roots"]):
        findings.append(unknown(check, "there are more folders than the check reads; give roots nearer to the files", subject=subject))
    if found["unread"]:
        reason = f"{found['unread']} of {found['wanted']} wanted files are there but were not read in time; give more time (answer_within)"
        # When not a single one could be read, the mount is silent; more time would not help.
        silent = not found["read"] and not all(root["path"].startswith("s3://") for root in found["roots"])
        findings.append(unknown(check, reason, blocked_by=STATES["silent"] if silent else "", subject=subject))
    return findings


def _batch(check: str, found: FilesFacts, subject: str) -> Finding | None:
    """Return the finding that nothing of the day is there because the batch has not run or failed, None otherwise."""
    if not found["complete"]:
        return None
    absent = found["codes"].get("attachments.not_found", 0)
    judged = found["wanted"] - sum(found["codes"].get(f"attachments.{name}", 0) for name in ("bad_name", "extension", "no_name"))
    state = found["batch"]["state"]
    went_wrong = state in ("not_run", "failed")
    if found["listed"]:
        nothing = absent > 0 and absent == judged
        believable = not found["files"] or absent >= FEW or went_wrong
    else:
        # Without names, the files that are there may be incomplete: what the batch reports counts.
        nothing, believable = not found["files"] or went_wrong, True
    if not nothing or not believable:
        return None
    folders = [{"path": root["path"], "exists": root["problem"] not in ABSENT, "files": root["files"]} for root in found["roots"]]
    evidence = {
        "date": found["date"],
        "wanted": found["wanted"],
        "files": found["files"],
        "folders": folders[:SHOWN],
        **batch_evidence(found),
    }
    return fault("attachments.batch_missing", check, subject, evidence=evidence)


def batch_evidence(found: FilesFacts) -> dict[str, Any]:
    """Return the state of the batch as evidence."""
    batch = found["batch"]
    shown = {"log": batch["log"], "marker": batch["marker"], "line": batch["line"], "last": batch["last"]}
    return without_empty({"batch": batch["state"], **shown})


def _one_code(check: str, code: str, found: FilesFacts, subject: str) -> Finding:
    rows = found["examples"].get(code, [])[:SHOWN]
    count = found["codes"][code]
    if code == "attachments.no_name":
        # These rows are one name, the empty one, of many customers.
        count = max(count, *(row.get("times", 1) for row in rows), 1)
    evidence: dict[str, Any] = {
        "date": found["date"],
        "count": count,
        "wanted": found["wanted"],
        "examples": [
            {name: value for name, value in row.items() if name not in ("outcome", "code", "move") and value not in ("", [], None)}
            for row in rows
        ],
    }
    groups = sorted({row["group"] for row in found["examples"].get(code, []) if row["group"]})
    if groups:
        evidence["groups"] = groups[:SHOWN]
    if code == "attachments.not_found":
        evidence.update(files=found["files"], **batch_evidence(found))
        left = found["similar"]["left"]
        if left or not found["similar"]["whole"]:
            which = f"for {left} of the missing names" if left else "among all files"
            evidence["not_asked"] = [f"similar names {which}: there are too many, or the time was over"]
    return fault(code, check, subject, evidence=evidence, value=count, threshold=0, unit="files")


def _fine(check: str, found: FilesFacts, subject: str) -> Finding:
    evidence: dict[str, Any] = {"date": found["date"], "files": found["files"], **batch_evidence(found)}
    not_asked = []
    if found["listed"]:
        evidence.update(wanted=found["wanted"], counts=found["counts"])
    else:
        not_asked.append("single files: no wanted names are given (wanted_file, wanted)")
    if not_asked:
        evidence["not_asked"] = not_asked
    return ok(check, subject, evidence=evidence, value=found["wanted"], unit="files")


CHECK = Check(
    "attachments.present",
    "Is every wanted file there, once and whole, and has the batch run?",
    judge,
    (FILES,),
    PARAMETERS,
    run_as="app",
    driver_of=driver_of,
)
