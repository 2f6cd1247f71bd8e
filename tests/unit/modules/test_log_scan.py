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
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import ok
from ansible_collections.ops.remediation.plugins.module_utils._modules import log_scan as _log_scan
from ansible_collections.ops.remediation.plugins.modules import log_scan
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from ..shared.logs import helpers as h


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
    assert [(finding["code"], finding["subject"], finding["check"], finding["value"]) for finding in result["findings"]] == [
        ("worker.oracle_failed", str(log), "worker.log", 2),
        ("worker.unknown_error", str(log), "worker.log", 1),
    ]
    assert result["files"][0]["read"] == log.stat().st_size
    names = {entry["name"]: entry for entry in result["signatures"]}
    assert names["worker_oracle"]["causes"] == {"ORA-12541": 1}
    assert names["worker_oracle"]["last"].endswith("Z")


def test_a_second_scan_counts_only_what_is_new_and_the_finding_stays(run, log):
    run(paths=[str(log)])
    result = run(paths=[str(log)])
    assert result["counts"] == {}
    assert [finding["code"] for finding in result["findings"]] == ["worker.oracle_failed", "worker.unknown_error"]


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
    assert [(finding["code"], finding["value"]) for finding in result["findings"]] == [("worker.oracle_failed", 1)]
    assert result["expected"] == ["worker.log"]


def test_where_the_areas_leave_nothing_to_tell_the_record_learns_that_it_was_asked(run, monkeypatch, tmp_path):
    read = {"processes": {}, "memory": {}}
    monkeypatch.setattr(_log_scan, "call_all", lambda calls: {"pm2": Outcome(value=read), "ports": Outcome(value={})})
    monkeypatch.setattr(_log_scan, "_pm2_findings", lambda asked: [ok("backend.log", "backend"), ok("worker.log", "worker")])
    result = run(pm2_home=str(tmp_path), areas=["oracle"])
    assert [(finding["check"], finding["status"]) for finding in result["findings"]] == [("run.log_scan", "ok")]
    assert result["expected"] == ["run.log_scan"]
    assert run(pm2_home=str(tmp_path), areas=["worker"])["expected"] == ["worker.log"]


NGINX = time.strftime("%Y/%m/%d %H:%M:%S") + " [error] 7#7: "
OTHERS = [
    ("ORA-12541: TNS:no listener", True, "worker.oracle_failed"),
    ("Daily message quota exceeded", True, "worker.ses_error"),
    ("EACCES: permission denied, open '/nas/a.pdf'", True, "worker.file_not_found"),
    ("Job 7 has no owner", True, "worker.unknown_error"),
    ("Nest can't resolve dependencies of the MailService (?)", True, "backend.di_error"),
    ("LogsDB not available: connect ECONNREFUSED 10.0.0.1:5432", True, "logsdb.unreachable"),
    ("*1 connect() failed (111: Connection refused) while connecting to upstream", False, "web.bad_gateway"),
    ("*1 upstream timed out (110: Connection timed out) while reading", False, "web.gateway_timeout"),
    ("bind() to 0.0.0.0:80 failed (98: Address already in use)", False, "nginx.port_conflict"),
]


@pytest.mark.parametrize(("said", "nest", "code"), OTHERS)
def test_what_has_a_code_has_a_finding_that_reads_well(run, tmp_path, said, nest, code):
    path = tmp_path / "some.log"
    path.write_text(line(said) if nest else f"{NGINX}{said}\n")
    (finding,) = run(paths=[str(path)])["findings"]
    assert (finding["code"], finding["subject"], finding["remedies"]) == (code, str(path), [])
    for texts in faults_catalogue.render({"host": "tank-app", **finding}).values():
        for text in texts.values():
            assert text
            assert not any(word in text for word in ("None", "{{", "{%", "  ", " .")), text
        assert any(finding["evidence"]["sample"][:20] in text or "MailService" in text or "Job" in text for text in texts.values())
    if code == "nginx.port_conflict":
        assert finding["evidence"]["port"] == "80"


def test_a_log_without_errors_is_well_and_says_what_was_not_read(run, tmp_path):
    path = tmp_path / "calm.log"
    path.write_text(h.nest("Processing job 7", level="LOG") * 30_000)
    (finding,) = run(paths=[str(path)], areas=["nginx"], first_read_mb=1)["findings"]
    assert (finding["status"], finding["code"]) == ("ok", "")
    assert "bytes before the last ones" in finding["evidence"]["not_asked"][0]


@pytest.mark.parametrize(("name", "said"), [("absent.log", "No such file"), ("*.nothing", "no file matches"), ("folder", "is not a file")])
def test_what_cannot_be_read_is_unknown_whatever_else_is_found(run, log, tmp_path, name, said):
    (tmp_path / "folder").mkdir()
    result = run(paths=[str(log), str(tmp_path / name)], areas=["worker"])
    assert [(finding["status"], finding["subject"]) for finding in result["findings"] if finding["status"] == "unknown"] == [
        ("unknown", str(tmp_path / name))
    ]
    assert said in next(finding for finding in result["findings"] if finding["status"] == "unknown")["evidence"]["reason"]
    assert "worker.oracle_failed" in {finding["code"] for finding in result["findings"]}


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
