"""Before the first login: notes how many there were."""

from __future__ import annotations

from conftest import note
from visits import visits


def test_the_hosts_keep_a_journal(hosts):
    note(visits(hosts))
