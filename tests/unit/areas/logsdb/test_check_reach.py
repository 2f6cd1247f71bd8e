# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""logsdb.reach: each reason has its texts, and what cannot be reached blocks logsdb.work."""

from __future__ import annotations

import re

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import area, check_reach, check_work
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, DriverMissing
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import from_error
from ansible_collections.ops.remediation.plugins.module_utils._shared import sql
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from .answers import UP, WORK, asked, away

REASONS = {
    ("name", "not_resolved"),
    *(("network", reason) for reason in ("refused", "timeout", "silent", "unreachable", "dropped", "tls")),
    *((stage, reason) for _pattern, stage, reason in sql._SAYINGS),
    ("database", "unusable"),
    ("tables", "missing"),
    ("tables", "no_privilege"),
}


def test_all_is_well():
    (reach,) = check_reach.judge(asked(UP))
    (work,) = check_work.judge(asked(UP))
    assert (reach.status, work.status) == ("ok", "ok")
    assert reach.evidence["optional_tables_missing"] == ["JOB_QUEUE"]
    assert work.evidence == {name: value for name, value in WORK.items() if name != "not_asked"}
    assert "login" not in reach.evidence


def test_what_makes_it_unreachable_blocks_the_rest():
    facts = away("network", "refused")
    (reach,) = check_reach.judge(asked(facts))
    (work,) = check_work.judge(asked(facts))
    assert (reach.code, reach.severity, reach.remedies) == ("logsdb.unreachable", "P1", ())
    assert (work.status, work.evidence["blocked_by"]) == ("unknown", "logsdb.unreachable")


def test_a_reader_that_failed_is_unknown_by_its_error():
    for function in (check_reach.judge, check_work.judge):
        with pytest.raises(CannotRead):
            function(asked(error=CannotRead("no")))


def test_a_missing_driver_has_a_code_of_its_own():
    finding = from_error(
        "logsdb.reach", DriverMissing("no sqlalchemy", libraries=["sqlalchemy"], install="python -m pip install sqlalchemy")
    )
    assert (finding.code, finding.status) == ("run.driver_missing", "unknown")
    texts = faults_catalogue.render({"host": "h", **finding.as_dict()})
    assert "python -m pip install sqlalchemy" in texts["en"]["next"]


def test_a_held_login_is_told_as_what_was_not_asked_beside_the_fault_that_holds_on():
    assert len(check_reach.judge(asked(away("login", "password")))) == 1
    fault, held = check_reach.judge(asked(away("login", "password", held_since="2026-11-20T00:00:00Z")))
    assert (fault.code, fault.status, held.code, held.status, held.severity) == (
        *("logsdb.unreachable", "critical"),
        *("run.credentials_held", "unknown", "P2"),
    )
    assert (held.evidence["blocked_by"], held.subject) == ("logsdb.unreachable", fault.subject)
    for texts in faults_catalogue.render({"host": "tank-app", **held.as_dict()}).values():
        assert "2026-11-20T00:00:00Z" in texts["cause"]
        assert "-e stack_logsdb_forget_refused=true" in texts["next"]


@pytest.mark.parametrize(("stage", "reason"), sorted(REASONS))
@pytest.mark.parametrize("held", [None, "2026-11-20T00:00:00Z"])
def test_every_reason_has_a_text_of_its_own(stage, reason, held):
    finding, *_more = check_reach.judge(asked(away(stage, reason, "AUTOMATION" if stage == "tables" else "", held)))
    texts = faults_catalogue.render({"host": "tank-app", **finding.as_dict(), "asked_from": "localhost"})
    for language in ("en", "ko"):
        for text in texts[language].values():
            assert text
            assert not re.search(r"\bNone\b|undefined|\{\{|\{%|  ", text), text
    if (stage, reason) != ("database", "unusable"):
        assert "connection to db:5432 failed" not in texts["en"]["cause"]
    assert (held in texts["en"]["cause"]) if held else "tried again" not in texts["en"]["cause"]
    for language in ("en", "ko"):
        assert ("-e stack_logsdb_forget_refused=true" in texts[language]["next"]) == (reason == "password")
    (work,) = check_work.judge(asked(away(stage, reason, held_since=held)))
    assert ("stack_logsdb_forget_refused" in work.evidence["reason"]) == bool(held)


def test_both_checks_share_one_reading():
    reach, work, _sending = area.CHECKS
    assert reach.sources == work.sources
    assert reach.parameters is work.parameters
    assert {check.runs_on for check in area.CHECKS} == {"checker"}
