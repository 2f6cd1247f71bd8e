# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that cannot be read, for every check that reads them."""

from __future__ import annotations

import pytest

from .application_facts import LOG, OUT, about, backend, group, worker


def test_logs_that_cannot_be_read_are_unknown_and_never_well():
    def file(problem, path=LOG):
        return {"path": path, "problem": problem, "read": 0, "skipped": 0, "behind": False, "lost": False}

    (finding,) = worker({"worker": about(files=[file("Permission denied")])})
    assert (finding.status, finding.subject) == ("unknown", "worker")
    assert "Permission denied" in finding.evidence["reason"]
    (finding,) = worker({"worker": {**about(), "files": []}})
    assert "keeps no log" in finding.evidence["reason"]
    for ask, name in ((worker, "worker"), (backend, "backend")):
        (finding,) = ask({name: about(files=[file("Permission denied"), file("", OUT)], status="online")})
        assert (finding.status, finding.evidence["reason"]) == ("unknown", f"{LOG}: Permission denied")
    (finding,) = worker({"worker": about(group("unknown"), files=[file("Input/output error"), file("", OUT)], status="online")})
    assert finding.code == "worker.unknown_error"
    assert finding.evidence["not_asked"] == [f"{LOG}: Input/output error"]


@pytest.mark.parametrize(("path", "problem"), [(OUT, "Permission denied"), (LOG, "No such file or directory")])
def test_what_gets_no_errors_and_what_is_not_there_is_only_named(path, problem):
    file = {"path": path, "problem": problem, "read": 0, "skipped": 0, "behind": False, "lost": False}
    (finding,) = worker({"worker": about(files=[{**file, "problem": "", "path": "/other"}, file], status="online")})
    assert finding.status == "ok"
    assert finding.evidence["not_asked"] == [f"{path}: {problem}"]


@pytest.mark.parametrize(
    ("state", "code"), [("stopped", "pm2.daemon_down"), ("killed", "pm2.daemon_down"), ("hung", "pm2.daemon_hung"), ("denied", None)]
)
def test_without_pm2_nobody_knows_the_logs(state, code):
    for ask in (worker, backend):
        (finding,) = ask({}, state=state)
        assert finding.status == "unknown"
        assert finding.evidence.get("blocked_by") == code


def test_a_process_that_pm2_does_not_list_is_unknown():
    (finding,) = worker({})
    assert (finding.evidence["blocked_by"], finding.subject) == ("pm2.missing", "worker")
