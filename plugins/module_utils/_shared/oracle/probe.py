# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the network lets us to a listener: name, TCP, and whether what answers there is an Oracle listener at all.

The driver has no time limit of its own for a name, for a peer that sends nothing, or for an SSH server that waits for a client;
so each step is done here first, with a limit. The listener is pinged as ``tnsping`` does, which makes no session.
Times are seconds, moments are of ``time.monotonic``.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Sequence

from .. import tcp

LISTENER, CLOSED, SILENT, SSH, HTTP, TLS, OTHER = "listener", "closed", "silent", "ssh", "http", "tls", "other"
STRANGERS = (SSH, HTTP, TLS, OTHER)  # no Oracle client can connect to these
MOST_ADDRESSES = 16  # of all hosts that a target names
_BANNER = 60  # characters kept of the first line of a stranger
_PING = b"(DESCRIPTION=(CONNECT_DATA=(COMMAND=ping)))"
_HEADER = 58
_PACKET_HEADER = 8
_TLS_WITHIN = 0.5  # a listener without TLS may wait for the rest of a packet
_CONNECT = 1
_LISTENER_ANSWERS = (2, 4, 5, 11)  # accept, refuse, redirect, resend


def resolve(places: Sequence[tuple[str, int]]) -> list[tcp.Address]:
    """Return the addresses of hosts and ports, in their order. Raises tcp.NotConnected when no name is known."""
    found: list[tcp.Address] = []
    failure = tcp.NotConnected("name", socket.gaierror(socket.EAI_NONAME, "no host is named"))
    for host, port in places:
        try:
            found += tcp.resolve(host, port, MOST_ADDRESSES)
        except tcp.NotConnected as error:
            failure = error
    if not found:
        raise failure
    return list(dict.fromkeys(found))[:MOST_ADDRESSES]


def look_at(connection: socket.socket, *, tls: bool, until: float) -> tuple[str, str]:
    """Return what answers on a connection (``listener``, ``closed``, ``silent`` or a stranger) and its banner. Closes it.

    With tls, a server that asks for a client's certificate may close after the handshake; that it speaks TLS is enough then.
    """
    spoken = connection
    try:
        if tls:
            spoken = _encrypted(connection, until)
        answer = _asked(spoken, until)
    except (TimeoutError, socket.timeout):  # two kinds before Python 3.10
        return SILENT, ""
    except ssl.SSLError:
        return (LISTENER if spoken is not connection else CLOSED), ""
    except OSError:
        return CLOSED, ""
    finally:
        with contextlib.suppress(OSError):
            spoken.close()
        connection.close()
    return what_answers(answer), _printable(answer)


def _encrypted(connection: socket.socket, until: float) -> ssl.SSLSocket:
    """Begin TLS without checking the certificate, which the driver does: this peer is sent no secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection.settimeout(_left(until))
    return context.wrap_socket(connection)


def speaks_tls(address: tcp.Address, until: float) -> bool:
    """Whether a TLS handshake succeeds at an address whose peer closed a connection without TLS."""
    until = min(until, time.monotonic() + _TLS_WITHIN)
    try:
        connection, _address = tcp.connect_to([address], until)
        with connection, _encrypted(connection, until):
            return True
    except (OSError, ValueError):
        return False


def _asked(connection: socket.socket, until: float) -> bytes:
    """Send the ping and return the first bytes of the answer, b"" when the peer closed."""
    connection.settimeout(_left(until))
    connection.sendall(ping_packet())
    answer = b""
    while len(answer) < _PACKET_HEADER and what_answers(answer) not in STRANGERS[:-1]:
        connection.settimeout(_left(until))
        more = connection.recv(512)
        if not more:
            break
        answer += more
    return answer


def ping_packet() -> bytes:
    """Return the packet that ``tnsping`` sends: a connect packet whose data requests an answer only."""
    fixed = struct.pack(">HHHHHHHHHHI", 318, 300, 0, 8192, 32767, 0x7F08, 0, 1, len(_PING), _HEADER, 0)
    body = fixed.ljust(_HEADER - 8, b"\0") + _PING
    return struct.pack(">HHBBH", 8 + len(body), 0, _CONNECT, 0, 0) + body


def what_answers(answer: bytes) -> str:
    """Return the kind of peer by the first bytes of its answer."""
    if not answer:
        return CLOSED
    if answer.startswith(b"SSH-"):
        return SSH
    if answer.startswith(b"HTTP/") or b"<html" in answer[:200].lower():
        return HTTP
    if answer[:2] == b"\x15\x03":
        return TLS
    is_packet = len(answer) >= _PACKET_HEADER and 8 <= struct.unpack_from(">H", answer)[0] <= 8192 and answer[4] in _LISTENER_ANSWERS
    return LISTENER if is_packet else OTHER


def _printable(answer: bytes) -> str:
    line = answer.split(b"\n", 1)[0].decode("latin-1").strip()
    return "".join(letter for letter in line if letter.isprintable() and letter.isascii())[:_BANNER]


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("no time left")
    return left
