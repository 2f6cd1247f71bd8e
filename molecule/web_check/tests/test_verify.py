"""Asking leaves no trace but lines in the access log."""

from __future__ import annotations

from conftest import noted
from traces import traces


def test_nginx_was_neither_restarted_nor_reloaded(web):
    assert traces(web)["processes"] == noted()["processes"]


def test_no_file_was_written(web):
    assert traces(web)["files"] == noted()["files"]
