# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the state with the real nginx, and what the next run needs of it."""

from __future__ import annotations

import os
import socket

from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import read_state

from ..web import helpers as h
from .helpers import PROGRAM, needs_nginx, state, tree_hash


@needs_nginx
def test_reading_the_state_writes_nothing(place):
    folder, port = place
    before = tree_hash(folder)
    state = read_state.read_state(executable=PROGRAM, conf=str(folder / "nginx.conf"), prefix=str(folder))
    assert tree_hash(folder) == before
    assert state["master"] is None
    assert [(entry["port"], entry["held"]) for entry in state["ports"]] == [(port, ""), (port, "")]
    assert state["log"]["present"] is False


@needs_nginx
def test_who_holds_a_port(place):
    folder, port = place
    with socket.create_server(("127.0.0.1", port)):
        state = read_state.read_state(executable=PROGRAM, conf=str(folder / "nginx.conf"), prefix=str(folder))
    held = {entry["address"]: entry for entry in state["ports"]}["127.0.0.1"]
    assert (held["held"], held["holder"]["pid"], held["holder"]["uid"]) == ("other", os.getpid(), os.geteuid())
    assert "python" in held["holder"]["program"] or "pytest" in held["holder"]["program"]


def test_what_is_remembered():
    assert read_state.remember_state(state()) == {"at": h.NOW, "master": {"pid": 7, "ticks": 500}, "log": {"inode": 1, "size": 100}}
    assert read_state.remember_state(state(None))["master"] is None
