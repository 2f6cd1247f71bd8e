# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources: what checks are made of. Each is read once a run, in a child, under a deadline, as the right user."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .children import Call, Outcome, call_all
from .errors import WrongQuestion
from .state import State


@dataclass(frozen=True)
class Source:
    """Something read once and under a deadline.

    parameters: the check parameters that it takes (and that tell one reading from another).
    limits: those of them that only bound the reading (seconds, bytes): where checks differ, the largest counts, and
        what is remembered does not depend on them.
    read: called in the child with those parameters, returns something JSON can carry. Where it takes ``memory``, it also gets what the former
        run kept (empty for nothing), such as a login that was refused; see :class:`state.Kept` for what others keep meanwhile. Its imports are made when
        its file is imported: the user that the child becomes may be unable to read our code.
    owner: names the user id to become (called in the child with the parameters); None stays who we are.
    remember: ``remember(value, former)`` returns what of the answer the next run needs, given what the former run kept (or None); where it
        returns None, what was kept stays. Kept in the state folder, never in check mode.
    exclusive: the parameters that name what may hang for ever (a NAS): only one reader of the same at a time.
    prepare: called in the child before it becomes the owner, for what the owner may not read; ``read`` gets what it
        returned as ``prepared``.
    kept_as: the name under which ``remember`` keeps, where that does not depend on what is asked; the reading's key otherwise.
    """

    name: str
    read: Callable[..., Any]
    parameters: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    owner: Callable[..., int | None] | None = None
    remember: Callable[..., Any] | None = None
    exclusive: tuple[str, ...] = ()
    prepare: Callable[..., Any] | None = None
    kept_as: str = ""

    def arguments(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Pick this source's own arguments from the parameters of a check."""
        return {name: parameters.get(name) for name in self.parameters}

    def key(self, parameters: Mapping[str, Any]) -> str:
        """Return the same text for the same reading: the name, and a short hash of the arguments."""
        return self._named({name: value for name, value in self.arguments(parameters).items() if name not in self.limits})

    def lock(self, parameters: Mapping[str, Any]) -> str:
        """Return the same text for readings that must not be made at the same time."""
        return self._named({name: parameters.get(name) for name in self.exclusive})

    def _named(self, telling: Mapping[str, Any]) -> str:
        text = json.dumps(telling, sort_keys=True, default=str)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def takes_memory(self) -> bool:
        """Whether ``read`` or ``prepare`` wants what the former run kept."""
        return any("memory" in inspect.signature(function).parameters for function in (self.read, self.prepare) if function)

    def memory_key(self, parameters: Mapping[str, Any]) -> str:
        """Return the name under which the next run finds what was kept of this reading."""
        return self.kept_as or self.key(parameters)


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


def read_all(wanted: Iterable[tuple[Source, Mapping[str, Any], float]], state: State) -> dict[str, Outcome]:
    """Read each distinct source once, all of them at the same time.

    wanted: source, parameters of the asking check, its deadline in seconds; where several checks share a
    source, the longest deadline counts. Returns outcomes by :meth:`Source.key`.
    """
    readings: dict[str, tuple[Source, dict[str, Any], float]] = {}
    for source, parameters, deadline in wanted:
        key, arguments = source.key(parameters), source.arguments(parameters)
        if key in readings:
            _unused, others, longest = readings[key]
            deadline = max(deadline, longest)
            widest = {
                name: max((value for value in (arguments[name], others[name]) if value is not None), default=None) for name in source.limits
            }
            arguments = {**others, **widest}
        elif source.takes_memory:
            arguments["memory"] = state.recall(source.memory_key(parameters))
        readings[key] = (source, arguments, deadline)
    return call_all({key: _call(*reading, state) for key, reading in readings.items()})


def _call(source: Source, arguments: dict[str, Any], deadline: float, state: State) -> Call:
    owner, prepare = source.owner, source.prepare
    given = dict(arguments)
    lock, unlockable = None, None
    if source.exclusive:
        try:
            lock = state.lock_file(source.lock(arguments))
        except WrongQuestion as error:
            unlockable = error  # of this reading alone; the others are made

    def become() -> int | None:
        if prepare is not None:
            given["prepared"] = prepare(**arguments)
        return owner(**arguments) if owner else None

    def read() -> Any:
        if unlockable is not None:
            raise unlockable
        return source.read(**given)

    return Call(
        function=read,
        deadline=deadline,
        user=become if owner or prepare else None,
        lock=lock,
        unsigned=state.read_only,
    )
