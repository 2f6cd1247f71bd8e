# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords that were refused: never tried again with the same account, not by another target and not in the next run.

Accounts lock. Within a run, targets with the same account go through one gate: the first login goes alone, the others wait for
its outcome. Between runs a salted hash of the refused credentials is kept on the host that asked (``oracle-refused.json``). Runs at
the same time, of hosts that delegate to one checker, share that memory: the first login holds a lock of the account, and what was
refused is kept before the lock goes.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..._core.references import fingerprint
from .outcome import REFUSALS, Outcome
from .targets import Target

MOST_KEPT = 500
_WHOLE = {"salt", "hash", "at"}


def account(target: Target) -> str:
    """Return which account of which database a target logs in to, as a person would write it."""
    mode = "" if target.mode == "default" else f" as {target.mode}"
    return f"{target.user.upper()}@{target.place}/{target.database}{mode}".lower()


def held_since(target: Target, memory: Mapping[str, Any]) -> str:
    """Return when these very credentials were refused in an earlier run, "" when they were not."""
    kept = memory.get(account(target))
    if not isinstance(kept, Mapping) or not set(kept) >= _WHOLE:
        return ""
    return _seconds(str(kept["at"])) if secrets.compare_digest(_hash(target, str(kept["salt"])), str(kept["hash"])) else ""


def _seconds(at: str) -> str:
    """Return a time as people are told it, without a part of a second."""
    return re.sub(r"\.\d+", "", at)


def refusal(target: Target) -> dict[str, str]:
    """Return what is kept of refused credentials."""
    salt = secrets.token_hex(16)
    return {"salt": salt, "hash": _hash(target, salt), "at": stamp()}


def stamp() -> str:
    """Return this moment, RFC 3339 in UTC, with milliseconds: what is forgotten was refused before a run, not by another one beside it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def since(kept: Mapping[str, Any], forgotten: str) -> Mapping[str, Any]:
    """Return what of the kept refusals came after a moment (RFC 3339), all for ""."""
    if not forgotten:
        return kept
    return {name: one for name, one in kept.items() if isinstance(one, Mapping) and str(one.get("at")) > forgotten}


def _hash(target: Target, salt: str) -> str:
    return fingerprint(salt, account(target), target.password)


def merged(former: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to keep: what a run learnt (``{account: refusal}``, None for a login that was good) over what was kept."""
    kept = {**former, **new}
    return dict([(name, value) for name, value in kept.items() if value][-MOST_KEPT:])


@dataclass
class Gate:
    """The way to one account. ``state``: free, asking (somebody logs in), open, shut (``verdict`` says why), stuck."""

    state: str = "free"
    verdict: Outcome | None = None
    by: str = ""


@dataclass
class Gates:
    """The gates of one run, told apart by the listener's address, account and password.

    Services are not told apart: several names may lead to one database. ``changed`` guards everything.
    """

    changed: threading.Condition
    known: dict[tuple[str, ...], Gate] = field(default_factory=dict)

    def of(self, target: Target, addresses: Iterable[str]) -> Gate:
        """Return the gate of a target's account; call it with ``changed`` held."""
        key = (min(addresses, default=target.place), target.user.upper(), target.mode, target.password)
        return self.known.setdefault(key, Gate())


def passed(gate: Gate, outcome: Outcome | None) -> None:
    """Note how a login ended; outcome is None for a good one. Call it with ``changed`` held."""
    if outcome is None:
        gate.state = "open"
    elif gate.state == "open":
        return
    elif outcome.code in REFUSALS:
        gate.state, gate.verdict = "shut", outcome
    else:
        gate.state = "free"  # nothing was said about the account


def stuck(changed: threading.Condition, gate: Gate) -> None:
    """Let nobody else try this account: it is not known whether the last login counted."""
    with changed:
        gate.state = "stuck"
        changed.notify_all()
