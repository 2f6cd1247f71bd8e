"""Faults of the backend that its log tells, and its .env."""

from __future__ import annotations

from collections.abc import Callable

from tests.replica.interface import Replica
from tests.replica.pm2_processes import ensure_healthy, restart_and_settle

from ..breakage import Fault

_WAIT_S = 60
_LOOPS = 3


def _dist(replica: Replica, name: str) -> str:
    return f"{replica.facts['app_dir']}/backend/dist/{name}"


def _wait_log(replica: Replica, text: str, before: int) -> None:
    """Until the backend's error log holds a text behind the bytes that it had before."""
    path = replica.process("backend").error_log

    def said() -> bool:
        return text in replica.run(["tail", "-c", f"+{before + 1}", path]).stdout

    replica.wait_until(said, _WAIT_S, f"backend has not logged {text!r}")


def _log_size(replica: Replica) -> int:
    return int(replica.run(["stat", "-c", "%s", replica.process("backend").error_log]).stdout.strip() or 0)


def _restart_into(replica: Replica, text: str) -> None:
    before = _log_size(replica)
    replica.pm2("restart", "backend")
    _wait_log(replica, text, before)


def forget_a_provider(replica: Replica) -> None:
    """A build in which LogsDbModule does not give LogsDb to others: Nest cannot build the services that need it."""
    path = _dist(replica, "logsdb/logsdb.module.js")
    text = replica.read(path)
    broken = text.replace("exports: [LogsDb]", "exports: []").replace("exports: [logsdb_service_js_1.LogsDb]", "exports: []")
    if broken == text:
        raise AssertionError(f"{path} is not as expected")
    replica.write(path, broken)
    _restart_into(replica, "resolve dependencies")


def lose_a_variable(replica: Replica) -> None:
    """Somebody deleted two lines of .env and restarted the backend."""
    path = replica.facts["env_file"]
    kept = [line for line in replica.read(path).splitlines() if not line.startswith(("LOGSDB_PASS=", "FILE_ROOT_PATH="))]
    replica.write(path, "\n".join(kept) + "\n", 0o600)
    _restart_into(replica, "Config validation error")


def ask_for_an_unknown_key(replica: Replica) -> None:
    """A build that asks for a variable which nothing demands before: LOG_LEVEL was renamed in the code, not in .env."""
    path = _dist(replica, "main.js")
    replica.write(path, replica.read(path).replace("'LOG_LEVEL'", "'LOG_THRESHOLD'").replace('"LOG_LEVEL"', '"LOG_THRESHOLD"'))
    _restart_into(replica, "does not exist")


def lose_a_file(replica: Replica) -> None:
    """An upload that broke off: one compiled file is missing."""
    replica.remove(_dist(replica, "health/health.module.js"))
    _restart_into(replica, "Cannot find module")


def import_a_missing_package(replica: Replica) -> None:
    """A package is missing for code that is loaded late: PM2 swallows the rejection and shows the process as online."""
    path = _dist(replica, "main.js")
    late = "void import('tank-metrics');\n"
    replica.write(path, replica.read(path).replace("void bootstrap();", late + "void bootstrap();"))
    _restart_into(replica, "Cannot find package")


def take_the_port(replica: Replica) -> None:
    """Another program listens on the backend's port when the backend is started."""
    port = replica.facts["ports"]["backend"]
    replica.must_pm2("stop", "backend")
    code = f"require('net').createServer().listen({port}, '127.0.0.1')"
    replica.must(["sh", "-c", 'setsid nohup node -e "$1" >/dev/null 2>&1 & echo $! >"$2"', "sh", code, _holder_file(replica)])
    replica.wait_until(lambda: _port_held(replica, port), _WAIT_S, f"nothing listens on {port}")
    _restart_into(replica, "EADDRINUSE")


def _holder_file(replica: Replica) -> str:
    return f"{replica.facts['home']}/port-holder.pid"


def _port_held(replica: Replica, port: int) -> bool:
    listening = replica.run(["cat", "/proc/net/tcp"]).stdout
    return any(fields[1].endswith(f":{port:04X}") and fields[3] == "0A" for fields in map(str.split, listening.splitlines()[1:]))


def free_the_port(replica: Replica) -> None:
    pid = replica.run(["cat", _holder_file(replica)]).stdout.strip()
    if pid.isdigit():
        replica.run(["kill", pid])
    replica.remove(_holder_file(replica))
    _mend(replica)


def open_env(replica: Replica) -> None:
    replica.chmod(replica.facts["env_file"], 0o644)


def close_env(replica: Replica) -> None:
    replica.chmod(replica.facts["env_file"], 0o600)


def _mend(replica: Replica) -> None:
    """Deliver the application again and restart the backend."""
    replica.deploy()
    restart_and_settle(replica, "backend")
    ensure_healthy(replica)


def _backend(
    code: str,
    description: str,
    make: Callable[[Replica], None],
    clear: Callable[[Replica], None] = _mend,
    variant: str = "",
    subject: str = "backend",
) -> Fault:
    return Fault(f"backend.{code}", "backend", description, subject, make, clear, variant=variant)


BACKEND_FAULTS = (
    _backend("di_error", "a build in which a module does not export a provider", forget_a_provider),
    _backend("env_invalid", ".env lacks two variables", lose_a_variable),
    _backend("env_invalid", "the code asks for a variable that .env has not", ask_for_an_unknown_key, variant="key"),
    _backend("module_missing", "a compiled file is missing", lose_a_file),
    _backend("module_missing", "a package that is loaded late is missing; PM2 shows online", import_a_missing_package, variant="late"),
    _backend("port_conflict", "another program has the port", take_the_port, free_the_port),
    _backend("env_readable", "others can read .env", open_env, close_env, subject=""),
)
