"""Before anything is asked: notes how nginx's host is."""

from __future__ import annotations

from conftest import note
from traces import traces


def test_nginx_runs(web):
    note(traces(web))
