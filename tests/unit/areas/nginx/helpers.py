# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""States of nginx, questions made of them, and the real nginx where it is installed."""

from __future__ import annotations

import hashlib
import os
import shutil

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import check_running
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue
from hypothesis import settings

from ..web import helpers as h

QUICK = settings(max_examples=150, deadline=2000)


PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


needs_nginx = pytest.mark.skipif(not PROGRAM, reason="nginx is not installed here")


def tree_hash(folder):
    digest = hashlib.sha256()
    for place, folders, names in sorted(os.walk(folder)):
        for name in sorted([*folders, *names]):
            path = os.path.join(place, name)
            about = os.lstat(path)
            digest.update(f"{path} {about.st_mode} {about.st_size} {about.st_mtime_ns} {about.st_uid}\n".encode())
    return digest.hexdigest()


def state(master="up", events=(), level="notice", **more):
    workers = [{"pid": 8, "state": "S", "started": h.NOW - 1000, "leaving": False}]
    running = {"pid": 7, "ticks": 500, "started": h.NOW - 5000, "state": "S", "uid": 0, "named": True, "workers": workers}
    found = {
        "conf": "/etc/nginx/nginx.conf",
        "prefix": "/etc/nginx",
        "program": "/usr/sbin/nginx",
        "version": "1.22.1",
        "pid_file": "/run/nginx.pid",
        "read_at": h.NOW,
        "booted": h.NOW - 100_000,
        "systemd": True,
        "master": running if master == "up" else master,
        "files": 1,
        "newest": {"path": "/etc/nginx/nginx.conf", "modified": h.NOW - 6000},
        "unreadable": {},
        "ports": [],
        "log": {
            "level": level,
            "path": "/var/log/nginx/error.log",
            "present": True,
            "readable": True,
            "inode": 1,
            "size": 100,
            "events": list(events),
        },
    }
    return {**found, **more}


def event(kind, second=h.NOW - 100, pid=7, at=10, inode=1, **more):
    return {"kind": kind, "time": second, "pid": pid, "at": at, "inode": inode, "text": "unknown directive", **more}


GOOD = {
    "conf": "/etc/nginx/nginx.conf",
    "good": True,
    "denied": False,
    "parsed": True,
    "message": "",
    "file": "",
    "line": 0,
    "warnings": [],
}


def ask(check, value, remembered=None, test=None):
    found = check(
        h.asked(
            check_running.PARAMETERS,
            remembered=remembered,
            nginx_state=value,
            nginx_test=GOOD if test is None else test,
            nginx_status=CannotRead("x"),
        )
    )
    for one in found:
        if one.code:
            for parts in faults_catalogue.render({**one.as_dict(), "host": "tank-web"}).values():
                assert all(part and "None" not in part and "ndefined" not in part for part in parts.values()), parts
    return found


MEMORY = {"at": h.NOW - 9000, "master": {"pid": 3, "ticks": 100}, "log": {"inode": 1, "size": 0}}
