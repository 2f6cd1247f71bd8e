# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence
from typing import Any

from ..._core.children import Call, call_all
from ..._core.errors import WrongQuestion
from ..._core.source import Source
from .places import place_of

MOST_TARGETS = 24


def parse_targets(given: Any) -> list[tuple[str, int]]:
    """Return (host, port) of each target; raises WrongQuestion for an entry that is none or for too many."""
    listed = given or []
    if len(listed) > MOST_TARGETS:
        raise WrongQuestion("targets", f"{len(listed)} targets", "are more than fit into one deadline", f"give {MOST_TARGETS} at most")
    return list(dict.fromkeys(place_of(f"targets[{number}]", target) for number, target in enumerate(listed)))


def read_connections(targets: Sequence[str] | None = None, connect_within: float | None = None) -> list[dict[str, Any]]:
    """Connect to each target and hang up; each in a child of its own, so that a slow name server harms no other.

    Each: ``host port state`` (open, refused, timeout, name, name_timeout, unreachable, denied) ``detail address
    duration_ms``. Raises WrongQuestion for a target that is none.
    """
    within = max(0.1, min(connect_within or 3.0, 60.0))
    wanted = parse_targets(targets)
    outcomes = call_all({place: Call(_connecting(*place, within), within + 0.5) for place in wanted})
    answers = []
    for place, outcome in outcomes.items():
        # The connection has a limit of its own, so what the child could not end in time was the name.
        late = {"state": "name_timeout", "detail": "", "address": ""}
        known = outcome.value if outcome.error is None else late if outcome.error.kind == "too_slow" else _crashed(outcome.error.message)
        answers.append({"host": place[0], "port": place[1], "duration_ms": outcome.duration_ms, **known})
    return answers


def _crashed(message: str) -> dict[str, str]:
    return {"state": "unknown", "detail": message, "address": ""}


def _connecting(host: str, port: int, within: float) -> Any:
    return lambda: _connect(host, port, within)


def _connect(host: str, port: int, within: float) -> dict[str, Any]:
    end = time.monotonic() + within
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return {"state": "name", "detail": getattr(error, "strerror", None) or str(error), "address": ""}
    answer = {"state": "timeout", "detail": "", "address": ""}
    for number, (family, kind, protocol, _name, address) in enumerate(addresses[:4]):
        left = end - time.monotonic()
        if left <= 0:
            break
        share = left / (min(4, len(addresses)) - number)  # a dead address must leave time for the next
        answer = {"address": str(address[0]), **_connected(family, kind, protocol, address, share)}
        if answer["state"] == "open":
            break
    return answer


def _connected(family: int, kind: int, protocol: int, address: Any, within: float) -> dict[str, str]:
    try:
        with socket.socket(family, kind, protocol) as connection:
            connection.settimeout(within)
            connection.connect(address)
    except socket.timeout:
        return {"state": "timeout", "detail": ""}
    except OSError as error:
        states = {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "timeout", errno.EACCES: "denied", errno.EPERM: "denied"}
        return {"state": states.get(error.errno or 0, "unreachable"), "detail": error.strerror or str(error)}
    return {"state": "open", "detail": ""}


CONNECTIONS = Source("host.connections", read_connections, ("targets", "connect_within"))
