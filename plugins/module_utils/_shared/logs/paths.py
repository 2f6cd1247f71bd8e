# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the log files: of PM2's applications, of paths and patterns, and the files that a log was rotated to.

Paths come from PM2's list or from the user, never from a guess.
"""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Sequence

from ..._core.errors import WrongQuestion
from .. import pm2_list, pm2_rpc
from .facts import Entry, Listing

PACKED = (".gz",)
MAX_FILES = 60


def application_logs(pm2_home: str, app_dir: str | None, within: float, modules: bool = False) -> Listing:
    """Return PM2's applications with their log files.

    app_dir: the installation; logs in its folders ``<name>/logs`` are added. within: seconds for PM2's answer.
    modules: include PM2's own modules.
    """
    known: Listing = {"state": pm2_rpc.UP, "problem": "", "processes": {}}
    try:
        listed = pm2_list.processes(pm2_rpc.call(pm2_home, "getMonitorData", {}, within=within))
    except pm2_rpc.DaemonAway as away:
        return {"state": away.details["state"], "problem": away.message, "processes": {}}
    for entry in listed:
        if entry["module"] and not modules:
            continue
        about = known["processes"].setdefault(entry["name"], {"entries": [], "paths": [], "outputs": [], "unlogged": False})
        about["entries"].append(_entry(entry))
        for path in (entry["err_log"], entry["out_log"]):
            if path == os.devnull or not path:
                about["unlogged"] = True
            elif path not in about["paths"]:
                about["paths"].append(path)
        if entry["out_log"] not in ("", entry["err_log"]):
            about["outputs"].append(entry["out_log"])
    for name, about in known["processes"].items():
        if app_dir and "/" not in name:
            folder = os.path.join(glob.escape(app_dir), glob.escape(name), "logs")
            about["paths"] += [path for path in newest(glob.glob(os.path.join(folder, "*.log"))) if path not in about["paths"]]
    return known


def _entry(entry: pm2_list.Process) -> Entry:
    return {
        "pid": entry["pid"],
        "status": entry["status"],
        "started_at": entry["started_at"],
        "created_at": entry["created_at"],
        "restarts": entry["restarts"],
    }


def newest(paths: Sequence[str]) -> list[str]:
    """Return the newest files by modification time, at most MAX_FILES; paths that cannot be read are left out."""
    dated = []
    for path in paths:
        with contextlib.suppress(OSError):
            dated.append((os.stat(path).st_mtime, path))
    return [path for _modified, path in sorted(dated, reverse=True)[:MAX_FILES]]


def expand(paths: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the files that paths and patterns name, newest first, and those that are not read, each with the reason.

    Raises WrongQuestion for a path that is not absolute.
    """
    found: list[str] = []
    left: dict[str, str] = {}
    for path in paths:
        if not os.path.isabs(path):
            raise WrongQuestion("paths", path, "is not an absolute path", "give the whole path of a log, or a pattern")
        names = glob.glob(path) if glob.has_magic(path) else [path]
        logs = [name for name in names if not name.endswith(PACKED)]
        if not logs:
            left[path] = "is packed, and read with the log that it was rotated from" if names else "no file matches this pattern"
        if len(logs) > MAX_FILES:
            left[path] = f"{len(logs)} files match, the newest {MAX_FILES} are read"
        found += [name for name in newest(logs) or logs if name not in found]
    left.update(dict.fromkeys(found[MAX_FILES:], f"is beyond the {MAX_FILES} files that are read"))
    return found[:MAX_FILES], left


def rotated_names(path: str) -> list[str]:
    """Return the files that a log may have been rotated to, newest first, by the names of logrotate and pm2-logrotate."""
    root, extension = os.path.splitext(glob.escape(path))
    patterns = (glob.escape(path) + ".*", glob.escape(path) + "-*", f"{root}__*{extension}*", f"{root}-*{extension}*")
    names = {name for pattern in patterns for name in glob.glob(pattern)}
    return [name for name in newest(sorted(names)) if name != path]
