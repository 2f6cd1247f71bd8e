"""The same answers as through the container engine, and really by SSH and sudo."""

from __future__ import annotations

from conftest import not_well


def test_all_is_well(record):
    assert not_well(record) == []
    assert record["totals"]["checked"] == record["totals"]["expected"] > 30


def test_it_came_by_ssh_as_a_user_with_sudo(hosts):
    for host in hosts.values():
        assert "Accepted publickey for ops" in host.run("journalctl -u ssh --no-pager").stdout
        assert "ops : " in host.run("journalctl -t sudo --no-pager").stdout


def test_nothing_is_left_in_the_user_s_home(hosts):
    for host in hosts.values():
        assert host.run("find /home/ops -name 'AnsiballZ*'").stdout == ""
