# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to a PM2 daemon through its socket, and read the files of a PM2_HOME. Never starts a daemon.

Every PM2 command starts a daemon when none runs, and hangs when it hangs; the socket does neither. Secrets stand
twice in PM2's own list and in its dumps, so only named fields are taken from them. Works with PM2 5, 6 and 7.
Everything here runs as the owner of the PM2_HOME, in a child with a deadline. Times are epoch seconds (only
``created_at`` stays in PM2's milliseconds: it is an identity more than a time), sizes are bytes.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import re
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..._core.children import user_name
from ..._core.errors import CannotRead, NeedsUser
from ..._shared.pm2_list import MAX_PATH, _mode, _text, owner
from ..._shared.text_files import reachable_by_others, tail
from . import log as _pm2_log

MAX_DUMP = 16 * 1024 * 1024
DAEMON_LOG_TAIL = 1024 * 1024
MAX_EVENTS = 4000
DEFAULT_UNIT_DIRECTORY = "/etc/systemd/system"


# --- whose daemon


# --- the daemon's socket


# --- source pm2.list


# --- what /proc knows


# --- why an application ended


# --- source pm2.log


def read_daemon_log(pm2_home: str, **_others: Any) -> dict[str, Any]:
    """Return the events of the end of pm2.log: ``present``, ``since`` (time of the oldest event read), ``events``.

    See :func:`_pm2_log.parse_events` for an event. A log that was rotated lately is read together with what it
    was rotated to. An absent log has no events; the memory of the last run has to do then.
    """
    path = os.path.join(pm2_home, "pm2.log")
    text, modified = tail(path, DAEMON_LOG_TAIL)
    events = _pm2_log.parse_events(text, modified) if text else []
    if len(text) < DAEMON_LOG_TAIL // 2:
        older, then = tail(_rotated(pm2_home), DAEMON_LOG_TAIL)
        events = (_pm2_log.parse_events(older, then) if older else []) + events
    events = events[-MAX_EVENTS:]
    times = [event["time"] for event in events if event["time"] is not None]
    return {"present": bool(modified), "since": min(times) if times else None, "last_write": modified or None, "events": events}


def _rotated(pm2_home: str) -> str:
    """Return the newest readable file that pm2.log was rotated to (logrotate, pm2-logrotate), "" for none."""
    home = glob.escape(pm2_home)
    names = [name for pattern in ("pm2.log.*", "pm2.log-*", "pm2__*.log") for name in glob.glob(os.path.join(home, pattern))]
    dated = []
    for name in names:
        if not name.endswith((".gz", ".bz2", ".xz", ".zst")):
            try:
                dated.append((os.stat(name).st_mtime, name))
            except OSError:
                continue
    return max(dated)[1] if dated else ""


# --- source pm2.dump


def read_dump(pm2_home: str, **_others: Any) -> dict[str, Any]:
    """Return what a reboot would bring back: ``dump`` and ``backup`` (dump.pm2, dump.pm2.bak).

    Each: ``path present problem`` ("" or why its content is of no use) ``kind`` (file, link or other) ``mode``
    ("0644", "" unless it is a file) ``owner`` ``exposed``
    (other users can really read it: the folders above let them through) ``saved_at`` (epoch seconds)
    ``entries`` (``name script exec_mode status module``, one for each instance).
    """
    path = os.path.join(pm2_home, "dump.pm2")
    return {"dump": _dump(path), "backup": _dump(path + ".bak")}


def _dump(path: str) -> dict[str, Any]:
    known: dict[str, Any] = {"path": path, "present": False, "problem": "", "kind": "", "mode": "", "owner": ""}
    known.update(exposed=False, saved_at=None, entries=[])
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return known
    except OSError as error:
        return {**known, "present": True, "problem": f"cannot be looked at ({error.strerror})"}
    known.update(present=True, kind=_kind(found.st_mode), owner=user_name(found.st_uid), saved_at=found.st_mtime)
    if known["kind"] != "file":
        # What a link leads to may be anybody's file: nothing is read through it, and no mode is asked for.
        return {**known, "problem": "is a symbolic link" if known["kind"] == "link" else "is not a regular file"}
    known.update(
        mode=f"{stat.S_IMODE(found.st_mode):04o}",
        exposed=bool(found.st_mode & stat.S_IROTH) and reachable_by_others(path),
    )
    try:
        known["entries"] = [_dump_entry(entry) for entry in load_dump(path)]
    except CannotRead as error:
        known["problem"] = error.message
    return known


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_ISREG(mode) else "other"


def load_dump(path: str) -> list[dict[str, Any]]:
    """Return the raw entries of a dump, secrets and all; raises CannotRead. Follows no link and waits for no pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CannotRead(f"cannot be read ({error.strerror})") from error
    with open(descriptor, encoding="utf-8", errors="replace") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CannotRead("is not a regular file")
        if found.st_size > MAX_DUMP:
            raise CannotRead(f"has {found.st_size} bytes, over {MAX_DUMP}")
        try:
            saved = json.load(file)
        except OSError as error:
            raise CannotRead(f"cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise CannotRead("is not JSON") from error
    if not isinstance(saved, list):
        raise CannotRead("is not a list of processes")
    return [entry for entry in saved if isinstance(entry, dict)]


def _dump_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _text(entry.get("name")),
        "script": _text(entry.get("pm_exec_path"), MAX_PATH),
        "exec_mode": _mode(entry.get("exec_mode")),
        "status": _text(entry.get("status")),
        "module": bool(entry.get("pmx_module")),
    }


# --- source pm2.startup


def read_startup(pm2_home: str, user: str | None = None, unit_dir: str | None = None) -> dict[str, Any]:
    """Return the boot unit that serves a PM2_HOME (manual 2, section 3: ``pm2 startup``), without systemctl.

    ``present path enabled masked user pm2_home home_matches path_dirs command command_exists resurrects node_found`` and
    ``expected`` (name of the unit that ``pm2 startup`` writes) ``wanted_user wanted_home unit_dir_present``.
    The wanted user is the owner of the PM2_HOME, whoever started the daemon that runs now. Only PM2_HOME and PATH
    are taken from the unit's environment. Root reads the unit, which a strict umask keeps from others; what the unit names
    is looked at as its user would. Raises NeedsUser for any third user, CannotRead for a unit that may not be read.
    """
    uid = owner(pm2_home, user)
    if os.geteuid() not in (0, uid):
        raise NeedsUser(user_name(uid), f"this belongs to {user_name(uid)} and the run is {user_name(os.geteuid())}")
    directory = unit_dir or DEFAULT_UNIT_DIRECTORY
    wanted_user = user or user_name(os.stat(pm2_home).st_uid)
    expected = f"pm2-{wanted_user}.service"
    known: dict[str, Any] = {
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
    unit.update(_reachable(unit, uid))
    same = _serves(unit["pm2_home"], pm2_home)
    return {**known, "present": True, "path": path, "enabled": _enabled(directory, name), **unit, "home_matches": same}


def _serves(unit_home: str, pm2_home: str) -> bool:
    return bool(unit_home) and os.path.realpath(unit_home) == os.path.realpath(pm2_home)


def _unit_name(directory: str, expected: str, pm2_home: str) -> str:
    """Return the usual unit, else another one that serves this PM2_HOME (``pm2 startup --service-name``)."""
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
    # glob follows links in its last part: a link that was made in an image and points elsewhere counts as well.
    folders = glob.glob(os.path.dirname(pattern))
    return any(os.path.islink(os.path.join(folder, os.path.basename(pattern))) for folder in folders)


def _unit(path: str) -> dict[str, Any]:
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


def _reachable(unit: Mapping[str, Any], uid: int) -> dict[str, bool]:
    """Return ``command_exists node_found``: whether the unit's user may run its command, and a node in its PATH."""

    def may_run(path: str) -> bool:
        return os.access(path, os.X_OK, effective_ids=True)

    with _seen_by(uid):
        node_found = any(may_run(os.path.join(folder, "node")) for folder in unit["path_dirs"])
        return {"command_exists": bool(unit["command"]) and may_run(unit["command"]), "node_found": node_found}


@contextlib.contextmanager
def _seen_by(uid: int) -> Iterator[None]:
    """Have files judged as a user sees them: to root all is open."""
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
    """Return the [Service] settings of a unit and its drop-ins; an empty assignment clears, as in systemd."""
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
    """Return PM2_HOME and PATH, and nothing else: the rest may hold secrets."""
    assignments = []
    for name in settings.get("EnvironmentFile", []):
        assignments += [word for line in tail(name.lstrip("-"), 65536)[0].split("\n") for word in _words(line)[:1]]
    from_files = _wanted_variables(assignments)
    direct = _wanted_variables(word for value in settings.get("Environment", []) for word in _words(value))
    return {**direct, **from_files}


def _wanted_variables(assignments: Any) -> dict[str, str]:
    pairs = (assignment.partition("=") for assignment in assignments)
    return {key: value for key, _equals, value in pairs if key in ("PM2_HOME", "PATH")}


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
