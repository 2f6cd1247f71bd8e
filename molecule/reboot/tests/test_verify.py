"""After a reboot: everything runs by itself, and the daily check is clean."""

from __future__ import annotations

import time

from boots import started
from conftest import applications, daily_check, not_well, noted

WITHIN_S = 30


def test_every_host_was_rebooted(hosts):
    before, now = noted(), started(hosts)
    assert {name for name in before if now[name] > before[name]} == {"tank-app", "tank-web", "tank-logsdb"}


def test_the_services_came_back_by_themselves(app, web, logsdb):
    assert app.service("pm2-tankmail").is_running
    assert web.service("nginx").is_running
    assert logsdb.service("logsdb").is_running


def test_the_daily_check_is_clean(tmp_path):
    deadline = time.monotonic() + WITHIN_S
    code, record = daily_check(tmp_path)
    while not_well(record) and time.monotonic() < deadline:
        time.sleep(3)  # the applications take some seconds to start
        code, record = daily_check(tmp_path)
    assert (not_well(record), code) == ([], 0)


def test_the_applications_belong_to_the_boot_unit(app):
    unit = app.run("systemctl show -p MainPID --value pm2-tankmail").stdout.strip()
    assert app.file("/home/tankmail/.pm2/pm2.pid").content_string.strip() == unit
    pids = ",".join(str(pid) for pid, _restarts in applications(app).values())
    assert app.run(f"ps -o ppid= -p {pids}").stdout.split() == [unit, unit]
