# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about Oracle targets, without a server: codes, thresholds, texts, causes, Instant Client."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS as _CATALOGUE
from ansible_collections.ops.remediation.plugins.module_utils._areas.oracle import checks as _oracle_checks
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome, Program
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import reporter
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import signatures as _signatures
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import client as _oracle_client
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import outcome as _oracle_outcome
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import probe as _oracle_probe
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import session as _oracle_session
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import targets as _oracle_targets
from ansible_collections.ops.remediation.plugins.plugin_utils.record.folding import fold
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue
from hypothesis import given
from hypothesis import strategies as st

fault = reporter(_CATALOGUE)


DEFAULTS = {
    name: spec.get("default") for name, spec in {**_oracle_checks.CONNECT_PARAMETERS, **_oracle_checks.PRIVILEGES_PARAMETERS}.items()
}


def answer(**more):
    facts = {"not_asked": [], "warned": False, "expires_s": None, "roles": [], "too_much": [], "sessions": None, "lacking": []}
    facts.update(more.pop("facts", {}))
    known = {
        "name": "db",
        "place": "db1:1521",
        "database": "ORCLPDB1",
        "user": "tank",
        "mode": "default",
        "state": "up",
        "stage": "query",
        "ms": 30.4,
    }
    return {**known, "times": {"login": 20.0, "query": 2.0}, "rows": 1, "version": "19.21.0.0.0", "facts": facts, **more}


def found(*answers, check=_oracle_checks.connect, **parameters):
    facts = {"driver": "python-oracledb 26.1.0 (thin)", "targets": list(answers), "learnt": {}, "forgotten": False}
    return check(Asked({**DEFAULTS, **parameters}, now=0.0, outcomes={"oracle.targets": Outcome(facts)}))


# --- codes


class _Said:
    def __init__(self, full_code, text=""):
        self.full_code = full_code
        self.text = text or full_code

    def __str__(self):
        return self.text


@pytest.mark.parametrize("number", sorted(_oracle_outcome._KNOWN))
def test_every_known_number_leads_into_the_catalogue(number):
    for stage in ("login", "query"):
        outcome = _oracle_outcome.explain(Exception(_Said(number)), stage)
        assert outcome.code in FAULTS
        assert outcome.driver_code == number
        assert outcome.reason


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "ORA-12541", "refused"),
        (OSError(errno.ETIMEDOUT, "x"), "ORA-12170", "timeout"),
        (OSError(errno.EHOSTUNREACH, "x"), "ORA-12170", "no_route"),
        (OSError(errno.ENETUNREACH, "x"), "ORA-12170", "no_route"),
        (OSError(errno.ECONNRESET, "x"), "ORA-12537", "closed"),
        (TimeoutError("timed out"), "ORA-12170", "timeout"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "oracle.name_unknown", "unknown"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "oracle.name_unknown", "no_dns"),
        (ssl.SSLError("x"), "ORA-12537", "tls"),
        (ssl.SSLCertVerificationError("x"), "ORA-12537", "certificate"),
        (OSError(errno.EMFILE, "x"), "", ""),
        (ValueError("x"), "", ""),
    ],
)
def test_errors_of_the_network(error, code, reason):
    outcome = _oracle_outcome.explain(error, "login")
    assert (outcome.code, outcome.reason) == (code, reason)


def test_the_inner_error_counts():
    outer = Exception(_Said("DPY-6005"))
    outer.__cause__ = Exception(_Said("DPY-6000", "DPY-6000: Listener refused connection. (Similar to ORA-12520)"))
    outcome = _oracle_outcome.explain(outer, "login")
    assert (outcome.code, outcome.driver_code, outcome.more, outcome.ended) == (
        "ORA-12518",
        "DPY-6000",
        {"number": "ORA-12520"},
        "listener",
    )
    assert _oracle_outcome.explain(Exception(_Said("DPY-6005")), "login").code == ""


def test_what_a_driver_said_has_no_random_id_and_no_secret():
    error = Exception(_Said("DPY-9999", "DPY-9999: no (CONNECTION_ID=abc/def==). pw is s3cret p%40ss\nHelp: x"))
    assert _oracle_outcome.said(error, ("s3cret", "p@ss")) == "DPY-9999: no. pw is ******** ********"


@given(st.binary(max_size=80))
def test_any_answer_of_a_peer_is_judged(data):
    assert _oracle_probe.what_answers(data) in (_oracle_probe.LISTENER, _oracle_probe.CLOSED, *_oracle_probe.STRANGERS)


def test_the_ping_is_a_connect_packet():
    packet = _oracle_probe.ping_packet()
    assert int.from_bytes(packet[:2], "big") == len(packet)
    assert packet[4] == 1
    length, offset = int.from_bytes(packet[24:26], "big"), int.from_bytes(packet[26:28], "big")
    assert packet[offset : offset + length] == b"(DESCRIPTION=(CONNECT_DATA=(COMMAND=ping)))"
    assert offset + length == len(packet)


# --- thresholds


@pytest.mark.parametrize(("rows", "seconds"), [(0, 1.0), (1000, 1.0), (1001, 3.0), (10_000, 3.0), (10_001, 8.0), (30_000, 8.0)])
def test_the_products_targets(rows, seconds):
    assert _oracle_session.product_target(rows) == seconds


@pytest.mark.parametrize(
    ("times", "rows", "what"),
    [
        ({"login": 999.0, "query": 999.0}, 1000, ""),
        ({"login": 1001.0, "query": 10.0}, 1, "login"),
        ({"login": 10.0, "query": 1001.0}, 1000, "query"),
        ({"login": 10.0, "query": 2900.0}, 10_000, ""),
        ({"login": 1500.0, "query": 24_100.0}, 30_000, "query"),
    ],
)
def test_slow(times, rows, what):
    finding = found(answer(times=times, rows=rows))[0]
    assert (finding.code, finding.evidence.get("what", "")) == (("oracle.slow", what) if what else ("", ""))


@pytest.mark.parametrize(("used", "limit", "code"), [(79, 100, ""), (80, 100, "oracle.pool_exhausted"), (0, 0, "")])
def test_sessions(used, limit, code):
    sessions = [{"name": "processes", "used": 1, "limit": 100}, {"name": "sessions", "used": used, "limit": limit}]
    assert found(answer(facts={"sessions": sessions}))[0].code == code


@pytest.mark.parametrize(("seconds", "code"), [(None, ""), (15 * 86400, ""), (14 * 86400, "ORA-28002"), (-5, "ORA-28002")])
def test_expiry(seconds, code):
    assert found(answer(facts={"expires_s": seconds}))[0].code == code


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        ([], ["SELECT and UPDATE: none of the target's query and statements tries it"]),
        (["SELECT"], ["UPDATE: none of the target's query and statements tries it"]),
        (["SELECT", "UPDATE"], None),
    ],
)
def test_rights_that_no_statement_tries_are_named(tried, said):
    (told,) = found(answer(facts={"tried": tried}), check=_oracle_checks.privileges)
    assert (told.status, told.evidence.get("not_asked")) == ("ok", said)


@pytest.mark.parametrize(
    ("statements", "kinds"),
    [
        ([], []),
        (["update T set A = 1", "\n SELECT 1 FROM T"], ["SELECT", "UPDATE"]),
        (["WITH x AS (SELECT 1 FROM T) SELECT * FROM x", "MERGE INTO T USING S ON (1 = 1)"], ["SELECT", "UPDATE"]),
    ],
)
def test_kinds_of_statements(statements, kinds):
    assert _oracle_session._kinds(statements) == kinds


def test_several_things_at_once_are_several_findings():
    facts = {"warned": True, "sessions": [{"name": "sessions", "used": 9, "limit": 10}]}
    codes = [finding.code for finding in found(answer(facts=facts, times={"login": 5000.0, "query": 1.0}))]
    assert codes == ["ORA-28002", "oracle.slow", "oracle.pool_exhausted"]


def test_facts_that_were_not_read_in_time_are_no_fault():
    bare = answer(facts={})
    bare["facts"] = {"not_asked": ["all but the query: no answer in 5 s"]}
    assert [finding.status for finding in found(bare)] == ["ok"]
    assert [finding.status for finding in found(bare, check=_oracle_checks.privileges)] == ["ok"]


# --- texts and causes


def test_titles_have_the_manuals_code_first_and_the_drivers_beside_it():
    failed = answer(state="failed", code="ORA-12514", reason="service", driver_code="DPY-6001", stage="listener")
    texts = faults_catalogue.render({"host": "tank-app", **found(failed)[0].as_dict()})
    assert texts["en"]["title"].startswith("ORA-12514 (DPY-6001): db")
    assert texts["ko"]["title"].startswith("ORA-12514 (DPY-6001): db")
    refused = answer(state="failed", code="ORA-12518", reason="refused", driver_code="DPY-6000", stage="listener", number="ORA-12516")
    assert faults_catalogue.render({"host": "x", **found(refused)[0].as_dict()})["en"]["title"].startswith("ORA-12516 (DPY-6000): db")


def test_a_held_password_says_since_when_and_how_to_clear_it():
    held = answer(state="held", code="ORA-01017", reason="password", driver_code="", held_since="2026-11-21T10:16:12Z")
    for texts in faults_catalogue.render({"host": "tank-app", **found(held)[0].as_dict()}).values():
        assert "2026-11-21T10:16:12Z" in texts["cause"]
        assert "forget_refused" in texts["next"]


def test_a_held_password_is_told_as_what_was_not_asked_beside_the_fault_that_holds_on():
    held = answer(state="held", code="ORA-01017", reason="password", driver_code="", held_since="2026-11-21T10:16:12Z")
    refused, not_asked = found(held)
    assert (refused.code, refused.severity, not_asked.code, not_asked.status) == ("ORA-01017", "P0", "run.credentials_held", "unknown")
    folded = fold([site(refused), site(not_asked)])
    assert [(one["code"], one["follows_from"]) for one in folded] == [
        ("ORA-01017", ""),
        ("run.credentials_held", "tank-app|oracle.connect|db|ORA-01017"),
    ]
    for texts in faults_catalogue.render({"host": "tank-app", **not_asked.as_dict()}).values():
        assert "2026-11-21T10:16:12Z" in texts["cause"]
        assert "-e stack_oracle_forget_refused=true" in texts["next"]
    # Tried in this very run, for another target: nothing was left unasked.
    shared = answer(state="shared", code="ORA-01017", reason="password", driver_code="", refused_for="other")
    assert [one.code for one in found(shared)] == ["ORA-01017"]


def site(finding):
    return {"host": "tank-app", "site": "seoul", **finding.as_dict()}


def test_the_applications_follow_from_the_database():
    down = found(answer(state="failed", code="ORA-12541", reason="refused", driver_code="ECONNREFUSED", stage="tcp"))[0]
    worker = fault("worker.oracle_failed", "worker.log", "worker")
    backend = fault("backend.error_5xx", "backend.health", "backend")
    blocked = fault("host.outbound_blocked", "host.outbound", "db1:1521")
    elsewhere = fault("host.outbound_blocked", "host.outbound", "smtp:587")
    folded = {
        (one["code"], one["subject"]): bool(one["follows_from"])
        for one in fold([site(one) for one in (worker, backend, blocked, elsewhere, down)])
    }
    assert folded == {
        ("ORA-12541", "db"): False,
        ("worker.oracle_failed", "worker"): True,
        ("backend.error_5xx", "backend"): True,
        ("host.outbound_blocked", "db1:1521"): True,
        ("host.outbound_blocked", "smtp:587"): False,
    }


def test_advice_about_the_database_explains_no_failure():
    much = found(answer(facts={"too_much": ["DROP ANY TABLE"]}), check=_oracle_checks.privileges)[0]
    folded = fold([site(one) for one in (much, fault("worker.oracle_failed", "worker.log", "worker"))])
    assert [one["follows_from"] for one in folded] == ["", ""]


def test_signatures_of_logs_lead_to_codes_of_the_catalogue():
    codes = {signature.code for signature in _signatures.SIGNATURES if signature.name.startswith("oracle_") and signature.code}
    assert codes <= set(FAULTS)
    assert {"ORA-01033", "ORA-03113", "oracle.needs_thick", "oracle.slow"} <= codes


def test_the_checks_need_a_driver():
    checks = {check.id: check for check in _registry.every() if check.id.startswith("oracle.")}
    assert {name: (check.runs_on, check.driver) for name, check in checks.items()} == {
        "oracle.connect": ("app", "oracledb"),
        "oracle.privileges": ("app", "oracledb"),
    }
    one, other = (check.sources[0] for check in checks.values())
    given = {**DEFAULTS, "targets": [{"name": "db"}]}
    assert one.key(given) == other.key({**given, "timeout": 1.0})
    assert one.memory_key({**given, "targets": []}) == one.memory_key(given) == "oracle-refused"


# --- targets and Instant Client


def test_a_target_shows_no_secret():
    made = _oracle_targets.make_targets(
        [{"name": "db", "host": "h", "service": "s", "user": "u", "password": "hunter2", "wallet_password": "w8"}]
    )
    assert "hunter2" not in repr(made)
    assert "w8" not in repr(made)
    assert made[0].secrets == ("hunter2", "w8")


def test_instant_client(tmp_path, monkeypatch):
    folder = tmp_path / "instantclient_23_5"
    folder.mkdir()
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    cache = ["\tlibaio.so.1 (libc6,x86-64) => /lib/libaio.so.1"]
    monkeypatch.setattr(_oracle_client._process, "run", lambda argv, deadline: Program(0, "\n".join(cache), "", 1))
    empty = _oracle_client.instant_client(str(folder))
    assert (empty["holds_library"], str(folder) in empty["folders"], empty["libaio"]) == (False, False, True)
    (folder / "libclntsh.so.23.1").write_bytes(b"")
    unknown = _oracle_client.instant_client(str(folder))
    assert (unknown["holds_library"], unknown["ld_library_path"], unknown["known_to_the_loader"]) == (True, False, False)
    assert str(folder) in unknown["folders"]
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/x:{folder}")
    assert _oracle_client.instant_client(str(folder))["ld_library_path"] is True
    assert str(folder) in _oracle_client.instant_client()["folders"]
    cache.append(f"\tlibclntsh.so.23.1 (libc6,x86-64) => {folder}/libclntsh.so.23.1")
    assert _oracle_client.instant_client(str(folder))["known_to_the_loader"] is True
    monkeypatch.setattr(_oracle_client._process, "run", lambda argv, deadline: Program(None, "", "", 1))
    assert _oracle_client.instant_client(str(folder))["known_to_the_loader"] is None
