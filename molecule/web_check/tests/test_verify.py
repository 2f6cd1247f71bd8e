"""Asking leaves no trace but lines in the access log."""

from __future__ import annotations


def test_nginx_was_not_reloaded(web):
    assert web.run("journalctl -u nginx --no-pager").stdout.count("Reload") == 0


def test_nothing_was_kept(web):
    assert not web.file("/var/lib/ops-remediation/web_check").exists
