"""Check mode said what it would do, and did nothing."""

from __future__ import annotations


def test_the_process_does_not_run(app):
    assert app.run("pgrep -f '/opt/probe/[s]erver.js'").stdout == ""
    assert "probe" not in app.file("/home/tankmail/.pm2/dump.pm2").content_string


def test_the_daemon_is_still_the_one_of_the_boot_unit(app):
    unit = app.run("systemctl show -p MainPID --value pm2-tankmail").stdout.strip()
    assert app.file("/home/tankmail/.pm2/pm2.pid").content_string.strip() == unit
