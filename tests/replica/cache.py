"""What all instances share: npm packages, built applications, Python for the servers; each made once and then never changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .paths import SOURCES
from .runtime import Runtime, copy_code, copy_packages, runtime_for_sources
from .system import clean_environment, progress, remove_tree, run_or_fail
from .toolchain import Node

APPS = SOURCES / "apps"
_PACKAGE_FILES = ("package.json", "package-lock.json", ".npmrc")
_BUILD_TREES = ("package.json", "src", "frontend/src", "frontend/index.html", "frontend/vite.config.mjs", "tsconfig.json")
_PREFIXES = ("packages-", "build-", "code-", "python-")
_KEPT_S = 7 * 24 * 3600


@dataclass(frozen=True)
class Cache:
    """Folders of the cache that belong to the sources as they are now."""

    packages: Path
    build: Path
    runtime: Runtime

    @property
    def folders(self) -> tuple[Path, ...]:
        return self.packages, self.build, self.runtime.code, self.runtime.packages

    @property
    def modules(self) -> Path:
        return self.packages / "node_modules"

    @property
    def pm2(self) -> Path:
        return self.modules / "pm2" / "bin" / "pm2"

    def ready(self) -> bool:
        return all(folder.exists() for folder in self.folders)

    def mark_used(self) -> None:
        for folder in self.folders:
            os.utime(folder)


def cache_for_sources(folder: Path) -> Cache:
    """The cache's folders for the present sources and lock file; they need not exist yet."""
    packages = _digest([APPS / "package-lock.json"])
    sources = [path for name in _BUILD_TREES for path in _files(APPS / name)]
    build = _digest([APPS / "package-lock.json", *sources])
    return Cache(folder / f"packages-{packages}", folder / f"build-{build}", runtime_for_sources(folder))


def prepare(cache: Cache, node: Node) -> None:
    """Install and build what is not there yet."""
    _make_once(cache.packages, lambda folder: _install_packages(folder, node))
    _make_once(cache.build, lambda folder: _build(folder, cache.modules, node))
    _make_once(cache.runtime.code, copy_code)
    _make_once(cache.runtime.packages, copy_packages)
    _forget_unused(cache)


def _files(top: Path) -> list[Path]:
    return [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(APPS)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _make_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Make a folder beside its place and rename it: a killed run leaves no half-made one."""
    if folder.exists():
        return
    part = folder.with_name(f"{folder.name}.part")
    remove_tree(part)
    part.mkdir(parents=True)
    old = os.umask(0o022)
    try:
        make(part)
    finally:
        os.umask(old)
    part.rename(folder)


def _install_packages(folder: Path, node: Node) -> None:
    progress("installing npm packages (about 20 s) ...")
    for name in _PACKAGE_FILES:
        shutil.copyfile(APPS / name, folder / name)
    # npm keeps the caller's environment: it may need its proxy and certificates.
    env = {**os.environ, "PATH": f"{node.executable.parent}:{os.environ.get('PATH', '')}"}
    argv = [str(node.executable), str(node.npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run_or_fail("npm ci", argv, cwd=folder, env=env, timeout=900, umask=0o022)


def _build(folder: Path, modules: Path, node: Node) -> None:
    progress("building backend, worker and frontend (about 5 s) ...")
    for name in _BUILD_TREES:
        for path in _files(APPS / name):
            target = folder / path.relative_to(APPS)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    (folder / "node_modules").symlink_to(modules)
    env = clean_environment([str(node.executable.parent)], HOME=str(folder), NODE_ENV="production")
    for what, program in (("tsc", "typescript/bin/tsc"), ("vite build", "vite/bin/vite.js")):
        arguments = ["-p", "tsconfig.json"] if what == "tsc" else ["build", "frontend", "--logLevel", "warn"]
        argv = [str(node.executable), str(modules / program), *arguments]
        run_or_fail(what, argv, cwd=folder, env=env, timeout=300, umask=0o022)


def _forget_unused(cache: Cache) -> None:
    """Remove what older sources left and nobody used for a week."""
    for folder in cache.packages.parent.iterdir():
        old = time.time() - folder.stat().st_mtime > _KEPT_S
        if old and folder.name.startswith(_PREFIXES) and folder not in cache.folders:
            remove_tree(folder)
