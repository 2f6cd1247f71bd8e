# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module log_scan: its main over real files, and cursors per consumer."""

from __future__ import annotations

import json
import os
import time

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.modules import log_scan

from . import log_helpers as h


@pytest.fixture
def run(tmp_path, capsys):
    """Return a function that runs the module's main() and returns its answer."""

    def call(check=False, **options):
        arguments = {"state_dir": str(tmp_path / "state"), "_ansible_check_mode": check, **options}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            log_scan.main()
        return {"failed": False, **json.loads(capsys.readouterr().out)}

    return call


def line(message):
    return h.nest(message, date=time.strftime("%m/%d/%Y, %I:%M:%S %p"))


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "app.log"
    path.write_text(line("Oracle connection failed: ORA-12541: no listener") + line("Job 7 has no owner") + "Error: NJS-040: queue\n")
    return path


def test_counts_and_findings(run, log):
    result = run(paths=[str(log)])
    assert not result["failed"]
    assert result["changed"] is False
    assert result["counts"] == {"worker.oracle_failed": 1, "unknown": 1, "oracle.pool_exhausted": 1}
    assert [(finding["code"], finding["subject"], finding["check"]) for finding in result["findings"]] == [
        ("worker.oracle_failed", str(log), "worker.log")
    ]
    assert result["files"][0]["read"] == log.stat().st_size
    names = {entry["name"]: entry for entry in result["signatures"]}
    assert names["worker_oracle"]["causes"] == {"ORA-12541": 1}
    assert names["worker_oracle"]["last"].endswith("Z")


def test_a_second_scan_counts_only_what_is_new_and_the_finding_stays(run, log):
    run(paths=[str(log)])
    result = run(paths=[str(log)])
    assert result["counts"] == {}
    assert [finding["code"] for finding in result["findings"]] == ["worker.oracle_failed"]


def test_consumers_do_not_disturb_each_other(run, log):
    run(paths=[str(log)])
    assert run(paths=[str(log)], consumer="triage")["counts"]["unknown"] == 1
    assert run(paths=[str(log)], consumer="triage")["counts"] == {}


def test_check_mode_moves_no_cursor_and_writes_nothing(run, log, tmp_path):
    first = run(check=True, paths=[str(log)])
    assert not os.path.exists(tmp_path / "state")
    assert run(check=True, paths=[str(log)])["counts"] == first["counts"] != {}
    run(paths=[str(log)])
    before = {path.name: path.read_text() for path in (tmp_path / "state").iterdir()}
    log.write_text(log.read_text() + line("Oracle connection failed: again"))
    assert run(check=True, paths=[str(log)])["counts"] == {"worker.oracle_failed": 1}
    assert {path.name: path.read_text() for path in (tmp_path / "state").iterdir()} == before


def test_areas_choose(run, log):
    result = run(paths=[str(log)], areas=["oracle"])
    assert result["counts"] == {"oracle.pool_exhausted": 1}
    assert [(finding["check"], finding["status"]) for finding in result["findings"]] == [("run.log_scan", "ok")]
    assert result["findings"][0]["evidence"] == {"files": 1, "new_errors": 1}
    assert result["expected"] == ["run.log_scan"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"paths": ["app.log"]}, "not an absolute path"),
        ({"paths": []}, "names no log"),
        ({"paths": ["/x.log"], "consumer": "../x"}, "is not a name"),
        ({"paths": ["/x.log"], "first_read_mb": 0}, "more than 0"),
        ({"pm2_home": "/nowhere/.pm2"}, "does not exist"),
    ],
)
def test_a_wrong_question_is_refused(run, options, said):
    result = run(**options)
    assert result["failed"]
    assert said in result["msg"]


def test_an_absent_log_is_named(run, tmp_path):
    result = run(paths=[str(tmp_path / "absent.log")])
    assert "No such file" in result["files"][0]["problem"]


def test_a_pm2_home_without_a_daemon_is_unknown(run, tmp_path):
    result = run(pm2_home=str(tmp_path))
    assert {finding["status"] for finding in result["findings"]} == {"unknown"}
    assert {finding["evidence"]["blocked_by"] for finding in result["findings"]} == {"pm2.daemon_down"}


def test_a_state_folder_that_is_none_is_refused(run, log, tmp_path):
    (tmp_path / "state").write_text("x")
    result = run(paths=[str(log)])
    assert result["failed"]
    assert "state_dir" in result["msg"]
