"""After state absent."""

from __future__ import annotations


def test_nothing_is_left(app):
    assert not app.file("/opt/ops-remediation/runtime").exists
    assert app.run("find /opt/ops-remediation /tmp /var/tmp -name '*.whl' -o -name 'runtime*'").stdout == ""


def test_the_host_s_own_python_was_not_touched(app):
    assert app.run("/usr/bin/python3 -c 'import oracledb'").rc != 0
