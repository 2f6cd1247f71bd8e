"""Faults of nginx itself: not running, a wrong configuration, a taken port, a failed reload, a crash."""

from __future__ import annotations

from collections.abc import Callable

from tests.replica.interface import Replica
from tests.replica.system import Result

from ..breakage import NOTHING, Breakage

_WAIT_S = 15
_LOCAL = frozenset({"local"})  # elsewhere the backend is on another host
_TYPO = ("keepalive_timeout 30;", "keepalive_timeot 30;")


# What faults of nginx and of the page share


def start(replica: Replica) -> Result:
    """Start nginx as an operator does; the result tells whether it could."""
    return replica.run(replica.facts["nginx"]["start"])


def edit_conf(replica: Replica, old: str, new: str) -> None:
    """Replace the one place where a text stands in nginx.conf."""
    path = replica.facts["nginx"]["conf"]
    replica.write(path, replica.read(path).replace(old, new, 1))


def reload_with(replica: Replica, old: str, new: str) -> None:
    """Change the configuration and load it; returns when new workers serve."""
    before = workers(replica)
    edit_conf(replica, old, new)
    replica.run(replica.facts["nginx"]["reload"])
    replica.wait_until(lambda: set(workers(replica)) - set(before), _WAIT_S, "nginx has no new workers")


def restore(replica: Replica) -> None:
    replica.restore_web()


def master(replica: Replica) -> int:
    """Pid of nginx's master by its pid file, 0 when there is none."""
    pid = replica.run(["cat", replica.facts["nginx"]["pid_file"]]).stdout.strip()
    return int(pid) if pid.isdigit() else 0


def workers(replica: Replica) -> list[int]:
    pid = master(replica)
    return [int(word) for word in replica.run(["cat", f"/proc/{pid}/task/{pid}/children"]).stdout.split()]


def listen_on(replica: Replica, port: int, answer: str) -> None:
    """Start another program on a port: node, in the application's home, with a body for its request listener."""
    script = f"{replica.facts['home']}/other-program.js"
    up = "() => require('fs').writeFileSync(__filename + '.up', '')"
    replica.write(script, f"require('http').createServer((request, answer) => {{ {answer} }}).listen({port}, '127.0.0.1', {up});\n")
    replica.remove(f"{script}.up")
    replica.must(["sh", "-c", 'setsid node "$1" >/dev/null 2>&1 </dev/null &', "sh", script])
    replica.wait_until(lambda: replica.exists(f"{script}.up"), _WAIT_S, "the other program does not listen")


def other_program(replica: Replica) -> list[int]:
    found = replica.run(["pgrep", "-f", f"^node {replica.facts['home']}/other-program.js$"]).stdout
    return [int(word) for word in found.split()]


def end_other_program(replica: Replica) -> None:
    for pid in other_program(replica):
        replica.signal(pid, "KILL")
    replica.wait_until(lambda: not other_program(replica), _WAIT_S, "the other program lives on")
    script = f"{replica.facts['home']}/other-program.js"
    replica.remove(script, f"{script}.up")


# Not running


def stop(replica: Replica) -> None:
    pids = [master(replica), *workers(replica)]
    replica.signal(pids[0], "QUIT")  # nginx -s quit wants a good configuration
    replica.wait_until(lambda: not any(_lives(replica, pid) for pid in pids), _WAIT_S, "nginx runs on")


def kill(replica: Replica) -> None:
    """Workers and master; the pid file stays. The master is stopped first: it would replace a worker, and systemd end those of a dead one."""
    first = master(replica)
    replica.signal(first, "STOP")
    pids = [*workers(replica), first]
    replica.must(["kill", "-s", "KILL", *map(str, pids)])
    replica.wait_until(lambda: not any(_lives(replica, pid) for pid in pids), _WAIT_S, "nginx lives on")


def _lives(replica: Replica, pid: int) -> bool:
    return "nginx" in replica.run(["cat", f"/proc/{pid}/cmdline"]).stdout


def kill_and_start(replica: Replica) -> None:
    kill(replica)
    start(replica)
    replica.wait_until(lambda: workers(replica), _WAIT_S, "nginx does not start")


def crash_worker(replica: Replica) -> None:
    before = workers(replica)
    replica.signal(before[0], "SEGV")
    replica.wait_until(lambda: set(workers(replica)) - set(before), _WAIT_S, "the worker was not replaced")


# Configuration and ports


def misspell(replica: Replica) -> None:
    """Somebody edited the configuration and did not test it; what runs goes on."""
    edit_conf(replica, *_TYPO)


def misspell_and_restart(replica: Replica) -> None:
    misspell(replica)
    stop(replica)
    start(replica)


def misspell_and_reload(replica: Replica) -> None:
    misspell(replica)
    _reload_in_vain(replica)


def _reload_in_vain(replica: Replica) -> None:
    path = replica.facts["nginx"]["error_log"]
    before = replica.run(["grep", "-c", "emerg", path]).stdout
    replica.signal(master(replica), "HUP")
    replica.wait_until(lambda: replica.run(["grep", "-c", "emerg", path]).stdout != before, _WAIT_S, "the reload did not fail")


def mend_without_reload(replica: Replica) -> None:
    """A reload failed; the mistake was mended, and nobody loaded the configuration."""
    misspell_and_reload(replica)
    edit_conf(replica, _TYPO[1], "keepalive_timeout 20;")


def change_without_reload(replica: Replica) -> None:
    edit_conf(replica, "keepalive_timeout 30;", "keepalive_timeout 20;")


def take_port(replica: Replica) -> None:
    """nginx is stopped, another program takes its port, nginx cannot start."""
    stop(replica)
    listen_on(replica, replica.facts["ports"]["web"], "answer.end('another program')")
    start(replica)


def give_port_back(replica: Replica) -> None:
    end_other_program(replica)
    replica.restore_web()


def listen_on_taken_port(replica: Replica) -> None:
    """The configuration names a port that the backend holds: the reload fails, and nginx -t sees nothing."""
    edit_conf(replica, "        server_name", f"        listen 127.0.0.1:{replica.facts['ports']['backend']};\n        server_name")
    _reload_in_vain(replica)


def _nginx(
    code: str,
    description: str,
    make: Callable[[Replica], None],
    clear: Callable[[Replica], None] = restore,
    variant: str = "",
    subject: str = "",
    needs: frozenset[str] = NOTHING,
) -> Breakage:
    return Breakage(f"nginx.{code}", "nginx", description, subject, make, clear, needs=needs, variant=variant)


BREAKAGES = (
    _nginx("stopped", "nginx was stopped", stop),
    _nginx("stopped", "nginx was killed; its pid file is left", kill, variant="killed"),
    _nginx("config_invalid", "a misspelt directive, not loaded yet", misspell),
    _nginx("config_invalid", "a misspelt directive, and nginx cannot start", misspell_and_restart, variant="stopped"),
    _nginx("config_invalid", "a misspelt directive, and a reload failed", misspell_and_reload, variant="reload"),
    _nginx("port_conflict", "another program took the port, nginx cannot start", take_port, give_port_back),
    _nginx("port_conflict", "a reload failed for a port that the backend holds", listen_on_taken_port, variant="reload", needs=_LOCAL),
    _nginx("restarted", "nginx was killed and started again", kill_and_start, subject="master"),
    _nginx("restarted", "a worker crashed and was replaced", crash_worker, variant="worker", subject="worker"),
    _nginx("old_config", "a reload failed; the mistake is mended, nothing was loaded", mend_without_reload),
    _nginx("old_config", "the configuration was changed and not loaded", change_without_reload, variant="changed"),
)
