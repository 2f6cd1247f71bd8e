# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several checks of PM2 share: evidence for the texts, time stamps, instances of a name, and the state of the dump."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from shlex import quote
from typing import Any

from ..._core.errors import RemediationError
from ..._core.finding import Finding
from ..._core.source import Asked
from ..._shared.commands import command
from ..._shared.pm2_list import Listed, Process

MOST_NAMES = 20  # of each list of names in evidence


def where_of(asked: Asked, listed: Listed) -> dict[str, str]:
    """Return the evidence that an operator's next command needs: ``pm2_home user pm2`` and, where it needs quotes, ``home_argument``.

    pm2: how to call PM2 for this user and PM2_HOME.
    """
    home, name = asked.parameters["pm2_home"], listed["user"]
    where = {"pm2_home": home, "user": name, "pm2": command(name, home)}
    return where if quote(home) == home else {**where, "home_argument": quote(home)}


def argument(text: str) -> dict[str, str]:
    """Return ``argument``, a name or path quoted for a shell, or nothing where the text needs no quotes."""
    return {"argument": quote(text)} if quote(text) != text else {}


def read_if_possible(asked: Asked, source: str) -> Any:
    """Return the answer of a source that only adds evidence, None when it could not be read."""
    try:
        return asked.read(source)
    except (RemediationError, KeyError):
        return None


def instances_of(listed: Listed, name: str) -> list[Process]:
    """Return the processes of an application; modules of PM2 are not applications."""
    return [entry for entry in listed["processes"] if entry["name"] == name and not entry["module"]]


def dump_problem(dump: Mapping[str, Any]) -> str:
    """Return absent, unusable or empty; "" when a resurrect brings at least one application back."""
    if not dump.get("present"):
        return "absent"
    if dump.get("problem"):
        return "unusable"
    return "" if any(not entry["module"] for entry in dump.get("entries", [])) else "empty"


def without_remedies(finding: Finding, *, when: bool) -> Finding:
    """Return the finding without its remedies when they would not fix this case."""
    return replace(finding, remedies=()) if when else finding
