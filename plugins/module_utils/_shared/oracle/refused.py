# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refused passwords of Oracle accounts, as they are kept: ``{"refused": {account: {salt, hash, at}}}`` (oracle-refused.json)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._core import refusals
from ..._core.times import rfc3339
from .targets import Target

MOST_KEPT = 500


def entries(memory: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the refusals in a memory by account; a damaged memory has none."""
    kept = memory.get("refused")
    return kept if isinstance(kept, Mapping) else {}


def account(target: Target) -> str:
    """Return the account and database that a target logs in to, as text: ``tank@db1:1521/orclpdb1``."""
    mode = "" if target.mode == "default" else f" as {target.mode}"
    return f"{target.user.upper()}@{target.place}/{target.database}{mode}".lower()


def refusal(target: Target) -> dict[str, str]:
    """Return what is kept of a target's refused credentials."""
    return {**refusals.refusal(account(target), target.password), "at": rfc3339(time.time(), "milliseconds")}


def held_since(target: Target, known: Mapping[str, Any]) -> str:
    """Return when an earlier run was refused these very credentials (RFC 3339, whole seconds), "" when none was."""
    entry = known.get(account(target))
    if entry is None or not refusals.is_of(entry, account(target), target.password):
        return ""
    return re.sub(r"\.\d+", "", str(entry["at"]))


def held(targets: Sequence[Target], known: Mapping[str, Any]) -> dict[str, str]:
    """Return by name the targets whose credentials are held, and since when; other services with the same account count."""
    found = {target.name: held_since(target, known) for target in targets} if known else {}
    by_login = {_login_of(target): found[target.name] for target in targets if found.get(target.name)}
    return {target.name: by_login[_login_of(target)] for target in targets if _login_of(target) in by_login}


def _login_of(target: Target) -> tuple[str, ...]:
    return (target.place.lower(), target.user.upper(), target.mode, target.password)


def remember(learnt: Mapping[str, Any], former: Any, forgotten: Iterable[str] = ()) -> dict[str, Any]:
    """Return what the next run needs, and whatever else the memory holds.

    learnt: ``{account: refusal}`` of this run, None for a login that was good. former: what is kept so far.
    forgotten: hashes of refusals that do not count any more.
    """
    others = former if isinstance(former, Mapping) else {}
    kept = {**refusals.without(entries(others), forgotten), **learnt}
    newest = [(name, value) for name, value in kept.items() if value][-MOST_KEPT:]
    return {**others, "refused": dict(newest)}
