"""After a reboot without a saved list the applications are gone, and the check says why."""

from __future__ import annotations

from conftest import daily_check


def test_the_applications_are_missing_and_the_run_fails(tmp_path, app):
    assert app.run("pgrep -f '/dist/[m]ain.js'").stdout == ""
    code, record = daily_check(tmp_path)
    roots = {finding["code"] for finding in record["findings"] if finding["status"] != "ok" and not finding["follows_from"]}
    assert roots & {"pm2.daemon_down", "pm2.missing"}
    assert "pm2.not_saved" in {finding["code"] for finding in record["findings"]}
    assert code != 0
