# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded from the applications' logs and from .env: pure functions of what was read.

Rules: manual 1 section 3 (backend: dependency injection, .env, port conflict) and section 4 (worker: the four errors).
When an error counts is told in ``_log_verdict``.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ..._core.children import user_name
from ..._core.errors import CannotRead, NeedsUser, RemediationError
from ..._core.finding import Finding, Reporter, ok, reporter, unknown
from ..._core.source import Asked
from ..._shared import pm2_list
from ..._shared.commands import command
from ..._shared.logs.signatures import BY_NAME, UNKNOWN
from ..._shared.logs.verdict import ABSENT, STARTUP, is_over
from ..._shared.text_files import reachable_by_others
from ..backend.faults import FAULTS as BACKEND_FAULTS
from ..ses.faults import FAULTS as SES_FAULTS
from .faults import FAULTS

fault = reporter(FAULTS, BACKEND_FAULTS, SES_FAULTS)

MOST = 5  # of each list in evidence
_ATTACHMENT = re.compile(r"\.(?:pdf|xlsx?|csv)\b", re.I)
# Errors of other areas that Tank's worker reports in other words than its own four.
_WORKER_CODES = {"oracle": "worker.oracle_failed", "ses": "worker.ses_error"}
# What SES tells the worker alone: the fault, and the signature of the log that means it.
_SES_CODES = {"ses.throttled": "ses_rate", "ses.invalid_address": "ses_address"}
_BLOCKED_BY = {"stopped": "pm2.daemon_down", "killed": "pm2.daemon_down", "hung": "pm2.daemon_hung"}

LOG_PARAMETERS: dict[str, dict[str, Any]] = {
    **pm2_list.HOME_PARAMETERS,
    "answer_within": {
        "type": "float",
        "default": 3.0,
        "description": "Seconds that the PM2 daemon may take to answer before it counts as hung; less than the deadline of the check.",
    },
    "app_dir": {
        "type": "path",
        "description": "The installation, such as /opt/tank-mail-app: its logs in <process>/logs are read besides those that PM2 names.",
    },
    "first_read_mb": {
        "type": "int",
        "default": 50,
        "description": "Megabytes of each log that a first run reads, from its end. Later runs read what is new.",
    },
    "quiet": {
        "type": "int",
        "default": 86400,
        "description": "Seconds without a new one after which an error of the daily work counts as over, unless a restart comes first.",
    },
}
BACKEND_LOG_PARAMETERS: dict[str, dict[str, Any]] = {
    **LOG_PARAMETERS,
    "processes": {
        "type": "list",
        "elements": "raw",
        "default": ["backend", "worker"],
        "description": "The NestJS applications whose start is looked at: names, or dictionaries with name.",
    },
}
WORKER_LOG_PARAMETERS: dict[str, dict[str, Any]] = {
    **LOG_PARAMETERS,
    "process": {"type": "str", "default": "worker", "description": "Name of the worker in PM2's list."},
}
ENV_PARAMETERS: dict[str, dict[str, Any]] = {
    "env_file": {"type": "path", "required": True, "description": "The applications' .env, such as /opt/tank-mail-app/config/.env."},
}
LOG_SOURCE_PARAMETERS = tuple(LOG_PARAMETERS)


def remember(answer: Mapping[str, Any], _former: Any = None) -> Any:
    """Return what the next run needs: cursors, clocks, and the errors that still count."""
    return answer["memory"]


# --- backend.log


def backend_log(asked: Asked) -> list[Finding]:
    """Say for each application whether its log tells why it does not start."""
    check = "backend.log"
    names = [one.name for one in pm2_list.wanted(asked.parameters)]
    answer = asked.read("log.applications")
    if answer["state"] != "up":
        return [_blocked(check, answer)]
    return [finding for name in names for finding in _start(asked, name, answer)]


def _start(asked: Asked, name: str, answer: Mapping[str, Any]) -> list[Finding]:
    check = "backend.log"
    about = answer["processes"].get(name)
    problem = _unreadable(check, name, about)
    if problem:
        return [problem]
    active = [group for group in _active(about, asked) if group["name"] in STARTUP]
    codes = sorted({BY_NAME[group["name"]].code for group in active})
    found = []
    for code in codes:
        groups = [group for group in active if BY_NAME[group["name"]].code == code]
        if code == "backend.port_conflict":
            found += _port_conflict(asked, name, about, groups, answer)
        else:
            found.append(told(code, check, name, about, groups, _where(asked, answer)))
    return found or [quiet(check, name, about)]


def _port_conflict(
    asked: Asked, name: str, about: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]
) -> list[Finding]:
    port = port_of(groups)
    more: dict[str, Any] = {"port": port}
    try:
        holder = asked.read("log.ports").get(port)
    except RemediationError as error:
        holder, more["not_asked"] = None, [f"who holds port {port}: {error.message}"]
    else:
        if holder and holder["pid"] and holder["pid"] in {entry["pid"] for entry in about["entries"]}:
            return []  # it has its port by now
        if holder:
            more["holder"] = holder
            if not holder["pid"]:
                more["not_asked"] = [f"which process of {holder['user']} holds port {port}: only root sees it"]
    return [told("backend.port_conflict", "backend.log", name, about, groups, {**_where(asked, answer), **more})]


def port_of(groups: Sequence[Mapping[str, Any]]) -> str:
    """Return the port of the address that the latest of some conflicts names, "" for none."""
    address = max(groups, key=lambda group: group["last"] or 0)["details"]
    match = re.search(r"(\d{1,5})$", next(iter(reversed(list(address))), ""))
    return match.group(1) if match else ""


# --- worker.log


def worker_log(asked: Asked) -> list[Finding]:
    """Say which of the errors of its daily work the worker reports (manual 1, section 4)."""
    check, name = "worker.log", asked.parameters["process"]
    answer, about, problem = _log_of(check, name, asked)
    if problem:
        return [problem]
    by_code: dict[str, list[Mapping[str, Any]]] = {}
    for group in _active(about, asked):
        code = worker_code(group)
        if code:
            by_code.setdefault(code, []).append(group)
    where = _where(asked, answer)
    found = [told(code, check, name, about, groups, {**where, **_caused_by(groups)}) for code, groups in sorted(by_code.items())]
    return found or [quiet(check, name, about)]


def _caused_by(groups: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name the finding of worker.ses that says the same, where that is all there is; it may be a milder one."""
    causes = {cause for group in groups for cause in (group["causes"] or [BY_NAME[group["name"]].code if group["name"] in BY_NAME else ""])}
    return {"caused_by": causes.pop()} if len(causes) == 1 and causes <= set(_SES_CODES) else {}


def worker_code(group: Mapping[str, Any]) -> str:
    """Return the worker's fault that a group of errors is, "" for what other checks report."""
    if group["name"] == UNKNOWN:
        return "worker.unknown_error"
    signature = BY_NAME.get(group["name"])
    if signature is None or signature.area in ("backend", "logsdb", "nginx", "web"):
        return ""
    if signature.area == "worker":
        return signature.code
    if signature.area == "nas" and _ATTACHMENT.search(group["sample"]):
        return "worker.file_not_found"
    return _WORKER_CODES.get(signature.name.split("_", 1)[0], "worker.unknown_error")


# --- worker.ses


def ses_log(asked: Asked) -> list[Finding]:
    """Say whether SES throttles the worker or takes addresses for wrong (manual 1, section 7): only its log and LogsDB tell that."""
    check, name = "worker.ses", asked.parameters["process"]
    answer, about, problem = _log_of(check, name, asked)
    if problem:
        return [problem]
    found = []
    for code, signature in _SES_CODES.items():
        groups = [group for group in _active(about, asked) if group["name"] == signature or code in group["causes"]]
        if groups:
            finding = told(code, check, name, about, groups, {**_where(asked, answer), "from": "log", "domains": _domains(groups)})
            evidence = {key: value for key, value in finding.evidence.items() if key != "causes"}
            found.append(replace(finding, evidence=evidence))
    return found or [quiet(check, name, about)]


def _domains(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counted = Counter[str]()
    for group in groups:
        counted.update(group.get("domains") or {})
    return [{"name": name, "count": count} for name, count in counted.most_common(MOST)]


# --- shared


def stamp(moment: Any) -> str | None:
    """Return a time (epoch seconds) as RFC 3339 in UTC, None when it is not known."""
    if not isinstance(moment, (int, float)) or not 0 < moment < pm2_list.END_OF_TIME:
        return None
    return datetime.fromtimestamp(moment, tz=timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _active(about: Mapping[str, Any], asked: Asked) -> list[Mapping[str, Any]]:
    groups = about["groups"].values()
    return [group for group in groups if not is_over(group, about["entries"], asked.now, asked.parameters["quiet"])]


def told(
    code: str,
    check: str,
    subject: str,
    about: Mapping[str, Any],
    groups: Sequence[Mapping[str, Any]],
    more: Mapping[str, Any],
    report: Reporter = fault,
) -> Finding:
    """Make the finding of one code out of its groups; report: makes findings of the codes that may come up."""
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
    unseen = [*more.get("not_asked", []), *_unseen(about)]
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
        "not_asked": unseen,
    }
    return report(
        code,
        check,
        subject,
        evidence={key: value for key, value in evidence.items() if value not in (None, "", [], {})},
        value=count,
        unit="errors",
    )


def _log_of(check: str, name: str, asked: Asked) -> tuple[Mapping[str, Any], Mapping[str, Any], Finding | None]:
    """Return the whole answer, what it has of a process's log, and the finding of a log that could not be read (None for one that could)."""
    answer = asked.read("log.applications")
    if answer["state"] != "up":
        return answer, {}, _blocked(check, answer)
    about = answer["processes"].get(name)
    return answer, about or {}, _unreadable(check, name, about)


def _unreadable(check: str, name: str, about: Mapping[str, Any] | None) -> Finding | None:
    if about is None:
        return unknown(check, f"{name} is not in PM2's list, so its logs are not known", blocked_by="pm2.missing", subject=name)
    readable = [file for file in about["files"] if not file["problem"]]
    if about["files"] and not readable:
        first = about["files"][0]
        return unknown(check, f"{first['path']}: {first['problem']}", subject=name)
    if not about["files"]:
        return unknown(check, f"PM2 keeps no log of {name}", subject=name)
    return None


def quiet(check: str, name: str, about: Mapping[str, Any]) -> Finding:
    """Say that no error was found; unknown where a log that gets errors is there and cannot be read."""
    unread = [file for file in about["files"] if file["problem"] and file["problem"] not in ABSENT and file["path"] not in about["outputs"]]
    if unread:
        return unknown(check, "; ".join(f"{file['path']}: {file['problem']}" for file in unread[:MOST]), subject=name)
    evidence: dict[str, Any] = {"files": len(about["files"]), "read": sum(file["read"] for file in about["files"])}
    unseen = _unseen(about)
    if unseen:
        evidence["not_asked"] = unseen
    return ok(check, name, evidence=evidence)


def _unseen(about: Mapping[str, Any]) -> list[str]:
    """Name what of the logs was not looked at."""
    unseen = [f"{file['path']}: {file['problem']}" for file in about["files"] if file["problem"]]
    unseen += [f"{file['path']}: {file['skipped']} bytes before the last ones" for file in about["files"] if file["skipped"]]
    unseen += [f"{file['path']}: not read to its end, the next run goes on" for file in about["files"] if file["behind"]]
    unseen += [f"{file['path']}: what was rotated away is gone" for file in about["files"] if file["lost"]]
    if about.get("unlogged"):
        unseen.append("a part of the output goes to /dev/null")
    return unseen[:MOST]


def _blocked(check: str, answer: Mapping[str, Any]) -> Finding:
    if answer["state"] == "denied":
        return unknown(check, f"{answer['problem']}; run as root or as the user that started PM2")
    return unknown(check, f"{answer['problem']}, and only PM2 tells where the logs are", blocked_by=_BLOCKED_BY[answer["state"]])


def _where(asked: Asked, answer: Mapping[str, Any]) -> dict[str, str]:
    """Return what a person needs for the next command: PM2_HOME, its user, and how to call PM2 for them."""
    home, name = asked.parameters["pm2_home"], answer["user"]
    return {"pm2_home": home, "user": name, "pm2": command(name, home)}


# --- backend.env


def read_env_file(env_file: str) -> dict[str, Any]:
    """Return who may read a .env: ``present path mode owner exposed`` (others can really reach it).

    Its content is not read. Raises NeedsUser where it cannot even be seen, CannotRead where it is no file.
    """
    known: dict[str, Any] = {"path": env_file, "present": False, "mode": "", "owner": "", "exposed": False}
    try:
        found = os.stat(env_file)
    except (FileNotFoundError, NotADirectoryError):
        return known
    except PermissionError as error:
        raise NeedsUser("root", f"{env_file} cannot be seen by {user_name(os.geteuid())}") from error
    except (OSError, ValueError) as error:
        raise CannotRead(f"{env_file} cannot be looked at ({error})") from error
    if not stat.S_ISREG(found.st_mode):
        raise CannotRead(f"{env_file} is not a file")
    return {
        "path": env_file,
        "present": True,
        "mode": f"{stat.S_IMODE(found.st_mode):04o}",
        "owner": user_name(found.st_uid),
        "exposed": bool(found.st_mode & (stat.S_IROTH | stat.S_IWOTH)) and reachable_by_others(env_file),
    }


def env_file(asked: Asked) -> list[Finding]:
    """Say whether the passwords in .env are kept from other users (product facts)."""
    check = "backend.env"
    file = asked.read("backend.env_file")
    if not file["present"]:
        return [unknown(check, f"{file['path']} does not exist", subject=file["path"])]
    if file["exposed"]:
        evidence = {"path": file["path"], "mode": file["mode"], "owner": file["owner"], "wanted_mode": "0600"}
        return [fault("backend.env_readable", check, file["path"], evidence=evidence)]
    return [ok(check, evidence={"path": file["path"], "mode": file["mode"], "owner": file["owner"]})]
