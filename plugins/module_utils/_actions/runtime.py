# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make or remove the virtual environment with the drivers that some checks need.

The environment is built beside its final path and then renamed, so that a failure leaves the former one in use. A marker file records
what was made; a folder without it is never changed. pip comes from the wheelhouse, from ensurepip, or from the Python itself. Only
wheels with a pinned hash are installed, so nothing is compiled and no code of a package runs. Times are seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._core.children import Program, run, user_name
from .._core.errors import ActionFailed, WrongQuestion
from .._core.masking import mask

OLDEST = (3, 10)  # required by the drivers
NAMES = ("python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python3")
# Searched before PATH: every user can read the Python of a distribution.
FOLDERS = ("/usr/bin", "/usr/local/bin")
MARKER = ".ops-remediation.json"
MADE_BY = "ops.remediation.check_runtime"
PROBE_WITHIN = 10.0
READ_WITHIN = 20.0
MOST_REASONS = 6  # in one line
PIP_FOR_OTHERS = (22, 3)  # the first that installs for another Python
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_PROBE = """
import json, os, platform, sys, venv
base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
print(json.dumps({"path": base, "version": list(sys.version_info[:2]), "machine": platform.machine(),
                  "musl": platform.libc_ver()[0] != "glibc", "prefix": os.path.realpath(sys.base_prefix)}))
"""
_READ = """
import json, sys
from importlib.metadata import distributions
print(json.dumps({"version": list(sys.version_info[:2]), "installed": {each.metadata["Name"]: each.version for each in distributions()}}))
"""


@dataclass(frozen=True)
class Request:
    """The options of the module check_runtime.

    wheels: names of the wheels on the controller; without ``wheelhouse`` they are only compared with the pins.
    """

    path: str
    state: str = "present"
    requirements: str = ""
    python: str = ""
    wheelhouse: str = ""
    wheels: tuple[str, ...] = ()
    timeout: float = 300.0


@dataclass(frozen=True)
class Pin:
    """One wanted package. hashes: SHA-256 of its files."""

    name: str
    version: str
    hashes: frozenset[str]


@dataclass(frozen=True)
class Interpreter:
    """A Python of this host that is not in a virtual environment."""

    path: str
    version: tuple[int, int]
    machine: str = ""
    musl: bool = False

    @property
    def short(self) -> str:
        """Return the version, such as 3.11."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True)
class Found:
    """The present runtime. installed: its packages. pins: their requirements. whole: as it was made. Empty when it does not run."""

    version: str = ""
    installed: Mapping[str, str] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False


@dataclass(frozen=True)
class Result:
    """The outcome, in check mode the planned one. before, after: the content of the runtime as lines."""

    changed: bool
    message: str
    interpreter: str = ""
    version: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    wheels: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the values that the module returns."""
        return {
            "changed": self.changed,
            "msg": self.message,
            "interpreter": self.interpreter,
            "version": self.version,
            "packages": dict(self.packages),
            "wheels": list(self.wheels),
        }

    def diff(self, path: str) -> dict[str, str]:
        """Return the diff in Ansible's form."""
        texts = {name: "".join(f"{line}\n" for line in getattr(self, name)) for name in ("before", "after")}
        return {**texts, "before_header": path, "after_header": path}


def bring(request: Request, *, check_mode: bool) -> Result:
    """Make, replace or remove the runtime as requested. Raises WrongQuestion and ActionFailed."""
    folder = _folder(request.path)
    if request.state == "absent":
        return _remove(folder, request, check_mode)
    pins = parse_pins(request.requirements)
    if check_mode:
        result, interpreter = _plan(folder, request, pins)
        if interpreter is not None:
            _must_be_writable(folder)
        return result
    with _alone(folder, request.timeout) as made:
        try:
            # Another run may have made it in the meantime.
            result, interpreter = _plan(folder, request, pins)
            if interpreter is not None:
                _build(folder, request, pins, interpreter, made)
                result = _as_made(result, folder)
        except BaseException:
            _remove_empty(made)
            raise
    return result


# --- the pins


def parse_pins(text: str) -> dict[str, Pin]:
    """Return the pins of a requirements file by their normalised names.

    Every line is ``name==version --hash=sha256:...``, continued with a backslash. Raises WrongQuestion for any other line, because a
    package without a hash cannot be verified.
    """
    pins: dict[str, Pin] = {}
    for line in text.replace("\\\n", " ").splitlines():
        words = [] if line.lstrip().startswith("#") else line.split(" #", 1)[0].split()
        if not words:
            continue
        pin, hashes = _PIN.fullmatch(words[0]), [_HASH.fullmatch(word) for word in words[1:]]
        if pin is None or not hashes or None in hashes:
            problem = "is not name==version with --hash=sha256:... of each of its wheels"
            raise WrongQuestion("requirements", " ".join(line.split())[:100], problem, "write it in that form, or use the file of the role")
        pins[normalised(pin[1])] = Pin(pin[1], pin[2], frozenset(found[1] for found in hashes if found))
    if not pins:
        raise WrongQuestion("requirements", text[:100], "names no package", "give the text of the role's requirements file")
    return pins


def normalised(name: str) -> str:
    """Return the normalised name of a package, as wheels and indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def fitting(wheels: Sequence[str], pins: Mapping[str, Pin], python: Interpreter) -> tuple[list[str], list[str]]:
    """Return the wheels that this Python can use for the pins, and the pins without a wheel."""
    found: dict[str, list[str]] = {name: [] for name in pins}
    for wheel in wheels:
        name, version, *tags = wheel[: -len(".whl")].split("-") if wheel.endswith(".whl") else ["", ""]
        pin = pins.get(normalised(name))
        if pin and version == pin.version and len(tags) >= 3 and _runs_on(tags[-3], tags[-2], tags[-1], python):
            found[normalised(name)].append(wheel)
    missing = [f"{pins[name].name} {pins[name].version}" for name, files in found.items() if not files]
    return [wheel for files in found.values() for wheel in files], missing


def _runs_on(pythons: str, abi: str, platforms: str, python: Interpreter) -> bool:
    """Return whether the three tags of a wheel's name fit a Python; pip itself checks the version of the C library."""
    libc = "musllinux" if python.musl else "manylinux"
    if not any(
        platform == "any" or (platform.startswith((libc, "linux")) and platform.endswith(f"_{python.machine}"))
        for platform in platforms.split(".")
    ):
        return False
    major, minor = python.version
    for tag in pythons.split("."):
        built = re.fullmatch(r"cp3(\d+)", tag)
        if tag == f"py{major}" or (built and abi == "abi3" and int(built[1]) <= minor) or abi == tag == f"cp{major}{minor}":
            return True
    return False


# --- the present runtime


def _folder(path: str) -> str:
    """Return the normalised path. Raises WrongQuestion for a path that root must not use or that holds something else."""
    folder = os.path.normpath(path)
    if not os.path.isabs(path) or folder == "/":
        raise WrongQuestion("path", path, "is not an absolute path of a folder", "give one such as /opt/ops-remediation/runtime")
    reason = unsafe(os.path.dirname(folder))
    if reason:
        raise WrongQuestion("path", path, f"is not safe: {reason}", "give a folder that only this user can write to")
    for place in (folder, f"{folder}.new", f"{folder}.old"):
        _must_be_ours(place)
    return folder


def unsafe(path: str) -> str:
    """Return who else could replace this path, "" for nobody; folders that do not exist yet count as safe."""
    place = os.path.realpath(path)
    while True:
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(place)
            if status.st_uid not in (0, os.geteuid()):
                return f"{place} belongs to {user_name(status.st_uid)}"
            # In a folder like /tmp, others can add but not replace.
            if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
                return f"all users may write to {place}"
        if place == "/":
            return ""
        place = os.path.dirname(place)


def _must_be_ours(place: str) -> None:
    """Raise WrongQuestion unless the path is free, an empty folder, or holds only what the marker lists as made here."""
    if not os.path.lexists(place):
        return
    remedy = "move it away, or give another path"
    if os.path.islink(place) or not os.path.isdir(place):
        raise WrongQuestion("path", place, "is not a folder that was made here", remedy)
    entries = set(os.listdir(place))
    marker = _marker(place)
    if entries and not marker:
        raise WrongQuestion("path", place, f"was not made here: it has no {MARKER}", remedy)
    strange = sorted(entries - {MARKER} - set(marker.get("entries", entries)))
    if strange:
        raise WrongQuestion("path", place, f"holds {', '.join(strange[:3])}, which was not made here", "move that away first")


def _marker(place: str) -> dict[str, Any]:
    """Return the content of the marker file, {} when there is none of ours. It has no ``entries`` while the runtime is being built."""
    try:
        with open(os.path.join(place, MARKER), encoding="utf-8") as file:
            marker = json.load(file)
    except (OSError, ValueError):
        return {}
    return marker if isinstance(marker, dict) and marker.get("made_by") == MADE_BY else {}


def read_runtime(folder: str) -> Found:
    """Return the runtime at a path."""
    marker = _marker(folder)
    python = os.path.join(folder, "bin", "python")
    if not marker or not os.path.exists(python):
        return Found()
    seen = _answer_of([python, "-I", "-B", "-c", _READ], READ_WITHIN)
    if not isinstance(seen, dict):
        return Found()
    version = ".".join(map(str, seen["version"]))
    status = os.stat(folder)
    whole = (
        marker.get("installed") == seen["installed"]
        and marker.get("python") == version
        and status.st_uid == os.geteuid()
        and stat.S_IMODE(status.st_mode) == 0o755
    )
    return Found(version, seen["installed"], marker.get("pins", {}), whole)


def _answer_of(argv: Sequence[str], deadline: float) -> Any:
    """Return the JSON that a small Python program prints, or the reason (a text) why it printed none."""
    try:
        done = run(argv, deadline=deadline, env=_plain_environment())
    except OSError as error:
        return error.strerror or str(error)
    if done.timed_out:
        return f"no answer within {deadline:g} s"
    try:
        return json.loads(done.stdout)
    except ValueError:
        lines = done.stderr.strip().splitlines() or ["does not run"]
        return lines[-1 if "Traceback" in done.stderr else 0][:200]


# --- the Python that makes it


def find_python(request: Request, pins: Mapping[str, Pin]) -> tuple[Interpreter, tuple[str, ...]]:
    """Return the Python to use, and the wheels that it needs from the wheelhouse. Raises WrongQuestion when none is suitable."""
    wheels = request.wheels or _wheels_in(request.wheelhouse)
    offline = bool(request.wheels or request.wheelhouse)
    refused: dict[str, str] = {}
    for candidate in [request.python] if request.python else _candidates():
        python = _probed(candidate, given=bool(request.python))
        if isinstance(python, str):
            refused[candidate] = python
            continue
        needed, missing = fitting(wheels, pins, python) if offline else ([], [])
        if not missing:
            return python, tuple(needed)
        refused[candidate] = f"the wheelhouse lacks {', '.join(missing[:3])} for Python {python.short} on {python.machine}"
    raise _no_python(request, refused)


def _wheels_in(folder: str) -> tuple[str, ...]:
    if not folder:
        return ()
    try:
        return tuple(sorted(os.listdir(folder)))
    except OSError as error:
        raise WrongQuestion(
            "wheelhouse",
            folder,
            f"cannot be read ({error.strerror})",
            "give one that was built as the README of the role check_runtime describes",
        ) from error


def _candidates() -> list[str]:
    """Return the possible Pythons, newest first in the folders of the system, then in PATH."""
    elsewhere = [folder for folder in os.environ.get("PATH", "").split(":") if os.path.isabs(folder) and folder not in FOLDERS]
    places = [os.path.join(folder, name) for group in (FOLDERS, elsewhere) for name in NAMES for folder in group]
    return [place for place in dict.fromkeys(places) if os.access(place, os.X_OK)]


def _probed(program: str, *, given: bool) -> Interpreter | str:
    """Return the Python that a program is, or the reason why it cannot be used. given: an operator named it."""
    path = program if os.path.isabs(program) else shutil.which(program)
    if path is None:
        return "does not exist"
    answer = _answer_of([path, "-sEB", "-c", _PROBE], PROBE_WITHIN)
    if not isinstance(answer, dict):
        return str(answer)
    python = Interpreter(answer["path"], (answer["version"][0], answer["version"][1]), answer["machine"], answer["musl"])
    if python.version < OLDEST:
        return f"is Python {python.short}"
    for place in (python.path, answer["prefix"]):
        reason = unsafe(place) or ("" if given else _closed(place))
        if reason:
            return reason
    return python


def _closed(path: str) -> str:
    """Return why other users could not run this path, "" when they can; checks run as the user that owns their files."""
    place = os.path.realpath(path)
    while os.geteuid() == 0 and place != "/":
        if not os.stat(place).st_mode & stat.S_IXOTH:
            return f"other users may not enter {place}"
        place = os.path.dirname(place)
    return ""


def _no_python(request: Request, refused: Mapping[str, str]) -> WrongQuestion:
    seen = "; ".join(f"{program}: {reason}" for program, reason in list(refused.items())[:MOST_REASONS]) or "no python3 at all"
    if request.python:
        return WrongQuestion("python", request.python, f"cannot be used ({seen})", "name a Python 3.10 or newer of this host, or none")
    if any("wheelhouse lacks" in reason for reason in refused.values()):
        remedy = "build one for a Python of this host, as the README of the role check_runtime describes"
        return WrongQuestion("wheelhouse", request.wheelhouse or "the given one", f"fits no Python of this host ({seen})", remedy)
    remedy = (
        "install one (Debian 12+ and Ubuntu 22+: apt install python3; RHEL 8+: dnf install python3.11), name one with python,"
        " or let a checker run the checks (stack_checker)"
    )
    return WrongQuestion("python", "", f"no Python 3.10 or newer was found here ({seen})", remedy)


# --- making the runtime


def _plan(folder: str, request: Request, pins: Mapping[str, Pin]) -> tuple[Result, Interpreter | None]:
    """Return the planned result, and the Python that makes the runtime; None when nothing has to change."""
    found = read_runtime(folder)
    wanted = {pin.name: pin.version for pin in pins.values()}
    before = _lines(found.version, found.installed)
    if found.whole and found.pins == wanted and _is_wanted_version(request, found.version):
        message = f"{folder} is up to date: Python {found.version}, {len(found.installed)} packages"
        return Result(False, message, f"{folder}/bin/python", found.version, found.installed, before, before), None
    python, wheels = find_python(request, pins)
    message = f"{folder} {'is replaced' if before else 'is made'} with Python {python.short} ({python.path}): {len(pins)} packages"
    after = _lines(python.short, wanted)
    return Result(True, message, f"{folder}/bin/python", python.short, wanted, before, after, wheels), python


def _is_wanted_version(request: Request, version: str) -> bool:
    """Return whether the Python that an operator named, if any, has this version."""
    if not request.python:
        return True
    python = _probed(request.python, given=True)
    if isinstance(python, str):
        raise _no_python(request, {request.python: python})
    return python.short == version


def _lines(version: str, packages: Mapping[str, str]) -> tuple[str, ...]:
    if not version:
        return ()
    return (f"Python {version}", *sorted((f"{normalised(name)} {number}" for name, number in packages.items()), key=str.lower))


def _as_made(planned: Result, folder: str) -> Result:
    found = read_runtime(folder)
    return Result(
        True, planned.message, planned.interpreter, found.version, found.installed, planned.before, _lines(found.version, found.installed)
    )


def _must_be_writable(folder: str) -> None:
    """Raise ActionFailed where this user may not make the runtime."""
    place = os.path.dirname(folder)
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    if not os.access(place, os.W_OK | os.X_OK):
        raise ActionFailed(f"path: {user_name(os.geteuid())} may not write to {place}; run as root, or give another path")


def _make_parents(folder: str) -> list[str]:
    """Make the missing parent folders, readable for all; return them, outermost first."""
    missing: list[str] = []
    place = os.path.dirname(folder)
    while not os.path.isdir(place):
        missing.insert(0, place)
        place = os.path.dirname(place)
    return [place for place in missing if _make_folder(place)]


def _make_folder(place: str) -> bool:
    """Make one folder that all may read; return whether it was missing."""
    try:
        os.mkdir(place, 0o755)
        os.chmod(place, 0o755)  # noqa: S103 - the umask may have taken that away
        return True
    except FileExistsError:
        return False
    except OSError as error:
        raise ActionFailed(f"path: {place} cannot be made ({error.strerror}); run as root, or give another path") from error


@contextlib.contextmanager
def _alone(folder: str, patience: float) -> Iterator[list[str]]:
    """Hold an exclusive lock on this path, because two hosts of an inventory may be the same machine.

    Yields the parent folders that were made.
    """
    parent = os.path.dirname(folder)
    give_up = time.monotonic() + patience
    made: list[str] = []
    while True:
        made = _make_parents(folder) or made
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            while not _is_locked(descriptor):
                if time.monotonic() > give_up:
                    raise ActionFailed(f"path: another run has held the lock beside {folder} for {patience:g} s; try again later")
                time.sleep(0.2)
            # The previous holder of the lock may have removed the folder.
            if os.path.isdir(parent) and os.path.samestat(os.fstat(descriptor), os.stat(parent)):
                yield made
                return
        finally:
            os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Try to lock; return whether that succeeded."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def _build(folder: str, request: Request, pins: Mapping[str, Pin], python: Interpreter, made: Sequence[str]) -> None:
    new, old = f"{folder}.new", f"{folder}.old"
    give_up = time.monotonic() + request.timeout
    parents = list(made) or _marker(folder).get("parents", [])
    marker = {"made_by": MADE_BY, "parents": parents}
    # A killed run may have left these.
    _discard(new)
    _put_back(old, folder)
    _discard(old)
    try:
        _make_folder(new)
        _write_marker(new, marker)
        _fill(new, request, pins, python, lambda: give_up - time.monotonic())
        _settle(new, folder)
        wanted = {pin.name: pin.version for pin in pins.values()}
        entries = sorted(os.listdir(new))
        _write_marker(new, {**marker, "python": python.short, "pins": wanted, "installed": _installed(new), "entries": entries})
        if os.path.lexists(folder):
            os.rename(folder, old)
        os.rename(new, folder)
    except OSError as error:
        raise ActionFailed(f"path: {error.filename or folder}: {error.strerror}; run as root, or give another path") from error
    finally:
        _put_back(old, folder)
        _discard(new)
    _discard(old)


def _put_back(old: str, folder: str) -> None:
    """Restore the former runtime where no new one replaced it."""
    if os.path.lexists(old) and not os.path.lexists(folder):
        os.rename(old, folder)


def _discard(place: str) -> None:
    """Remove a runtime, the marker last, so that the rest after an interruption still counts as made here."""
    if not os.path.lexists(place):
        return
    try:
        for name in sorted(os.listdir(place), key=lambda name: name == MARKER):
            entry = os.path.join(place, name)
            if os.path.isdir(entry) and not os.path.islink(entry):
                shutil.rmtree(entry)
            else:
                os.unlink(entry)
        os.rmdir(place)
    except OSError as error:
        raise ActionFailed(f"path: {error.filename} cannot be removed ({error.strerror}); run as root") from error


def _write_marker(place: str, content: Mapping[str, Any]) -> None:
    with open(os.path.join(place, MARKER), "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o644)) as file:
        json.dump(content, file, indent=1, sort_keys=True)


def _fill(new: str, request: Request, pins: Mapping[str, Pin], python: Interpreter, left: Callable[[], float]) -> None:
    """Make the environment in an empty folder and install the pins."""
    _must_succeed(
        f"{python.path} cannot make a virtual environment",
        [python.path, "-I", "-B", "-m", "venv", "--without-pip", "--symlinks", new],
        left,
    )
    pip = _pip(new, request, pins, python, left)
    with tempfile.NamedTemporaryFile("w", prefix="check-runtime-", suffix=".txt", encoding="utf-8") as file:
        file.write(request.requirements + "\n")
        file.flush()
        source = ["--no-index", "--find-links", request.wheelhouse] if request.wheelhouse else []
        options = [
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--no-deps",
            "--no-cache-dir",
            "--no-warn-script-location",
            "--force-reinstall",
        ]
        _must_succeed("pip could not install the packages", [*pip, "install", *options, *source, "-r", file.name], left)
    _must_succeed("the packages conflict", [*pip, "check"], left)
    extra = sorted(name for name in _installed(new) if normalised(name) not in pins)
    if extra:
        # ensurepip installed these.
        _must_succeed("pip could not remove unwanted packages", [*pip, "uninstall", "--yes", *extra], left)


def _installed(place: str) -> Mapping[str, str]:
    """Return the packages of an environment by name. Raises ActionFailed when its Python does not run."""
    found = _answer_of([os.path.join(place, "bin", "python"), "-I", "-B", "-c", _READ], READ_WITHIN)
    if not isinstance(found, dict):
        raise ActionFailed(f"the new runtime does not run: {found}")
    return found["installed"]


def _pip(new: str, request: Request, pins: Mapping[str, Pin], python: Interpreter, left: Callable[[], float]) -> list[str]:
    """Return the command of a pip that installs into the new environment. Raises ActionFailed when there is none."""
    inside = os.path.join(new, "bin", "python")
    # With a wheelhouse, the index and the options of the host's configuration are ignored.
    common = ["--no-input", "--disable-pip-version-check", *(["--isolated"] if request.wheelhouse else [])]
    wheel = next((name for name in _wheels_in(request.wheelhouse) if name.startswith("pip-")), None)
    if wheel:
        place = os.path.join(request.wheelhouse, wheel)
        _must_be_pinned(place, pins)
        return [inside, "-I", f"{place}/pip", *common]
    if _run([inside, "-I", "-m", "ensurepip"], left).code == 0:
        return [inside, "-I", "-m", "pip", *common]
    version = re.match(r"pip (\d+)\.(\d+)", _run([python.path, "-I", "-B", "-m", "pip", "--version"], left).stdout)
    if version and (int(version[1]), int(version[2])) >= PIP_FOR_OTHERS:
        return [python.path, "-I", "-B", "-m", "pip", "--python", inside, *common]
    raise ActionFailed(
        f"{python.path} has no pip; install it (Debian and Ubuntu: apt install python{python.short}-venv), or use a wheelhouse,"
        " which contains one (see the README of the role check_runtime, check_runtime_wheelhouse)"
    )


def _must_be_pinned(wheel: str, pins: Mapping[str, Pin]) -> None:
    with open(wheel, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    if "pip" not in pins or digest not in pins["pip"].hashes:
        name = os.path.basename(wheel)
        raise WrongQuestion("wheelhouse", name, "is not the pinned pip: its hash is not among the pins", "build the wheelhouse again")


def _settle(new: str, folder: str) -> None:
    """Remove the paths of the temporary folder: scripts that contain it, and its line in pyvenv.cfg."""
    scripts = os.path.join(new, "bin")
    for name in os.listdir(scripts):
        place = os.path.join(scripts, name)
        if os.path.isdir(place):
            shutil.rmtree(place)
        elif not name.startswith("python"):
            os.unlink(place)
    settings = os.path.join(new, "pyvenv.cfg")
    with open(settings, encoding="utf-8") as file:
        text = file.read()
    with open(settings, "w", encoding="utf-8") as file:
        file.write(text.replace(new, folder))


def _must_succeed(problem: str, argv: Sequence[str], left: Callable[[], float]) -> None:
    done = _run(argv, left)
    if done.code:
        raise ActionFailed(f"{problem}: {_complaint(done)}")


def _run(argv: Sequence[str], left: Callable[[], float]) -> Program:
    """Run a program within the time that is left. Raises ActionFailed when that is not enough."""
    done = run(argv, deadline=max(0.1, left()), env=_pip_environment(), umask=0o022)
    if done.timed_out:
        raise ActionFailed("timeout: the runtime was not made in time; raise the limit, or use a wheelhouse where the index is slow")
    return done


def _complaint(done: Program) -> str:
    """Return the error lines of a program's output, or its last line; pip marks its errors."""
    lines = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    errors = [line[len("ERROR:") :].strip() for line in lines if line.startswith("ERROR:")]
    return mask(" ".join(errors[:3] or lines[-1:] or [f"exit code {done.code}"]), limit=600)


def _plain_environment() -> dict[str, str]:
    """Return an environment without variables that change the behaviour of Python."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/")}


def _pip_environment() -> dict[str, str]:
    """Return the caller's environment (proxies, indexes, certificates) without variables that redirect pip."""
    redirecting = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_REQUIREMENT", "PIP_REQUIRE_VIRTUALENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") and name not in redirecting}
    return {**kept, "PIP_USER": "0"}


# --- removing the runtime


def _remove(folder: str, request: Request, check_mode: bool) -> Result:
    places = [place for place in (folder, f"{folder}.new", f"{folder}.old") if os.path.lexists(place) and _marker(place)]
    if not places:
        return Result(False, f"{folder} does not exist")
    found, parents = read_runtime(folder), _marker(places[0]).get("parents", [])
    result = Result(True, f"{folder} is removed", before=_lines(found.version, found.installed) or ("a runtime that does not run",))
    if check_mode:
        return result
    with _alone(folder, request.timeout):
        for place in places:
            _discard(place)
        _remove_empty([parent for parent in parents if f"{folder}/".startswith(f"{parent}/")])
    return result


def _remove_empty(made: Sequence[str]) -> None:
    for place in reversed(made):
        with contextlib.suppress(OSError):
            os.rmdir(place)
