"""Check mode asks and keeps nothing."""

from __future__ import annotations


def test_nothing_was_kept(app):
    assert not app.file("/var/lib/ops-remediation").exists
