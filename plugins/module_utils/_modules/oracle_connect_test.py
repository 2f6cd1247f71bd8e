# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module oracle_connect_test without Ansible: its options, the questions made of them, and its answer in short.

A module may be handed passwords, which no check takes as a parameter; they stay in its process and in the child that asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._areas.oracle import check_connect, check_privileges
from .._areas.oracle.area import CHECKS
from .._core.check import without_descriptions
from .._core.questions import Question
from .._shared.oracle.targets import HANDED_OPTIONS, HANDED_RULES, TARGET_OPTIONS

GRACE = 0.6  # seconds beyond the time limit, before what does not end by itself is killed
LONGEST = 600.0
_ORDER = ("ok", "warning", "unknown", "critical")
_TARGETS = {"type": "list", "elements": "dict", "required": True, "options": {**TARGET_OPTIONS, **HANDED_OPTIONS}, **HANDED_RULES}

ARGUMENTS: dict[str, Any] = {
    **{
        name: without_descriptions(spec)
        for name, spec in {**check_connect.PARAMETERS, **check_privileges.PARAMETERS, "targets": _TARGETS}.items()
    },
    "timeout": {"type": "float", "default": 15},
    "state_dir": {"type": "path"},
    "asked_from": {"type": "str", "default": "localhost"},
}


def questions(given: Mapping[str, Any]) -> list[Question]:
    """Return the checks that the module's validated options ask."""
    limit = min(max(float(given["timeout"]), 0.1), LONGEST)
    return [
        Question(check, {**{name: given[name] for name in check.parameters}, "timeout": limit}, deadline=limit + GRACE) for check in CHECKS
    ]


def in_short(targets: Sequence[Mapping[str, Any]], findings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each target with how far it got, from the findings of oracle.connect; nothing for targets that were not asked at all."""
    about: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        if finding["check"] == "oracle.connect":
            about.setdefault(finding["subject"], []).append(finding)
    return [_short(target["name"], about[target["name"]]) for target in targets if target["name"] in about]


def _short(name: str, findings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    worst = max(findings, key=lambda finding: _ORDER.index(finding["status"]))
    evidence = worst["evidence"]
    known = {key: evidence.get(key) or "" for key in ("stage", "version", "driver_code")}
    return {"name": name, **known, "times": evidence.get("times") or {}, "code": worst["code"], "status": worst["status"]}
