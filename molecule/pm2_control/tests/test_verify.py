"""The process runs, once, as the right user."""

from __future__ import annotations

from conftest import applications, noted


def test_one_process_answers(app):
    pids = app.run("pgrep -f '/opt/probe/[s]erver.js'").stdout.split()
    assert len(pids) == 1
    assert app.run(f"ps -o user= -p {pids[0]}").stdout.strip() == "tankmail"
    assert app.run("curl -s http://127.0.0.1:3900/").stdout == '{"status":"ok"}'


def test_backend_and_worker_are_untouched(app):
    assert applications(app) == noted()
    assert '"status":"ok"' in app.run("curl -s http://127.0.0.1:3000/api/health").stdout


def test_no_file_of_root_is_left(app):
    assert app.run("find /home/tankmail -user root").stdout == ""
