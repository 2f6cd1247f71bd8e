"""Check mode makes nothing."""

from __future__ import annotations


def test_there_is_no_runtime(app):
    assert not app.file("/opt/ops-remediation/runtime").exists
