"""Check mode keeps nothing, neither on the hosts nor on the controller."""

from __future__ import annotations

import os
from pathlib import Path


def test_nothing_was_kept_on_the_hosts(hosts):
    assert [name for name, host in hosts.items() if host.file("/var/lib/ops-remediation").exists] == []


def test_no_record_was_written():
    assert not (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "remediation").exists()
