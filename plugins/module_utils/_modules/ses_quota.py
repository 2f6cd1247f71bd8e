# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of the module ses_quota: its options, the questions to the engine, and the summary of the findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from .._areas.ses.area import CHECKS
from .._core.check import Check, without_descriptions
from .._core.questions import Question

GRACE = 0.6  # seconds after the time limit before a reader that does not end is killed
LONGEST = 600.0
ASKED: tuple[Check, ...] = tuple(check for check in CHECKS if check.driver)
_QUOTA = ("used", "limit", "unlimited", "max_rate", "peak_rate", "parallel", "parallel_fits")
_ORDER = ("ok", "warning", "unknown", "critical")

ARGUMENTS: dict[str, Any] = {
    **{name: without_descriptions(spec) for check in ASKED for name, spec in check.parameters.items()},
    "timeout": {"type": "float", "default": 15},
    "state_dir": {"type": "path"},
    "asked_from": {"type": "str", "default": "localhost"},
}


def questions(given: Mapping[str, Any]) -> list[Question]:
    """Return the questions to all checks with the validated options of the module; they share one source."""
    limit = min(max(float(given["timeout"]), 1.0), LONGEST)
    return [
        Question(check, {**{name: given[name] for name in check.parameters}, "timeout": limit}, deadline=limit + GRACE) for check in ASKED
    ]


class IdentitySummary(TypedDict):
    """An identity: the worst status of its findings, their codes, and its DMARC policy."""

    name: str
    status: str
    codes: list[str]
    dmarc: str


def summary(findings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return ``quota``, ``rates``, ``forecast`` and ``identities`` of the findings; empty where AWS did not answer."""
    known = list(findings)
    quota = _evidence(known, "ses.quota", "used")
    return {
        "quota": {name: quota[name] for name in _QUOTA if name in quota},
        "rates": _evidence(known, "ses.reputation", "rates").get("rates", {}),
        "forecast": quota.get("forecast", {}),
        "identities": _identities(known),
    }


def _evidence(findings: Iterable[Mapping[str, Any]], check: str, name: str) -> Mapping[str, Any]:
    return next((finding["evidence"] for finding in findings if finding["check"] == check and name in finding["evidence"]), {})


def _identities(findings: Iterable[Mapping[str, Any]]) -> list[IdentitySummary]:
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        if finding["check"] == "ses.identities" and "identity" in finding["evidence"]:
            by_name.setdefault(finding["subject"], []).append(finding)
    return [
        {
            "name": name,
            "status": max((finding["status"] for finding in found), key=_ORDER.index),
            "codes": sorted({finding["code"] for finding in found if finding["code"]}),
            "dmarc": next((finding["evidence"]["dmarc"] for finding in found if finding["evidence"].get("dmarc")), ""),
        }
        for name, found in by_name.items()
    ]
