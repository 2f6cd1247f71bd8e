"""Check mode writes neither notes nor details."""

from __future__ import annotations


def test_nothing_was_written(app):
    assert not app.file("/var/lib/ops-remediation/attachment-probe").exists


def test_no_file_was_renamed(app):
    assert sorted(app.file("/var/lib/attachment-probe").listdir()) == ["PROBE_GID_20001024_1.csv", "PROBE_GID_20001025_1.CSV"]
