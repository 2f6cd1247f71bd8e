"""What a run leaves on the host."""

from __future__ import annotations


def test_only_private_notes_are_kept(app):
    assert app.file("/var/lib/ops-remediation").exists
    assert app.run("find /var/lib/ops-remediation -type f ! -perm 600").stdout == ""
    assert app.run("find /var/lib/ops-remediation -mindepth 1 -type d ! -perm 700").stdout == ""


def test_no_process_is_left(app):
    assert app.run("pgrep -fa '[A]nsiballZ'").stdout == ""
    assert app.run("ps -o stat= -e").stdout.count("Z") == 0
