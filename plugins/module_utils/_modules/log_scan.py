# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of the module ``log_scan``: scan PM2's logs, any other logs, or both, against all signatures, with cursors of its own.

The findings are those of the checks backend.log and worker.log, and for named logs also those of the signatures of other areas. The
counts have every signature. Sizes are bytes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._areas.backend import check_log as backend_log
from .._areas.catalogue import FAULTS
from .._areas.worker import check_log as worker_log
from .._core.children import Call, Outcome, call_all
from .._core.errors import RemediationError, WrongQuestion
from .._core.finding import Finding, area_of, from_error, ok, reporter, unknown
from .._core.source import Asked
from .._core.state import State
from .._shared import pm2_list, pm2_rpc
from .._shared.logs import ports
from .._shared.logs.applications import empty_memory, read_applications, read_process, usable
from .._shared.logs.facts import ApplicationLogs, FileFacts, GroupFacts, NamedLogs, ProcessLogs
from .._shared.logs.findings import report_groups, report_no_errors
from .._shared.logs.limits import MEGABYTE, Limits
from .._shared.logs.paths import expand
from .._shared.logs.signatures import BY_NAME, UNKNOWN
from .._shared.logs.verdict import is_over
from .._shared.units import stamp

_OF_PATHS = "worker.log"  # the check that reports on a named log as a whole
SPARE = 2.0  # seconds between the end of reading and the deadline
_report = reporter(FAULTS)
AREAS = ("backend", "worker", "oracle", "ses", "nas", "logsdb", "nginx", "web", "runtime", "unknown")


@dataclass
class Scan:
    """The result of a scan, as the module returns it."""

    findings: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    signatures: list[dict[str, Any]] = field(default_factory=list)
    files: list[FileFacts] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def scan(options: Mapping[str, Any], state: State, asked_from: str) -> Scan:
    """Scan the logs; see the module for the options. Raises WrongQuestion for invalid options."""
    _validate(options)
    key = f"log.scan-{options['consumer']}"
    kept = state.load(key)
    kept = kept if isinstance(kept, dict) else {}
    now = time.time()
    outcomes = call_all(_calls(options, kept, now))
    for outcome in outcomes.values():
        if isinstance(outcome.error, WrongQuestion):
            raise outcome.error
    result, memory = Scan(), dict(kept)
    for name in ("pm2", "paths"):
        if name not in outcomes:
            continue
        if outcomes[name].error is None:
            memory[name] = outcomes[name].value["memory"]
        _take(name, outcomes, options, now, result, asked_from)
    if not result.findings:
        result.findings.append(_no_findings(result, now, asked_from))
    try:
        state.save(key, memory)
    except OSError as error:
        result.warnings.append(f"{state.directory}: no cursor could be kept ({error.strerror})")
    result.signatures.sort(key=lambda entry: (-entry["new"], -entry["count"], entry["name"]))
    return result


def _no_findings(result: Scan, now: float, asked_from: str) -> dict[str, Any]:
    """Return the finding for the run record when no other finding is left: that the logs were read."""
    evidence = {"files": len(result.files), "new_errors": sum(result.counts.values())}
    return replace(ok("run.log_scan", evidence=evidence), asked_from=asked_from, checked_at=stamp(now) or "").as_dict()


def _validate(options: Mapping[str, Any]) -> None:
    if not options["paths"] and not options["pm2_home"]:
        raise WrongQuestion("paths", options["paths"], "names no log", "give paths, or pm2_home for the logs of PM2's applications")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", options["consumer"]):
        raise WrongQuestion("consumer", options["consumer"], "is not a name", "give letters, digits, dots, dashes and underscores")
    for name in ("first_read_mb", "read_mb", "deadline"):
        if options[name] <= 0:
            raise WrongQuestion(name, options[name], "is not more than 0", "give a positive number")


def _calls(options: Mapping[str, Any], kept: Mapping[str, Any], now: float) -> dict[Hashable, Call]:
    deadline = options["deadline"]
    calls: dict[Hashable, Call] = {}
    if options["pm2_home"]:
        calls["pm2"] = Call(
            lambda: read_pm2(options, kept.get("pm2"), now), deadline, user=lambda: pm2_list.reader(options["pm2_home"], options["user"])
        )
        calls["ports"] = Call(ports.read_holders, deadline)
    if options["paths"]:
        calls["paths"] = Call(lambda: read_paths(options, kept.get("paths"), now), deadline)
    return calls


def _limits(options: Mapping[str, Any]) -> Limits:
    until = time.monotonic() + max(1.0, options["deadline"] - SPARE)
    return Limits(options["first_read_mb"] * MEGABYTE, options["read_mb"] * MEGABYTE, until)


def read_pm2(options: Mapping[str, Any], memory: Any, now: float) -> ApplicationLogs:
    """Read the logs of PM2's applications (and modules), as the source log.applications does."""
    return read_applications(
        options["pm2_home"],
        options["user"],
        options["app_dir"],
        quiet=options["quiet"],
        memory=memory,
        limits=_limits(options),
        modules=options["modules"],
        now=now,
    )


def read_paths(options: Mapping[str, Any], memory: Any, now: float) -> NamedLogs:
    """Read the logs that the option paths names; each log is a subject of its own."""
    remembered, limits = usable(memory), _limits(options)
    kept = empty_memory()
    processes: dict[str, ProcessLogs] = {}
    paths, left_out = expand(options["paths"])
    for path in paths:
        errors = read_process(path, [path], [], remembered, kept, limits, now, float(options["quiet"]))
        processes[path] = {"entries": [], "outputs": [], "unlogged": False, **errors}
    return {"state": pm2_rpc.UP, "problem": "", "user": "", "processes": processes, "left_out": left_out, "read_at": now, "memory": kept}


def _take(name: str, outcomes: Mapping[Any, Outcome], options: Mapping[str, Any], now: float, result: Scan, asked_from: str) -> None:
    """Add the findings, files and counts of one reading to the result."""
    outcome = outcomes[name]
    asked = Asked(options, now, {"log.applications": outcome, "log.ports": outcomes.get("ports", Outcome(value={}))})
    findings = _pm2_findings(asked) if name == "pm2" else _path_findings(asked)
    for finding in findings:
        if not options["areas"] or finding.area in options["areas"] or finding.status == "unknown" or name == "paths":
            complete = replace(finding, asked_from=asked_from, checked_at=stamp(now) or "", duration_ms=outcome.duration_ms)
            result.findings.append(complete.as_dict())
    if outcome.error is not None:
        return
    for subject, about in outcome.value["processes"].items():
        result.files += about["files"]
        for key, group in about["groups"].items():
            _count(subject, group, about["new"].get(key, 0), options["areas"], result)


def _count(subject: str, group: GroupFacts, new: int, areas: Sequence[str] | None, result: Scan) -> None:
    signature = BY_NAME.get(group["name"])
    area = signature.area if signature else UNKNOWN
    if areas and area not in areas:
        return
    code = signature.code or signature.name if signature else UNKNOWN
    if new:
        result.counts[code] = result.counts.get(code, 0) + new
    entry = {
        "name": group["name"],
        "code": signature.code if signature else "",
        "area": area,
        "subject": subject,
        "count": group["count"],
        "new": new,
        "first": stamp(group["first"]),
        "last": stamp(group["last"]),
        "estimated": not group["exact"],
        "sample": group["sample"],
        "details": group["details"],
        "causes": group["causes"],
        "path": group["path"],
    }
    result.signatures.append(entry)


def _pm2_findings(asked: Asked) -> list[Finding]:
    """Return the findings of the checks for PM2's applications."""
    found: list[Finding] = []
    for check in (backend_log.CHECK, worker_log.CHECK):
        try:
            found += check.function(asked)
        except WrongQuestion:
            raise
        except RemediationError as error:
            found.append(from_error(check.id, error))
    return found


def _path_findings(asked: Asked) -> list[Finding]:
    """Return the findings of named logs; no restart ends their errors, so they count until they have been quiet for long enough."""
    try:
        answer: NamedLogs = asked.read("log.applications")
    except RemediationError as error:
        return [from_error(_OF_PATHS, error)]
    found = [unknown(_OF_PATHS, f"{path}: {reason}", subject=path) for path, reason in answer["left_out"].items()]
    for path, about in answer["processes"].items():
        problems = [file["problem"] for file in about["files"] if file["problem"]]
        found += [unknown(_OF_PATHS, f"{path}: {problem}", subject=path) for problem in problems]
        faults = _path_faults(path, about, asked)
        found += faults if faults or problems else [report_no_errors(_OF_PATHS, path, about)]
    return found


def _path_faults(path: str, about: ProcessLogs, asked: Asked) -> list[Finding]:
    """Return one finding for each fault in a named log, of the wanted areas."""
    by_code: dict[str, list[GroupFacts]] = {}
    for group in about["groups"].values():
        signature, code = BY_NAME.get(group["name"]), _path_code(group)
        wanted = not asked.parameters["areas"] or (signature.area if signature else UNKNOWN) in asked.parameters["areas"]
        if code in FAULTS and wanted and not is_over(group, [], asked.now, asked.parameters["quiet"]):
            by_code.setdefault(code, []).append(group)
    found = []
    for code, groups in sorted(by_code.items()):
        port = backend_log.port_of(groups) if code.endswith(".port_conflict") else ""
        finding = report_groups(_report, code, f"{area_of(code)}.log", path, about, groups, {"port": port})
        found.append(replace(finding, remedies=()))
    return found


def _path_code(group: GroupFacts) -> str:
    """Return the fault for a group of errors in a named log.

    Errors of Oracle, SES and files are failures of the application that logs them, as in worker.log; the checks of those areas
    decide whether Oracle itself is faulty. Errors of nginx, LogsDB and a failed start have no such fault and keep their own code.
    """
    signature = BY_NAME.get(group["name"])
    return worker_log.worker_code(group) or (signature.code if signature else "")
