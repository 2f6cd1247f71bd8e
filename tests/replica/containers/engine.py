"""The container engine: podman, or Docker where TANK_CONTAINER_ENGINE says so."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..system import ReplicaError, Result, clean_environment, is_root, run

HERE = Path(__file__).resolve().parent
_PODMAN = HERE / "podman"
# Of the caller's environment, besides what names a proxy: images may only be had through one.
_KEPT = ("CONTAINERS_CONF", "XDG_RUNTIME_DIR", "DOCKER_HOST", "HOME")
# Docker takes networks of its own from 172.16.0.0/12 and 192.168.0.0/16, podman from 10.88.0.0/13.
_SUBNETS = ipaddress.IPv4Network("10.201.0.0/16")
_ROUTES = Path("/proc/net/route")
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
    if not is_root():
        return f"{name()} needs root here: the replica mounts file systems for its hosts"
    done = call("info", timeout=30)
    return "" if done.rc == 0 else f"{name()} does not work: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}"


def systemd_options() -> list[str]:
    return list(_SYSTEMD[name()])


def removal() -> list[str]:
    """Arguments that remove containers at once, also running ones; docker's `rm` kills without waiting and has no `-t`."""
    return ["rm", "--force", *(["-t", "0"] if name() == "podman" else [])]


def network_options(label: str) -> list[str]:
    """What `network create` needs besides a name so that its hosts may have addresses of our choice: docker wants a subnet for that."""
    if name() == "podman":
        return []
    return [f"--subnet={free_subnet(label, _routed())}"]


def free_subnet(label: str, taken: Sequence[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    """A /24 that overlaps with none of the taken ones; for one name always the same where that one is free."""
    candidates = list(_SUBNETS.subnets(new_prefix=24))
    first = int.from_bytes(hashlib.sha256(label.encode()).digest()[:4], "big") % len(candidates)
    for candidate in candidates[first:] + candidates[:first]:
        if not any(candidate.overlaps(net) for net in taken):
            return candidate
    raise ReplicaError(f"no network of 256 addresses is free within {_SUBNETS}")


def _routed() -> list[ipaddress.IPv4Network]:
    """The networks that this machine has a route to, those of other containers among them; without the default route."""
    found = []
    for line in _ROUTES.read_text(encoding="ascii").splitlines()[1:]:
        _interface, destination, _gateway, _flags, _references, _use, _metric, mask = line.split()[:8]
        # Hexadecimal, in the byte order of the machine.
        address, bits = (int(word, 16).to_bytes(4, sys.byteorder) for word in (destination, mask))
        net = ipaddress.ip_network((address, ipaddress.IPv4Address(bits).compressed), strict=False)
        if net.prefixlen:
            found.append(net)
    return found


def call(*arguments: str, text_in: str | None = None, timeout: float = 60) -> Result:
    """Run the engine; its exit code and output."""
    keep = {key: value for key, value in os.environ.items() if key in _KEPT or key.lower().endswith("_proxy")}
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
