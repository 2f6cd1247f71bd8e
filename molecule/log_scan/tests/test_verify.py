"""What a scan keeps."""

from __future__ import annotations


def test_the_notes_are_private_and_hold_no_line_of_the_log_in_full(app):
    folder = app.file("/var/lib/ops-remediation/log-probe")
    assert (folder.user, folder.mode) == ("root", 0o700)
    assert app.run(f"find {folder.path} -type f ! -perm 600").stdout == ""
    assert app.run(f"find {folder.path} -type f").stdout != ""


def test_the_log_is_as_it_was(app):
    log = app.file("/var/log/batch/probe.log")
    assert (log.user, log.mode) == ("tankmail", 0o600)
    assert log.content_string.count("NJS-503") == 1
