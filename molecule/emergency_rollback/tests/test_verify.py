"""The backup runs, the bad release is kept, the daily check is content."""

from __future__ import annotations

from conftest import not_well


def test_the_backup_is_in_place_and_the_bad_release_is_kept(app):
    assert "a bad update" not in app.file("/opt/tank-mail-app/backend/dist/main.js").content_string
    kept = app.run("cat /opt/tank-mail-app-aside-*/backend/dist/main.js")
    assert "a bad update" in kept.stdout
    assert app.run("ls -d /opt/tank-mail-app-aside-* | wc -l").stdout.strip() == "1"


def test_the_applications_answer_as_their_user(app):
    assert '"status":"ok"' in app.run("curl -s http://127.0.0.1:3000/api/health").stdout
    pids = app.run("pgrep -f 'tank-mail-app/[bw]'").stdout.split()
    assert len(pids) == 2
    assert {app.run(f"ps -o user= -p {pid}").stdout.strip() for pid in pids} == {"tankmail"}


def test_the_run_record_has_the_rollback_and_the_daily_check(record):
    assert not_well(record) == []
    checks = {finding["check"] for finding in record["findings"]}
    assert {"run.rollback", "backend.health", "pm2.processes"} <= checks


def test_env_is_still_for_its_user_alone(app):
    env = app.file("/opt/tank-mail-app/config/.env")
    assert (env.user, env.mode & 0o077) == ("tankmail", 0)
