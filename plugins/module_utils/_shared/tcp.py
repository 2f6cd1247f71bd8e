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

    @property
    def place(self) -> str:
        """The IP address and port."""
        return f"{self.sockaddr[0]}:{self.sockaddr[1]}"


class NotConnected(OSError):
    """No connection was made; the text is that of the system's own error, which is the cause.

    state: ``name`` (the name cannot be resolved) ``timeout`` ``refused`` ``denied`` (this machine forbids it) ``unreachable``.
    detail: the reason in the system's words, "" for a timeout. address: the last one that was tried, "" for none.
    """

    def __init__(self, state: State, error: OSError | ValueError, address: str = "") -> None:
        super().__init__(*(error.args if isinstance(error, OSError) else (str(error),)))
        self.__cause__ = error
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


def resolve(host: str, port: int, most: int = MOST_ADDRESSES) -> list[Address]:
    """Return the addresses of a host, at most ``most``, in the resolver's order; raises NotConnected."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError for a text that no name can be
        raise NotConnected("name", error) from error
    return list(dict.fromkeys(Address(row[0], row[4]) for row in rows))[:most]


def connect_to(addresses: Sequence[Address], until: float, *, first_failure: bool = False) -> tuple[socket.socket, Address]:
    """Return a connection to the first address that accepts one, and that address.

    Each address gets an equal share of the time that is left, so that a dead one leaves time for the next.
    Raises NotConnected for the last failure, or for the first one.
    """
    failures: list[NotConnected] = []
    for number, address in enumerate(addresses):
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            return _connect_within(address, left / (len(addresses) - number)), address
        except OSError as error:
            failures.append(NotConnected(_state_of(error), error, address.text))
    if not failures:
        raise NotConnected("timeout", socket.timeout("timed out"))
    raise failures[0 if first_failure else -1]


def _connect_within(address: Address, seconds: float) -> socket.socket:
    connection = socket.socket(address.family, socket.SOCK_STREAM)  # fails for IPv6 where the kernel has none
    try:
        connection.settimeout(seconds)
        connection.connect(address.sockaddr)
    except BaseException:
        connection.close()
        raise
    return connection


def _state_of(error: OSError) -> State:
    return "timeout" if isinstance(error, socket.timeout) else _STATES.get(error.errno or 0, "unreachable")
