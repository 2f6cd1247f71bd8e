# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS queries, all at once over one socket for each address family: dnspython makes the messages, this file sends them and waits.

A truncated answer is repeated over TCP. ``until`` is a moment of ``time.monotonic``; nothing waits longer.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from .._core.errors import DriverMissing, WrongQuestion
from . import tcp

NEXT_SERVER_AFTER = 1.0  # seconds without an answer
LARGEST = 4096
RESOLV_CONF = "/etc/resolv.conf"


class DnsAnswer(TypedDict):
    """The answer to one query.

    state: ok; absent, the server has no such record; failed, the server returned an error, and no other server has the record; late.
    values: the records, TXT joined and names without the last dot. said: the response code, such as SERVFAIL, or the error.
    """

    state: str
    values: list[str]
    said: str


def servers(given: Sequence[str] | None) -> list[tuple[str, int]]:
    """Return address and port of ``address``, ``address:port`` or ``[address]:port``, by default those of this host's resolv.conf.

    Raises WrongQuestion for a text that is none of these, and where there is no server.
    """
    found = [_server(text) for text in given] if given else [(address, 53) for address in _own()]
    if not found:
        raise WrongQuestion("resolver", given, "names no server, and /etc/resolv.conf has none", "set an address, such as 10.0.0.2")
    return found


def _server(text: str) -> tuple[str, int]:
    host, port = text, "53"
    if text.startswith("["):
        host, _bracket, rest = text[1:].partition("]")
        port = rest.lstrip(":") or "53"
    elif text.count(":") == 1:
        host, _colon, port = text.partition(":")
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, host)
            if 0 < int(port) < 65536:
                return socket.inet_ntop(family, socket.inet_pton(family, host)), int(port)  # as the system names the sender
    raise WrongQuestion("resolver", text, "is not an address", "set an address, or address:port, such as 10.0.0.2:53")


def _own() -> list[str]:
    try:
        with open(RESOLV_CONF, encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return []
    return [parts[1].partition("%")[0] for parts in words if len(parts) > 1 and parts[0] == "nameserver"]


def resolve(records: Iterable[tuple[str, str]], resolvers: Sequence[tuple[str, int]], until: float) -> dict[str, DnsAnswer]:
    """Query ``(name, type)`` and return the answers by ``name type``.

    A server that does not answer in time, or answers with an error, is followed by the next one. Raises DriverMissing.
    """
    try:
        import dns.exception
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rdatatype
    except ImportError as error:
        install = f"{sys.executable} -m pip install dnspython"
        raise DriverMissing(
            f"DNS needs the library dnspython, and {sys.executable} lacks it", libraries=["dnspython"], install=install
        ) from error
    pending = {f"{name} {kind}": dns.message.make_query(name, kind, use_edns=0, payload=1232) for name, kind in dict.fromkeys(records)}
    answers: dict[str, DnsAnswer] = {}
    rounds = 0
    with contextlib.ExitStack() as stack:
        sockets = {}
        for family in {_family(address) for address, _port in resolvers}:
            sockets[family] = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            sockets[family].setblocking(False)
        while pending and time.monotonic() < until:
            server = resolvers[rounds % len(resolvers)]
            rounds += 1
            for query in pending.values():
                with contextlib.suppress(OSError):
                    sockets[_family(server[0])].sendto(query.to_wire(), server)
            received = _collect(sockets, server, dict(pending), min(until, time.monotonic() + NEXT_SERVER_AFTER))
            answers.update(received)
            for key, answer in received.items():
                # The next server may have what one fails at; the error of the last one counts.
                if answer["state"] != "failed" or rounds >= len(resolvers):
                    pending.pop(key)
    for key in pending:
        answers.setdefault(key, {"state": "late", "values": [], "said": "no answer"})
    return answers


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _collect(sockets: dict[int, socket.socket], server: tuple[str, int], pending: dict[str, Any], until: float) -> dict[str, DnsAnswer]:
    """Return the answers to the pending queries, until all are there or the time is over; an error counts only from ``server``."""
    import dns.exception
    import dns.flags
    import dns.message

    answers: dict[str, DnsAnswer] = {}
    while pending and time.monotonic() < until:
        ready, _none, _errors = select.select(list(sockets.values()), [], [], max(0.0, until - time.monotonic()))
        for one in ready:
            try:
                wire, sender = one.recvfrom(LARGEST)
                response = dns.message.from_wire(wire, ignore_trailing=True)
            except (OSError, dns.exception.DNSException, ValueError):
                continue
            key = next((key for key, query in pending.items() if query.is_response(response)), None)
            if key is None:
                continue
            query = pending[key]
            answer = _over_tcp(query, sender[:2], until) if response.flags & dns.flags.TC else _answer(query, response)
            if answer["state"] != "failed" or sender[:2] == server:
                answers[key] = answer
                del pending[key]
    return answers


def _over_tcp(query: Any, server: tuple[str, int], until: float) -> DnsAnswer:
    import dns.exception
    import dns.message

    try:
        connection, _address = tcp.connect(*server, max(until, time.monotonic() + 0.1))
        with connection:
            wire = query.to_wire()
            connection.sendall(struct.pack("!H", len(wire)) + wire)
            (length,) = struct.unpack("!H", _exactly(connection, 2, until))
            return _answer(query, dns.message.from_wire(_exactly(connection, length, until)))
    except (OSError, struct.error, dns.exception.DNSException, ValueError) as error:
        reason = error.__cause__ if isinstance(error, tcp.NotConnected) else error
        return {"state": "failed", "values": [], "said": f"over TCP: {type(reason).__name__}"}


def _exactly(connection: socket.socket, count: int, until: float) -> bytes:
    data = b""
    while len(data) < count:
        connection.settimeout(max(0.05, until - time.monotonic()))
        part = connection.recv(count - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def _answer(query: Any, response: Any) -> DnsAnswer:
    import dns.rcode
    import dns.rdatatype

    code = response.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return {"state": "failed", "values": [], "said": dns.rcode.to_text(code)}
    wanted = query.question[0].rdtype
    values = [_text(data) for entry in response.answer if entry.rdtype == wanted for data in entry]
    return {"state": "ok" if values else "absent", "values": values, "said": dns.rcode.to_text(code)}


def _text(data: Any) -> str:
    """Return a record as zone files write it, with TXT joined and names without the last dot."""
    strings = getattr(data, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace")
    return str(data.to_text().rstrip("."))
