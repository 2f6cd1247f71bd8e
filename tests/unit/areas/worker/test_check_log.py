# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of the worker's daily work, and the texts of their findings."""

from __future__ import annotations

import pytest

from ...shared.logs.application_facts import NOW, about, group, words, worker


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (group("worker_oracle", causes={"ORA-12541": 3}), "worker.oracle_failed"),
        (group("oracle_password"), "worker.oracle_failed"),
        (group("worker_ses", details={"Throttling": 3}), "worker.ses_error"),
        (group("ses_quota"), "worker.ses_error"),
        (group("worker_file", details={"BAC01V*R.pdf": 3}), "worker.file_not_found"),
        (group("nas_stale", sample="Unknown system error -116, open '/batch/x.pdf'"), "worker.file_not_found"),
        (group("nas_missing", sample="ENOENT: no such file or directory, access '/opt/worker/spool'"), "worker.unknown_error"),
        (group("worker_template", details={"Card notice: $(GRADE)": 3}), "worker.template_mismatch"),
        (group("runtime_heap"), "worker.unknown_error"),
        (group("unknown", details={"Job <n> has no owner": 3}), "worker.unknown_error"),
        (group("logsdb_away"), ""),
        (group("backend_module"), ""),
        (group("nginx_502"), ""),
    ],
)
def test_what_the_worker_reports(one, code):
    (finding,) = worker({"worker": about(one, status="online", started=NOW - 3600)})
    assert finding.code == code
    if code:
        assert finding.subject == "worker"
        assert finding.value == 3
        assert finding.evidence["since"]
        words(finding)


def test_one_finding_tells_all_of_one_code():
    groups = [group("unknown", details={"a": 2}, count=2), group("runtime_heap", count=5, exact=False)]
    (finding,) = worker({"worker": about(*groups, status="online", started=NOW - 3600)})
    assert finding.value == 7
    assert finding.evidence["estimated"]
    assert {"code": "runtime_heap", "count": 5} in finding.evidence["causes"]
