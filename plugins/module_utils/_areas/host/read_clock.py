# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the state of the kernel's clock, and query a time server.

Times are epoch seconds, durations are seconds unless their name ends in ``_ms``.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import struct
import time
from typing import Any, TypedDict

from ..._core.errors import CannotRead
from ..._core.source import Source
from .places import place_of

UNSYNCHRONISED = 0x40  # STA_UNSYNC of timex.h
NTP_EPOCH = 2208988800  # seconds from 1900 to 1970
NTP_ERA = 1 << 32
NTP_WITHIN = 1.5  # seconds for each of two queries
_TIME_SERVICES = (
    ("chrony", "/run/chrony"),
    ("systemd-timesyncd", "/run/systemd/timesync"),
    ("ntpd", "/run/ntpd.pid"),
    ("ntpd", "/var/run/ntpd.pid"),
)


class ClockFacts(TypedDict):
    """What the kernel reports of its clock."""

    synchronised: bool | None  # None when the kernel does not report it
    max_error_ms: float | None
    service: str  # the time service that seems to run, "" for none that is known


class _Measured(TypedDict):
    offset: float  # seconds to add to our clock
    delay: float
    stratum: int


class TimeServerFacts(_Measured):
    """The answer of a time server."""

    server: str


class _Timex(ctypes.Structure):
    """The beginning of the kernel's struct timex; room is space for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("max_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 256),
    )


def read_clock() -> ClockFacts:
    """Return what the kernel reports of its clock, and the time service that seems to run."""
    state = _kernel_clock()
    service = next((name for name, path in _TIME_SERVICES if os.path.exists(path)), "")
    if state is None:
        return {"synchronised": None, "max_error_ms": None, "service": service}
    return {"synchronised": not state.status & UNSYNCHRONISED, "max_error_ms": round(state.max_error / 1000, 1), "service": service}


def _kernel_clock() -> _Timex | None:
    """Call adjtimex with modes 0, which changes nothing and needs no rights; None where the kernel refuses."""
    state = _Timex()
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    except (OSError, AttributeError):
        return None
    return state if answer >= 0 else None


def read_time_server(ntp_server: str | None = None) -> TimeServerFacts | None:
    """Return the clock's offset from a time server by SNTP (RFC 4330), None when no server is given.

    Raises CannotRead with the reason when there is no usable answer, WrongQuestion for a text that is not a server.
    """
    if not ntp_server:
        return None
    host, port = place_of("ntp_server", ntp_server, 123)
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise CannotRead(f"the time server {host} cannot be found by name ({error})") from error
    problem = "no answer"
    for family, kind, protocol, _name, address in (addresses[:2] * 2)[:2]:
        try:
            with socket.socket(family, kind, protocol) as connection:
                return {"server": ntp_server, **_query(connection, address)}
        except OSError as error:
            problem = "no answer" if isinstance(error, socket.timeout) else error.strerror or str(error)
        except ValueError as error:
            problem = str(error)
    raise CannotRead(f"the time server {ntp_server} gave no usable answer within {2 * NTP_WITHIN:g} s ({problem})")


def _query(connection: socket.socket, address: Any) -> _Measured:
    nonce = secrets.token_bytes(8)  # instead of our time, which the server need not know: the answer must repeat it
    connection.settimeout(NTP_WITHIN)
    connection.connect(address)
    sent, began = time.time(), time.monotonic()
    connection.send(b"\x23" + bytes(39) + nonce)
    answer = connection.recv(512)
    return parse_time(answer, nonce, sent, sent + time.monotonic() - began)


def parse_time(answer: bytes, nonce: bytes, sent: float, received: float) -> _Measured:
    """Return the offset that an answer of a time server shows; raises ValueError for an unusable answer."""
    if len(answer) < 48:
        raise ValueError("not an answer of a time server")
    first, stratum = answer[0], answer[1]
    if first & 7 != 4 or answer[24:32] != nonce:
        raise ValueError("not the answer to our question")
    if stratum == 0 or stratum > 15 or first >> 6 == 3:
        raise ValueError("the server itself is not synchronised")
    arrived, left = (_unix_time(answer[start : start + 8], sent) for start in (32, 40))
    delay = max(0.0, (received - sent) - (left - arrived))
    return {"offset": ((arrived - sent) + (left - received)) / 2, "delay": delay, "stratum": stratum}


def _unix_time(stamp: bytes, near: float) -> float:
    """Return the time of an NTP timestamp, which starts again every 136 years, that is nearest to ours."""
    seconds, fraction = struct.unpack("!II", stamp)
    if not seconds:
        raise ValueError("an answer without a time")
    moment = seconds - NTP_EPOCH + fraction / NTP_ERA
    return moment + round((near - moment) / NTP_ERA) * NTP_ERA


CLOCK = Source("host.clock", read_clock)
TIME_SERVER = Source("host.time_server", read_time_server, ("ntp_server",))
