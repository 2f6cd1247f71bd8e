"""The same answers as through the container engine, and really by SSH and sudo."""

from __future__ import annotations

from conftest import daily_check, not_well, noted
from visits import visits

RUNS = 4  # prepare, check, converge, idempotence


def test_all_is_well(record):
    assert not_well(record) == []
    assert record["totals"]["checked"] == record["totals"]["expected"] > 30


def test_they_are_the_answers_of_a_run_through_the_container_engine(record, tmp_path):
    _code, other = daily_check(tmp_path, TANK_REPLICA_CONNECTION="engine")
    assert answers(record) == answers(other)


def answers(record):
    return {(finding["host"], finding["check"], finding["subject"], finding["status"]) for finding in record["findings"]}


def test_it_came_by_ssh_as_a_user_with_sudo(hosts):
    before, now = noted(), visits(hosts)
    for name in hosts:
        logins, commands = (after - first for first, after in zip(before[name], now[name]))
        # Runs soon after each other share a login.
        assert 1 <= logins <= commands
        assert commands >= RUNS


def test_nothing_is_left_where_ansible_unpacks_itself(hosts):
    for host in hosts.values():
        assert (
            host.run("find /home/ops /root /tmp /var/tmp -name 'AnsiballZ*' -o -name 'ansible-tmp-*' -o -name 'ansible[-_]*'").stdout == ""
        )
