# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded answers of real PM2 daemons, and a stand-in that speaks their framing."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import read_log
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2.check_processes import PARAMETERS
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list, pm2_rpc

TRANSCRIPTS = Path(__file__).parent / "transcripts"
VERSIONS = ("5", "6", "7")
PLANTED = "planted-secret"
HOME = "/srv/tank/.pm2"


def transcript(version):
    """Return what a real daemon said in a dozen situations at once: list, pm2.log, dump, error logs."""
    recorded = json.loads((TRANSCRIPTS / f"situations-{version}.json").read_text())
    recorded["log"] = (TRANSCRIPTS / f"situations-{version}.pm2.log").read_text()
    return recorded


def listed(entries=(), *, state="up", now=0.0, **more):
    """Return a value of the source pm2.list."""
    value = {
        "state": state,
        "user": "tank",
        "version": "7.0.4",
        "read_at": now,
        "problem": "" if state == "up" else f"the daemon is {state}",
    }
    value.update(daemon={"pid": 4, "uid": 1000, "frozen": False}, orphans=[], oom_kills=0, processes=pm2_list.processes(list(entries)))
    value.update(more)
    return value


def entry(name="backend", pm_id=0, status="online", *, pid=0, exec_mode="fork_mode", started=1000.0, **env):
    """Return a raw entry of PM2's list."""
    environment = {"name": name, "status": status, "exec_mode": exec_mode, "pm_uptime": started * 1000, "created_at": started * 1000}
    environment.update({"pm_exec_path": f"/opt/app/{name}.js", "restart_time": 0, "DB_PASS": PLANTED, "env": {"DB_PASS": PLANTED}, **env})
    return {"name": name, "pm_id": pm_id, "pid": pid, "monit": {"cpu": 1, "memory": 1}, "pm2_env": environment}


def log(text, modified):
    """Return a value of the source pm2.log."""
    return {"present": True, "since": None, "last_write": modified, "events": read_log.parse_events(text, modified)}


def asked(now=2000.0, remembered=None, parameters=None, **sources):
    """Ask with values: sources pm2_list, pm2_log, pm2_dump, pm2_startup (an exception is raised on reading)."""
    given = {name: spec["default"] for name, spec in PARAMETERS.items() if "default" in spec}
    given.update({"pm2_home": HOME, **(parameters or {})})
    outcomes = {}
    for name, value in sources.items():
        failed = isinstance(value, Exception)
        outcomes[name.replace("_", ".")] = Outcome(error=value) if failed else Outcome(value)
    return Asked(given, now, outcomes, {"pm2.list": remembered})


def codes(findings):
    """Return {subject: code}."""
    return {finding.subject: finding.code for finding in findings}


def frame(value, request=b"s:1"):
    """Return one frame as the daemon sends it."""
    return pm2_rpc.pack(b"j:" + json.dumps(value).encode(), request)


@contextmanager
def daemon(home, answer):
    """Listen on a PM2_HOME's socket; answer(method, arguments) returns bytes to send, None hangs."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(os.path.join(home, "rpc.sock"))
    server.listen(8)
    kept = []

    def serve():
        while True:
            try:
                connection, _address = server.accept()
            except OSError:
                return
            kept.append(connection)
            threading.Thread(target=_talk, args=(connection, answer), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for connection in kept:
            connection.close()


def _talk(connection, answer):
    with suppress(OSError):
        while True:
            request = _request(connection)
            data = answer(request["method"], request["args"]) if request else b""
            if data is None:
                return
            connection.sendall(data)
            if not _whole(data):
                connection.close()
                return


def _whole(data):
    """Whether these bytes are one frame of two parts; after anything else the connection is closed."""
    position, parts = 1, 0
    while position + 4 <= len(data):
        position += 4 + struct.unpack(">I", data[position : position + 4])[0]
        parts += 1
    return data[:1] == b"\x12" and position == len(data) and parts == 2


def _request(connection):
    data = b""
    while True:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
        if len(data) >= 5 and len(data) >= 5 + struct.unpack(">I", data[1:5])[0]:
            return json.loads(data[7 : 5 + struct.unpack(">I", data[1:5])[0]])


def dated(second, text):
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}: PM2 log: {text}"


def ends(first, count, step=10.0, name="backend", pm_id=0, start=True):
    lines = []
    for number in range(count):
        lines.append(dated(first + number * step, f"App [{name}:{pm_id}] exited with code [1] via signal [SIGINT]"))
        if start:
            lines.append(dated(first + number * step, f"App [{name}:{pm_id}] starting in -fork mode-"))
    return lines


def saved(name="backend", status="online", exec_mode="fork_mode", script=None):
    return {
        "name": name,
        "script": script or f"/opt/app/{name}.js",
        "exec_mode": pm2_list.exec_mode_of(exec_mode),
        "status": status,
        "module": False,
    }


def dump(*entries, **more):
    file = {
        "path": f"{HOME}/dump.pm2",
        "present": True,
        "problem": "",
        "mode": "0600",
        "owner": "tank",
        "exposed": False,
        "saved_at": 1500.0,
    }
    backup = {**file, "path": f"{HOME}/dump.pm2.bak", "present": False, "entries": []}
    return {"dump": {**file, "entries": list(entries), **more}, "backup": backup}
