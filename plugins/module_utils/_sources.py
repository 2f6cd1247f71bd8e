# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources: what checks are made of. Each is read once a run, in a child, under a deadline, as the right user."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._errors import NeedsUser
from ._process import Call, Outcome, call_all, user_name
from ._state import State


@dataclass(frozen=True)
class Source:
    """Something read once and under a deadline.

    parameters: the check parameters that it takes (and that tell one reading from another).
    read: called in the child with those parameters, returns something JSON can carry. Its imports are made when
        its file is imported: the user that the child becomes may be unable to read our code.
    owner: names the user id to become (called in the child with the parameters); None stays who we are.
    remember: what of the answer the next run needs; kept in the state folder, never in check mode.
    cumulative: ``remember`` also gets what the former run kept (or None) as its second argument, to build a series.
    recalls: ``read`` also gets ``memory``, what the former run kept (or None), such as a login that was refused.
    exclusive: it may hang for ever (a NAS), so only one reader at a time.
    """

    name: str
    read: Callable[..., Any]
    parameters: tuple[str, ...] = ()
    owner: Callable[..., int] | None = None
    remember: Callable[..., Any] | None = None
    exclusive: bool = False
    cumulative: bool = False
    recalls: bool = False

    def arguments(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Pick this source's own arguments from the parameters of a check."""
        return {name: parameters.get(name) for name in self.parameters}

    def key(self, parameters: Mapping[str, Any]) -> str:
        """Return the same text for the same reading: the name, and a short hash of the arguments."""
        text = json.dumps(self.arguments(parameters), sort_keys=True, default=str)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Asked:
    """What a check is given: its parameters, the time (epoch seconds), its sources and their memories."""

    parameters: Mapping[str, Any]
    now: float
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    memories: Mapping[str, Any] = field(default_factory=dict)

    def read(self, source: str) -> Any:
        """Return what a source said; raises its RemediationError when it could not be read."""
        return self.outcomes[source].get()

    def remembered(self, source: str) -> Any:
        """Return what the former run kept of a source, or None."""
        return self.memories.get(source)

    @property
    def duration_ms(self) -> int:
        """The longest of the readings that this check waited for."""
        return max((outcome.duration_ms for outcome in self.outcomes.values()), default=0)


def must_be(name: str) -> Callable[..., int]:
    """Return an owner function for a source that only one named user (usually root) may read."""

    def owner(**_arguments: Any) -> int:
        if name == "root" and os.geteuid() != 0:
            raise NeedsUser("root", f"only root may read this and the run is {user_name(os.geteuid())}")
        return 0

    return owner


def read_all(wanted: Iterable[tuple[Source, Mapping[str, Any], float]], state: State) -> dict[str, Outcome]:
    """Read each distinct source once, all of them at the same time.

    wanted: source, parameters of the asking check, its deadline in seconds; where several checks share a
    source, the longest deadline counts. Returns outcomes by :meth:`Source.key`.
    """
    calls: dict[str, Call] = {}
    for source, parameters, deadline in wanted:
        key = source.key(parameters)
        if key in calls:
            deadline = max(deadline, calls[key].deadline)
        arguments = source.arguments(parameters)
        if source.recalls:
            arguments["memory"] = state.load(key)
        calls[key] = _call(source, arguments, deadline, state.lock_file(key) if source.exclusive else None)
    return call_all(calls)


def _call(source: Source, arguments: dict[str, Any], deadline: float, lock: str | None) -> Call:
    owner = source.owner
    return Call(
        function=lambda: source.read(**arguments),
        deadline=deadline,
        user=(lambda: owner(**arguments)) if owner else None,
        lock=lock,
    )
