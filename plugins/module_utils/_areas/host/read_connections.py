# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connect by TCP to the targets that the applications need."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from ..._core.children import Call, call_all
from ..._core.errors import WrongQuestion
from ..._core.source import Source
from ..._shared import tcp
from .places import place_of

MOST_TARGETS = 24


class _Reached(TypedDict):
    # open, a state of tcp.NotConnected, name_timeout (the name servers gave no answer), or unknown (the attempt crashed)
    state: str
    detail: str  # the reason in the system's words
    address: str  # the one that was tried last, "" for none


class ConnectionFacts(_Reached):
    """The attempt to connect to one target."""

    host: str
    port: int
    duration_ms: int


def parse_targets(given: Any) -> list[tuple[str, int]]:
    """Return (host, port) of each target; raises WrongQuestion for an entry that is not one, or for too many."""
    listed = given or []
    if len(listed) > MOST_TARGETS:
        raise WrongQuestion("targets", f"{len(listed)} targets", "are more than fit into one deadline", f"give {MOST_TARGETS} at most")
    return list(dict.fromkeys(place_of(f"targets[{number}]", target) for number, target in enumerate(listed)))


def read_connections(targets: Sequence[str] | None = None, connect_within: float | None = None) -> list[ConnectionFacts]:
    """Connect to each target and hang up; each in a child process of its own, so that a slow name server delays no other.

    connect_within: seconds for each. Raises WrongQuestion for a target that is not one.
    """
    within = max(0.1, min(connect_within or 3.0, 60.0))
    places = parse_targets(targets)
    answers: list[ConnectionFacts] = [
        {"host": host, "port": port, "duration_ms": 0, "state": "unknown", "detail": "", "address": ""} for host, port in places
    ]
    outcomes = call_all({number: Call(_connecting(*place, within), within + 0.5) for number, place in enumerate(places)})
    for number, answer in enumerate(answers):
        outcome = outcomes[number]
        answer["duration_ms"] = outcome.duration_ms
        if outcome.error is None:
            answer.update(outcome.value)
        elif outcome.error.kind == "too_slow":
            answer["state"] = "name_timeout"  # the connection has a limit of its own, so the name servers took the time
        else:
            answer["detail"] = outcome.error.message
    return answers


def _connecting(host: str, port: int, within: float) -> Callable[[], _Reached]:
    return lambda: _connect(host, port, within)


def _connect(host: str, port: int, within: float) -> _Reached:
    try:
        connection, address = tcp.connect(host, port, time.monotonic() + within)
    except tcp.NotConnected as failure:
        return {"state": failure.state, "detail": failure.detail, "address": failure.address}
    connection.close()
    return {"state": "open", "detail": "", "address": address}


CONNECTIONS = Source("host.connections", read_connections, ("targets", "connect_within"))
