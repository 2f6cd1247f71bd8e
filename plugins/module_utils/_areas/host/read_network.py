# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the clock's state, ask a time server, connect to others, and see who listens. Every wait has a limit.

Times are epoch seconds, durations are seconds unless they end in ``_ms``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..._core.children import Call, call_all, user_name
from ..._core.errors import CannotRead, WrongQuestion
from ..._shared.proc import PROC, label
from ..._shared.text_files import text_of, whole

UNSYNCHRONISED = 0x40  # STA_UNSYNC of timex.h
NTP_EPOCH = 2208988800  # seconds from 1900 to 1970
NTP_ERA = 1 << 32
NTP_WITHIN = 1.5  # for each of two questions
LISTENING = "0A"
MAX_SOCKETS_TEXT = 4 * 1024 * 1024
OWNERS_WITHIN = 1.0
MOST_TARGETS = 24
_TIME_SERVICES = (
    ("chrony", "/run/chrony"),
    ("systemd-timesyncd", "/run/systemd/timesync"),
    ("ntpd", "/run/ntpd.pid"),
    ("ntpd", "/var/run/ntpd.pid"),
)


# --- source host.clock


class _Timex(ctypes.Structure):
    """The beginning of the kernel's struct timex; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("max_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 256),
    )


def read_clock() -> dict[str, Any]:
    """Return what the kernel says of its clock: ``synchronised`` (None when it does not say) ``max_error_ms service``.

    service: the time service that seems to run, "" for none that is known.
    """
    state = _kernel_clock()
    service = next((name for name, path in _TIME_SERVICES if os.path.exists(path)), "")
    if state is None:
        return {"synchronised": None, "max_error_ms": None, "service": service}
    return {"synchronised": not state.status & UNSYNCHRONISED, "max_error_ms": round(state.max_error / 1000, 1), "service": service}


def _kernel_clock() -> _Timex | None:
    """Ask adjtimex, with modes 0: that changes nothing and any user may."""
    state = _Timex()
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    except (OSError, AttributeError):
        return None
    return state if answer >= 0 else None


# --- source host.time_server


def read_time_server(ntp_server: str | None = None) -> dict[str, Any] | None:
    """Return the clock's offset against a time server by SNTP (RFC 4330), None when none is given.

    ``server offset`` (seconds to add to our clock) ``delay stratum``. Raises CannotRead with the reason when there is no
    usable answer, WrongQuestion for a server that is none.
    """
    if not ntp_server:
        return None
    host, port = _place("ntp_server", ntp_server, 123)
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise CannotRead(f"the time server {host} cannot be found by name ({error})") from error
    problem = "no answer"
    for family, kind, protocol, _name, address in (addresses[:2] * 2)[:2]:
        try:
            with socket.socket(family, kind, protocol) as connection:
                return {"server": ntp_server, **_asked_time(connection, address)}
        except OSError as error:
            problem = "no answer" if isinstance(error, socket.timeout) else error.strerror or str(error)
        except ValueError as error:
            problem = str(error)
    raise CannotRead(f"the time server {ntp_server} gave no usable answer within {2 * NTP_WITHIN:g} s ({problem})")


def _asked_time(connection: socket.socket, address: Any) -> dict[str, Any]:
    nonce = secrets.token_bytes(8)  # in place of our time: an answer must carry it, and the server need not know our time
    connection.settimeout(NTP_WITHIN)
    connection.connect(address)
    sent, began = time.time(), time.monotonic()
    connection.send(b"\x23" + bytes(39) + nonce)
    answer = connection.recv(512)
    return parse_time(answer, nonce, sent, sent + time.monotonic() - began)


def parse_time(answer: bytes, nonce: bytes, sent: float, received: float) -> dict[str, Any]:
    """Return ``offset delay stratum`` of an answer of a time server; raises ValueError for one that is of no use."""
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
    """Turn a timestamp of NTP, which starts anew every 136 years, into the time nearest to ours."""
    seconds, fraction = struct.unpack("!II", stamp)
    if not seconds:
        raise ValueError("an answer without a time")
    moment = seconds - NTP_EPOCH + fraction / NTP_ERA
    return moment + round((near - moment) / NTP_ERA) * NTP_ERA


def _place(option: str, given: Any, usual: int | None = None) -> tuple[str, int]:
    """Return host and port of ``host``, ``host:port`` or ``[address]:port``; raises WrongQuestion for what is neither."""
    text = given if isinstance(given, str) else ""
    found = re.fullmatch(r"\[([0-9A-Fa-f:.%\w]+)\](?::(\d{1,5}))?|([^\s:/\[\]@]{1,253})(?::(\d{1,5}))?", text.strip())
    port = whole((found.group(2) or found.group(4)) if found else None, usual or 0)
    if not found or not 0 < port < 65536:
        raise WrongQuestion(option, given, "is not a place to connect to", "give host:port, such as db.example.com:1521")
    return found.group(1) or found.group(3), port


# --- source host.connections


def parse_targets(given: Any) -> list[tuple[str, int]]:
    """Return (host, port) of each target; raises WrongQuestion for an entry that is none or for too many."""
    listed = given or []
    if len(listed) > MOST_TARGETS:
        raise WrongQuestion("targets", f"{len(listed)} targets", "are more than fit into one deadline", f"give {MOST_TARGETS} at most")
    return list(dict.fromkeys(_place(f"targets[{number}]", target) for number, target in enumerate(listed)))


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


# --- source host.listeners


def parse_ports(option: str, given: Iterable[Any] | None) -> list[tuple[int, int]]:
    """Return the (first, last) port of each entry; raises WrongQuestion for one that is no port and no range."""
    found = []
    for number, entry in enumerate(given or []):
        numbers = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(entry).strip())
        first = int(numbers.group(1)) if numbers else 0
        last = int(numbers.group(2) or first) if numbers else 0
        if not 0 < first <= last < 65536:
            raise WrongQuestion(f"{option}[{number}]", entry, "is not a port", "give a number from 1 to 65535 or a range such as 8000-8010")
        found.append((first, last))
    return found


def within(port: int, ranges: Iterable[tuple[int, int]]) -> bool:
    """Whether a port lies in one of the ranges of :func:`parse_ports`."""
    return any(first <= port <= last for first, last in ranges)


def parse_listeners(text: str) -> list[dict[str, Any]]:
    """Return the listening sockets of /proc/net/tcp or tcp6: ``address port uid inode loopback``."""
    found = []
    for line in text.split("\n"):
        fields = line.split()
        if len(fields) < 10 or fields[3] != LISTENING:
            continue
        place = re.fullmatch(r"([0-9A-Fa-f]{8}|[0-9A-Fa-f]{32}):([0-9A-Fa-f]{4})", fields[1])
        if place:
            address = _address(place.group(1))
            listener = {"address": address, "port": int(place.group(2), 16), "uid": whole(fields[7], -1), "inode": fields[9]}
            found.append({**listener, "loopback": address.startswith(("127.", "::ffff:127.")) or address == "::1"})
    return found


def _address(text: str) -> str:
    """Turn the kernel's words, each in the machine's own byte order, into an address."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def read_listeners(expected_ports: Sequence[str] | None = None, among_ports: Sequence[str] | None = None) -> dict[str, Any]:
    """Return who listens for TCP connections that others can reach, and how many only this host can reach.

    ``open``: ``port addresses user process pid``, one entry a port; ``loopback``: number of ports. Processes (else "" and 0) are
    looked for only for ports that are not expected, and found as far as rights allow. Raises CannotRead without
    /proc/net/tcp, WrongQuestion for a port that is none.
    """
    texts = [text_of(os.path.join(PROC, "net", name), MAX_SOCKETS_TEXT) for name in ("tcp", "tcp6")]
    if all(text is None for text in texts):
        raise CannotRead("/proc/net/tcp cannot be read, so nothing is known about listening ports")
    listeners = [entry for text in texts for entry in parse_listeners(text or "")]
    reachable = [entry for entry in listeners if not entry["loopback"]]
    expected, among = parse_ports("expected_ports", expected_ports), parse_ports("among_ports", among_ports)
    strange = [entry for entry in reachable if not within(entry["port"], expected) and (not among or within(entry["port"], among))]
    owners = _owners({entry["inode"] for entry in strange})
    return {"open": _by_port(reachable, owners), "loopback": len({entry["port"] for entry in listeners if entry["loopback"]})}


def _by_port(listeners: Iterable[Mapping[str, Any]], owners: Mapping[str, int]) -> list[dict[str, Any]]:
    ports: dict[int, dict[str, Any]] = {}
    for entry in listeners:
        known = ports.setdefault(entry["port"], {"port": entry["port"], "addresses": [], "user": "", "process": "", "pid": 0})
        if entry["address"] not in known["addresses"]:
            known["addresses"].append(entry["address"])
        known["user"] = known["user"] or user_name(entry["uid"])
        pid = owners.get(entry["inode"], 0)
        if pid and not known["pid"]:
            name = (text_of(os.path.join(PROC, str(pid), "comm"), 64) or "").strip()
            known.update(pid=pid, process=label(pid, name))
    return [ports[port] for port in sorted(ports)]


def _owners(inodes: set[str]) -> dict[str, int]:
    """Return the process of each socket, as far as rights and a second reach."""
    end = time.monotonic() + OWNERS_WITHIN
    found: dict[str, int] = {}
    try:
        pids = [name for name in os.listdir(PROC) if name.isdigit()]
    except OSError:
        return found
    for pid in pids:
        if len(found) == len(inodes) or time.monotonic() >= end:
            break
        for link in _descriptors(os.path.join(PROC, pid, "fd")):
            if link.startswith("socket:[") and link[8:-1] in inodes:
                found.setdefault(link[8:-1], whole(pid))
    return found


def _descriptors(folder: str) -> Iterator[str]:
    """Yield what the descriptors of a process are; some may be closed, and the process ended, while we look."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            yield os.readlink(os.path.join(folder, name))
