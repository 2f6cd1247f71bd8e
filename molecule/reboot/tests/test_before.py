"""Before the reboot: notes when each host was booted."""

from __future__ import annotations

from boots import started
from conftest import note


def test_every_host_runs(hosts):
    note(started(hosts))
