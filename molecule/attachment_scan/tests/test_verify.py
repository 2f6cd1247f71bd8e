"""What a scan leaves on the host."""

from __future__ import annotations


def test_notes_and_details_are_private(app):
    folder = app.file("/var/lib/ops-remediation/attachment-probe")
    assert (folder.user, folder.mode) == ("root", 0o700)
    assert app.run(f"find {folder.path} -type f ! -perm 600").stdout == ""
    assert "attachments.case_differs" in app.file(f"{folder.path}/all.csv").content_string


def test_no_process_is_left(app):
    # In brackets, so that the shell which asks does not find itself; 1 is pgrep's "none".
    assert app.run("pgrep -f '[A]nsiballZ_attachment_scan'").rc == 1
