# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about nginx: pure functions of what was read (manual 1 section 8, manual 2 section 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..._core.errors import RemediationError
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.http_client import stamp
from .faults import fault

LOOK_BACK = 24 * 3600  # seconds of the error log that count when there was no run before
JUST_WRITTEN = 1.0  # seconds between a change of a file and the start of the workers that are no difference
LATE_WORD = 600.0  # seconds before now within which the last [emerg] says why nginx does not run

_WHERE = {
    "executable": {"type": "path", "description": "The program nginx, by default found in PATH and the usual folders."},
    "conf": {"type": "path", "description": "Path of nginx.conf, by default the one that nginx was built with."},
    "prefix": {
        "type": "path",
        "description": "Folder that relative paths of the configuration start from (nginx -p), by default nginx's own.",
    },
}
_STATE = {
    **_WHERE,
    "pid_file": {"type": "path", "description": "Path of the pid file, by default what the configuration says."},
    "error_log": {"type": "path", "description": "Path of the main error log, by default what the configuration says."},
}
RUNNING_PARAMETERS = {
    **_STATE,
    "status_url": {"type": "str", "description": "Address of a stub_status page on this host, for its figures."},
}
CONFIG_PARAMETERS = _STATE
RESTARTS_PARAMETERS = _STATE
LOADED_PARAMETERS = _STATE


# --- nginx.running


def running(asked: Asked) -> list[Finding]:
    """Say whether nginx runs; its figures of the last day or since the last run are evidence."""
    state = asked.read("nginx.state")
    if state["master"] is None:
        return [fault("nginx.stopped", "nginx.running", evidence={**_where(state), **_last_words(asked, state)})]
    master = state["master"]
    evidence: dict[str, Any] = {
        "pid": master["pid"],
        "since": stamp(master["started"]),
        "version": state["version"],
        "workers": len([worker for worker in master["workers"] if not worker["leaving"]]),
    }
    unread = _unread_log(state)
    if not unread or state["log"]["events"]:
        evidence["gateway_errors"] = _gateway_errors(_recent(asked, state))
    if unread:
        evidence["not_asked"] = [unread]
    figures = _figures(asked)
    if figures:
        evidence["connections"] = figures
    return [ok("nginx.running", evidence=evidence)]


def _figures(asked: Asked) -> Mapping[str, int]:
    """Return stub_status, nothing where it does not answer: it only adds to an answer that stands without it."""
    try:
        return asked.read("nginx.status")
    except (RemediationError, KeyError):
        return {}


def _gateway_errors(events: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counts = {"502": 0, "504": 0}
    for event in events:
        if event["kind"] in counts:
            counts[event["kind"]] += 1
    return counts


def _last_words(asked: Asked, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return when and how nginx ended, and what it said last, as far as the log tells."""
    events = state["log"]["events"]
    ends = [event for event in events if event["kind"] == "told_to_end"]
    starts = [event for event in events if event["kind"] == "started"]
    told = bool(ends) and (not starts or events.index(ends[-1]) > events.index(starts[-1]))
    late = [event for event in events if event["kind"] == "emerg" and event["time"] and asked.now - event["time"] < LATE_WORD]
    words: dict[str, Any] = {"how": "told" if told else "unknown", "since": stamp(ends[-1]["time"]) if told else None}
    if late:
        words["log_line"] = late[-1]["text"]
    if not state["log"]["readable"]:  # one that is absent is no riddle here: a new nginx makes it when it starts
        words["not_asked"] = [_unread_log(state)]
    return words


# --- nginx.config


def config(asked: Asked) -> list[Finding]:
    """Say whether nginx would start with its configuration as it lies there: no mistake, and its ports free or its own."""
    check = "nginx.config"
    test, state = asked.read("nginx.test"), asked.read("nginx.state")
    found = [_conflict(entry, state) for entry in state["ports"] if entry["held"] == "other"]
    evidence: dict[str, Any] = {"conf": state["conf"], "files": state["files"], "warnings": test["warnings"]}
    if not test["good"] and test["denied"]:
        if not test["parsed"]:
            return [*found, unknown(check, f"nginx's own test may not be judged by this user: {test['message']}; run as root")]
        evidence["not_asked"] = [test["message"]]
    elif not test["good"]:
        more = {"file": test["file"] or state["conf"], "line": test["line"] or None, "message": test["message"]}
        evidence = {**_where(state), **more, "running": state["master"] is not None}
        found.append(fault("nginx.config_invalid", check, evidence={key: value for key, value in evidence.items() if value is not None}))
    found += [_foreign(entry, state) for entry in state["ports"] if not entry["here"]]
    return found or [ok(check, evidence=evidence)]


def _foreign(entry: Mapping[str, Any], state: Mapping[str, Any]) -> Finding:
    message = f"listen {entry['address']}:{entry['port']}: this host does not have the address"
    return fault(
        "nginx.config_invalid", "nginx.config", evidence={**_where(state), "message": message, "running": state["master"] is not None}
    )


def _conflict(entry: Mapping[str, Any], state: Mapping[str, Any]) -> Finding:
    holder = entry["holder"]
    evidence = {**_where(state), "port": entry["port"], "user": holder["user"], "running": state["master"] is not None}
    if holder["pid"]:
        evidence.update(pid=holder["pid"], program=holder["program"])
    else:
        evidence["not_asked"] = ["which process holds the port: only root may see it"]
    return fault("nginx.port_conflict", "nginx.config", f"{entry['address'] or '*'}:{entry['port']}", evidence=evidence)


# --- nginx.restarts


def restarts(asked: Asked) -> list[Finding]:
    """Say whether nginx or one of its workers died since the last run (without one: in the last day) and was started again."""
    check = "nginx.restarts"
    state = asked.read("nginx.state")
    if state["master"] is None:
        return [_stopped(check)]
    events = _recent(asked, state)
    found = []
    died = [event for event in events if event["kind"] == "worker_died"]
    if died:
        evidence = {**_where(state), "how": "worker", "text": died[-1]["text"], "since": stamp(died[-1]["time"])}
        found.append(fault("nginx.restarted", check, "worker", evidence=evidence, value=len(died), unit="workers"))
    how = _restarted(asked, state, events)
    since = stamp(state["master"]["started"])
    if how in ("killed", "unknown"):
        evidence = {**_where(state), "how": how, "since": since, "level": state["log"]["level"], "unread": _unread_log(state)}
        found.append(fault("nginx.restarted", check, "master", evidence={key: value for key, value in evidence.items() if value != ""}))
    evidence = {"since": since, "restarted": bool(how)}
    if _unread_log(state):
        evidence["not_asked"] = [_unread_log(state)]
    return found or [ok(check, evidence=evidence)]


def _restarted(asked: Asked, state: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> str:
    """Return how a former master ended: "" there was none, told (to end), killed, or unknown where the log hides it.

    nginx tells of an orderly end at the level notice. What ended before the machine booted does not count.
    """
    events = [event for event in events if (event["time"] or asked.now) >= state["booted"]]
    former = {event["pid"] for event in events if event["kind"] == "started"}
    memory = asked.remembered("nginx.state")
    if isinstance(memory, Mapping) and isinstance(memory.get("master"), Mapping) and memory.get("at", 0) >= state["booted"]:
        before = memory["master"]
        if (before.get("pid"), before.get("ticks")) != (state["master"]["pid"], state["master"]["ticks"]):
            former.add(before.get("pid"))
    former.discard(state["master"]["pid"])
    if not former:
        return ""
    if former <= {event["pid"] for event in events if event["kind"] == "told_to_end"}:
        return "told"
    tells = not _unread_log(state) and state["log"]["level"] in ("debug", "info", "notice")
    return "killed" if tells else "unknown"


# --- nginx.loaded


def loaded(asked: Asked) -> list[Finding]:
    """Say whether what nginx serves is the configuration that lies there: a failed reload keeps the old one."""
    check = "nginx.loaded"
    state = asked.read("nginx.state")
    if state["master"] is None:
        return [_stopped(check)]
    since = _workers_since(state["master"])
    failed = _failed_reload(state, since)
    newest = state["newest"]
    changed = newest is not None and newest["modified"] > since + JUST_WRITTEN
    if failed is None and not changed:
        evidence: dict[str, Any] = {"loaded_at": stamp(since), "newest_file": newest["path"] if newest else ""}
        if _unread_log(state):
            evidence["not_asked"] = [_unread_log(state)]
        return [ok(check, evidence=evidence)]
    evidence = {**_where(state), "loaded_at": stamp(since)}
    if failed is not None:
        evidence.update(reason="reload_failed", text=failed["text"], since=stamp(failed["time"]))
    else:
        evidence.update(reason="changed", since=stamp(newest["modified"]))
    if changed:
        evidence["file"] = newest["path"]
    return [fault("nginx.old_config", check, evidence=evidence)]


def _workers_since(master: Mapping[str, Any]) -> float:
    """Return since when the workers serve that are there now: a good reload replaces all of them."""
    return min((worker["started"] for worker in master["workers"] if not worker["leaving"]), default=master["started"])


def _failed_reload(state: Mapping[str, Any], since: float) -> Mapping[str, Any] | None:
    """Return the master's last [emerg] when no good reload came after it; ``nginx -t`` of others has another pid."""
    own = [event for event in state["log"]["events"] if event["pid"] == state["master"]["pid"]]
    for event in reversed(own):
        if event["kind"] == "started":
            return None
        if event["kind"] == "emerg":
            return event if event["time"] is None or event["time"] >= since else None
    return None


# --- shared


def remember_state(state: Mapping[str, Any], _former: Any = None) -> dict[str, Any]:
    """Return what the next run needs: ``at``, ``master`` (pid and ticks, or None), ``log`` (inode and size)."""
    master = state["master"]
    return {
        "at": state["read_at"],
        "master": {"pid": master["pid"], "ticks": master["ticks"]} if master else None,
        "log": {"inode": state["log"]["inode"], "size": state["log"]["size"]},
    }


def _recent(asked: Asked, state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the log's events since the last run; without one, those of the last day."""
    events = state["log"]["events"]
    memory = asked.remembered("nginx.state")
    mark = memory.get("log") if isinstance(memory, Mapping) else None
    if not isinstance(mark, Mapping) or not isinstance(mark.get("inode"), int) or not isinstance(mark.get("size"), int):
        return [event for event in events if (event["time"] or asked.now) >= asked.now - LOOK_BACK]
    current = state["log"]["inode"]
    if mark["inode"] == current:
        # Shorter than it was: emptied in place (copytruncate), so all of it is new.
        start = mark["size"] if mark["size"] <= state["log"]["size"] else 0
        return [event for event in events if event["inode"] == current and event["at"] >= start]
    return [event for event in events if event["inode"] == current or (event["inode"] == mark["inode"] and event["at"] >= mark["size"])]


def _stopped(check: str) -> Finding:
    return unknown(check, "nginx does not run", blocked_by="nginx.stopped")


def _unread_log(state: Mapping[str, Any]) -> str:
    """Say why the error log tells nothing, "" when it can tell.

    nginx makes its error log when it starts. One that is not there beside a running nginx was taken away under it, and nginx
    goes on writing where nobody reads.
    """
    log = state["log"]
    if not log["readable"]:
        return f"{log['path']}: {log.get('problem', 'it cannot be read')}"
    return "" if log["present"] else f"{log['path']}: it does not exist while nginx runs"


def _where(state: Mapping[str, Any]) -> dict[str, str]:
    """Return what a person needs for the next command: the configuration, and how to test, start and reload."""
    options = "" if state["systemd"] else f" -p {state['prefix']} -c {state['conf']}"
    return {
        "conf": state["conf"],
        "test": f"sudo {state['program']} -t{options}",
        "start": "sudo systemctl start nginx" if state["systemd"] else f"sudo {state['program']}{options}",
        "reload": f"sudo {state['program']} -s reload{options}",
    }
