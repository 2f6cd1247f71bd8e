"""Faults of the backend that its health API tells."""

from __future__ import annotations

from collections.abc import Callable

from tests.replica.interface import Replica
from tests.replica.pm2_processes import restart_and_settle
from tests.replica.system import free_port

from ..breakage import Fault

_WAIT_S = 30


def _controller(replica: Replica) -> str:
    return f"{replica.facts['app_dir']}/backend/dist/health/health.controller.js"


def _release(replica: Replica, old: str, new: str) -> None:
    """Deploy a changed health controller and restart the backend, as a faulty release does."""
    path = _controller(replica)
    text = replica.read(path)
    replica.write(path, text.replace(old, new, 1))
    before = replica.process("backend").pid
    replica.restart("backend")
    replica.wait_until(lambda: replica.process("backend").pid not in (0, before), _WAIT_S, "backend was not restarted")


def redeploy(replica: Replica) -> None:
    replica.deploy()
    restart_and_settle(replica, "backend")


def freeze(replica: Replica) -> None:
    replica.signal(replica.process("backend").pid, "STOP")


def wake(replica: Replica) -> None:
    replica.signal(replica.process("backend").pid, "CONT")
    restart_and_settle(replica)


def move(replica: Replica) -> None:
    """Somebody changed PORT in .env: the backend runs, where nobody asks it."""
    path, old = replica.facts["env_file"], replica.facts["ports"]["backend"]
    port = free_port(list(replica.facts["ports"].values()))
    replica.write(path, replica.read(path).replace(f"PORT={old}", f"PORT={port}", 1), 0o600)
    replica.restart("backend")
    replica.wait_until(lambda: '"status":"ok"' in replica.get(f"http://127.0.0.1:{port}/api/health"), _WAIT_S, "backend does not move")


def fail(replica: Replica) -> None:
    """The health API answers as NestJS does when something inside is not well: 503."""
    _release(
        replica, "return {", "throw new common_1.ServiceUnavailableException({ status: 'error', database: 'down' });\n        return {"
    )
    replica.wait_until(lambda: _status(replica) == "503", _WAIT_S, "the health API does not fail")


def degrade(replica: Replica) -> None:
    _release(replica, "status: 'ok'", "status: 'starting'")
    replica.wait_until(lambda: "starting" in replica.get(replica.facts["health_url"]), _WAIT_S, "the health API says the same")


def slow_down(replica: Replica) -> None:
    """Each health request waits for 300 ms, as one does that asks a slow database."""
    _release(replica, "    health() {\n", "    async health() {\n        await new Promise((done) => setTimeout(done, 300));\n")
    replica.wait_until(lambda: '"status":"ok"' in replica.get(replica.facts["health_url"]), _WAIT_S, "the health API does not answer")


def _status(replica: Replica) -> str:
    return replica.run(["curl", "-s", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", replica.facts["health_url"]]).stdout


def _backend(
    code: str, description: str, make: Callable[[Replica], None], clear: Callable[[Replica], None] = redeploy, variant: str = ""
) -> Fault:
    return Fault(f"backend.{code}", "backend", description, "backend", make, clear, variant=variant)


BACKEND_HEALTH_FAULTS = (
    _backend("no_answer", "the backend hangs (SIGSTOP)", freeze, wake),
    _backend("no_answer", "the backend listens on another port", move, variant="port"),
    _backend("error_5xx", "the health API answers with 503", fail),
    _backend("wrong_body", "the health API says that it is not ready", degrade),
    _backend("slow", "the health API takes 300 ms", slow_down),
)
