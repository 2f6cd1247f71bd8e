# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the rhythm of the worker's log for a silence that is too long (manual 2, section 5).

Manual 2, section 5: repeated lines "Processing job" are normal, and a line "Scheduler" shows that jobs are created. The usual interval
differs between sites, so a silence is compared with the recent intervals, not with a fixed time. Durations are seconds, times
are epoch seconds; evidence has RFC 3339 in UTC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared import pm2_list
from ..._shared.commands import command
from ..._shared.units import stamp
from .faults import fault
from .read_rhythm import RHYTHM, Rhythm, WorkerRhythm

_CHECK = "worker.rhythm"
PARAMETERS: dict[str, dict[str, Any]] = {
    **pm2_list.HOME_PARAMETERS,
    "answer_within": {
        "type": "float",
        "default": 3.0,
        "description": "Seconds that the PM2 daemon may take to answer before it counts as hung.",
    },
    "process": {
        "type": "str",
        "default": "worker",
        "variable": "stack_worker_process",
        "description": "The name of the worker in PM2's list.",
    },
    "work": {
        "type": "dict",
        "description": "The work that waits and runs: the evidence of logsdb.work. Without it, a silent worker cannot be distinguished from an idle one.",
    },
    "job_text": {"type": "str", "default": "Processing job", "description": "The text that the worker logs when it takes a job."},
    "scheduler_text": {"type": "str", "default": "Scheduler", "description": "The text that the scheduler's log lines contain."},
    "times": {"type": "float", "default": 5.0, "description": "How many times the usual interval a silence may last."},
    "least_silence": {
        "type": "int",
        "default": 300,
        "variable": "stack_worker_least_silence",
        "description": "Seconds of silence that are never too long.",
    },
    "longest_wait": {
        "type": "int",
        "default": 3600,
        "description": "Seconds of silence that are too long while work waits, however rarely the worker usually takes a job.",
    },
    "scheduler_interval": {
        "type": "float",
        "variable": "stack_worker_scheduler_interval",
        "description": (
            "Seconds between two rounds of the scheduler, for logs with too few lines to show it (SCHEDULER_INTERVAL is in milliseconds)."
        ),
    },
}
_NOT_ONLINE = {
    "stopped": "pm2.stopped",
    "stopping": "pm2.stopped",
    "errored": "pm2.errored",
    "waiting restart": "pm2.restart_loop",
    "launching": "pm2.restart_loop",
}


def judge(asked: Asked) -> list[Finding]:
    """Return a fault when the worker takes no jobs while work waits, or when its scheduler is silent."""
    about: WorkerRhythm = asked.read("worker.rhythm")
    name = asked.parameters["process"]
    if about["state"] != "up":
        return [unknown(_CHECK, about["problem"], blocked_by=pm2_list.NO_DAEMON.get(about["state"], ""), subject=name)]
    if not about["status"]:
        return [unknown(_CHECK, f"{name} is not in PM2's list", blocked_by="pm2.missing", subject=name)]
    if about["status"] != "online":
        return [unknown(_CHECK, f"{name} does not run ({about['status']})", blocked_by=_NOT_ONLINE.get(about["status"], ""), subject=name)]
    if not about["logs"]:
        return [unknown(_CHECK, f"PM2 keeps no log of {name}", subject=name)]
    jobs, scheduler = _jobs(asked, about), _scheduler(asked, about)
    if jobs.code == "worker.stalled":
        return [jobs]
    silent = [finding for finding in (scheduler, jobs) if finding.status != "ok"]
    return silent or [ok(_CHECK, name, evidence={"jobs": jobs.evidence, "scheduler": scheduler.evidence})]


def _silence(asked: Asked, about: WorkerRhythm, kind: Literal["jobs", "scheduler"]) -> float:
    """Return the seconds since the last line of a kind, or since the start of the process or of the log when that is later."""
    seen = [about[kind]["last"], about["started_at"]]
    if about[kind]["undated"]:
        seen.append(about["written"])  # no line is later than the last write
    if about[kind]["last"] is None:
        seen.append(about["since"])
    return max(0.0, asked.now - max((moment for moment in seen if moment is not None), default=asked.now))


def _limit(asked: Asked, usual: float | None) -> float:
    return max(asked.parameters["least_silence"], asked.parameters["times"] * (usual or 0.0))


def _scheduler(asked: Asked, about: WorkerRhythm) -> Finding:
    lines, name = about["scheduler"], asked.parameters["process"]
    usual = lines["usual"] if lines["usual"] is not None else asked.parameters.get("scheduler_interval")
    silent, limit = _silence(asked, about, "scheduler"), _limit(asked, usual)
    evidence = {**_measured(lines, usual), "silent_for": round(silent)}
    if silent <= limit:
        return ok(_CHECK, name, evidence=evidence)
    if usual is None:
        found = f"{lines['count']} line(s) with {asked.parameters['scheduler_text']!r}"
        why = "they carry no date" if lines["undated"] else "too few to know the usual interval"
        return unknown(_CHECK, f"the log of {name} has {found}, {why}; give scheduler_interval, or see LOG_LEVEL", subject=name)
    evidence = {**evidence, **_worker_evidence(asked, about), "what": asked.parameters["scheduler_text"]}
    return _report_silence("worker.scheduler_silent", name, silent, limit, evidence)


def _jobs(asked: Asked, about: WorkerRhythm) -> Finding:
    lines, name = about["jobs"], asked.parameters["process"]
    limit = min(_limit(asked, lines["usual"]), max(asked.parameters["longest_wait"], asked.parameters["least_silence"]))
    silent = _silence(asked, about, "jobs")
    evidence = {**_measured(lines, lines["usual"]), "silent_for": round(silent)}
    if silent <= limit:
        return ok(_CHECK, name, evidence=evidence)
    work = asked.parameters.get("work") or {}
    if not isinstance(work.get("waiting"), int):
        reason = work.get("reason") or "whether work waits is not known (logsdb.work was not asked)"
        since = f"{name} has taken no job for {round(silent)} s"
        return unknown(_CHECK, f"{since}, and {reason}", blocked_by=str(work.get("blocked_by") or ""), subject=name)
    evidence["waiting"] = work["waiting"]
    if not work["waiting"] or _age(asked, work.get("waiting_since")) <= limit or _age(asked, work.get("last_activity")) <= limit:
        return ok(_CHECK, name, evidence=evidence)
    evidence.update(_worker_evidence(asked, about), what=asked.parameters["job_text"], waiting_since=work.get("waiting_since"))
    evidence.update(last_activity=work.get("last_activity"), scheduler_silent_for=round(_silence(asked, about, "scheduler")))
    return _report_silence("worker.stalled", name, silent, limit, evidence)


def _report_silence(code: str, name: str, silent: float, limit: float, evidence: Mapping[str, Any]) -> Finding:
    kept = {key: value for key, value in evidence.items() if value not in (None, "")}
    return fault(code, _CHECK, name, evidence=kept, value=round(silent), threshold=round(limit), unit="s")


def _measured(lines: Rhythm, usual: float | None) -> dict[str, Any]:
    return {"last": stamp(lines["last"]), "usual": None if usual is None else round(usual, 1)}


def _worker_evidence(asked: Asked, about: WorkerRhythm) -> dict[str, Any]:
    work = asked.parameters.get("work") or {}
    return {
        "pid": about["pid"],
        "frozen": about["frozen"],
        "log": about["logs"][0],
        "open_runs": work.get("open_runs"),
        "pm2": command(about["user"], asked.parameters["pm2_home"]),
    }


def _age(asked: Asked, moment: Any) -> float:
    """Return the seconds since a time (RFC 3339) of LogsDB, infinity without a usable time."""
    if not isinstance(moment, str):
        return math.inf
    try:
        return asked.now - datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return math.inf


CHECK = Check(
    _CHECK,
    "Does the worker still take jobs while work waits, and does its scheduler make its rounds?",
    judge,
    (RHYTHM,),
    PARAMETERS,
    run_as="app",
)
