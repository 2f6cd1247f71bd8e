"""What a run keeps, and that it leaves nothing else."""

from __future__ import annotations


def test_the_notes_are_private(app):
    folder = app.file("/var/lib/ops-remediation/host-probe")
    assert (folder.user, folder.mode) == ("root", 0o700)
    assert app.run(f"find {folder.path} -type f ! -perm 600").stdout == ""


def test_no_process_is_left(app):
    assert app.run("pgrep -fa '[A]nsiballZ'").stdout == ""
