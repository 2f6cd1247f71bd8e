"""Faults of PM2 and of the processes under it."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.replica.interface import ROOT, ManagedProcess, Replica
from tests.replica.pm2_processes import ensure_healthy, restart_and_settle

from ..breakage import Breakage

_CREATED_AGO_S = 20  # PM2 gives up only on a process that crashed 16 times within 16 s of its creation
_WAIT_S = 60
_LOOPS = 6  # more than the five ends within ten minutes that the check reports as a loop


def _wait_status(replica: Replica, name: str, status: str) -> None:
    replica.wait_until(lambda: replica.process(name).status == status, _WAIT_S, f"{name} is not {status}")


def _wait_restarts(replica: Replica, before: ManagedProcess, count: int) -> None:
    replica.wait_until(lambda: replica.process(before.name).restarts >= before.restarts + count, _WAIT_S, f"{before.name} does not restart")


def _app_file(replica: Replica, name: str) -> str:
    return f"{replica.facts['app_dir']}/{name}"


def _unit(replica: Replica) -> str:
    return f"{replica.facts['unit_dir']}/pm2-{replica.facts['user']}.service"


def _unit_link(replica: Replica) -> str:
    folder, _, name = _unit(replica).rpartition("/")
    return f"{folder}/multi-user.target.wants/{name}"


def _redeploy(*names: str) -> Callable[[Replica], None]:
    """Return a clear that deploys the application's files again and restarts processes.

    It stops the processes first, so that a crash loop does not start one while its files are being copied.
    """

    def clear(replica: Replica) -> None:
        if names:
            replica.pm2("stop", *names)
        replica.deploy()
        restart_and_settle(replica, *names)

    return clear


# The daemon


def stop_daemon(replica: Replica) -> None:
    replica.end_daemon()


def kill_daemon(replica: Replica) -> None:
    """Kill the daemon, which leaves pm2.pid and the sockets; backend and worker end when they lose their parent."""
    replica.signal(replica.daemon_pid(), "KILL")
    replica.wait_until(lambda: not replica.daemon_pid(), _WAIT_S, "the daemon lives on")


def freeze_daemon(replica: Replica) -> None:
    replica.signal(replica.daemon_pid(), "STOP")
    replica.wait_until(replica.daemon_stopped, _WAIT_S, "the daemon is not frozen")


def run_as_root(replica: Replica) -> None:
    """Do what `sudo pm2 resurrect` in the application's PM2_HOME does."""
    replica.end_daemon()
    replica.must_pm2("resurrect", user=ROOT)
    _wait_status(replica, "worker", "online")


# The list


def delete_worker(replica: Replica) -> None:
    replica.must_pm2("delete", "worker")


def stop_worker(replica: Replica) -> None:
    replica.must_pm2("stop", "worker")


def let_worker_exit(replica: Replica) -> None:
    """Start the worker without autorestart and without its spool folder: it ends by itself with code 3."""
    replica.must_pm2("delete", "worker")
    replica.remove(_app_file(replica, "worker/spool"))
    replica.must_pm2("start", replica.script("worker"), "--name", "worker", "--no-autorestart")
    _wait_status(replica, "worker", "stopped")


# Crashes


def deploy_without_packages(replica: Replica) -> None:
    """Deploy the backend without its npm packages: it crashes at once until PM2 gives up."""
    replica.must_pm2("delete", "backend")
    replica.remove(_app_file(replica, "backend/node_modules"))
    replica.must_pm2("start", replica.script("backend"), "--name", "backend")
    _wait_status(replica, "backend", "errored")


def deploy_with_wrong_variable(replica: Replica) -> None:
    """Write a wrong value to .env, which Nest's configuration rejects.

    The ecosystem file sets a min_uptime that leaves a slow machine time to crash: with PM2's default of one second,
    PM2 would restart a process that crashes a little later for ever.
    """
    replica.must_pm2("delete", "backend")
    _spoil_env(replica)
    ecosystem = {"apps": [{"name": "backend", "script": replica.script("backend"), "min_uptime": "10s"}]}
    path = _ecosystem_file(replica)
    replica.write(path, json.dumps(ecosystem))
    replica.must_pm2("start", path)
    _wait_status(replica, "backend", "errored")


def redeploy_without_ecosystem(replica: Replica) -> None:
    replica.deploy()
    replica.remove(_ecosystem_file(replica))
    replica.pm2("delete", "backend")
    ensure_healthy(replica)


def _ecosystem_file(replica: Replica) -> str:
    return _app_file(replica, "backend/ecosystem.config.json")


def _spoil_env(replica: Replica) -> None:
    path = replica.facts["env_file"]
    lines = ["PORT=eighty" if line.startswith("PORT=") else line for line in replica.read(path).splitlines()]
    replica.write(path, "\n".join(lines) + "\n", 0o600)


def damage_calendar(replica: Replica) -> None:
    """Truncate holidays.json: each worker runs 1.5 s, until it first reads the calendar."""
    before = replica.process("worker")
    replica.write(_app_file(replica, "config/holidays.json"), '["2026-01-01", "2026-')
    _wait_restarts(replica, before, _LOOPS)


def crash_old_backend(replica: Replica) -> None:
    """Break .env under a backend that ran well, then end it: PM2 restarts it for ever, several times a second."""
    before = replica.process("backend")
    replica.wait_until(lambda: replica.process("backend").age_s > _CREATED_AGO_S, _WAIT_S, "backend is too young")
    _spoil_env(replica)
    replica.signal(before.pid, "TERM")
    _wait_restarts(replica, before, _LOOPS)


def limit_memory(replica: Replica) -> None:
    """Set a memory limit that the worker exceeds: PM2 restarts it at each of its memory checks."""
    replica.must_pm2("delete", "worker")
    replica.must_pm2("start", replica.script("worker"), "--name", "worker", "--max-memory-restart", "40M")
    _wait_restarts(replica, replica.process("worker"), 1)


def kill_worker(replica: Replica) -> None:
    """Do what the kernel's OOM killer does; PM2 starts the worker again."""
    before = replica.process("worker")
    replica.signal(before.pid, "KILL")
    _wait_restarts(replica, before, 1)


# What survives a reboot


def _dumps(replica: Replica) -> tuple[str, str]:
    return f"{replica.facts['pm2_home']}/dump.pm2", f"{replica.facts['pm2_home']}/dump.pm2.bak"


def remove_dumps(replica: Replica) -> None:
    replica.remove(*_dumps(replica))


def save_while_stopped(replica: Replica) -> None:
    """Save the list while the worker is stopped, as during maintenance: a reboot would bring it back stopped."""
    replica.must_pm2("stop", "worker")
    replica.must_pm2("save")
    replica.restart("worker")
    _wait_status(replica, "worker", "online")


def open_dumps(replica: Replica) -> None:
    """Set the modes that `pm2 save` leaves without a umask: 0755 and 0644."""
    replica.chmod(replica.facts["pm2_home"], 0o755)
    for path in _dumps(replica):
        replica.chmod(path, 0o644)


def close_dumps(replica: Replica) -> None:
    replica.chmod(replica.facts["pm2_home"], 0o700)
    for path in _dumps(replica):
        replica.chmod(path, 0o600)


def remove_unit(replica: Replica) -> None:
    replica.remove(_unit_link(replica), _unit(replica), user=replica.admin)


def disable_unit(replica: Replica) -> None:
    replica.remove(_unit_link(replica), user=replica.admin)


def unit_with_other_home(replica: Replica) -> None:
    _edit_unit(replica, "Environment=PM2_HOME=", "Environment=PM2_HOME=/root/.pm2")


def unit_with_other_path(replica: Replica) -> None:
    """Point the unit's PATH to the folder of a node that no longer exists."""
    _edit_unit(replica, "Environment=PATH=", "Environment=PATH=/opt/node-v18.0.0/bin:/usr/local/sbin")


def _edit_unit(replica: Replica, beginning: str, line: str) -> None:
    text = replica.read(_unit(replica), user=replica.admin)
    lines = [line if old.startswith(beginning) else old for old in text.splitlines()]
    replica.write(_unit(replica), "\n".join(lines) + "\n", user=replica.admin)


def clear_unit(replica: Replica) -> None:
    replica.install_boot_unit()


def _pm2(
    code: str,
    subject: str,
    description: str,
    make: Callable[[Replica], None],
    clear: Callable[[Replica], None] = ensure_healthy,
    variant: str = "",
    needs: frozenset[str] = frozenset(),
) -> Breakage:
    return Breakage(f"pm2.{code}", "pm2", description, subject, make, clear, needs=needs, variant=variant)


BREAKAGES = (
    _pm2("daemon_down", "", "the daemon was stopped (pm2 kill)", stop_daemon),
    _pm2("daemon_down", "", "the daemon was killed: stale socket and pid file", kill_daemon, variant="killed"),
    _pm2("daemon_hung", "", "the daemon does not answer (SIGSTOP)", freeze_daemon),
    _pm2("missing", "worker", "worker was deleted from the list", delete_worker),
    _pm2("stopped", "worker", "worker was stopped by an operator", stop_worker, _redeploy("worker")),
    _pm2("stopped", "worker", "worker ended with code 3, without autorestart", let_worker_exit, _redeploy(), "exited"),
    _pm2("errored", "backend", "backend lacks its npm packages; PM2 gave up", deploy_without_packages, _redeploy("backend")),
    _pm2(
        "errored",
        "backend",
        "backend refuses a variable of .env; PM2 gave up",
        deploy_with_wrong_variable,
        redeploy_without_ecosystem,
        "env",
    ),
    _pm2("restart_loop", "worker", "worker crashes 1.5 s after each start", damage_calendar, _redeploy("worker")),
    _pm2("restart_loop", "backend", "backend crashes at once, after a long good time", crash_old_backend, _redeploy("backend"), "fast"),
    _pm2("memory_restart", "worker", "worker is over its memory limit", limit_memory),
    _pm2("killed", "worker", "worker was killed with SIGKILL", kill_worker, _redeploy("worker")),
    _pm2("not_saved", "", "the list is not saved", remove_dumps),
    _pm2("dump_differs", "worker", "the saved list would bring worker back stopped", save_while_stopped),
    _pm2("startup_missing", "", "no boot unit", remove_unit, clear_unit),
    _pm2("startup_missing", "", "the boot unit is not enabled", disable_unit, clear_unit, "disabled"),
    _pm2("startup_wrong", "", "the boot unit has another PM2_HOME", unit_with_other_home, clear_unit),
    _pm2("startup_wrong", "", "the boot unit has no node in its PATH", unit_with_other_path, clear_unit, "path"),
    _pm2("dump_readable", "", "others can read the saved list", open_dumps, close_dumps),
    _pm2("runs_as_root", "backend", "daemon and processes run as root", run_as_root, needs=frozenset({"root"})),
)
