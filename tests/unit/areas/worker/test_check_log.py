# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded from logs and .env, and how it reads."""

from __future__ import annotations

import os
import re
import socket

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.worker import check_log as c
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, NeedsUser, TooSlow
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import ports as _log_ports
from ansible_collections.ops.remediation.plugins.plugin_utils.record import folding
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

NOW = 1_795_260_000.0
LOG = "/home/tankmail/.pm2/logs/backend-error.log"
OUT = "/home/tankmail/.pm2/logs/backend-out.log"


def group(name, *, count=3, last=NOW - 5, **more):
    known = {"name": name, "count": count, "first": last - 20, "last": last, "after": last, "exact": True, "pid": 0, "sample": "said this"}
    return {**known, "path": LOG, "details": {}, "causes": {}, **more}


def about(*groups, status="errored", started=NOW - 10, files=None, **more):
    entry = {"pid": 7, "status": status, "started_at": started, "created_at": (NOW - 7200) * 1000, "restarts": 3}
    file = {"path": LOG, "problem": "", "read": 10, "skipped": 0, "behind": False, "lost": False}
    return {
        "entries": [entry],
        "groups": {one["name"]: one for one in groups},
        "files": files or [file],
        "outputs": [OUT],
        "unlogged": False,
        **more,
    }


def asked(check, listed, state="up", ports=None, **more):
    answer = {"state": state, "problem": "" if state == "up" else f"the daemon is {state}", "user": "tankmail", "processes": listed}
    outcomes = {"log.applications": Outcome(value=answer), "log.ports": ports if isinstance(ports, Outcome) else Outcome(value=ports or {})}
    spec = c.BACKEND_LOG_PARAMETERS if check == "backend.log" else c.WORKER_LOG_PARAMETERS
    parameters = {name: entry.get("default") for name, entry in spec.items()}
    return Asked({**parameters, "pm2_home": "/home/tankmail/.pm2", "processes": ["backend"], **more}, NOW, outcomes)


def backend(listed, **more):
    return c.backend_log(asked("backend.log", listed, **more))


def worker(listed, **more):
    return c.worker_log(asked("worker.log", listed, **more))


def words(finding):
    texts = faults_catalogue.render({"host": "tank-app", **finding.as_dict()})
    for text in (*texts["en"].values(), *texts["ko"].values()):
        assert text
        assert not re.search(r"None|undefined|\{\{|\{%|  | \.$", text), text
    return " ".join(texts["en"].values())


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
    assert "online all the same" in words(finding)


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
    assert "could not be seen" in words(finding)


def test_a_process_that_has_its_port_by_now_is_well():
    (finding,) = port_conflict({"3000": {"pid": 7, "user": "tankmail", "program": "node"}}, status="online", started=NOW - 4)
    assert finding.status == "ok"
    (finding,) = port_conflict({})
    assert "Nobody listens there any more" in words(finding)


def test_an_error_that_is_over_is_no_finding():
    (finding,) = backend({"backend": about(group("backend_env", last=NOW - 100), status="online", started=NOW - 90)})
    assert (finding.status, finding.subject) == ("ok", "backend")


def test_a_worker_that_does_not_start_is_told_by_the_same_check():
    (finding,) = backend({"worker": about(group("backend_env"))}, processes=["worker"])
    assert (finding.code, finding.subject) == ("backend.env_invalid", "worker")
    (finding,) = worker({"worker": about(group("backend_env"))})
    assert finding.status == "ok"


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


def test_the_log_tells_why_pm2_gave_up_and_is_the_root():
    (cause,) = backend({"backend": about(group("backend_env", details={"PORT": 3}))})
    gave_up = {"check": "pm2.processes", "area": "pm2", "code": "pm2.errored", "subject": "backend", "status": "critical", "severity": "P1"}
    silent = {"check": "backend.health", "area": "backend", "code": "backend.no_answer", "subject": "backend", "status": "critical"}
    findings = [{**cause.as_dict()}, {**gave_up, "evidence": {}}, {**silent, "severity": "P1", "evidence": {}}]
    folded = {finding["code"]: finding for finding in folding.fold([{**finding, "host": "h", "site": ""} for finding in findings])}
    assert folded["backend.env_invalid"]["follows_from"] == ""
    assert folded["pm2.errored"]["follows_from"] == folded["backend.env_invalid"]["id"]
    assert folded["backend.no_answer"]["follows_from"] == folded["backend.env_invalid"]["id"]


# --- .env


@pytest.fixture
def env(tmp_path):
    path = tmp_path / ".env"
    path.write_text("ORACLE_PASS=planted-secret\n")
    path.chmod(0o600)
    return path


def env_finding(path):
    return c.env_file(Asked({"env_file": str(path)}, NOW, {"backend.env_file": Outcome(value=c.read_env_file(str(path)))}))[0]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_a_private_env_is_well(env, mode):
    env.chmod(mode)
    assert env_finding(env).status == "ok"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
def test_an_open_env_is_a_fault(env, mode, monkeypatch):
    env.chmod(mode)
    monkeypatch.setattr(c, "reachable_by_others", lambda _path: True)
    finding = env_finding(env)
    assert (finding.code, finding.remedies, finding.evidence["mode"]) == ("backend.env_readable", ("file.tighten",), f"{mode:04o}")
    assert "sudo chmod o= " in words(finding)
    monkeypatch.setattr(c, "reachable_by_others", lambda _path: False)
    assert env_finding(env).status == "ok"


def test_an_absent_env_is_unknown(tmp_path):
    finding = env_finding(tmp_path / ".env")
    assert finding.status == "unknown"
    assert "does not exist" in finding.evidence["reason"]


def test_an_env_that_is_no_file_or_out_of_sight(tmp_path, monkeypatch):
    with pytest.raises(CannotRead):
        c.read_env_file(str(tmp_path))

    def refuse(_path):
        raise PermissionError(13, "no")

    monkeypatch.setattr(c.os, "stat", refuse)
    with pytest.raises(NeedsUser):
        c.read_env_file("/x/.env")


# --- ports


def test_the_holder_of_a_port_is_seen():

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = str(listening.getsockname()[1])
        holder = _log_ports.read_holders()[port]
    assert holder["pid"] == os.getpid()
    assert port not in _log_ports.read_holders()
