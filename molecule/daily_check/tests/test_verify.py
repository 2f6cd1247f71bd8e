"""After a run on healthy hosts."""

from __future__ import annotations

from conftest import applications, not_well, noted


def test_all_is_well(record):
    assert not_well(record) == []
    assert record["remarks"] == []
    assert {finding["host"] for finding in record["findings"]} == {"tank-app", "tank-web", "tank-logsdb"}


def test_what_is_kept_is_private(hosts):
    for name, host in hosts.items():
        folder = host.file(f"/var/lib/ops-remediation/{name}")
        assert (folder.user, folder.mode) == ("root", 0o700)
        assert host.run(f"find {folder.path} -type f ! -perm 600").stdout == ""


def test_nothing_of_root_is_left_with_the_applications(app):
    assert app.run("find /home/tankmail /opt/tank-mail-app -user root ! -type l").stdout == ""


def test_the_applications_were_not_restarted(app):
    assert applications(app) == noted()
    assert app.run("systemctl show -p NRestarts --value pm2-tankmail").stdout.strip() == "0"
    assert app.run("pgrep -fc '[G]od Daemon'").stdout.strip() == "1"
