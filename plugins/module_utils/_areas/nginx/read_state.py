# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the state of nginx: its processes, its configuration files, its ports and its error log. Changes nothing.

A reload with a bad configuration keeps the old one serving, and only the error log reports it. Times are epoch seconds, sizes are bytes.
"""

from __future__ import annotations

import os
import time
from typing import Any, TypedDict

from ..._core.source import Source
from . import configuration
from .error_log import LogFacts, read_log
from .layout import WHERE, layout
from .ports import PortFacts, ports_of
from .processes import Master, find_master


class NewestFile(TypedDict):
    """The file of the configuration that was changed last."""

    path: str
    modified: float


class ErrorLog(LogFacts):
    """The error log of the configuration."""

    level: str


class State(TypedDict):
    """The state of nginx."""

    conf: str
    prefix: str
    program: str
    version: str
    pid_file: str
    read_at: float
    booted: float
    systemd: bool  # systemd starts this nginx
    master: Master | None
    files: int  # of the configuration
    newest: NewestFile | None
    unreadable: dict[str, str]  # files of the configuration, and why they cannot be read
    ports: list[PortFacts]
    log: ErrorLog


def read_state(
    executable: str | None = None,
    conf: str | None = None,
    prefix: str | None = None,
    pid_file: str | None = None,
    error_log: str | None = None,
) -> State:
    """Return which processes run, what the configuration contains, and what the error log reports.

    All parameters are paths; nginx's own where they are not given.
    """
    known = layout(executable, conf, prefix)
    tree = configuration.read_tree(known["conf"])
    place, level = configuration.error_log(tree)
    pid_path = os.path.join(known["prefix"], pid_file or tree.value("pid") or known["pid_file"])
    log_path = os.path.join(known["prefix"], error_log or place or known["error_log"])
    master = find_master(pid_path, known["conf"], known["default_conf"])
    newest = max(tree.files, key=lambda file: file.modified, default=None)
    return {
        "conf": known["conf"],
        "prefix": known["prefix"],
        "program": known["program"],
        "version": known["version"],
        "pid_file": pid_path,
        "read_at": time.time(),
        "booted": time.time() - time.clock_gettime(time.CLOCK_BOOTTIME),
        "systemd": os.path.isdir("/run/systemd/system") and known["conf"] == known["default_conf"],
        "master": master,
        "files": len(tree.files),
        "newest": {"path": newest.path, "modified": newest.modified} if newest else None,
        "unreadable": dict(list(tree.unreadable.items())[:5]),
        "ports": ports_of(configuration.listens(tree), master),
        "log": {**read_log(log_path), "level": level},
    }


def remember_state(state: State, _former: Any = None) -> dict[str, Any]:
    """Return what the next run needs: ``at``, ``master`` (pid and ticks, or None), ``log`` (inode and size)."""
    master = state["master"]
    return {
        "at": state["read_at"],
        "master": {"pid": master["pid"], "ticks": master["ticks"]} if master else None,
        "log": {"inode": state["log"]["inode"], "size": state["log"]["size"]},
    }


STATE = Source("nginx.state", read_state, (*WHERE, "pid_file", "error_log"), remember=remember_state)
