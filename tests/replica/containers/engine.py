"""The container engine: podman, or Docker where TANK_CONTAINER_ENGINE says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..system import ReplicaError, Result, clean_environment, is_root, run

HERE = Path(__file__).resolve().parent
_PODMAN = HERE / "podman"
# systemd wants its own /run and to make cgroups; podman arranges that by itself.
_SYSTEMD = {
    "podman": ["--systemd=always"],
    "docker": ["--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec", "--cap-add=SYS_ADMIN"],
}


def name() -> str:
    """`podman` or `docker`."""
    chosen = os.environ.get("TANK_CONTAINER_ENGINE", "podman")
    if chosen not in _SYSTEMD:
        raise ReplicaError(f"TANK_CONTAINER_ENGINE {chosen!r}: there are {', '.join(_SYSTEMD)}")
    return chosen


def executable() -> str:
    """What starts the engine; podman gets the settings that this machine needs."""
    return str(_PODMAN) if name() == "podman" else name()


def missing() -> str:
    """Why there can be no containers here, "" when there can."""
    if not shutil.which(name()):
        return f"{name()} is not installed (make setup-containers)"
    if name() == "podman" and not is_root():
        return "podman needs root here"
    done = call("info", timeout=30)
    return "" if done.rc == 0 else f"{name()} does not work: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}"


def systemd_options() -> list[str]:
    return list(_SYSTEMD[name()])


def call(*arguments: str, text_in: str | None = None, timeout: float = 60) -> Result:
    """Run the engine; its exit code and output."""
    keep = {key: value for key, value in os.environ.items() if key in ("CONTAINERS_CONF", "XDG_RUNTIME_DIR", "DOCKER_HOST", "HOME")}
    return run([executable(), *arguments], env=clean_environment(**keep), text_in=text_in, timeout=timeout, umask=0o022)


def must(*arguments: str, **options: Any) -> str:
    """Standard output of a command of the engine that must succeed."""
    done = call(*arguments, **options)
    if done.rc != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise ReplicaError(f"{name()} {' '.join(arguments[:2])} failed (rc {done.rc}): {' | '.join(said[-4:])}")
    return done.stdout


def exec_argv(container: str, argv: Sequence[str], *, user: str, env: dict[str, str], folder: str, stdin: bool) -> list[str]:
    """Arguments of the engine that run a command in a container."""
    variables = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
    return ["exec", *(["-i"] if stdin else []), "--user", user, "--workdir", folder, *variables, container, *argv]
