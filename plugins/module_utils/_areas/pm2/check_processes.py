# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.processes.

Rules: manual 2, section 3 (stopped, errored and restarting processes); manual 1, section 9 (memory).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..._core.check import Check
from ..._core.errors import RemediationError, WrongQuestion
from ..._core.finding import Finding, ok
from ..._core.source import Asked, Source
from ..._shared import kernel_log
from ..._shared.pm2_list import LIST_PARAMETERS, WANTED_PARAMETERS, Listed, Process, Wanted, wanted
from ..._shared.units import stamp
from .blocked import blocked, unless_intruded
from .evidence import argument, instances_of, read_if_possible, where_of, without_remedies
from .faults import fault
from .history import History, read_histories
from .list_memory import watched_oom
from .read_list import LIST
from .read_log import LOG, DaemonLog, Event
from .restart_loops import Loop, find_loop

ABOUT_TO_START = 3.0  # seconds: PM2 shows "stopped" between an end and its own next start as well
IN_TRANSITION = 10.0  # seconds for which PM2 may show a status other than "online" or "stopped"
LONGEST_TRANSITION = 60.0  # seconds, where kill_timeout or listen_timeout makes PM2 wait longer
KERNEL_CLOCK = 10.0  # seconds by which the kernel's times, counted from boot, may differ from PM2's
MEGABYTE = 1024 * 1024

# Read as the user of the run, usually root: the application's user may not read the kernel's log.
KILLS = Source("host.kills", kernel_log.read_kills)

PARAMETERS: dict[str, dict[str, Any]] = {
    **LIST_PARAMETERS,
    **WANTED_PARAMETERS,
    "restarts": {
        "type": "int",
        "default": 5,
        "description": "Number of unintended ends of one process within the window that make a restart loop.",
    },
    "window": {"type": "int", "default": 600, "description": "Seconds to look back for a restart loop."},
    "quiet": {"type": "int", "default": 300, "description": "Seconds without an end after which a restart loop counts as over."},
    "look_back": {
        "type": "int",
        "default": 86400,
        "description": "Seconds for which a kill or a restart over the memory limit is reported, unless an operator restarts the process.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report for each process that must run the first fault it has: missing, errored, looping, stopped, killed or over its memory."""
    check = "pm2.processes"
    needed = wanted(asked.parameters)
    _validate(asked.parameters)
    listed: Listed = asked.read("pm2.list")
    if listed["state"] != "up":
        return [blocked(check, listed)]
    log: DaemonLog | None = read_if_possible(asked, "pm2.log")
    histories = read_histories(log["events"] if log else [], listed["processes"])
    findings = unless_intruded([_judge_name(asked, one, listed, histories) for one in needed], listed)
    return findings if log and log["present"] else [_without_log(finding) for finding in findings]


def _without_log(finding: Finding) -> Finding:
    """Return the finding with a note: without pm2.log there are no kills, restarts over the memory limit, or earlier loops."""
    unseen = [*finding.evidence.get("not_asked", []), "pm2.log: it is absent or cannot be read"]
    return replace(finding, evidence={**finding.evidence, "not_asked": unseen})


def _validate(parameters: Mapping[str, Any]) -> None:
    """Raise WrongQuestion for a threshold that makes no sense."""
    for name, least in (("restarts", 1), ("window", 1), ("quiet", 0), ("look_back", 1)):
        if parameters[name] < least:
            raise WrongQuestion(name, parameters[name], "is too small", f"give {least} or more")


def _judge_name(asked: Asked, one: Wanted, listed: Listed, histories: Mapping[int, History]) -> Finding:
    entries = instances_of(listed, one.name)
    if len(entries) < one.instances:
        return _missing(asked, one, listed, entries)
    for question in (_errored, _looping, _stopped, _not_online, _killed, _over_memory):
        for entry in entries:
            finding = question(asked, entry, histories.get(entry["pm_id"], History()), listed)
            if finding is not None:
                return finding
    return _running(asked, entries)


def _missing(asked: Asked, one: Wanted, listed: Listed, entries: Sequence[Process]) -> Finding:
    names = sorted({entry["name"] for entry in listed["processes"] if not entry["module"]})[:10]
    evidence = {**where_of(asked, listed), **argument(one.name), "listed": names}
    finding = fault(
        "pm2.missing", "pm2.processes", one.name, evidence=evidence, value=len(entries), threshold=one.instances, unit="processes"
    )
    # A start has no effect on a name of which some instances run.
    return without_remedies(finding, when=bool(entries))


def _state(asked: Asked, entry: Process, listed: Listed, **more: Any) -> dict[str, Any]:
    """Return the evidence of one process, without empty values."""
    evidence = {
        **where_of(asked, listed),
        **argument(entry["name"]),
        "status": entry["status"],
        "pm_id": entry["pm_id"],
        "exit_code": entry["exit_code"],
        "log_line": entry["log_line"],
        **more,
    }
    return {key: value for key, value in evidence.items() if value not in (None, "")}


def _errored(asked: Asked, entry: Process, history: History, listed: Listed) -> Finding | None:
    if entry["status"] != "errored":
        return None
    count, since = (history.gave_up.get("count"), history.gave_up["time"]) if history.gave_up else (None, None)
    more = {"restarts": count or entry["restarts"], "since": stamp(since or entry["started_at"])}
    return fault("pm2.errored", "pm2.processes", entry["name"], evidence=_state(asked, entry, listed, **more))


def _looping(asked: Asked, entry: Process, history: History, listed: Listed) -> Finding | None:
    if entry["status"] in ("stopped", "stopping"):
        return None
    loop = find_loop(asked, entry, history)
    return _loop_finding(asked, entry, listed, loop) if loop else None


def _loop_finding(asked: Asked, entry: Process, listed: Listed, loop: Loop) -> Finding:
    signal = loop.last.get("signal") if loop.last else None
    more = {
        "restarts": loop.ends,
        "minutes": max(1, round((asked.now - loop.since) / 60)),
        "since": stamp(loop.since),
        "uptime": _uptime(asked, entry) if entry["status"] == "online" else None,
        "exit_code": loop.last.get("code", entry["exit_code"]) if loop.last else entry["exit_code"],
        "signal": "" if signal == "SIGINT" else signal,
    }
    return fault(
        "pm2.restart_loop",
        "pm2.processes",
        entry["name"],
        evidence=_state(asked, entry, listed, **more),
        value=loop.ends,
        threshold=asked.parameters["restarts"],
        unit="restarts",
    )


def _stopped(asked: Asked, entry: Process, history: History, listed: Listed) -> Finding | None:
    if entry["status"] != "stopped":
        return None
    how = "unknown"
    kind = history.last["event"] if history.last else ""
    if kind == "stopping":
        how = "operator"
    elif history.last and kind == "exited":
        how = "killed" if history.last.get("signal") == "SIGKILL" else "ended"
    elif entry["exit_code"]:
        how = "ended"
    if how in ("ended", "killed") and entry["autorestart"] and asked.now - (history.last_time or 0.0) < ABOUT_TO_START:
        return None
    more = {"how": how, "since": stamp(history.last_time), "autorestart": entry["autorestart"]}
    if how == "killed":
        more.update(signal="SIGKILL", **_kernel_evidence(asked, listed, history.last_time))
    state = _state(asked, entry, listed, **more)
    if how == "operator":
        state.pop("log_line", None)
    return fault("pm2.stopped", "pm2.processes", entry["name"], evidence=state)


def _not_online(asked: Asked, entry: Process, history: History, listed: Listed) -> Finding | None:
    """Report a process that is neither online nor about to be: in no other status does it do its work."""
    if entry["status"] in ("online", "stopped", "errored") or _in_transition(asked, entry, history):
        return None
    if entry["status"] == "waiting restart" and len(history.ends) > 1:
        return _loop_finding(
            asked, entry, listed, Loop(len(history.ends), history.ends[0]["time"] or entry["started_at"], history.ends[-1])
        )
    how = {"waiting restart": "waiting", "launching": "launching", "stopping": "stopping"}.get(entry["status"], "other")
    more = {"how": how, "since": stamp(history.last_time or entry["started_at"]), "autorestart": entry["autorestart"]}
    return fault("pm2.stopped", "pm2.processes", entry["name"], evidence=_state(asked, entry, listed, **more))


def _in_transition(asked: Asked, entry: Process, history: History) -> bool:
    """Whether a process changed its status just now; an unknown time or one in the future is not just now."""
    allowed = {"stopping": entry["kill_timeout"], "launching": entry["listen_timeout"], "waiting restart": 0.0}.get(entry["status"])
    if allowed is None:
        return False
    since = history.last_time if entry["status"] in ("stopping", "waiting restart") else None
    age = asked.now - (since or entry["started_at"])
    return -IN_TRANSITION <= age < min(max(IN_TRANSITION, allowed), LONGEST_TRANSITION)


def _killed(asked: Asked, entry: Process, history: History, listed: Listed) -> Finding | None:
    kills = _since(history.kills, asked.now - asked.parameters["look_back"])
    if not kills:
        return None
    more = {"kills": len(kills), "signal": "SIGKILL", "since": stamp(kills[-1]["time"]), "uptime": _uptime(asked, entry)}
    evidence = _state(asked, entry, listed, **more, **_kernel_evidence(asked, listed, kills[-1]["time"]))
    evidence.pop("log_line", None)
    return fault("pm2.killed", "pm2.processes", entry["name"], evidence=evidence)


def _kernel_evidence(asked: Asked, listed: Listed, when: float | None) -> dict[str, Any]:
    """Return what the kernel reports about an end at a time (epoch seconds): ``oom_kills oom_then oom_process``.

    oom_kills: kills for memory since boot. oom_then: those at about that time; left out where the kernel's log names none and no two
    runs enclose that time, because the count since boot does not explain a single end.
    oom_process: ``name pid at`` of the kill in the kernel's log that is nearest in time.
    """
    known: dict[str, Any] = {"oom_kills": listed.get("oom_kills")}
    watched = watched_oom(listed, asked.remembered("pm2.list"))
    if when is not None and watched["since"] is not None and watched["since"] <= when:
        known["oom_then"] = sum(number for start, end, number in watched["rises"] if start - 1 <= when <= end + 1)
    logged = _logged_kills(asked)
    if logged is None:
        return {**known, "not_asked": ["kernel log: which process ran out of memory (it is absent, or this user may not read it)"]}
    near = [kill for kill in logged if when is not None and kill["at"] is not None and abs(kill["at"] - when) <= KERNEL_CLOCK]
    if near:
        one = min(near, key=lambda kill: abs(kill["at"] - (when or 0.0)))
        known["oom_process"] = {"name": one["name"], "pid": one["pid"], "at": stamp(one["at"])}
        known["oom_then"] = max(known.get("oom_then", 0), len(near))
    return known


def _logged_kills(asked: Asked) -> list[Mapping[str, Any]] | None:
    """Return the kills in the kernel's log, None where it cannot be read."""
    try:
        return asked.read("host.kills")["killed"]
    except (RemediationError, KeyError):
        return None


def _over_memory(asked: Asked, entry: Process, history: History, listed: Listed) -> Finding | None:
    events = _since(history.memory, asked.now - asked.parameters["look_back"])
    if not events:
        return None
    last = events[-1]
    more = {"restarts": len(events), "since": stamp(last["time"]), "uptime": _uptime(asked, entry), "memory": entry["memory"]}
    evidence = _state(asked, entry, listed, **more)
    evidence.pop("log_line", None)
    return fault(
        "pm2.memory_restart",
        "pm2.processes",
        entry["name"],
        evidence=evidence,
        value=round(last["current"] / MEGABYTE),
        threshold=round(last["limit"] / MEGABYTE),
        unit="MB",
    )


def _since(events: Iterable[Event], oldest: float) -> list[Event]:
    return [event for event in events if event["time"] is not None and event["time"] >= oldest]


def _running(asked: Asked, entries: Sequence[Process]) -> Finding:
    evidence = {
        "status": next((entry["status"] for entry in entries if entry["status"] != "online"), "online"),
        "instances": len(entries),
        "uptime": min(_uptime(asked, entry) for entry in entries),
        "restarts": sum(entry["restarts"] for entry in entries),
        "memory": sum(entry["memory"] for entry in entries),
    }
    return ok("pm2.processes", entries[0]["name"], evidence=evidence)


def _uptime(asked: Asked, entry: Process) -> int:
    return max(0, round(asked.now - entry["started_at"]))


CHECK = Check(
    "pm2.processes",
    "Does each process that must run do so, and stay up?",
    judge,
    (LIST, LOG, KILLS),
    PARAMETERS,
    run_as="app",
)
