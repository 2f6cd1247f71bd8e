"""The healthy state under PM2: the daemon lives, backend and worker are online and ready, the saved list is theirs."""

from __future__ import annotations

import json
from collections.abc import Iterable

from .interface import APP, APP_HOST, ManagedProcess, Replica
from .system import ReplicaError

READY_S = 60


def ensure_healthy(replica: Replica) -> None:
    """Start what is missing, replace what is not as delivered, wait until it works, save when the saved list differs."""
    replica = replica.at(APP_HOST)
    revive_daemon(replica)
    if not any(_put_right(replica) for _ in range(5)):
        raise ReplicaError("PM2's list changes by itself again and again; `replica logs pm2` may tell why")
    wait_ready(replica)
    save_if_needed(replica)


def _put_right(replica: Replica) -> bool:
    """Start what is missing and replace what is not as delivered; False where something came between and another look is due."""
    right, wrong = _sorted_out(replica, replica.processes())
    for entry in wrong:
        replica.must_pm2("delete", str(entry.pm_id))
    for wanted in replica.facts["processes"]:
        if wanted["name"] not in {entry.name for entry in right}:
            started = replica.pm2("start", wanted["script"], "--name", wanted["name"])
            if "already launched" in started.stdout + started.stderr:
                return False  # systemd, too, brings back a daemon that ended, with its saved list
            if started.rc != 0:
                raise ReplicaError(f"pm2 start {wanted['name']}: {(started.stderr or started.stdout).strip()[-300:]}")
    return True


def restart_and_settle(replica: Replica, *names: str) -> None:
    """Restart those processes that are as delivered, as an operator does after a repair, then see to it that all is well."""
    replica = replica.at(APP_HOST)
    revive_daemon(replica)
    for entry in replica.processes():
        if entry.name in names and _as_delivered(replica, entry):
            replica.restart(entry.name)
    ensure_healthy(replica)


def revive_daemon(replica: Replica) -> None:
    """Wake a frozen daemon, end one that another account than the application's runs, bring back the saved list."""
    replica.settle_boot_unit()
    daemon = replica.daemon()
    if not daemon.pid:
        # One may live whose pid file is gone.
        replica.run(["pkill", "-f", f"[G]od Daemon \\({replica.facts['pm2_home']}\\)"], user=replica.admin)
    if daemon.frozen:
        replica.signal(daemon.pid, "CONT", user=replica.admin)
    if daemon.pid and daemon.user != replica.facts["user"]:
        replica.pm2("kill", user=replica.admin)
        replica.give_home_back()
    if not replica.daemon_pid() and replica.exists(_dumps(replica)[0]):
        replica.pm2("resurrect")


def wait_ready(replica: Replica) -> None:
    """Until the backend answers ok and the present worker has logged its first round."""
    replica.wait_until(
        lambda: backend_ok(replica) or _refuse_given_up(replica),
        READY_S,
        f"no ok from {replica.facts['health_url']}; `replica logs backend` may tell why",
    )
    replica.wait_until(
        lambda: worker_ready(replica) or _refuse_given_up(replica),
        READY_S,
        "worker has not logged `Scheduler created`; `replica logs worker` may tell why",
    )


def _refuse_given_up(replica: Replica) -> None:
    """ReplicaError when PM2 has given up on a process: waiting for it is in vain."""
    for entry in replica.processes():
        if entry.status == "errored":
            said = replica.run(["tail", "-n", "20", entry.error_log]).stdout.strip().splitlines() or ["its error log is empty"]
            raise ReplicaError(f"{entry.name} does not stay up: {said[-1][:300]} (log: {entry.error_log})")


def backend_ok(replica: Replica) -> bool:
    replica = replica.at(APP_HOST)
    return '"status":"ok"' in replica.get(replica.facts["health_url"])


def worker_ready(replica: Replica) -> bool:
    """True when the worker that PM2 lists now has finished a round of its scheduler."""
    replica = replica.at(APP_HOST)
    for entry in replica.processes():
        if entry.name == "worker" and entry.status == "online":
            tail = replica.run(["tail", "-n", "400", entry.out_log]).stdout
            return any(f"[Nest] {entry.pid} " in line and "Scheduler created" in line for line in tail.splitlines())
    return False


def all_well(replica: Replica) -> bool:
    """True when nothing is to be done: asked with one look at each thing, nothing is started."""
    replica = replica.at(APP_HOST)
    daemon = replica.daemon()
    if not daemon.pid or daemon.frozen or daemon.user != replica.facts["user"]:
        return False
    entries = replica.processes()
    right, wrong = _sorted_out(replica, entries)
    return len(right) == len(replica.facts["processes"]) and not wrong and _saved_well(replica, entries) and backend_ok(replica)


def save_if_needed(replica: Replica) -> None:
    """`pm2 save` twice when needed, so that the backup of the saved list is a good one too."""
    if _saved_well(replica, replica.processes()):
        return
    replica.remove(*_dumps(replica), user=replica.admin)
    for _ in range(2):
        replica.must_pm2("save")


def _sorted_out(replica: Replica, entries: Iterable[ManagedProcess]) -> tuple[list[ManagedProcess], list[ManagedProcess]]:
    """Entries that are as delivered and online, and all others."""
    right: dict[str, ManagedProcess] = {}
    wrong = []
    for entry in entries:
        if _as_delivered(replica, entry) and entry.status == "online" and entry.pid and entry.name not in right:
            right[entry.name] = entry
        else:
            wrong.append(entry)
    return list(right.values()), wrong


def _as_delivered(replica: Replica, entry: ManagedProcess) -> bool:
    scripts = {wanted["name"]: wanted["script"] for wanted in replica.facts["processes"]}
    right_script = entry.script == scripts.get(entry.name) and entry.exec_mode == "fork_mode"
    return right_script and entry.autorestart and not entry.memory_limit


def _saved_well(replica: Replica, entries: Iterable[ManagedProcess]) -> bool:
    """The saved list and its backup exist, are private, and hold what is listed."""
    listed = sorted((entry.name, entry.script, entry.status) for entry in entries)
    for path in _dumps(replica):
        if replica.run(["stat", "-c", "%a %U", path]).stdout.split() != ["600", replica.facts["user"]]:
            return False
        try:
            saved = json.loads(replica.read(path, user=APP))
        except ValueError:
            return False
        if sorted((entry["name"], entry["pm_exec_path"], entry["status"]) for entry in saved) != listed:
            return False
    return True


def _dumps(replica: Replica) -> list[str]:
    return [f"{replica.facts['pm2_home']}/dump.pm2", f"{replica.facts['pm2_home']}/dump.pm2.bak"]
