"""Python for the replica's servers: copies of the replica's code and of the packages that they import.

The servers run as another account. That account may not be able to enter the checkout (root's home has mode 0700), and the
checkout may be removed while the replica runs. So a server reads the cache, where every account can read, and the
interpreter of the distribution.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .paths import SOURCES
from .system import ReplicaError, clean_environment, progress, run_or_fail

# What oracle/, aws/ and sick_nas.py import; moto_server needs flask and flask-cors.
ROOTS = ("cryptography", "moto", "flask", "flask-cors", "dnspython", "mfusepy")
# Parts of this package that no server needs.
_LEFT_OUT = frozenset({"apps", "tests", "__pycache__"})
_PACKAGE = Path("tests/replica")  # imported as tests.replica
_COMPILE_S = 300


@dataclass(frozen=True)
class Runtime:
    """Copies in the cache: `code` has tests/replica, `packages` the Python packages."""

    code: Path
    packages: Path

    @property
    def package(self) -> Path:
        """The copy of tests/replica."""
        return self.code / _PACKAGE

    @property
    def python(self) -> Path:
        return interpreter()

    def environment(self) -> dict[str, str]:
        """The whole environment of a server: nothing of the caller's, no byte code written, no packages of the account's own."""
        path = os.pathsep.join([str(self.code), str(self.packages)])
        return clean_environment(
            PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1", PYTHONNOUSERSITE="1", PYTHONSAFEPATH="1", PYTHONUNBUFFERED="1"
        )


def runtime_for_sources(folder: Path) -> Runtime:
    """The copies for the present code and packages; they need not exist yet."""
    return Runtime(folder / f"code-{_code_digest()}", folder / f"python-{_packages_digest()}")


def interpreter() -> Path:
    """The Python behind the virtual environment that runs this."""
    return Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()


def copy_code(folder: Path) -> None:
    """Copy tests/replica to `folder`."""
    for path in _code_files():
        _copy(path, folder / _PACKAGE / path.relative_to(SOURCES))
    _compile(folder)


def copy_packages(folder: Path) -> None:
    """Copy the packages of ROOTS, and what they require, to `folder`."""
    progress("copying Python packages to where every account can read them (about 5 s) ...")
    for distribution in _required(ROOTS):
        for recorded in distribution.files or ():
            source = Path(str(distribution.locate_file(recorded)))
            # Commands are outside of site-packages; byte code comes with its source.
            if ".." not in recorded.parts and source.suffix != ".pyc" and source.is_file():
                _copy(source, folder / recorded)
    _compile(folder)


def _code_files() -> list[Path]:
    found = SOURCES.rglob("*")
    return sorted(path for path in found if path.is_file() and not _LEFT_OUT & set(path.relative_to(SOURCES).parts))


def _code_digest() -> str:
    digest = hashlib.sha256(str(interpreter()).encode())
    for path in _code_files():
        digest.update(f"{path.relative_to(SOURCES)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _packages_digest() -> str:
    """Digest of the interpreter and of the names and versions of all installed packages: reading their metadata takes half a second."""
    spec = importlib.util.find_spec("moto")
    if not spec or not spec.origin:
        raise ReplicaError("the Python package moto is missing: run `make setup`, and start the replica with .venv/bin/python")
    installed = sorted(name for name in os.listdir(Path(spec.origin).parents[1]) if name.endswith(".dist-info"))
    return hashlib.sha256("\0".join([str(interpreter()), sys.version, *ROOTS, *installed]).encode()).hexdigest()[:12]


def _required(roots: Iterable[str]) -> Iterator[importlib.metadata.Distribution]:
    """The installed distributions of these names, and of all that they require here."""
    from packaging.requirements import Requirement  # only needed for a new copy

    waiting, seen = [Requirement(name) for name in roots], set()
    while waiting:
        requirement = waiting.pop()
        key = (re.sub(r"[-_.]+", "-", requirement.name).lower(), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            distribution = importlib.metadata.distribution(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            raise ReplicaError(f"the Python package {requirement.name} is missing: run `make setup`") from None
        yield distribution
        for line in distribution.requires or ():
            further = Requirement(line)
            if not further.marker or any(further.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)):
                waiting.append(further)


def _copy(source: Path, target: Path) -> None:
    """Copy a file and its byte code. The time stamp stays, since it decides whether the byte code is valid; the mode does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    stat = source.stat()
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    if source.suffix == ".py":
        compiled = Path(importlib.util.cache_from_source(str(source)))
        for place in (compiled, source.parent / "__pycache__" / compiled.name):
            if place.exists():
                (target.parent / "__pycache__").mkdir(exist_ok=True)
                shutil.copyfile(place, target.parent / "__pycache__" / compiled.name)
                break


def _compile(folder: Path) -> None:
    """Compile what came without valid byte code: the account of a server may not write here."""
    # Some packages ship files for other versions of Python, which do not compile: exit code 1.
    argv = [str(interpreter()), "-m", "compileall", "-q", "-j", "0", str(folder)]
    run_or_fail("compile Python packages", ["sh", "-c", '"$@" || [ $? = 1 ]', "sh", *argv], timeout=_COMPILE_S, umask=0o022)
