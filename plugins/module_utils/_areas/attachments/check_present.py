# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked about attachments: pure functions of one reading of their folders.

Rules: manual 1, section 6 (NOT_FOUND, DUPLICATED, INVALID, and whether the batch has run; files are looked for before the
run); manual 2, sections 7 and 11. Product facts, attachments: names, extensions, kept about 30 days.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.evidence import without_empty
from ..._shared.nas_states import STATES, state_of
from .batch import EARLY, FAILED
from .faults import fault
from .match import EXTENSIONS, NAME_PATTERN, UNKNOWN
from .parameters import QUERY_OPTIONS, QUERY_RULES, ROOTS, S3_OPTIONS
from .read_files import FILES
from .walk import SILENT
from .wanted import NAME_COLUMN

FEW = 3  # wanted names that are all missing, from which the batch is to blame although other files are there
SHOWN = 5
ABSENT = ("ENOENT", "ENOTDIR")
# What is wrong with single names, gravest first.
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
    "wanted": {
        "type": "list",
        "elements": "raw",
        "description": "Wanted file names, or dictionaries with name and group. Without names, only whether there are files at all is asked.",
    },
    "wanted_file": {
        "type": "str",
        "description": (
            "A file on the host with the wanted names, instead of wanted: .csv with a line of column names, .jsonl with an object a"
            " line, any other with a name a line. A date in the path is filled in."
        ),
    },
    "wanted_query": {
        "type": "dict",
        "options": QUERY_OPTIONS,
        **QUERY_RULES,
        "description": "A query in Oracle or LogsDB for the wanted names, instead of wanted: {query: SELECT ..., oracle: {host: ...}}.",
    },
    "name_column": {"type": "str", "default": NAME_COLUMN, "description": "Column of the file or the query that holds the name."},
    "group_column": {"type": "str", "description": "Column of the file or the query that holds the customer group."},
    "depth": {"type": "int", "default": 3, "description": "Levels of folders below a root that are looked into."},
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
        "description": "Seconds since its last change for which a file may still be written; it is looked at twice.",
    },
    "details": {"type": "int", "default": 20, "description": "Names that are returned one by one, at most."},
    "s3": {"type": "dict", "options": S3_OPTIONS, "description": "How S3 is reached; by default as the AWS configuration says."},
    "batch_marker": {"type": "str", "description": "A file that the batch writes when it has finished. A date in it is filled in."},
    "batch_log": {"type": "str", "description": "The log of the batch. A date in it is filled in."},
    "batch_failed": {"type": "str", "default": FAILED, "description": "Regular expression of a line of that log that tells a failure."},
    "batch_finished": {"type": "str", "description": "Regular expression of a line of that log that tells the end."},
    "batch_hours_before": {
        "type": "float",
        "default": EARLY,
        "description": (
            "Hours before the begin of the day from which a marker or a log without a date in its path is that day's, and from which the"
            " dated lines of such a log count."
        ),
    },
    "answer_within": {
        "type": "float",
        "default": 8.0,
        "description": "Seconds after which the answer is what was found so far; less than the deadline of the check.",
    },
}


# --- attachments.present


def judge(asked: Asked) -> list[Finding]:
    """Say whether every wanted file is there once and whole, and if none is, whether the batch has run."""
    return present_of(asked.read("attachments.files"))


def present_of(found: Mapping[str, Any]) -> list[Finding]:
    """Return the findings of one reading."""
    check, subject = "attachments.present", subject_of(found)
    findings = _unanswered(check, found, subject)
    missing = _batch(check, found, subject)
    findings += [missing] if missing else []
    for code in CODES:
        if found["codes"].get(code):
            findings.append(_one_code(check, code, found, subject))
    return findings or [_fine(check, found, subject)]


def subject_of(found: Mapping[str, Any]) -> str:
    """Return where was looked, as it was given: the same every day."""
    return " ".join(root["given"] for root in found["roots"])


def driver_of(parameters: Mapping[str, Any]) -> str:
    """Return the library that the places of files and names need: boto3 for S3, oracledb for a query in Oracle."""
    if (parameters.get("wanted_query") or {}).get("oracle"):
        return "oracledb"
    return "boto3" if any(str(root).startswith("s3://") for root in parameters.get("roots") or ()) else ""


def _unanswered(check: str, found: Mapping[str, Any], subject: str) -> list[Finding]:
    """Say for each root that did not answer (wholly) what that leaves unknown, and why the wanted names are."""
    findings = []
    problem = found["names"]
    if problem:
        reason = f"the wanted names are not known, so only whether there are files at all was asked; {problem['reason']}"
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
        findings.append(unknown(check, "there are more folders than are looked into; give roots nearer to the files", subject=subject))
    if found["unread"]:
        reason = f"{found['unread']} of {found['wanted']} wanted files are there and were not looked at: the time was over; give more of it"
        # Where not one could be read, it is not for want of time.
        silent = not found["read"] and not all(root["path"].startswith("s3://") for root in found["roots"])
        findings.append(unknown(check, reason, blocked_by=STATES["silent"] if silent else "", subject=subject))
    return findings


def _batch(check: str, found: Mapping[str, Any], subject: str) -> Finding | None:
    """Return the finding that nothing of the day is there: the batch has not run, or failed."""
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
        # Without names nobody can say that those which are there are all: what the batch says of itself counts.
        nothing, believable = not found["files"] or went_wrong, True
    if not nothing or not believable:
        return None
    folders = [{"path": root["path"], "exists": root["problem"] not in ABSENT, "files": root["files"]} for root in found["roots"]]
    evidence = {"date": found["date"], "wanted": found["wanted"], "files": found["files"], "folders": folders[:SHOWN], **batch_told(found)}
    return fault("attachments.batch_missing", check, subject, evidence=evidence)


def batch_told(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of the batch, for texts."""
    batch = found["batch"]
    return without_empty({"batch": batch["state"], **{name: batch[name] for name in ("log", "marker", "line", "last")}})


def _one_code(check: str, code: str, found: Mapping[str, Any], subject: str) -> Finding:
    rows = found["examples"].get(code, [])[:SHOWN]
    count = found["codes"][code]
    if code == "attachments.no_name":
        # They are one name, the empty one, of many customers.
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
        evidence.update(files=found["files"], **batch_told(found))
        left = found["similar"]["left"]
        if left or not found["similar"]["whole"]:
            which = f"for {left} of the missing names" if left else "among all files"
            evidence["not_asked"] = [f"similar names {which}: there are too many, or the time was over"]
    return fault(code, check, subject, evidence=evidence, value=count, threshold=0, unit="files")


def _fine(check: str, found: Mapping[str, Any], subject: str) -> Finding:
    evidence: dict[str, Any] = {"date": found["date"], "files": found["files"], **batch_told(found)}
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
