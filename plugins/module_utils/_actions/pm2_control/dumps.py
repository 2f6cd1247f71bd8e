# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare PM2's dumps with its list, copy a broken dump, set the mode of dumps."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from ..._areas.pm2.read_dump import load_dump, read_dump
from ..._core.errors import ActionFailed, CannotRead
from ..._shared import pm2_list, pm2_rpc

SAVED_MODE = 0o600


def keep_broken_dump(home: str) -> None:
    """Copy a dump that is not JSON to dump.pm2.broken, because PM2 deletes it when it resurrects from the backup."""
    path = os.path.join(home, "dump.pm2")
    found = read_dump(home)["dump"]
    if found["present"] and found["problem"] and found["kind"] == "file":
        handle, copy = tempfile.mkstemp(dir=home, prefix="dump.pm2.broken-")
        with open(path, "rb") as source, os.fdopen(handle, "wb") as target:
            shutil.copyfileobj(source, target)
        os.replace(copy, path + ".broken")


def tighten_dumps(home: str) -> None:
    """Set mode 0600 on the dumps themselves, never on the target of a link."""
    for name in ("dump.pm2", "dump.pm2.bak"):
        try:
            descriptor = os.open(os.path.join(home, name), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.chmod(f"/proc/self/fd/{descriptor}", SAVED_MODE)
        except PermissionError as error:
            raise CannotRead(f"the mode of {os.path.join(home, name)} cannot be set ({error.strerror})") from error
        finally:
            os.close(descriptor)


def refuse_strange_dump(files: Mapping[str, Any]) -> None:
    """Raise ActionFailed for a dump that is a link or a pipe: PM2 would write through it or wait for it."""
    for file in files.values():
        if file["present"] and file["kind"] in ("link", "other"):
            raise ActionFailed(
                f"{file['path']} {file['problem']}, where PM2 itself writes a plain file; find out where it comes from,"
                f" and remove it: rm {quote(file['path'])}"
            )


def loose(files: Mapping[str, Any]) -> list[str]:
    """Return the paths of dumps whose mode lets other users read them."""
    return [file["path"] for file in files.values() if file["kind"] == "file" and int(file["mode"], 8) & 0o077]


def saved_asleep(running: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether an application that runs now would stay stopped after a reboot; the same rule as pm2.dump_differs."""
    asleep = {entry["name"] for entry in kept if entry["status"] == "stopped"}
    for name in asleep & {one["name"] for one in running}:
        now, then = ([one for one in some if one["name"] == name] for some in (running, kept))
        if pm2_list.saved_asleep(now, then):
            return True
    return False


def fewer(running: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Mapping[str, Any], int]]:
    """Return {name: (a running instance, saved number)} of applications that run in fewer instances than are saved as running."""
    saved = Counter(entry["name"] for entry in kept if entry["status"] != "stopped")
    here = Counter(one["name"] for one in running)
    # PM2's command line reads a name that begins with a hyphen as an option.
    return {
        one["name"]: (one, saved[one["name"]])
        for one in running
        if here[one["name"]] < saved[one["name"]] and not one["name"].startswith("-")
    }


def read_dumps(home: str) -> dict[str, Any]:
    """Return :func:`read_dump` without PM2's modules, and with a ``fingerprint`` of each dump's content."""
    files: dict[str, Any] = dict(read_dump(home))
    for file in files.values():
        file["fingerprint"] = fingerprint(load_dump(file["path"])) if file["entries"] else ""
        file["entries"] = [entry for entry in file["entries"] if not entry["module"]]
    return files


def entries_of_list(home: str, within: float) -> list[dict[str, Any]]:
    """Return the entries that the daemon would save, secrets included."""
    listed = pm2_rpc.call(home, "getMonitorData", {}, within=within)
    return [entry["pm2_env"] for entry in listed if isinstance(entry, dict) and isinstance(entry.get("pm2_env"), dict)]


_COMPARED = (
    "name", "pm_exec_path", "exec_mode", "args", "pm_cwd", "exec_interpreter", "node_args", "namespace", "autorestart", "cron_restart",
    "max_memory_restart", "max_restarts", "min_uptime", "kill_timeout", "restart_delay", "exp_backoff_restart_delay", "watch",
)  # fmt: skip
_VOLATILE = ("unique_id", "PM2_USAGE", "PM2_INTERACTOR_PROCESSING", "PWD", "OLDPWD", "_", "SHLVL")


def fingerprint(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return a hash of the applications that a resurrect would start, with their settings and environment.

    The environment holds secrets, so the key of the hash is random and never leaves this process.
    """
    lines = []
    for entry in entries:
        if not entry.get("pmx_module"):
            environment = entry.get("env")
            kept = {key: value for key, value in environment.items() if key not in _VOLATILE} if isinstance(environment, dict) else {}
            lines.append(json.dumps([{key: entry.get(key) for key in _COMPARED}, kept], sort_keys=True, default=str))
    return _keyed("\n".join(sorted(lines)))


_KEY = os.urandom(16)


def _keyed(text: str) -> str:
    return hashlib.blake2b(text.encode(), key=_KEY, digest_size=16).hexdigest()
