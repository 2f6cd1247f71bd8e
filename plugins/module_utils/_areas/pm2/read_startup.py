# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the systemd unit that starts PM2 at boot, without systemctl."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypedDict

from ..._core.children import user_name
from ..._core.errors import CannotRead, NeedsUser
from ..._core.source import Source
from ..._shared.pm2_list import owner
from ..._shared.text_files import tail

DEFAULT_UNIT_DIRECTORY = "/etc/systemd/system"


class Unit(TypedDict):
    """The settings of a unit and its drop-ins.

    pm2_home: from its environment, else of its user. path_dirs: the folders of its PATH. resurrects: it calls ``pm2 resurrect``.
    """

    masked: bool
    user: str
    pm2_home: str
    path_dirs: list[str]
    command: str
    resurrects: bool


class Reachable(TypedDict):
    """Whether the unit's user may run its command and finds node in its PATH."""

    command_exists: bool
    node_found: bool


class _Always(TypedDict):
    expected: str
    unit_dir: str
    unit_dir_present: bool
    wanted_user: str
    wanted_home: str
    present: bool


class Startup(_Always, total=False):
    """The boot unit of a PM2_HOME: what is wanted, and the unit that was found (fields of :class:`Unit` and :class:`Reachable`).

    expected: name of the unit that ``pm2 startup`` writes. wanted_user: the given user, else the owner of the PM2_HOME.
    home_matches: the unit has this PM2_HOME.
    """

    path: str
    enabled: bool
    home_matches: bool
    masked: bool
    user: str
    pm2_home: str
    path_dirs: list[str]
    command: str
    resurrects: bool
    command_exists: bool
    node_found: bool


def read_startup(pm2_home: str, user: str | None = None, unit_dir: str | None = None) -> Startup:
    """Return the boot unit that serves a PM2_HOME (M2-3: ``pm2 startup``).

    Only PM2_HOME and PATH are taken from the unit's environment. Root reads the unit, because a strict umask hides it from
    other users, and checks the programs that the unit names as the unit's user.
    Raises NeedsUser for any third user, CannotRead for a unit that this process may not read.
    """
    uid = owner(pm2_home, user)
    if os.geteuid() not in (0, uid):
        raise NeedsUser(user_name(uid), f"this belongs to {user_name(uid)} and the run is {user_name(os.geteuid())}")
    directory = unit_dir or DEFAULT_UNIT_DIRECTORY
    wanted_user = user or user_name(os.stat(pm2_home).st_uid)
    expected = f"pm2-{wanted_user}.service"
    known: Startup = {
        "expected": expected,
        "unit_dir": directory,
        "unit_dir_present": os.path.isdir(directory),
        "wanted_user": wanted_user,
        "wanted_home": pm2_home,
        "present": False,
    }
    name = _unit_name(directory, expected, pm2_home)
    if not name:
        return known
    path = os.path.join(directory, name)
    if os.path.exists(path) and not os.access(path, os.R_OK, effective_ids=True):
        raise CannotRead(f"{path} may not be read by {user_name(os.geteuid())}; run the check as root, or: chmod 644 {path}")
    unit = _unit(path)
    known.update({"present": True, "path": path, "enabled": _enabled(directory, name), "home_matches": _serves(unit["pm2_home"], pm2_home)})
    return {**known, **unit, **_reachable(unit, uid)}


def _serves(unit_home: str, pm2_home: str) -> bool:
    return bool(unit_home) and os.path.realpath(unit_home) == os.path.realpath(pm2_home)


def _unit_name(directory: str, expected: str, pm2_home: str) -> str:
    """Return the name of the usual unit, else of one that serves this PM2_HOME (``pm2 startup --service-name``), "" for none."""
    if os.path.lexists(os.path.join(directory, expected)):
        return expected
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), "*.service")))[:500]:
        if "resurrect" in tail(path, 65536)[0] and _serves(_unit(path)["pm2_home"], pm2_home):
            return os.path.basename(path)
    return ""


def _enabled(directory: str, name: str) -> bool:
    links = (os.path.join(glob.escape(directory), f"*.{kind}", glob.escape(name)) for kind in ("wants", "requires"))
    return any(glob.glob(pattern) or _dangling(pattern) for pattern in links)


def _dangling(pattern: str) -> bool:
    # glob follows links in its last part; a link that was made in an image and leads nowhere here counts as well.
    folders = glob.glob(os.path.dirname(pattern))
    return any(os.path.islink(os.path.join(folder, os.path.basename(pattern))) for folder in folders)


def _unit(path: str) -> Unit:
    masked = os.path.realpath(path) == os.devnull
    settings = _unit_settings(path)
    run_as = settings.get("User", [""])[-1]
    environment = _unit_environment(settings)
    home = environment.get("PM2_HOME") or _default_pm2_home(run_as)
    path_dirs = [folder for folder in environment.get("PATH", os.defpath).split(os.pathsep) if folder]
    words = _words(next((line for line in reversed(settings.get("ExecStart", [])) if line), ""))
    command = words[0].lstrip("-@:+!") if words else ""
    return {
        "masked": masked,
        "user": run_as or "root",
        "pm2_home": home,
        "path_dirs": path_dirs,
        "command": command,
        "resurrects": "resurrect" in words,
    }


def _reachable(unit: Unit, uid: int) -> Reachable:

    def may_run(path: str) -> bool:
        return os.access(path, os.X_OK, effective_ids=True)

    with _seen_by(uid):
        node_found = any(may_run(os.path.join(folder, "node")) for folder in unit["path_dirs"])
        return {"command_exists": bool(unit["command"]) and may_run(unit["command"]), "node_found": node_found}


@contextlib.contextmanager
def _seen_by(uid: int) -> Iterator[None]:
    """Check access to files as a user for the length of this block; root itself may access everything."""
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    entry, group, groups = pwd.getpwuid(uid), os.getegid(), os.getgroups()
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setegid(entry.pw_gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _default_pm2_home(run_as: str) -> str:
    try:
        return os.path.join(pwd.getpwnam(run_as or "root").pw_dir, ".pm2")
    except KeyError:
        return ""


def _unit_settings(path: str) -> dict[str, list[str]]:
    """Return the [Service] settings of a unit and its drop-ins; as in systemd, an empty assignment clears a setting."""
    settings: dict[str, list[str]] = {}
    for name in [path, *sorted(glob.glob(os.path.join(glob.escape(path) + ".d", "*.conf")))]:
        section = ""
        for line in re.sub(r"\\\n", " ", tail(name, 65536)[0]).split("\n"):
            line = line.strip()
            if line.startswith("["):
                section = line
            key, separator, value = line.partition("=")
            if section != "[Service]" or not separator or line[0] in "#;":
                continue
            if value.strip():
                settings.setdefault(key.strip(), []).append(value.strip())
            else:
                settings[key.strip()] = []
    return settings


def _unit_environment(settings: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return PM2_HOME and PATH of a unit's environment; the other variables may hold secrets."""
    assignments = []
    for name in settings.get("EnvironmentFile", []):
        assignments += [word for line in tail(name.lstrip("-"), 65536)[0].split("\n") for word in _words(line)[:1]]
    from_files = _wanted_variables(assignments)
    direct = _wanted_variables(word for value in settings.get("Environment", []) for word in _words(value))
    return {**direct, **from_files}


def _wanted_variables(assignments: Iterable[str]) -> dict[str, str]:
    pairs = (assignment.partition("=") for assignment in assignments)
    return {key: value for key, _equals, value in pairs if key in ("PM2_HOME", "PATH")}


def _words(text: str) -> list[str]:
    """Return the words of a setting as a shell splits them."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


STARTUP = Source("pm2.startup", read_startup, ("pm2_home", "user", "unit_dir"))
