# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""oracle.connect, without a server: thresholds, texts, causes."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS as _CATALOGUE
from ansible_collections.ops.remediation.plugins.module_utils._areas.oracle import check_privileges
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import reporter
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import signatures as _signatures
from ansible_collections.ops.remediation.plugins.plugin_utils.record.folding import fold
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from .answers import DEFAULTS, answer, found

fault = reporter(_CATALOGUE)


# --- thresholds


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


def test_several_things_at_once_are_several_findings():
    facts = {"warned": True, "sessions": [{"name": "sessions", "used": 9, "limit": 10}]}
    codes = [finding.code for finding in found(answer(facts=facts, times={"login": 5000.0, "query": 1.0}))]
    assert codes == ["ORA-28002", "oracle.slow", "oracle.pool_exhausted"]


def test_facts_that_were_not_read_in_time_are_no_fault():
    bare = answer(facts={})
    bare["facts"] = {"not_asked": ["all but the query: no answer in 5 s"]}
    assert [finding.status for finding in found(bare)] == ["ok"]
    assert [finding.status for finding in found(bare, check=check_privileges.judge)] == ["ok"]


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
    much = found(answer(facts={"too_much": ["DROP ANY TABLE"]}), check=check_privileges.judge)[0]
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
