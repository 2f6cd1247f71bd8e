# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from ..._core.source import Source
from . import conf as nginx_conf
from .error_log import read_log
from .layout import WHERE, layout
from .ports import ports_of
from .processes import find_master


def read_state(
    executable: str | None = None,
    conf: str | None = None,
    prefix: str | None = None,
    pid_file: str | None = None,
    error_log: str | None = None,
) -> dict[str, Any]:
    """Return what runs, what the configuration says and what the error log said.

    ``conf prefix program version pid_file read_at booted``; ``systemd`` (it starts this nginx);
    ``master``: None or ``pid started ticks uid workers`` (each ``pid started
    state leaving``); ``files``: number, ``newest`` (path and modified); ``unreadable``; ``ports``: see :func:`_ports`;
    ``log``: see :func:`_log`.
    """
    known = layout(executable, conf, prefix)
    tree = nginx_conf.read_tree(known["conf"])
    place, level = nginx_conf.error_log(tree)
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
        "ports": ports_of(nginx_conf.listens(tree), master),
        "log": {"level": level, **read_log(log_path)},
    }


def remember_state(state: Mapping[str, Any], _former: Any = None) -> dict[str, Any]:
    """Return what the next run needs: ``at``, ``master`` (pid and ticks, or None), ``log`` (inode and size)."""
    master = state["master"]
    return {
        "at": state["read_at"],
        "master": {"pid": master["pid"], "ticks": master["ticks"]} if master else None,
        "log": {"inode": state["log"]["inode"], "size": state["log"]["size"]},
    }


STATE = Source("nginx.state", read_state, (*WHERE, "pid_file", "error_log"), remember=remember_state)
