# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connect to a port by TCP within a time limit, and report how a connection failed."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

MOST_ADDRESSES = 4  # of a name that are tried

State = Literal["name", "timeout", "refused", "denied", "unreachable"]
_STATES: dict[int, State] = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timeout",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
}


class Address(NamedTuple):
    """An address as the resolver returns it."""

    family: int
    sockaddr: tuple[Any, ...]

    @property
    def text(self) -> str:
        """The IP address."""
        return str(self.sockaddr[0])


class NotConnected(OSError):
    """No connection was made; the text is that of the system's own error.

    state: ``name`` (the name cannot be resolved) ``timeout`` ``refused`` ``denied`` (this machine forbids it) ``unreachable``.
    detail: the reason in the system's words, "" for a timeout. address: the last one that was tried, "" for none.
    """

    def __init__(self, state: State, error: OSError | ValueError, address: str = "") -> None:
        super().__init__(*(error.args if isinstance(error, OSError) else (str(error),)))
        self.state = state
        self.address = address
        self.detail = "" if isinstance(error, socket.timeout) else getattr(error, "strerror", None) or str(error)


def connect(host: str, port: int, until: float) -> tuple[socket.socket, str]:
    """Return a connection to a host, and the IP address that accepted it; its timeout is what was left of the time.

    until: monotonic seconds. The resolver has no time limit of its own: call this in a child process where a name server may hang.
    Raises NotConnected.
    """
    if time.monotonic() >= until:
        raise NotConnected("timeout", socket.timeout("timed out"))
    connection, address = connect_to(resolve(host, port), until)
    return connection, address.text


def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, at most MOST_ADDRESSES, in the resolver's order; raises NotConnected."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError for a text that no name can be
        raise NotConnected("name", error) from error
    return list(dict.fromkeys(Address(row[0], row[4]) for row in rows))[:MOST_ADDRESSES]


def connect_to(addresses: Sequence[Address], until: float) -> tuple[socket.socket, Address]:
    """Return a connection to the first address that accepts one, and that address; raises NotConnected for the last failure.

    Each address gets an equal share of the time that is left, so that a dead one leaves time for the next.
    """
    failure = NotConnected("timeout", socket.timeout("timed out"))
    for number, address in enumerate(addresses):
        left = until - time.monotonic()
        if left <= 0:
            break
        connection = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            connection.settimeout(left / (len(addresses) - number))
            connection.connect(address.sockaddr)
            return connection, address
        except OSError as error:
            connection.close()
            failure = NotConnected(_state_of(error), error, address.text)
    raise failure


def _state_of(error: OSError) -> State:
    return "timeout" if isinstance(error, socket.timeout) else _STATES.get(error.errno or 0, "unreachable")
