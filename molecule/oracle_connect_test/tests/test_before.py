"""Before anything is asked: notes how many logins there were."""

from __future__ import annotations

from conftest import note
from logins import logged


def test_the_log_can_be_read():
    note(len(logged()))
