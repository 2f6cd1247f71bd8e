# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run record: what was expected counts, the verdict, the published schema, the files; and what people read of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import jsonschema
import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS as _CATALOGUE
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import ok, reporter, unknown
from ansible_collections.ops.remediation.plugins.plugin_utils.record import record
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import render

fault = reporter(_CATALOGUE)


SCHEMA = json.loads((Path(record.__file__).parent / "schemas" / "run_record-1.json").read_text(encoding="utf-8"))


def answer(*findings, expected=None):
    stamped = [{**finding.as_dict(), "asked_from": "app1", "checked_at": "2026-11-21T00:00:00Z"} for finding in findings]
    return {"findings": stamped, "expected": expected or [finding.check for finding in findings], "site": "seoul"}


def run(*hosts, **settings):
    made = record.RunRecord("daily_check.yml", "0.1.0")
    made.configure({"cadence": "daily_check", "hosts": list(hosts), "fail_on": "critical", "language": "en", "home": "", **settings})
    return made


def document(made):
    found = made.document()
    jsonschema.validate(found, SCHEMA)
    # What is written must be JSON, and the same after reading.
    assert json.loads(json.dumps(found)) == found
    return found


def test_a_clean_run():
    made = run("app1")
    made.answered("app1", answer(ok("pm2.daemon"), ok("pm2.processes", "worker")))
    found = document(made)
    assert found["totals"] == {"hosts": 1, "expected": 2, "checked": 2, "ok": 2, "warning": 0, "critical": 0, "unknown": 0, "roots": 0}
    assert found["verdict"]["failed"] is False
    assert "all is well" in render.summary(found, "/x/report.md")


def test_what_did_not_answer_is_visible_and_counts():
    made = run("app1")
    made.answered("app1", answer(ok("pm2.daemon"), expected=["pm2.daemon", "pm2.processes", "pm2.saved"]))
    found = document(made)
    assert found["totals"]["expected"] == 3
    assert found["totals"]["checked"] == 1
    assert [finding["check"] for finding in found["findings"] if finding["status"] == "unknown"] == ["pm2.processes", "pm2.saved"]
    assert found["verdict"]["failed"] is False
    made.settings.fail_on = "unknown"
    assert document(made)["verdict"] == {"run_id": made.run_id, "fail_on": "unknown", "failed": True, "reason": "2 unknown"}


def test_an_unreachable_host_is_one_root_over_all_its_checks():
    made = run("app1", "app2")
    made.answered("app1", answer(ok("pm2.daemon")))
    made.answered("app2", {"findings": [], "expected": ["pm2.daemon", "pm2.processes"], "site": "seoul"}, "Failed to connect")
    made.unreachable("app2", "Failed to connect\nto the host")
    found = document(made)
    roots = [finding for finding in found["findings"] if finding["status"] != "ok" and not finding["follows_from"]]
    assert [(finding["host"], finding["code"]) for finding in roots] == [("app2", "run.unreachable")]
    assert roots[0]["evidence"]["reason"] == "Failed to connect to the host"
    assert found["totals"]["unknown"] == 3
    assert [host["state"] for host in found["hosts"]] == ["asked", "unreachable"]
    text = render.summary(found, None)
    assert "app2 could not be reached" in text
    assert text.count("could not run") == 0


def test_a_reason_holds_for_the_checks_of_its_own_task():
    made = run("app1")
    made.answered("app1", answer(ok("pm2.daemon")))
    made.answered("app1", {"findings": [], "expected": ["pm2.saved"], "site": ""}, "checker could not be reached")
    found = document(made)
    reasons = {finding["check"]: finding["evidence"].get("reason") for finding in found["findings"]}
    assert reasons == {"pm2.daemon": None, "pm2.saved": "checker could not be reached"}
    assert found["hosts"][0]["state"] == "asked"


def test_a_host_that_was_never_asked_is_not_forgotten():
    made = run("app1", "app2", "app3")
    made.answered("app1", answer(ok("pm2.daemon")))
    made.failed("app2", "Validate", "stack_areas is missing")
    found = document(made)
    unknowns = {finding["host"]: finding["evidence"]["reason"] for finding in found["findings"] if finding["status"] == "unknown"}
    assert unknowns == {"app2": "Validate: stack_areas is missing", "app3": "the run ended before this host was asked"}
    assert [host["state"] for host in found["hosts"]] == ["asked", "failed", "not_asked"]


@pytest.mark.parametrize("fail_on", ["critical", "unknown", "warning", "never"])
def test_a_run_that_checked_nothing_has_failed(fail_on):
    nothing = run("app1", fail_on=fail_on)
    nothing.answered("app1", answer())
    assert document(nothing)["verdict"]["failed"] is True
    assert "nothing was checked" in render.summary(document(nothing), None)
    blind = run("app1", fail_on=fail_on)
    blind.answered("app1", answer(unknown("pm2.daemon", "no rights")))
    assert document(blind)["verdict"]["failed"] is True
    nobody = run(fail_on=fail_on)
    assert document(nobody)["verdict"]["failed"] is True


@pytest.mark.parametrize(
    ("finding", "fails"),
    [
        (fault("pm2.stopped", "pm2.processes", "worker"), {"critical", "unknown", "warning"}),
        (unknown("pm2.saved", "no rights"), {"unknown", "warning"}),
        (fault("pm2.not_saved", "pm2.saved"), {"warning"}),
        (ok("pm2.saved"), set()),
    ],
)
def test_remediation_fail_on_decides(finding, fails):
    for fail_on in record.FAIL_ON:
        made = run("app1", fail_on=fail_on)
        made.answered("app1", answer(ok("pm2.daemon"), finding))
        assert document(made)["verdict"]["failed"] is (fail_on in fails)


def test_answers_of_several_tasks_add_up():
    made = run("app1")
    made.answered("app1", answer(ok("pm2.daemon")))
    made.answered("app1", answer(fault("pm2.not_saved", "pm2.saved")))
    assert document(made)["hosts"][0]["expected"] == ["pm2.daemon", "pm2.saved"]


def test_a_code_that_this_controller_does_not_know_is_kept():
    made = run("app1")
    strange = {**fault("pm2.stopped", "pm2.processes", "worker").as_dict(), "code": "pm2.newer"}
    made.answered("app1", {"findings": [{**strange, "checked_at": "2026-11-21T00:00:00Z"}], "expected": ["pm2.processes"]})
    found = document(made)
    assert found["findings"][0]["texts"]["ko"]["title"] == "pm2.newer"
    assert "pm2.newer" in render.summary(found, None)


def test_files_are_private_and_latest_points_to_the_newest(tmp_path):
    for _round in range(2):
        made = run("app1")
        made.answered("app1", answer(ok("pm2.daemon")))
        found = document(made)
        folder = record.write(found, render.report(found), str(tmp_path / "home"))
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == {"record.json": 0o600, "report.md": 0o600}
        assert (tmp_path / "home" / "runs" / "latest").resolve() == folder
    assert json.loads((folder / "record.json").read_text(encoding="utf-8")) == found


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_summary_has_a_line_per_host_and_area_with_cause_and_next_step(language):
    made = run("app1", "app2", language=language)
    evidence = {"exit_code": 3, "how": "exit"}
    made.answered("app1", answer(ok("pm2.daemon"), fault("pm2.stopped", "pm2.processes", "worker", evidence=evidence)))
    made.answered("app2", answer(ok("pm2.daemon")))
    found = document(made)
    text = render.summary(found, "/runs/1/report.md")
    words = render.WORDS[language]
    lines = text.splitlines()
    hosts = [line for line in lines if line.startswith("  app")]
    assert [line.split()[0] for line in hosts] == ["app1", "app2"]
    assert words["critical"] in hosts[0]
    assert words["ok"] in hosts[1]
    texts = found["findings"][0]["texts"][language]
    assert any(texts["title"] in line and "[pm2.stopped P1]" in line for line in lines)
    assert any(line.strip() == f"{words['cause']}: {texts['cause']}" for line in lines)
    assert any(line.strip() == f"{words['next']}: {texts['next']}" for line in lines)
    assert lines[-1] == f"{words['report']}: /runs/1/report.md"


def test_the_report_cannot_be_broken_by_what_a_host_says():
    made = run("app1")
    hostile = "a | b\n# not a title <script>alert(1)</script> `x` [link](http://x) {{ 1234 * 1000 }}"
    made.answered("app1", answer(fault("pm2.errored", "pm2.processes", hostile, evidence={"log_line": hostile, "restarts": 16})))
    text = render.report(document(made))
    assert "\n# not a title" not in text
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "1234000" not in text
    assert "- Remedies (not automated yet): pm2.restart\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| app1")]
    assert len(rows) == 1
    assert len(rows[0].replace("\\|", "").split("|")) == len(render.WORDS["en"]["columns"]) + 2


def test_many_checks_with_one_reason_are_told_once():
    made = run("app1")
    made.answered(
        "app1", answer(*(unknown(check, "no rights") for check in ("pm2.daemon", "pm2.processes", "pm2.saved")), ok("pm2.startup"))
    )
    text = render.summary(document(made), None)
    assert text.count("Cause: no rights") == 1
    assert "Same for: pm2.processes (app1), pm2.saved (app1)" in text


WELL = {**ok("pm2.daemon").as_dict(), "checked_at": "2026-11-21T00:00:00Z"}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "foo"},
        {"status": "critical"},
        {"severity": None},
        {"subject": 7},
        {"evidence": [1]},
        {"area": "disk"},
        {"value": {"a": 1}},
        {"duration_ms": "1"},
        {"remedies": "all"},
    ],
)
def test_a_malformed_finding_neither_passes_nor_breaks_the_record(change):
    made = run("app1")
    made.answered("app1", {"findings": [{**WELL, **change}], "expected": ["pm2.daemon"]})
    found = document(made)
    assert [(finding["check"], finding["code"]) for finding in found["findings"]] == [("pm2.daemon", "run.check_crashed")]
    assert found["verdict"]["failed"] is True
    render.report(found)


@pytest.mark.parametrize("findings", [None, 3, "x", [None], [{}], {"a": 1}])
def test_an_answer_that_is_no_list_of_findings(findings):
    made = run("app1")
    made.answered("app1", {"findings": findings, "expected": ["pm2.daemon"]})
    assert document(made)["verdict"]["failed"] is True


def test_a_host_cannot_speak_for_another_one():
    made = run("app1", "app2")
    made.answered("app1", {"findings": [{**WELL, "host": "app2", "site": "x"}], "expected": ["pm2.daemon"]})
    assert {finding["host"]: finding["status"] for finding in document(made)["findings"]} == {"app1": "ok", "app2": "unknown"}


def test_what_a_host_sends_is_cleaned_once_more():
    made = run("app1")
    hostile = {
        **fault("pm2.stopped", "pm2.processes").as_dict(),
        "subject": "\x1b[31mworker\x1b]0;x\x07" + "y" * 999,
        "evidence": {"log_line": "password=planted"},
    }
    made.answered("app1", {"findings": [{**hostile, "checked_at": "2026-11-21T00:00:00Z"}], "expected": ["pm2.processes"]})
    found = document(made)
    assert "\x1b" not in render.summary(found, None) + render.report(found)
    assert "planted" not in json.dumps(found)
    assert len(found["findings"][0]["subject"]) <= 200


def test_thousands_of_findings_are_bounded_and_quick():
    made = run("app1")
    many = [
        {**fault("pm2.not_saved", "pm2.saved", f"p{number}").as_dict(), "checked_at": "2026-11-21T00:00:00Z"} for number in range(20_000)
    ]
    started = time.process_time()
    made.answered("app1", {"findings": many, "expected": ["pm2.saved"]})
    found = document(made)
    assert time.process_time() - started < 5
    assert len(found["findings"]) == record.MOST_FINDINGS + 1


def test_evidence_of_another_shape_does_not_cost_the_report():
    made = run("app1")
    odd = fault("pm2.startup_wrong", "pm2.startup", evidence={"problems": 3, "unit_path": {"a": 1}})
    made.answered("app1", answer(odd))
    assert "pm2.startup" in render.report(document(made))


def test_a_task_that_failed_with_all_its_answers_makes_the_run_fail():
    made = run("app1", fail_on="never")
    made.answered("app1", answer(ok("pm2.daemon")), "Ask: state_dir: '/proc/x' cannot be used", failed=True)
    found = document(made)
    assert found["verdict"]["failed"] is True
    assert found["verdict"]["reason"] == "1 host failed"
    assert "cannot be used" in render.summary(found, None)


def test_a_fault_of_the_run_says_by_itself_why_its_task_failed():
    made = run("app1")
    refused = fault("run.rollback_refused", "run.rollback", evidence={"reason": "the backup is not complete"})
    made.answered("app1", answer(refused), "Roll back: refused", failed=True)
    assert [finding["code"] for finding in document(made)["findings"]] == ["run.rollback_refused"]


def test_another_fault_found_before_does_not_hide_why_a_task_failed():
    made = run("app1")
    made.answered("app1", answer(fault("pm2.stopped", "pm2.processes", "backend")), "Ask: it broke", failed=True)
    found = document(made)
    assert [finding["code"] for finding in found["findings"] if finding["status"] == "unknown"] == ["run.check_unknown"]


def test_a_host_that_was_lost_while_it_rolled_back_is_told_to_go_on_alone():
    made = record.RunRecord("emergency_rollback.yml", "0.1.0")
    made.configure({"cadence": "emergency_rollback", "hosts": ["app1", "app2"], "fail_on": "critical", "language": "en", "home": ""})
    made.answered("app1", {"expected": ["run.rollback"], "findings": []}, "connection closed")
    for host in ("app1", "app2"):
        made.unreachable(host, "connection closed")
    lost, away = (finding for finding in made.document()["findings"] if finding["code"] == "run.unreachable")
    assert "Wait some minutes, then run the same command again" in lost["texts"]["en"]["next"]
    assert "몇 분 뒤 같은 명령을 다시 실행" in lost["texts"]["ko"]["next"]
    assert "Wait" not in away["texts"]["en"]["next"]
