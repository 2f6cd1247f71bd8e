# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why an application does not start, by its log."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import TooSlow
from ansible_collections.ops.remediation.plugins.plugin_utils.record import folding

from ...shared.logs.application_facts import LOG, NOW, about, backend, group, words, worker


@pytest.mark.parametrize(
    ("name", "detail", "code", "said"),
    [
        ("backend_di", "HealthService", "backend.di_error", "cannot build HealthService"),
        ("backend_instance", "JobsModule", "backend.di_error", "cannot build JobsModule"),
        ("backend_env", "PORT", "backend.env_invalid", "PORT in config/.env"),
        ("backend_env_key", "LOG_LEVEL", "backend.env_invalid", "LOG_LEVEL"),
        ("backend_module", "pg", "backend.module_missing", "pg is not installed"),
    ],
)
def test_why_an_application_does_not_start(name, detail, code, said):
    (finding,) = backend({"backend": about(group(name, details={detail: 3}))})
    assert (finding.code, finding.subject, finding.status, finding.severity) == (code, "backend", "critical", "P1")
    assert (finding.value, finding.evidence["count"], finding.evidence["log"]) == (3, 3, LOG)
    assert said in words(finding)


def test_a_process_that_is_online_without_working_is_told_so():
    (finding,) = backend({"backend": about(group("backend_module", details={"pg": 1}), status="online", started=NOW - 100)})
    assert "nevertheless shows backend as online" in words(finding)


def port_conflict(ports, **more):
    conflict = group("backend_port", details={"127.0.0.1:3000": 3})
    return backend({"backend": about(conflict, **more)}, ports=ports)


def test_who_holds_the_port():
    (finding,) = port_conflict({"3000": {"pid": 99, "user": "tankmail", "program": "node /opt/old.js"}})
    assert finding.evidence["holder"]["pid"] == 99
    assert finding.remedies == ("backend.change_port",)
    assert "node /opt/old.js (process 99 of tankmail)" in words(finding)


def test_a_holder_that_may_not_be_seen_is_not_asked():
    (finding,) = port_conflict({"3000": {"pid": 0, "user": "www-data", "program": ""}})
    assert "only root sees it" in finding.evidence["not_asked"][0]
    assert "A process of www-data" in words(finding)
    (finding,) = port_conflict(Outcome(error=TooSlow("no answer within 1 s")))
    assert finding.evidence["not_asked"] == ["who holds port 3000: no answer within 1 s"]
    assert "could not be determined" in words(finding)


def test_a_process_that_has_its_port_by_now_is_well():
    (finding,) = port_conflict({"3000": {"pid": 7, "user": "tankmail", "program": "node"}}, status="online", started=NOW - 4)
    assert finding.status == "ok"
    (finding,) = port_conflict({})
    assert "No process listens there any more" in words(finding)


def test_an_error_that_is_over_is_no_finding():
    (finding,) = backend({"backend": about(group("backend_env", last=NOW - 100), status="online", started=NOW - 90)})
    assert (finding.status, finding.subject) == ("ok", "backend")


def test_a_worker_that_does_not_start_is_told_by_the_same_check():
    (finding,) = backend({"worker": about(group("backend_env"))}, processes=["worker"])
    assert (finding.code, finding.subject) == ("backend.env_invalid", "worker")
    (finding,) = worker({"worker": about(group("backend_env"))})
    assert finding.status == "ok"


def test_the_log_tells_why_pm2_gave_up_and_is_the_root():
    (cause,) = backend({"backend": about(group("backend_env", details={"PORT": 3}))})
    gave_up = {"check": "pm2.processes", "area": "pm2", "code": "pm2.errored", "subject": "backend", "status": "critical", "severity": "P1"}
    silent = {"check": "backend.health", "area": "backend", "code": "backend.no_answer", "subject": "backend", "status": "critical"}
    findings = [{**cause.as_dict()}, {**gave_up, "evidence": {}}, {**silent, "severity": "P1", "evidence": {}}]
    folded = {finding["code"]: finding for finding in folding.fold([{**finding, "host": "h", "site": ""} for finding in findings])}
    assert folded["backend.env_invalid"]["follows_from"] == ""
    assert folded["pm2.errored"]["follows_from"] == folded["backend.env_invalid"]["id"]
    assert folded["backend.no_answer"]["follows_from"] == folded["backend.env_invalid"]["id"]
