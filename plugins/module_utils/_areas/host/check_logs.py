# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.logs: are logs rotated, and protected from other users? Sources: M1-9; product facts (mode 600, kept 30 days, rotated)."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.units import DAY, size_text
from .faults import fault
from .parameters import LOG_FOLDERS
from .read_log_files import LOG_FILES, LogFile, LogFilesFacts, LogFolder

MEGABYTE = 1024 * 1024
PARAMETERS: dict[str, dict[str, Any]] = {
    **LOG_FOLDERS,
    "pm2_home": {
        "type": "path",
        "variable": "stack_pm2_home",
        "description": "The PM2_HOME whose processes' log folders are checked as well.",
    },
    "user": {"type": "str", "variable": "stack_pm2_user", "description": "The user that runs PM2, by default the owner of the PM2_HOME."},
    "log_days": {"type": "int", "default": 30, "description": "Days that a log may reach back when nothing rotates it."},
    "log_megabytes": {"type": "int", "default": 500, "description": "Size in MB from which a log should have been rotated."},
    "logrotate": {
        "type": "list",
        "elements": "path",
        "default": ["/etc/logrotate.conf", "/etc/logrotate.d"],
        "description": "Files and folders of logrotate's configuration.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report for each log folder whether other users can read its logs, and whether they grow without limit."""
    check = "host.logs"
    read: LogFilesFacts = asked.read("host.log_files")
    if not read["folders"]:
        return [ok(check, evidence={"not_asked": ["log folders: none is named (log_folders, pm2_home)", *read["not_asked"]]})]
    return [finding for folder in read["folders"] for finding in _one_folder(asked, folder, read)]


def _one_folder(asked: Asked, folder: LogFolder, read: LogFilesFacts) -> list[Finding]:
    check, path = "host.logs", folder["path"]
    if folder["problem"] == "denied":
        return [ok(check, path, evidence={"not_asked": [f"{path}: this user may not read it"]})]
    if folder["problem"]:
        return [unknown(check, f"the log folder {path} cannot be read: {folder['problem']}", subject=path)]
    found = []
    exposed = [entry for entry in folder["files"] if entry["exposed"]]
    if exposed:
        files = [{"name": entry["name"], "mode": entry["mode"], "owner": entry["owner"]} for entry in exposed[:5]]
        found.append(fault("host.log_readable", check, path, evidence={"folder": path, "files": files, "count": len(exposed)}))
    grown = [about for about in (_not_rotated(asked, entry, folder, read) for entry in folder["files"]) if about]
    if grown:
        evidence = {"folder": path, "files": grown[:5], "count": len(grown), "pm2": folder["pm2"]}
        found.append(fault("host.log_not_rotated", check, path, evidence=evidence))
    known: dict[str, Any] = {"files": len(folder["files"]), "not_asked": read["not_asked"], "more": folder["more"]}
    return found or [ok(check, path, evidence={name: value for name, value in known.items() if value or name == "files"})]


def _not_rotated(asked: Asked, entry: LogFile, folder: LogFolder, read: LogFilesFacts) -> dict[str, Any] | None:
    """Return the evidence of a file that is too large despite any rule, or too old without one; None for any other file."""
    limit = asked.parameters["log_days"] * DAY
    age = read["at"] - min(entry["modified"], entry["oldest"] or entry["modified"])
    ruled = entry["ruled"] or (folder["pm2"] and read["pm2_rotates"])
    rotated = any(other["base"] == entry["name"] and read["at"] - other["modified"] < limit for other in folder["files"])
    large = entry["size"] >= asked.parameters["log_megabytes"] * MEGABYTE
    if not large and (not entry["size"] or age < limit or ruled or rotated):
        return None
    days = int(age // DAY)
    return {
        "name": entry["name"],
        "size": size_text(entry["size"]),
        "days": days,
        "why": "large" if large else "old",
        "ruled": ruled or rotated,
    }


CHECK = Check("host.logs", "Are logs rotated, and protected from other users?", judge, (LOG_FILES,), PARAMETERS)
