"""The hosts are what customers have: systemd, an account for the applications, the installation where the manuals say."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(("host", "services"), [("app", ["pm2-tankmail", "ssh"]), ("web", ["nginx", "ssh"]), ("logsdb", ["logsdb", "ssh"])])
def test_systemd_runs_what_it_shall(request, host, services):
    machine = request.getfixturevalue(host)
    assert machine.run("ps -o comm= -p 1").stdout.strip() == "systemd"
    for service in services:
        assert machine.service(service).is_running
        assert machine.service(service).is_enabled


def test_the_applications_run_as_their_own_user(app):
    owners = [line.split()[0] for line in app.run("ps -eo user:20,args").stdout.splitlines() if "/dist/" in line]
    assert owners == ["tankmail", "tankmail"]
    assert app.file("/opt/tank-mail-app/config/.env").mode == 0o600


def test_the_nas_is_mounted_read_only(app):
    assert "ro" in app.mount_point("/batch/report").options
    assert app.run("find /batch/report -type f | head -n 1").stdout.strip()


def test_the_page_reaches_the_backend_by_name(web):
    assert '"status":"ok"' in web.run("curl -s http://127.0.0.1/api/health").stdout
