# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The framing of the PM2 daemon's socket."""

from __future__ import annotations

import struct
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_rpc

from ..areas.pm2 import helpers as h


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "pm2"
    folder.mkdir()
    return str(folder)


def test_a_daemon_that_drips_is_hung_too(home):
    with h.daemon(home, lambda *_: None):
        connection = pm2_rpc.connect(home, time.monotonic() + 1)
        with connection, pytest.raises(TimeoutError):
            pm2_rpc.read_exactly(connection, 4, time.monotonic() + 0.1)


def test_the_framing_is_the_recorded_one():
    assert pm2_rpc.pack(b"j:{}", b"s:1") == b"\x12" + struct.pack(">I", 4) + b"j:{}" + struct.pack(">I", 3) + b"s:1"
