# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of this area share: evidence for the texts, time stamps, and a few readings of lists and dumps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from shlex import quote
from typing import Any

from ..._core.errors import RemediationError
from ..._core.finding import Finding
from ..._core.source import Asked
from ..._shared.commands import command
from ..._shared.pm2_list import END_OF_TIME

MOST_NAMES = 20


def read_if_possible(asked: Asked, source: str) -> Any:
    """Return what a source said, None where it could not be read: it only adds to an answer that stands without it."""
    try:
        return asked.read(source)
    except (RemediationError, KeyError):
        return None


def instances_of(listed: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return [entry for entry in listed["processes"] if entry["name"] == name and not entry["module"]]


def dump_problem(dump: Mapping[str, Any]) -> str:
    """Return absent, unusable or empty, "" when the dump can bring something back."""
    if not dump.get("present"):
        return "absent"
    if dump.get("problem"):
        return "unusable"
    return "" if any(not entry["module"] for entry in dump.get("entries", [])) else "empty"


def without_remedies(finding: Finding, *, when: bool) -> Finding:
    """Take the remedies away where saving what runs now would not mend it."""
    return replace(finding, remedies=()) if when else finding


def where_of(asked: Asked, listed: Mapping[str, Any]) -> dict[str, str]:
    """Return what a person needs for the next command: PM2_HOME, its user, and how to call PM2 for them."""
    home, name = asked.parameters["pm2_home"], listed["user"]
    where = {"pm2_home": home, "user": name, "pm2": command(name, home)}
    return where if quote(home) == home else {**where, "home_argument": quote(home)}


def argument(text: str) -> dict[str, str]:
    """Return ``argument``, a name or path as a shell takes it, where that is not the text itself."""
    return {"argument": quote(text)} if quote(text) != text else {}


def stamp(moment: Any) -> str | None:
    """Return a time (epoch seconds) as RFC 3339 in UTC, None when it is not known."""
    if not isinstance(moment, (int, float)) or not 0 < moment < END_OF_TIME:
        return None
    return datetime.fromtimestamp(moment, tz=timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
