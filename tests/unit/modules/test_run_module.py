# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way in which a module ends: with the result of its body, or with one failure that has the same keys."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.asking import Answer
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import ActionFailed
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import result_of, run_module


class Module:
    """Records how it was ended."""

    def __init__(self):
        self.warnings, self.ends = [], []

    def warn(self, warning):
        self.warnings.append(warning)

    def fail_json(self, msg, **values):
        self.ends.append(("failed", msg, values))

    def exit_json(self, **values):
        self.ends.append(("ok", "", values))


def end_of(body, failure=lambda _error: {}):
    module = Module()
    run_module(module, body, failure)
    (end,) = module.ends
    return (*end, module.warnings)


def test_a_result_ends_the_module_and_its_warnings_are_given():
    assert end_of(lambda: {"changed": True, "warnings": ["late"]}) == ("ok", "", {"changed": True}, ["late"])


def test_a_result_can_be_a_failure():
    assert end_of(lambda: {"failed": True, "msg": "wrong", "findings": []}) == ("failed", "wrong", {"findings": []}, [])


def test_an_error_ends_with_its_message_and_the_keys_of_a_success():
    def body():
        raise ActionFailed("no room", partial=["stop"])

    end = end_of(body, lambda error: {"steps": error.details["partial"], "warnings": ["half done"]})
    assert end == ("failed", "no room", {"steps": ["stop"]}, ["half done"])


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        end_of(lambda: 1 / 0)


@pytest.mark.parametrize(("wrong", "end"), [([], ("ok", "")), (["url: no", "path: no"], ("failed", "url: no; path: no"))])
def test_an_answer_with_a_wrong_question_is_a_failure_with_its_findings(wrong, end):
    answer = Answer(findings=[{"check": "web.page"}], wrong=wrong, warnings=["full disk"], expected=["web.page"])
    *found, values, warnings = end_of(lambda: result_of(answer, page={}))
    assert (tuple(found), warnings) == (end, ["full disk"])
    assert (values["findings"], values["expected"], values["page"]) == (answer.findings, ["web.page"], {})
    assert values.get("changed") is (None if wrong else False)
