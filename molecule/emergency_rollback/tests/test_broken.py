"""A release that crashed after its start was taken out again."""

from __future__ import annotations


def test_the_former_release_runs_and_the_bad_one_is_back_where_it_was(app):
    assert "setTimeout" in app.file("/opt/tank-mail-app-backup-209901010000/worker/dist/worker.js").content_string
    assert "process.exit(7)" not in app.file("/opt/tank-mail-app/worker/dist/worker.js").content_string
    assert '"status":"ok"' in app.run("curl -s http://127.0.0.1:3000/api/health").stdout
    assert len(app.run("pgrep -f 'tank-mail-app/[bw]'").stdout.split()) == 2
