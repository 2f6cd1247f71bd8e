"""Check mode printed the plan, and the bad release is still in place."""

from __future__ import annotations


def test_nothing_was_moved(app):
    assert "a bad update" in app.file("/opt/tank-mail-app/backend/dist/main.js").content_string
    assert app.run("ls -d /opt/tank-mail-app-aside-*").rc != 0
    assert app.run("ls /var/lib/ops-remediation/tank-app/release-*.jsonl").rc != 0
