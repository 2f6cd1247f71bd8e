# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked about PM2: pure functions of the process list, pm2.log, the dump and the boot unit.

Rules: manual 2 (monitoring), section 3: stopped, errored and restarting processes, startup and save; manual 1
(troubleshooting), section 9: memory. Product facts: the worker never runs as root, secrets are not readable by others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from shlex import quote
from statistics import median
from typing import Any

from ..._core.errors import RemediationError, WrongQuestion
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.commands import command
from ..._shared.pm2_list import END_OF_TIME, HOME_PARAMETERS, LIST_PARAMETERS, NO_DAEMON, WANTED_PARAMETERS, Wanted, saved_asleep, wanted
from .faults import fault

SLOWEST_LOOP = 3600.0  # seconds: a longer time without an end is never part of a loop
BASELINE_AGE = 6 * 3600.0  # seconds: a loop too slow for one interval between runs shows against an older count
STEADY = 2.0  # how many times longer or shorter than the middle one an interval of a slow loop may be
RESTART_GAP = 30.0  # seconds: PM2 itself starts an application again sooner than this, an operator may not
ABOUT_TO_START = 3.0  # seconds: PM2 shows "stopped" between an end and its own next start as well
IN_TRANSITION = 10.0  # seconds for which PM2 may show something else than "online" or "stopped"
LONGEST_TRANSITION = 60.0  # seconds, where PM2 is told to wait longer (kill_timeout, listen_timeout)
MOST_SUBJECTS = 20  # findings of one code: a list of thousands must not become as many lines
MOST_NAMES = 20
MOST_REMEMBERED = 500  # processes
MOST_RISES = 20
MEGABYTE = 1024 * 1024

DAEMON_PARAMETERS = LIST_PARAMETERS
PROCESSES_PARAMETERS: dict[str, dict[str, Any]] = {
    **LIST_PARAMETERS,
    **WANTED_PARAMETERS,
    "restarts": {"type": "int", "default": 5, "description": "Unintended ends of one process within the window that make a restart loop."},
    "window": {"type": "int", "default": 600, "description": "Seconds to look back for a restart loop."},
    "quiet": {"type": "int", "default": 300, "description": "Seconds without an end after which a restart loop counts as over."},
    "look_back": {
        "type": "int",
        "default": 86400,
        "description": "Seconds for which a kill or a restart over the memory limit is reported, unless an operator restarts the process.",
    },
}
SAVED_PARAMETERS: dict[str, dict[str, Any]] = {**LIST_PARAMETERS, **WANTED_PARAMETERS}
STARTUP_PARAMETERS: dict[str, dict[str, Any]] = {
    **HOME_PARAMETERS,
    "unit_dir": {"type": "path", "default": "/etc/systemd/system", "description": "The folder of the boot units."},
}
USER_PARAMETERS: dict[str, dict[str, Any]] = {**LIST_PARAMETERS, **WANTED_PARAMETERS}

KERNEL_CLOCK = 10.0  # seconds by which the kernel's times, counted from boot, may differ from PM2's


@dataclass
class History:
    """What pm2.log says about one process since an operator last touched it.

    ends: unintended ends; kills: those by SIGKILL; memory: restarts over the memory limit; last: the last end or
    intended stop; gave_up: PM2's own giving up. All are events, see ``_pm2_log.parse_events``.
    """

    ends: list[dict[str, Any]] = field(default_factory=list)
    kills: list[dict[str, Any]] = field(default_factory=list)
    memory: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] | None = None
    gave_up: dict[str, Any] | None = None
    stopping: bool = False
    over_memory: bool = False
    ended: bool = False
    started: bool = False

    def forget(self) -> None:
        """Start anew: an operator restarted, reloaded or stopped the process."""
        self.ends.clear()
        self.kills.clear()
        self.memory.clear()
        self.gave_up = None


# --- pm2.daemon


def daemon(asked: Asked) -> list[Finding]:
    """Say whether the daemon runs and answers."""
    check = "pm2.daemon"
    listed = asked.read("pm2.list")
    where = _where(asked, listed)
    if listed["state"] == "up":
        evidence = {"version": listed["version"], "pid": listed["daemon"]["pid"], "processes": len(listed["processes"])}
        return [ok(check, evidence=evidence)]
    if listed["state"] == "hung":
        about = listed.get("daemon") or {}
        evidence = {**where, "pid": about.get("pid"), "frozen": bool(about.get("frozen")), "waited": asked.parameters.get("answer_within")}
        return [fault("pm2.daemon_hung", check, evidence=evidence)]
    if listed["state"] == "denied":
        return [_denied(check, listed)]
    return [fault("pm2.daemon_down", check, evidence={**where, "state": listed["state"], **_rest_of_a_daemon(asked, listed)})]


def _rest_of_a_daemon(asked: Asked, listed: Mapping[str, Any]) -> dict[str, Any]:
    log = _read_if_possible(asked, "pm2.log") or {}
    dump = (_read_if_possible(asked, "pm2.dump") or {}).get("dump", {})
    names = sorted({entry["name"] for entry in dump.get("entries", []) if not entry["module"]})
    return {
        "since": _stamp(log.get("last_write")),
        "saved": names[:MOST_NAMES],
        "dump_problem": _dump_problem(dump),
        "orphans": [f"{orphan['name']} ({orphan['pid']})" for orphan in listed.get("orphans", [])][:MOST_NAMES],
    }


def _read_if_possible(asked: Asked, source: str) -> Any:
    """Return what a source said, None where it could not be read: it only adds to an answer that stands without it."""
    try:
        return asked.read(source)
    except (RemediationError, KeyError):
        return None


# --- pm2.processes


def processes(asked: Asked) -> list[Finding]:
    """Say for each process that must run whether it does, and what state it is in otherwise."""
    check = "pm2.processes"
    needed = wanted(asked.parameters)
    _validate(asked.parameters)
    listed = asked.read("pm2.list")
    if listed["state"] != "up":
        return [_blocked(check, listed)]
    log = _read_if_possible(asked, "pm2.log") or {"events": [], "present": False}
    histories = read_histories(log["events"], listed["processes"])
    findings = _unless_intruded([_about(asked, one, listed, histories) for one in needed], listed)
    return findings if log["present"] else [_without_log(finding) for finding in findings]


def _intruded(listed: Mapping[str, Any]) -> bool:
    """Whether somebody runs a daemon as root in another user's PM2_HOME: that user's own commands cannot reach it."""
    return bool(listed.get("daemon")) and listed["daemon"]["uid"] == 0 and listed["user"] != "root"


def _unless_intruded(findings: Sequence[Finding], listed: Mapping[str, Any]) -> list[Finding]:
    """Give way to pm2.runs_as_root: under root's daemon no other remedy can work before that one is gone."""
    if not _intruded(listed):
        return list(findings)
    return [finding if finding.status == "ok" else _behind_intruder(finding) for finding in findings]


def _behind_intruder(finding: Finding) -> Finding:
    return unknown(
        finding.check,
        f"root's PM2 daemon in the PM2_HOME of another user says {finding.code}; that daemon must go first",
        blocked_by="pm2.runs_as_root",
        subject=finding.subject,
    )


def _without_log(finding: Finding) -> Finding:
    """Name what a list alone cannot tell: loops before the last run, kills, restarts over the memory limit."""
    unseen = [*finding.evidence.get("not_asked", []), "pm2.log: it is absent or cannot be read"]
    return replace(finding, evidence={**finding.evidence, "not_asked": unseen})


def _validate(parameters: Mapping[str, Any]) -> None:
    """Refuse numbers that no list could fulfil; raises WrongQuestion."""
    for name, least in (("restarts", 1), ("window", 1), ("quiet", 0), ("look_back", 1)):
        if parameters[name] < least:
            raise WrongQuestion(name, parameters[name], "is too small", f"give {least} or more")


def _about(asked: Asked, one: Wanted, listed: Mapping[str, Any], histories: Mapping[int, History]) -> Finding:
    entries = _entries(listed, one.name)
    if len(entries) < one.instances:
        return _missing(asked, one, listed, entries)
    for question in (_errored, _looping, _stopped, _not_online, _killed, _over_memory):
        for entry in entries:
            finding = question(asked, entry, histories.get(entry["pm_id"], History()), listed)
            if finding is not None:
                return finding
    return _running(asked, entries)


def _entries(listed: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return [entry for entry in listed["processes"] if entry["name"] == name and not entry["module"]]


def _missing(asked: Asked, one: Wanted, listed: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Finding:
    names = sorted({entry["name"] for entry in listed["processes"] if not entry["module"]})[:10]
    evidence = {**_where(asked, listed), **_argument(one.name), "listed": names}
    finding = fault(
        "pm2.missing", "pm2.processes", one.name, evidence=evidence, value=len(entries), threshold=one.instances, unit="processes"
    )
    # A start does nothing for a name of which some instances run.
    return _without_remedies(finding, when=bool(entries))


def _state(asked: Asked, entry: Mapping[str, Any], listed: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    evidence = {
        **_where(asked, listed),
        **_argument(entry["name"]),
        "status": entry["status"],
        "pm_id": entry["pm_id"],
        "exit_code": entry["exit_code"],
        "log_line": entry["log_line"],
        **more,
    }
    return {key: value for key, value in evidence.items() if value not in (None, "")}


def _errored(asked: Asked, entry: Mapping[str, Any], history: History, listed: Mapping[str, Any]) -> Finding | None:
    if entry["status"] != "errored":
        return None
    gave_up = history.gave_up or {}
    more = {"restarts": gave_up.get("count") or entry["restarts"], "since": _stamp(gave_up.get("time") or entry["started_at"])}
    return fault("pm2.errored", "pm2.processes", entry["name"], evidence=_state(asked, entry, listed, **more))


def _looping(asked: Asked, entry: Mapping[str, Any], history: History, listed: Mapping[str, Any]) -> Finding | None:
    if entry["status"] in ("stopped", "stopping"):
        return None
    measured = _loop_in_log(asked, history) or _slow_loop_in_log(asked, history) or _loop_in_counter(asked, entry)
    return _loop(asked, entry, listed, measured) if measured else None


def _loop(asked: Asked, entry: Mapping[str, Any], listed: Mapping[str, Any], measured: tuple[int, float, Mapping[str, Any]]) -> Finding:
    count, since, last = measured
    more = {
        "restarts": count,
        "minutes": max(1, round((asked.now - since) / 60)),
        "since": _stamp(since),
        "uptime": _uptime(asked, entry) if entry["status"] == "online" else None,
        "exit_code": last.get("code", entry["exit_code"]),
        "signal": "" if last.get("signal") == "SIGINT" else last.get("signal"),
    }
    return fault(
        "pm2.restart_loop",
        "pm2.processes",
        entry["name"],
        evidence=_state(asked, entry, listed, **more),
        value=count,
        threshold=asked.parameters["restarts"],
        unit="restarts",
    )


def _loop_in_log(asked: Asked, history: History) -> tuple[int, float, Mapping[str, Any]] | None:
    """Return number, time of the first and the last end, when pm2.log shows a loop that is not over."""
    oldest = asked.now - asked.parameters["window"]
    recent = [end for end in history.ends if end["time"] is not None and oldest <= end["time"] <= asked.now + 60]
    if len(recent) < asked.parameters["restarts"] or asked.now - recent[-1]["time"] >= asked.parameters["quiet"]:
        return None
    return len(recent), recent[0]["time"], recent[-1]


def _slow_loop_in_log(asked: Asked, history: History) -> tuple[int, float, Mapping[str, Any]] | None:
    """Return the same for a loop slower than the window: as many ends at a steady rhythm, the next one not overdue.

    An application that ends every half hour does so with a cause, such as a leak or a timer. Ends without a rhythm
    are not taken for a loop.
    """
    oldest = asked.now - asked.parameters["look_back"]
    recent = [end for end in history.ends if end["time"] is not None and oldest <= end["time"] <= asked.now + 60]
    needed = max(asked.parameters["restarts"], 3)
    if len(recent) < needed:
        return None
    times = [end["time"] for end in recent[-needed:]]
    intervals = [later - earlier for earlier, later in zip(times, times[1:])]
    usual = median(intervals)
    if not usual / STEADY <= min(intervals) <= max(intervals) <= usual * STEADY:
        return None
    if asked.now - times[-1] >= min(STEADY * usual, SLOWEST_LOOP):
        return None
    return len(recent), recent[0]["time"], recent[-1]


def _loop_in_counter(asked: Asked, entry: Mapping[str, Any]) -> tuple[int, float, Mapping[str, Any]] | None:
    """Return number, time of an earlier run and no event, when the restart counter grew since then.

    An older count than the last run's is used where pm2.log does not reach back as far: it tells of slow loops.
    """
    remembered = asked.remembered("pm2.list")
    if not isinstance(remembered, Mapping):
        return None
    baseline = remembered.get("baseline")
    log = _read_if_possible(asked, "pm2.log") or {}
    known = isinstance(baseline, Mapping) and isinstance(log.get("since"), (int, float)) and log["since"] <= _number(baseline.get("at"))
    for earlier in (remembered, None if known else baseline):
        found = _loop_since(asked, entry, earlier)
        if found:
            return found
    return None


def _number(value: Any) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0


def _loop_since(asked: Asked, entry: Mapping[str, Any], earlier: Any) -> tuple[int, float, Mapping[str, Any]] | None:
    """Return a loop since an earlier run.

    PM2 renews ``created_at`` when an operator restarts, so the counter under the same one grows by ends alone.
    A slow loop counts as over after twice its own interval, an hour at most.
    """
    if not isinstance(earlier, Mapping) or not isinstance(earlier.get("restarts"), Mapping) or not entry["created_at"]:
        return None
    before, at = earlier["restarts"].get(_identity(entry)), _number(earlier.get("at"))
    if not isinstance(before, int) or not 0 < at < asked.now:
        return None
    count = entry["restarts"] - before
    if count < asked.parameters["restarts"]:
        return None
    interval = (asked.now - at) / count
    over_after = max(asked.parameters["quiet"], min(2 * interval, SLOWEST_LOOP))
    if asked.now - entry["started_at"] >= over_after:
        return None
    return count, at, {}


def _stopped(asked: Asked, entry: Mapping[str, Any], history: History, listed: Mapping[str, Any]) -> Finding | None:
    last = history.last or {}
    if entry["status"] != "stopped":
        return None
    how = "unknown"
    if last.get("event") == "stopping":
        how = "operator"
    elif last.get("event") == "exited":
        how = "killed" if last.get("signal") == "SIGKILL" else "ended"
    elif entry["exit_code"]:
        how = "ended"
    if how in ("ended", "killed") and entry["autorestart"] and asked.now - (last.get("time") or 0.0) < ABOUT_TO_START:
        return None
    more = {"how": how, "since": _stamp(last.get("time")), "autorestart": entry["autorestart"]}
    if how == "killed":
        more.update(signal="SIGKILL", **_memory_of_the_kernel(asked, listed, last.get("time")))
    state = _state(asked, entry, listed, **more)
    if how == "operator":
        state.pop("log_line", None)
    return fault("pm2.stopped", "pm2.processes", entry["name"], evidence=state)


def _not_online(asked: Asked, entry: Mapping[str, Any], history: History, listed: Mapping[str, Any]) -> Finding | None:
    """Report a process that is neither online nor on its way there: whatever PM2 calls it, it does no work."""
    if entry["status"] in ("online", "stopped", "errored") or _in_transition(asked, entry, history):
        return None
    last = history.last or {}
    if entry["status"] == "waiting restart" and len(history.ends) > 1:
        return _loop(asked, entry, listed, (len(history.ends), history.ends[0]["time"] or entry["started_at"], history.ends[-1]))
    how = {"waiting restart": "waiting", "launching": "launching", "stopping": "stopping"}.get(entry["status"], "other")
    more = {"how": how, "since": _stamp(last.get("time") or entry["started_at"]), "autorestart": entry["autorestart"]}
    return fault("pm2.stopped", "pm2.processes", entry["name"], evidence=_state(asked, entry, listed, **more))


def _in_transition(asked: Asked, entry: Mapping[str, Any], history: History) -> bool:
    """Whether a process came into its state only just now; a time that is not known, or lies ahead, is not just now."""
    allowed = {"stopping": entry["kill_timeout"], "launching": entry["listen_timeout"], "waiting restart": 0.0}.get(entry["status"])
    if allowed is None:
        return False
    last = history.last or {}
    since = last.get("time") if entry["status"] in ("stopping", "waiting restart") else None
    age = asked.now - (since or entry["started_at"])
    return -IN_TRANSITION <= age < min(max(IN_TRANSITION, allowed), LONGEST_TRANSITION)


def _killed(asked: Asked, entry: Mapping[str, Any], history: History, listed: Mapping[str, Any]) -> Finding | None:
    kills = _since(history.kills, asked.now - asked.parameters["look_back"])
    if not kills:
        return None
    more = {"kills": len(kills), "signal": "SIGKILL", "since": _stamp(kills[-1]["time"]), "uptime": _uptime(asked, entry)}
    evidence = _state(asked, entry, listed, **more, **_memory_of_the_kernel(asked, listed, kills[-1]["time"]))
    evidence.pop("log_line", None)
    return fault("pm2.killed", "pm2.processes", entry["name"], evidence=evidence)


def _memory_of_the_kernel(asked: Asked, listed: Mapping[str, Any], when: float | None) -> dict[str, Any]:
    """Return the kernel's word about an end at some time: ``oom_kills`` (since boot) ``oom_then`` (about that time) ``oom_process``.

    ``oom_then`` is missing where neither its log names one nor two runs stand around that time: the count since boot says nothing
    about one end. ``oom_process``: ``name pid at`` of the log's kill that is nearest in time.
    """
    known: dict[str, Any] = {"oom_kills": listed.get("oom_kills")}
    watched = _watched_oom(listed, asked.remembered("pm2.list"))
    if when is not None and watched["since"] is not None and watched["since"] <= when:
        known["oom_then"] = sum(number for start, end, number in watched["rises"] if start - 1 <= when <= end + 1)
    logged = _logged_kills(asked)
    if logged is None:
        return {**known, "not_asked": ["kernel log: which process ran out of memory (it is absent, or this user may not read it)"]}
    near = [kill for kill in logged if when is not None and kill["at"] is not None and abs(kill["at"] - when) <= KERNEL_CLOCK]
    if near:
        one = min(near, key=lambda kill: abs(kill["at"] - (when or 0.0)))
        known["oom_process"] = {"name": one["name"], "pid": one["pid"], "at": _stamp(one["at"])}
        known["oom_then"] = max(known.get("oom_then", 0), len(near))
    return known


def _logged_kills(asked: Asked) -> list[Mapping[str, Any]] | None:
    """Return what the kernel's log names, None where it cannot be read."""
    try:
        return asked.read("host.kills")["killed"]
    except (RemediationError, KeyError):
        return None


def _watched_oom(listed: Mapping[str, Any], former: Any) -> dict[str, Any]:
    """Return ``count`` (since boot) ``since`` (from when it is watched) ``rises`` ([from, to, number]) of the kernel's count."""
    kept = former.get("oom") if isinstance(former, Mapping) else None
    kept = kept if isinstance(kept, Mapping) else {}
    count, now = listed.get("oom_kills"), listed["read_at"]
    before, at, rises = kept.get("count"), _number(kept.get("at")), kept.get("rises")
    if not isinstance(count, int) or not isinstance(before, int) or not isinstance(rises, list) or count < before or not 0 < at <= now:
        return {"count": count, "at": now, "since": now if isinstance(count, int) else None, "rises": []}
    rises = [rise for rise in rises if isinstance(rise, list) and len(rise) == 3]
    if count > before:
        rises = [*rises, [at, now, count - before]][-MOST_RISES:]
    since = max(_number(kept.get("since")), rises[0][0] if len(rises) == MOST_RISES else 0.0)
    return {"count": count, "at": now, "since": since, "rises": rises}


def _over_memory(asked: Asked, entry: Mapping[str, Any], history: History, listed: Mapping[str, Any]) -> Finding | None:
    events = _since(history.memory, asked.now - asked.parameters["look_back"])
    if not events:
        return None
    last = events[-1]
    more = {"restarts": len(events), "since": _stamp(last["time"]), "uptime": _uptime(asked, entry), "memory": entry["memory"]}
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


def _since(events: Iterable[Mapping[str, Any]], oldest: float) -> list[Mapping[str, Any]]:
    return [event for event in events if event["time"] is not None and event["time"] >= oldest]


def _running(asked: Asked, entries: Sequence[Mapping[str, Any]]) -> Finding:
    evidence = {
        "status": next((entry["status"] for entry in entries if entry["status"] != "online"), "online"),
        "instances": len(entries),
        "uptime": min(_uptime(asked, entry) for entry in entries),
        "restarts": sum(entry["restarts"] for entry in entries),
        "memory": sum(entry["memory"] for entry in entries),
    }
    return ok("pm2.processes", entries[0]["name"], evidence=evidence)


def _uptime(asked: Asked, entry: Mapping[str, Any]) -> int:
    return max(0, round(asked.now - entry["started_at"]))


def read_histories(events: Sequence[Mapping[str, Any]], listed: Sequence[Mapping[str, Any]]) -> dict[int, History]:
    """Return the history of each process by its pm_id.

    A stop that someone asked for, a start without an end before it, and a start long after an end are an
    operator's: they reset the history. PM2's own restart over the memory limit looks like one and is not.
    """
    about = {entry["pm_id"]: entry for entry in listed}
    histories: dict[int, History] = {}
    ended_last: int | None = None
    for event in events:
        if event["event"] == "daemon_started":
            histories.clear()
        elif event["event"] == "gave_up":
            if ended_last in histories:
                histories[ended_last].gave_up = dict(event)
        elif isinstance(event.get("pm_id"), int):
            history = histories.setdefault(event["pm_id"], History())
            _take(history, dict(event), about.get(event["pm_id"], {}))
            if event["event"] == "exited":
                ended_last = event["pm_id"]
    return histories


def _take(history: History, event: dict[str, Any], entry: Mapping[str, Any]) -> None:
    kind = event["event"]
    if kind == "memory_restart":
        history.memory.append(event)
        history.over_memory = True
    elif kind == "stopping":
        if not history.over_memory:
            history.forget()
        history.stopping, history.last = True, event
    elif kind == "exited":
        _take_end(history, event)
    elif kind == "starting":
        if not history.over_memory and _started_by_operator(history, event, entry):
            history.forget()
        history.started, history.ended, history.stopping, history.over_memory = True, False, False, False


def _take_end(history: History, event: dict[str, Any]) -> None:
    history.ended = True
    if history.stopping:
        return
    history.last = event
    history.ends.append(event)
    if event.get("signal") == "SIGKILL":
        history.kills.append(event)


def _started_by_operator(history: History, event: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    if history.gave_up is not None or entry.get("autorestart") is False:
        return True
    if not history.ended:
        return history.started
    last = history.last or {}
    if event["time"] is None or last.get("time") is None:
        return False
    return event["time"] - last["time"] > RESTART_GAP + entry.get("restart_delay", 0.0)


# --- pm2.saved


def saved(asked: Asked) -> list[Finding]:
    """Say whether a reboot would bring back what runs now, and whether the dump keeps its secrets."""
    check = "pm2.saved"
    needed = wanted(asked.parameters)
    files = asked.read("pm2.dump")
    listed = asked.read("pm2.list")
    where = _where(asked, listed)
    found = [_readable(file, where) for file in files.values() if file["exposed"]]
    if (listed.get("socket") or {}).get("open"):
        found.append(_open_socket(listed["socket"], where))
    if listed["state"] != "up":
        return [*found, _blocked(check, listed)]
    differing = _unless_intruded(_unsaved(files["dump"], listed, needed, where), listed)
    if not differing:
        evidence = {"saved": len(files["dump"]["entries"]), "saved_at": _stamp(files["dump"]["saved_at"])}
        differing = [ok(check, evidence=evidence)]
    return [*differing, *found]


def _readable(file: Mapping[str, Any], where: Mapping[str, Any]) -> Finding:
    evidence = {**where, "path": file["path"], "mode": file["mode"], "owner": file["owner"], "wanted_mode": "0600"}
    return fault("pm2.dump_readable", "pm2.saved", file["path"], evidence={**evidence, **_argument(file["path"])})


def _open_socket(socket: Mapping[str, Any], where: Mapping[str, Any]) -> Finding:
    """Report a socket that everybody may write to: PM2 tells its whole list through it, and does what it is told."""
    evidence = {**where, "kind": "socket", "path": socket["path"], "mode": socket["mode"], "owner": socket["owner"]}
    finding = fault("pm2.dump_readable", "pm2.saved", socket["path"], evidence={**evidence, **_argument(socket["path"])})
    return _without_remedies(finding, when=True)


def _dump_problem(dump: Mapping[str, Any]) -> str:
    """Return absent, unusable or empty, "" when the dump can bring something back."""
    if not dump.get("present"):
        return "absent"
    if dump.get("problem"):
        return "unusable"
    return "" if any(not entry["module"] for entry in dump.get("entries", [])) else "empty"


def _unsaved(dump: Mapping[str, Any], listed: Mapping[str, Any], needed: Sequence[Wanted], where: Mapping[str, Any]) -> list[Finding]:
    running = [entry for entry in listed["processes"] if not entry["module"]]
    problem = _dump_problem(dump)
    if problem:
        names = sorted({entry["name"] for entry in running})[:MOST_NAMES]
        kind = dump.get("kind") or "file"
        evidence = {**where, "problem": problem, "detail": dump["problem"], "kind": kind, "path": dump["path"], "listed": names}
        finding = fault("pm2.not_saved", "pm2.saved", evidence={**evidence, **_argument(dump["path"])})
        return [_without_remedies(finding, when=not running or (kind != "file" and problem == "unusable"))]
    now, then = _by_name(running), _by_name(entry for entry in dump["entries"] if not entry["module"])
    needs = {one.name: one for one in needed}
    findings = []
    for name in sorted({*now, *then}, key=lambda name: (name not in needs, name)):
        findings += _differences(name, now.get(name, []), then.get(name, []), needs.get(name), where)
    return _at_most(findings, where)


def _by_name(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        found.setdefault(entry["name"], []).append(entry)
    return found


def _at_most(findings: Sequence[Finding], where: Mapping[str, Any]) -> list[Finding]:
    """Keep so many findings of each code, and say of the rest only how many they are (``evidence.more``)."""
    kept = []
    for code in dict.fromkeys(finding.code for finding in findings):
        same = [finding for finding in findings if finding.code == code]
        kept += same[:MOST_SUBJECTS]
        if len(same) > MOST_SUBJECTS:
            kept.append(fault(code, "pm2.saved", evidence={**where, "more": len(same) - MOST_SUBJECTS}))
    return kept


def _differences(
    name: str, now: Sequence[Mapping[str, Any]], then: Sequence[Mapping[str, Any]], need: Wanted | None, where: Mapping[str, Any]
) -> list[Finding]:
    if not then:
        return [fault("pm2.not_saved", "pm2.saved", name, evidence={**where, **_argument(name), "problem": "not_in_dump"})]
    found = [difference for difference in _compared(now, then) if difference]
    by_hand = bool(need and need.exec_mode and any(entry["exec_mode"] != need.exec_mode for entry in now))
    if by_hand and need:
        found.append({"field": "wanted_mode", "now": now[0]["exec_mode"], "saved": need.exec_mode})
    if not found:
        return []
    evidence = {**where, **_argument(name), "differences": found, "only_wanted": [one["field"] for one in found] == ["wanted_mode"]}
    finding = fault("pm2.dump_differs", "pm2.saved", name, evidence=evidence)
    return [_without_remedies(finding, when=by_hand or (need is not None and not now))]


def _compared(now: Sequence[Mapping[str, Any]], then: Sequence[Mapping[str, Any]]) -> Iterable[dict[str, Any] | None]:
    """Yield how the instances of one name differ from what is saved; merely being stopped now is no difference."""
    if not now:
        yield {"field": "not_running", "now": 0, "saved": len(then)}
        return
    if len(now) != len(then):
        yield {"field": "instances", "now": len(now), "saved": len(then)}
    for key, label in (("script", "script"), ("exec_mode", "mode")):
        here, there = sorted({entry[key] for entry in now}), sorted({entry[key] for entry in then})
        if here != there:
            yield {"field": label, "now": _joined(here), "saved": _joined(there)}
    if saved_asleep(now, then):
        yield {"field": "stopped", "now": "running", "saved": "stopped"}


def _joined(values: Sequence[str]) -> str:
    return ", ".join([*values[:3], "…"] if len(values) > 3 else values)


def _without_remedies(finding: Finding, *, when: bool) -> Finding:
    """Take the remedies away where saving what runs now would not mend it."""
    return replace(finding, remedies=()) if when else finding


# --- pm2.startup


def startup(asked: Asked) -> list[Finding]:
    """Say whether PM2 comes back after a reboot: an enabled boot unit for this user and this PM2_HOME."""
    check = "pm2.startup"
    unit = asked.read("pm2.startup")
    where = {
        "pm2_home": quote(unit["wanted_home"]),
        "user": unit["wanted_user"],
        "unit": unit.get("path") or unit["expected"],
        "unit_dir": unit["unit_dir"],
    }
    reason = _no_unit(unit)
    if reason:
        return [fault("pm2.startup_missing", check, evidence={**where, "reason": reason})]
    problems = _wrong_unit(unit)
    if problems:
        seen = {"unit_user": unit["user"], "unit_home": unit["pm2_home"], "unit_command": unit["command"], "unit_path": unit["path_dirs"]}
        return [fault("pm2.startup_wrong", check, evidence={**where, "problems": problems, **seen})]
    return [ok(check, evidence={"unit": unit["path"]})]


def _no_unit(unit: Mapping[str, Any]) -> str:
    if not unit["unit_dir_present"]:
        return "no_systemd"
    if not unit["present"]:
        return "absent"
    if unit["masked"]:
        return "masked"
    return "" if unit["enabled"] else "not_enabled"


def _wrong_unit(unit: Mapping[str, Any]) -> list[str]:
    problems = {
        "user": unit["user"] != unit["wanted_user"],
        "home": not unit["home_matches"],
        "command": not unit["command_exists"],
        "resurrect": not unit["resurrects"],
        "path": not unit["node_found"],
    }
    return [name for name, wrong in problems.items() if wrong]


# --- pm2.user


def user(asked: Asked) -> list[Finding]:
    """Say for each process that must run whether it runs as root (product facts: it never may)."""
    check = "pm2.user"
    needed = wanted(asked.parameters)
    listed = asked.read("pm2.list")
    if listed["state"] != "up":
        return [_blocked(check, listed)]
    return [_runs_as(asked, one.name, listed) for one in needed]


def _runs_as(asked: Asked, name: str, listed: Mapping[str, Any]) -> Finding:
    entries = _entries(listed, name)
    if not entries and _intruded(listed):
        evidence = {**_where(asked, listed), **_argument(name), "running": False, "intruder": True}
        return fault("pm2.runs_as_root", "pm2.user", name, evidence=evidence)
    if not entries:
        return unknown("pm2.user", f"{name} is not in PM2's list", blocked_by="pm2.missing", subject=name)
    for entry in entries:
        if _is_root(entry, listed):
            # A daemon of root in another user's PM2_HOME is somebody's slip, and another way out.
            more = {"pid": entry["pid"], "running": entry["uid"] is not None, "intruder": _intruded(listed)}
            evidence = {**_where(asked, listed), **_argument(name), **more}
            return fault("pm2.runs_as_root", "pm2.user", name, evidence=evidence)
    return ok("pm2.user", name, evidence={"uid": entries[0]["uid"]})


def _is_root(entry: Mapping[str, Any], listed: Mapping[str, Any]) -> bool:
    """Whether a process runs as root; for one that does not run, whether it would: PM2's own user unless told otherwise."""
    if entry["uid"] is not None:
        return entry["uid"] == 0
    if entry["run_as"]:
        return entry["run_as"] in ("0", "root")
    return listed["daemon"]["uid"] == 0


# --- shared


def remember_list(listed: Mapping[str, Any], former: Any = None) -> dict[str, Any]:
    """Return what the next run needs of a list.

    ``at`` (epoch seconds) and ``restarts`` by pm_id and created_at; ``baseline`` and ``pending``: the same of earlier
    runs (the baseline is some hours old, the pending one takes its place); ``oom``: see :func:`_watched_oom`.
    """
    known = [entry for entry in listed["processes"] if entry["created_at"]][:MOST_REMEMBERED]
    now = {"at": listed["read_at"], "restarts": {_identity(entry): entry["restarts"] for entry in known}}
    former = former if isinstance(former, Mapping) else {}
    baseline, pending = (_earlier(former.get(name), now["at"]) for name in ("baseline", "pending"))
    if baseline is None:
        baseline, pending = now, None
    elif pending is None and now["at"] - baseline["at"] >= BASELINE_AGE:
        pending = now
    elif pending is not None and now["at"] - pending["at"] >= BASELINE_AGE:
        baseline, pending = pending, now
    return {**now, "baseline": baseline, "pending": pending, "oom": _watched_oom(listed, former)}


def _earlier(kept: Any, now: float) -> dict[str, Any] | None:
    if not isinstance(kept, Mapping) or not isinstance(kept.get("restarts"), Mapping):
        return None
    return dict(kept) if 0 < _number(kept.get("at")) <= now else None


def _identity(entry: Mapping[str, Any]) -> str:
    return f"{entry['pm_id']}:{entry['created_at']}"


def _blocked(check: str, listed: Mapping[str, Any]) -> Finding:
    if listed["state"] == "denied":
        return _denied(check, listed)
    return unknown(check, listed["problem"], blocked_by=NO_DAEMON[listed["state"]])


def _denied(check: str, listed: Mapping[str, Any]) -> Finding:
    return unknown(check, f"{listed['problem']}; run as root or as {listed.get('keeper') or 'the user that started PM2'}")


def _where(asked: Asked, listed: Mapping[str, Any]) -> dict[str, str]:
    """Return what a person needs for the next command: PM2_HOME, its user, and how to call PM2 for them."""
    home, name = asked.parameters["pm2_home"], listed["user"]
    where = {"pm2_home": home, "user": name, "pm2": command(name, home)}
    return where if quote(home) == home else {**where, "home_argument": quote(home)}


def _argument(text: str) -> dict[str, str]:
    """Return ``argument``, a name or path as a shell takes it, where that is not the text itself."""
    return {"argument": quote(text)} if quote(text) != text else {}


def _stamp(moment: Any) -> str | None:
    """Return a time (epoch seconds) as RFC 3339 in UTC, None when it is not known."""
    if not isinstance(moment, (int, float)) or not 0 < moment < END_OF_TIME:
        return None
    return datetime.fromtimestamp(moment, tz=timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
