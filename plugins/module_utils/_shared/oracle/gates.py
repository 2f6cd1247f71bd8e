# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One login at a time for each account of a run: targets with the same account wait for the outcome of the first login."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from .outcome import REFUSALS, Outcome
from .targets import Target


@dataclass
class Gate:
    """The way to one account. ``state``: free, asking (a login is under way), open, shut (``verdict`` has the reason), stuck.

    ``by``: the name of the target that logs in, or that was refused.
    """

    state: str = "free"
    verdict: Outcome | None = None
    by: str = ""


@dataclass
class Gates:
    """The gates of one run, one for each listener address, account and password.

    Services do not count: several names may lead to one database. ``changed`` guards everything.
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
        gate.state = "free"  # the login ended before the account was checked


def stuck(changed: threading.Condition, gate: Gate) -> None:
    """Let no other target try this account: the last login may have counted as a wrong password."""
    with changed:
        gate.state = "stuck"
        changed.notify_all()
