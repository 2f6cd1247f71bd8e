# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault catalogue: complete, in both languages, and readable with any evidence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.ops.remediation.plugins.module_utils._areas import catalogue as _faults
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS as _CATALOGUE
from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import AREAS
from ansible_collections.ops.remediation.plugins.module_utils._core.faults import APPROVAL, AUTO
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import reporter
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue

fault = reporter(_CATALOGUE)


CHECKOUT = Path(__file__).resolve().parents[3]
HANGUL = re.compile("[가-힣]")
BUILT = sorted(_faults.FAULTS)


def test_a_fault_has_one_remedy_at_most_and_who_decides_on_it_is_known():
    """Severities, remedies and causes themselves are compared with docs/faults.md (tests/unit/tools/test_docs.py)."""
    remedies = {code: entry.remedies for code, entry in _faults.FAULTS.items() if entry.remedies}
    assert {code: len(of) for code, of in remedies.items() if len(of) > 1} == {}
    assert {remedy.permission for of in remedies.values() for remedy in of} == {AUTO, APPROVAL}
    assert [code for code, of in remedies.items() if not re.fullmatch(r"[a-z0-9]+\.[a-z_]+", of[0].id)] == []


@pytest.mark.parametrize("code", BUILT)
def test_what_explains_a_fault_is_another_fault_or_the_rest_of_an_area(code):
    areas = {entry.area for entry in _faults.FAULTS.values()}
    causes = [cause.code for cause in _faults.FAULTS[code].follows]
    assert [cause for cause in causes if cause not in BUILT and cause not in {f"{area}.*" for area in areas}] == []
    assert code not in causes
    assert len(causes) == len(set(causes))


@pytest.mark.parametrize("code", BUILT)
def test_an_entry_is_whole(code):
    entry = _faults.FAULTS[code]
    assert entry.area in AREAS
    assert entry.severity in ("P0", "P1", "P2", "P3")
    assert entry.status in ("critical", "warning", "unknown")
    assert entry.source
    words = catalogue.texts(entry.area)[code]
    assert set(words) == {"title", "cause", "next"}
    for part in words.values():
        assert set(part) == {"en", "ko"}
        assert part["en"].strip()
        assert HANGUL.search(part["ko"])
    assert not words["title"]["en"].rstrip().endswith(".")


@pytest.mark.parametrize("code", BUILT)
def test_a_text_reads_well_with_the_least_evidence(code):
    least = {"pm2_home": "/home/tankmail/.pm2", "user": "tankmail", "unit": "pm2-tankmail.service", "unit_dir": "/etc/systemd/system"}
    finding = fault(code, "pm2.processes", "worker", evidence=least, value=3, threshold=2, unit="MB")
    rendered = catalogue.render({"host": "tank-app", **finding.as_dict()})
    for language, texts in rendered.items():
        for part, text in texts.items():
            assert text or part != "title", (language, part)
            assert not re.search(r"\bNone\b|undefined|\{\{|\{%|  | \.$| ,", text), (language, part, text)


def test_there_is_no_text_without_a_fault_and_no_fault_without_a_text():
    written = {code for path in catalogue.DIRECTORY.glob("*/texts.yml") for code in yaml.safe_load(path.read_text(encoding="utf-8"))}
    assert written == set(BUILT)


def test_code_only_names_codes_of_the_catalogue():
    """Each string in host code that looks like a code of a built area is one."""
    areas = {entry.area for entry in _faults.FAULTS.values()}
    checks = {check.id for check in _registry.every()}
    sources = {source.name for check in _registry.every() for source in check.sources}
    remedies = {remedy.id for entry in _faults.FAULTS.values() for remedy in entry.remedies}
    known = set(BUILT) | checks | sources | remedies | {"pm2.pid", "pm2.log", "pm2.service", "run.reach", "run.guard", "run.runtime"}
    known |= {"run.rollback", "run.releases", "run.release_backup", "run.log_scan"}
    strange = {}
    for path in (CHECKOUT / "plugins").rglob("*.py"):
        for word in re.findall(r"[\"']((?:" + "|".join(areas) + r")\.[a-z0-9_]+)[\"']", path.read_text(encoding="utf-8")):
            if word not in known:
                strange[word] = path.name
    assert strange == {}


def test_evidence_is_data_and_never_a_template():
    finding = {"host": "h", **fault("run.check_unknown", "pm2.daemon", evidence={"reason": "{{ 7 * 7 }}"}).as_dict()}
    assert catalogue.render(finding)["en"]["cause"] == "{{ 7 * 7 }}"


@pytest.mark.parametrize("check", _registry.every(), ids=lambda check: check.id)
def test_every_registered_check_is_documented(check):
    assert check.question.endswith("?")
    assert check.runs_on in ("app", "web", "checker")
    assert check.run_as in ("root", "app", "any")
    for name, spec in check.parameters.items():
        assert spec["description"].strip(), name
        assert spec["description"].rstrip().endswith("."), name
