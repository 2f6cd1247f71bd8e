"""The image of a host: a Debian image, with systemd, the servers, Node and the npm packages in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from ..cache import Cache
from ..lifecycle import locked
from ..paths import Paths
from ..system import ReplicaError, clean_environment, progress, run_or_fail
from ..toolchain import Node
from . import engine

_PULLED = "docker.io/library/debian:bookworm"
_IMPORTED = "localhost/tank-replica-base:bookworm"
_NAME = "localhost/tank-replica-host"


def ensure(cache: Cache, node: Node) -> str:
    """Name of the image for the present sources, built when it is missing. TANK_BASE_IMAGE names another base."""
    name = f"{_NAME}:{_version(cache, node)}"
    if _is_here(name):
        return name
    # One build at a time for all instances of a base folder; the one that was waited for may have made this image.
    with locked(Paths(cache.packages.parent.parent, ".image")):
        if not _is_here(name):
            base = os.environ.get("TANK_BASE_IMAGE") or _base()
            progress(f"building the hosts' image from {base} (about 60 s) ...")
            _build(name, base, cache, node)
            _forget_others(name)
    return name


def _is_here(name: str) -> bool:
    return engine.call("image", "inspect", name).rc == 0


def _version(cache: Cache, node: Node) -> str:
    said = f"{cache.packages.name} {node.version} {os.environ.get('TANK_BASE_IMAGE', '')}"
    return hashlib.sha256(said.encode() + (engine.HERE / "Containerfile").read_bytes()).hexdigest()[:12]


def _base() -> str:
    """A Debian image: one that is here, else one that can be pulled, else one made from Debian's packages."""
    for name in (_IMPORTED, _PULLED):
        if _is_here(name):
            return name
    if engine.call("pull", "--quiet", _PULLED, timeout=120).rc == 0:
        return _PULLED
    _make_base()
    return _IMPORTED


def _make_base() -> None:
    """For machines that reach Debian's packages and no image registry."""
    if not shutil.which("mmdebstrap"):
        raise ReplicaError(f"{_PULLED} cannot be pulled and mmdebstrap is missing: make setup-containers, or set TANK_BASE_IMAGE")
    progress("no image can be pulled: making one from Debian's packages with mmdebstrap (about 40 s) ...")
    with tempfile.TemporaryDirectory(prefix="tank-base-") as folder:
        archive = Path(folder) / "base.tar"
        keep = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
        argv = ["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", str(archive)]
        run_or_fail("mmdebstrap", argv, env=clean_environment(**keep), timeout=600)
        engine.must("import", str(archive), _IMPORTED, timeout=180)


def _build(name: str, base: str, cache: Cache, node: Node) -> None:
    with tempfile.TemporaryDirectory(prefix="tank-image-") as folder:
        context = Path(folder)
        shutil.copy2(node.executable, context / "node")
        (context / "node").chmod(0o755)
        shutil.copytree(cache.packages, context / "packages", symlinks=True)
        options = ["--tag", name, "--build-arg", f"BASE={base}", "--file", str(engine.HERE / "Containerfile")]
        engine.must("build", "--quiet", "--network=host", *options, str(context), timeout=900)


def _forget_others(name: str) -> None:
    for other in _tagged():
        if other.startswith(f"{_NAME}:") and other != name:
            engine.call("rmi", other)


def _tagged() -> list[str]:
    """Every image of the engine that has a name and a tag."""
    names = engine.must("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    return [name for name in names if "<none>" not in name]


def remove_own() -> list[str]:
    """Remove the hosts' images and the base that was made here, and return their names; what was pulled is not ours.

    ReplicaError where a container still uses one.
    """
    own = sorted((name for name in _tagged() if name.startswith(f"{_NAME}:") or name == _IMPORTED), key=lambda name: name == _IMPORTED)
    for name in own:
        engine.must("rmi", name, timeout=120)
    return own
