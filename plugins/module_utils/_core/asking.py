# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a list of questions on this host: read their sources together, run the checks, return findings."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from .children import Outcome, describe_crash
from .errors import Crashed, RemediationError, WrongQuestion
from .finding import Finding, from_error
from .questions import Question
from .source import Asked, read_all
from .state import State
from .times import rfc3339


@dataclass
class Answer:
    """What came of it: findings in the published form, what was wrong with the questions, remarks, and which checks were asked.

    read: what each source returned, by its name, for a module that publishes more of it than the findings; one that failed is not in it.
    """

    findings: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    read: dict[str, Any] = field(default_factory=dict)


def ask(questions: Sequence[Question], *, asked_from: str, state: State, now: float | None = None) -> Answer:
    """Ask questions and return one finding or more for each.

    Sources are shared and read at the same time. What cannot be read or crashes makes its own checks
    ``unknown`` and harms no other. now: epoch seconds.
    """
    now = time.time() if now is None else now
    outcomes = read_all(
        ((source, question.parameters, question.deadline) for question in questions for source in question.check.sources), state
    )
    answer = Answer(expected=list(dict.fromkeys(question.check.id for question in questions)))
    for question in questions:
        asked = _asked(question, outcomes, state, now)
        for finding in _findings(question, asked, answer):
            answer.findings.append(_stamped(finding, asked, asked_from))
        answer.read.update({name: outcome.value for name, outcome in asked.outcomes.items() if outcome.error is None})
    _remember(questions, outcomes, state, answer)
    return answer


def _asked(question: Question, outcomes: Mapping[str, Outcome], state: State, now: float) -> Asked:
    keys = {source.name: source.key(question.parameters) for source in question.check.sources}
    return Asked(
        parameters=question.parameters,
        now=now,
        outcomes={name: outcomes[key] for name, key in keys.items()},
        memories={
            source.name: state.load(source.memory_key(question.parameters))
            for source in question.check.sources
            if source.remember is not None
        },
    )


def _findings(question: Question, asked: Asked, answer: Answer) -> list[Finding]:
    check = question.check.id
    try:
        return question.check.function(asked) or [from_error(check, Crashed("the check gave no finding"))]
    except WrongQuestion as error:
        if error.message not in answer.wrong:
            answer.wrong.append(error.message)
        return [from_error(check, error)]
    except RemediationError as error:
        return [from_error(check, error)]
    except Exception as error:
        return [from_error(check, Crashed(describe_crash(error)))]


def _stamped(finding: Finding, asked: Asked, asked_from: str) -> dict[str, Any]:
    duration_ms = finding.duration_ms or asked.duration_ms
    return replace(finding, asked_from=asked_from, checked_at=rfc3339(asked.now), duration_ms=duration_ms).as_dict()


def _remember(questions: Sequence[Question], outcomes: Mapping[str, Outcome], state: State, answer: Answer) -> None:
    kept = set()
    for question in questions:
        for source in question.check.sources:
            key = source.key(question.parameters)
            if source.remember is None or key in kept or outcomes[key].error is not None:
                continue
            kept.add(key)
            try:
                state.change(source.memory_key(question.parameters), partial(source.remember, outcomes[key].value))
            except WrongQuestion as error:
                answer.wrong.append(error.message)
                return
            except OSError as error:
                # A full disk must not cost the findings that tell of it.
                answer.warnings.append(f"{state.directory}: nothing could be kept for the next run ({error.strerror})")
                return
