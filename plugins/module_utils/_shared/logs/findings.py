# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make findings from groups of log errors, shared by the checks of several areas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.finding import Finding, Reporter, ok, unknown
from ..._core.source import Asked
from ..commands import command
from ..units import stamp
from .facts import ApplicationLogs, GroupFacts, ProcessLogs
from .signatures import BY_NAME
from .verdict import ABSENT, is_over

MOST = 5  # entries of each list in evidence
_BLOCKED_BY = {"stopped": "pm2.daemon_down", "killed": "pm2.daemon_down", "hung": "pm2.daemon_hung"}


def active_groups(about: ProcessLogs, asked: Asked) -> list[GroupFacts]:
    """Return the groups of errors that still count."""
    groups = about["groups"].values()
    return [group for group in groups if not is_over(group, about["entries"], asked.now, asked.parameters["quiet"])]


def report_groups(
    report: Reporter, code: str, check: str, subject: str, about: ProcessLogs, groups: Sequence[GroupFacts], more: Mapping[str, Any]
) -> Finding:
    """Return one finding for all groups of one code.

    report: reporter of the tables that have the code. more: further evidence; its ``not_asked`` is extended.
    """
    latest = max(groups, key=lambda group: group["last"] or 0)
    count = sum(group["count"] for group in groups)
    details, causes = Counter[str](), Counter[str]()
    for group in groups:
        details.update(group["details"])
        causes.update(group["causes"])
        own = BY_NAME.get(group["name"])
        if own is not None and own.code != code:
            causes[own.code or own.name] += group["count"]
    firsts = [group["first"] for group in groups if group["first"] is not None]
    evidence = {
        **more,
        "status": about["entries"][0]["status"] if about["entries"] else "",
        "count": count,
        "since": stamp(min(firsts)) if firsts else None,
        "last": stamp(latest["last"]),
        "estimated": not all(group["exact"] for group in groups),
        "sample": latest["sample"],
        "log": latest["path"],
        "details": [{"name": word, "count": number} for word, number in details.most_common(MOST)],
        "causes": [{"code": word, "count": number} for word, number in causes.most_common(MOST)],
        "not_asked": [*more.get("not_asked", []), *_not_read(about)],
    }
    return report(
        code,
        check,
        subject,
        evidence={key: value for key, value in evidence.items() if value not in (None, "", [], {})},
        value=count,
        unit="errors",
    )


def log_of(check: str, name: str, answer: ApplicationLogs) -> ProcessLogs | Finding:
    """Return the logs of a process, or the ``unknown`` finding when PM2 or all of its logs could not be read."""
    if answer["state"] != "up":
        return blocked(check, answer)
    about = answer["processes"].get(name)
    if about is None:
        return unknown(check, f"{name} is not in PM2's list, so its logs are not known", blocked_by="pm2.missing", subject=name)
    if not about["files"]:
        return unknown(check, f"PM2 keeps no log of {name}", subject=name)
    if all(file["problem"] for file in about["files"]):
        first = about["files"][0]
        return unknown(check, f"{first['path']}: {first['problem']}", subject=name)
    return about


def report_no_errors(check: str, name: str, about: ProcessLogs) -> Finding:
    """Return ``ok``; ``unknown`` when a log that receives errors exists and cannot be read."""
    unread = [file for file in about["files"] if file["problem"] and file["problem"] not in ABSENT and file["path"] not in about["outputs"]]
    if unread:
        return unknown(check, "; ".join(f"{file['path']}: {file['problem']}" for file in unread[:MOST]), subject=name)
    evidence: dict[str, Any] = {"files": len(about["files"]), "read": sum(file["read"] for file in about["files"])}
    not_read = _not_read(about)
    if not_read:
        evidence["not_asked"] = not_read
    return ok(check, name, evidence=evidence)


def _not_read(about: ProcessLogs) -> list[str]:
    """Return which parts of the logs were not read, and why."""
    parts = [f"{file['path']}: {file['problem']}" for file in about["files"] if file["problem"]]
    parts += [f"{file['path']}: {file['skipped']} bytes before the last ones" for file in about["files"] if file["skipped"]]
    parts += [f"{file['path']}: not read to its end, the next run goes on" for file in about["files"] if file["behind"]]
    parts += [f"{file['path']}: what was rotated away is gone" for file in about["files"] if file["lost"]]
    if about.get("unlogged"):
        parts.append("a part of the output goes to /dev/null")
    return parts[:MOST]


def blocked(check: str, answer: ApplicationLogs) -> Finding:
    """Return the ``unknown`` finding of a check when PM2 does not answer."""
    if answer["state"] == "denied":
        return unknown(check, f"{answer['problem']}; run as root or as the user that started PM2")
    return unknown(check, f"{answer['problem']}, and only PM2 tells where the logs are", blocked_by=_BLOCKED_BY[answer["state"]])


def pm2_evidence(asked: Asked, answer: ApplicationLogs) -> dict[str, str]:
    """Return the evidence that the next command needs: PM2_HOME, its user, and the command line of PM2 for them."""
    home, name = asked.parameters["pm2_home"], answer["user"]
    return {"pm2_home": home, "user": name, "pm2": command(name, home)}
