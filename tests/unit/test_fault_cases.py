# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the fault bench name codes of the catalogue: a misspelt one would leave a row out without a word."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.ops.remediation.plugins.module_utils._faults import FAULTS

CHECKOUT = Path(__file__).resolve().parents[2]
# The outcomes of a rollback are rows of tests/bench/rollback_rows.py.
ELSEWHERE = {"run.rollback_refused", "run.rollback_undone", "run.rollback_broken"}


@pytest.fixture(scope="module")
def bench():
    sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "faults")]
    try:
        import cases
    finally:
        del sys.path[:2]
    return cases


def test_what_runs_in_containers_too_is_of_the_catalogue_and_has_a_row(bench):
    assert set(bench._OF_THE_CONNECTION) <= {case.code for case in bench.cases()} & set(FAULTS)


@pytest.mark.parametrize("kind", ["local", "containers"])
def test_every_row_is_a_fault_of_the_catalogue(bench, kind):
    assert {case.code for case in bench.cases(kind)} <= set(FAULTS)


def test_every_fault_of_the_run_has_a_row(bench):
    assert {code for code in FAULTS if code.startswith("run.")} - {case.code for case in bench.cases()} == ELSEWHERE


def test_what_is_expected_is_expected_of_a_row(bench):
    files = (CHECKOUT / "tests" / "faults" / "expected").glob("*.yml")
    expected = {name for file in files for name in yaml.safe_load(file.read_text(encoding="utf-8"))}
    rows = {case.address for case in bench.cases()}
    assert {name.partition(":")[0] for name in expected} <= {case.code for case in bench.cases()}
    assert {name for name in expected if ":" in name} <= rows


def test_severities_and_remedies_that_are_expected_are_those_of_the_catalogue(bench):
    for case in bench.cases():
        entry = FAULTS[case.code]
        assert (case.code, case.expected["severity"]) == (case.code, entry.severity)
        assert (case.code, case.expected["remedies"]) == (case.code, [remedy.id for remedy in entry.remedies])
