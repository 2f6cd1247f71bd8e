"""Faults of the backend that its log, its .env and its health API show."""

from __future__ import annotations

from collections.abc import Callable

from tests.replica.interface import Replica
from tests.replica.pm2_processes import ensure_healthy, restart_and_settle
from tests.replica.system import free_port

from ..breakage import Breakage

_WAIT_S = 60
_ANSWER_S = 30


def _dist(replica: Replica, name: str) -> str:
    return f"{replica.facts['app_dir']}/backend/dist/{name}"


def _wait_log(replica: Replica, text: str, before: int) -> None:
    """Wait until the backend's error log has a text behind its first ``before`` bytes."""
    path = replica.process("backend").error_log

    def logged() -> bool:
        return text in replica.run(["tail", "-c", f"+{before + 1}", path]).stdout

    replica.wait_until(logged, _WAIT_S, f"backend has not logged {text!r}")


def _log_size(replica: Replica) -> int:
    return int(replica.run(["stat", "-c", "%s", replica.process("backend").error_log]).stdout.strip() or 0)


def _restart_into(replica: Replica, text: str) -> None:
    before = _log_size(replica)
    replica.pm2("restart", "backend")
    _wait_log(replica, text, before)


def forget_a_provider(replica: Replica) -> None:
    """Make a build in which LogsDbModule does not export LogsDb: Nest cannot build the services that need it."""
    path = _dist(replica, "logsdb/logsdb.module.js")
    text = replica.read(path)
    broken = text.replace("exports: [LogsDb]", "exports: []").replace("exports: [logsdb_service_js_1.LogsDb]", "exports: []")
    if broken == text:
        raise AssertionError(f"{path} is not as expected")
    replica.write(path, broken)
    _restart_into(replica, "resolve dependencies")


def lose_a_variable(replica: Replica) -> None:
    """Delete two lines of .env and restart the backend, as an operator might."""
    path = replica.facts["env_file"]
    kept = [line for line in replica.read(path).splitlines() if not line.startswith(("LOGSDB_PASS=", "FILE_ROOT_PATH="))]
    replica.write(path, "\n".join(kept) + "\n", 0o600)
    _restart_into(replica, "Config validation error")


def ask_for_an_unknown_key(replica: Replica) -> None:
    """Make a build in which LOG_LEVEL was renamed in the code but not in .env; no validation requires the new name."""
    path = _dist(replica, "main.js")
    replica.write(path, replica.read(path).replace("'LOG_LEVEL'", "'LOG_THRESHOLD'").replace('"LOG_LEVEL"', '"LOG_THRESHOLD"'))
    _restart_into(replica, "does not exist")


def lose_a_file(replica: Replica) -> None:
    """Remove one compiled file, as an interrupted upload does."""
    replica.remove(_dist(replica, "health/health.module.js"))
    _restart_into(replica, "Cannot find module")


def import_a_missing_package(replica: Replica) -> None:
    """Import a missing package late: PM2 swallows the rejection and shows the process as online."""
    path = _dist(replica, "main.js")
    late = "void import('tank-metrics');\n"
    replica.write(path, replica.read(path).replace("void bootstrap();", late + "void bootstrap();"))
    _restart_into(replica, "Cannot find package")


def take_the_port(replica: Replica) -> None:
    """Start another program on the backend's port before the backend starts."""
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
    _restore(replica)


def open_env(replica: Replica) -> None:
    replica.chmod(replica.facts["env_file"], 0o644)


def close_env(replica: Replica) -> None:
    replica.chmod(replica.facts["env_file"], 0o600)


def _restore(replica: Replica) -> None:
    """Deliver the application again and restart the backend."""
    replica.deploy()
    restart_and_settle(replica, "backend")
    ensure_healthy(replica)


def _controller(replica: Replica) -> str:
    return f"{replica.facts['app_dir']}/backend/dist/health/health.controller.js"


def _release(replica: Replica, old: str, new: str) -> None:
    """Deploy a changed health controller and restart the backend, as a faulty release does."""
    path = _controller(replica)
    text = replica.read(path)
    replica.write(path, text.replace(old, new, 1))
    before = replica.process("backend").pid
    replica.restart("backend")
    replica.wait_until(lambda: replica.process("backend").pid not in (0, before), _ANSWER_S, "backend was not restarted")


def redeploy(replica: Replica) -> None:
    replica.deploy()
    restart_and_settle(replica, "backend")


def freeze(replica: Replica) -> None:
    replica.signal(replica.process("backend").pid, "STOP")


def wake(replica: Replica) -> None:
    replica.signal(replica.process("backend").pid, "CONT")
    restart_and_settle(replica)


def move(replica: Replica) -> None:
    """Change PORT in .env: the backend runs on a port that nothing calls."""
    path, old = replica.facts["env_file"], replica.facts["ports"]["backend"]
    port = free_port(list(replica.facts["ports"].values()))
    replica.write(path, replica.read(path).replace(f"PORT={old}", f"PORT={port}", 1), 0o600)
    replica.restart("backend")
    replica.wait_until(lambda: '"status":"ok"' in replica.get(f"http://127.0.0.1:{port}/api/health"), _ANSWER_S, "backend does not move")


def fail(replica: Replica) -> None:
    """Make the health API answer 503, as NestJS does when a dependency fails."""
    _release(
        replica, "return {", "throw new common_1.ServiceUnavailableException({ status: 'error', database: 'down' });\n        return {"
    )
    replica.wait_until(lambda: _health_status(replica) == "503", _ANSWER_S, "the health API does not fail")


def degrade(replica: Replica) -> None:
    _release(replica, "status: 'ok'", "status: 'starting'")
    replica.wait_until(lambda: "starting" in replica.get(replica.facts["health_url"]), _ANSWER_S, "the health API says the same")


def slow_down(replica: Replica) -> None:
    """Make each health request wait for 300 ms, as a query to a slow database does."""
    _release(replica, "    health() {\n", "    async health() {\n        await new Promise((done) => setTimeout(done, 300));\n")
    replica.wait_until(lambda: '"status":"ok"' in replica.get(replica.facts["health_url"]), _ANSWER_S, "the health API does not answer")


def _health_status(replica: Replica) -> str:
    return replica.run(["curl", "-s", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", replica.facts["health_url"]]).stdout


def _backend(
    code: str,
    description: str,
    make: Callable[[Replica], None],
    clear: Callable[[Replica], None] = _restore,
    variant: str = "",
    subject: str = "backend",
) -> Breakage:
    return Breakage(f"backend.{code}", "backend", description, subject, make, clear, variant=variant)


BREAKAGES = (
    _backend("di_error", "a build in which a module does not export a provider", forget_a_provider),
    _backend("env_invalid", ".env lacks two variables", lose_a_variable),
    _backend("env_invalid", "the code needs a variable that .env does not have", ask_for_an_unknown_key, variant="key"),
    _backend("module_missing", "a compiled file is missing", lose_a_file),
    _backend("module_missing", "a package that is loaded late is missing; PM2 shows online", import_a_missing_package, variant="late"),
    _backend("port_conflict", "another program has the port", take_the_port, free_the_port),
    _backend("env_readable", "others can read .env", open_env, close_env, subject=""),
    _backend("no_answer", "the backend hangs (SIGSTOP)", freeze, wake),
    _backend("no_answer", "the backend listens on another port", move, redeploy, "port"),
    _backend("error_5xx", "the health API answers with 503", fail, redeploy),
    _backend("wrong_body", "the health API says that it is not ready", degrade, redeploy),
    _backend("slow", "the health API takes 300 ms", slow_down, redeploy),
)
