"""Check mode moves no cursor."""

from __future__ import annotations


def test_no_cursor_was_written(app):
    assert not app.file("/var/lib/ops-remediation/log-probe").exists
