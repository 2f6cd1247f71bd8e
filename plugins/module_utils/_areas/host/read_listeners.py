# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read which TCP ports are open, and which processes listen on them."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

from ..._core.children import user_name
from ..._core.errors import CannotRead, WrongQuestion
from ..._core.source import Source
from ..._shared.proc import PROC, label
from ..._shared.text_files import text_of, whole

LISTENING = "0A"
MAX_SOCKETS_TEXT = 4 * 1024 * 1024
OWNERS_WITHIN = 1.0


class Listener(TypedDict):
    """A listening socket of /proc/net/tcp or tcp6."""

    address: str
    port: int
    uid: int
    inode: str
    loopback: bool


class OpenPort(TypedDict):
    """A port that others can reach; process "" and pid 0 where this user may not see them."""

    port: int
    addresses: list[str]
    user: str
    process: str
    pid: int


class ListenersFacts(TypedDict):
    """The ports that others can reach, and the number of those that only this host can reach."""

    open: list[OpenPort]
    loopback: int


def parse_ports(option: str, given: Iterable[Any] | None) -> list[tuple[int, int]]:
    """Return the (first, last) port of each entry; raises WrongQuestion for an entry that is neither a port nor a range."""
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


def parse_listeners(text: str) -> list[Listener]:
    """Return the listening sockets of a /proc/net/tcp or tcp6."""
    found: list[Listener] = []
    for line in text.split("\n"):
        fields = line.split()
        if len(fields) < 10 or fields[3] != LISTENING:
            continue
        place = re.fullmatch(r"([0-9A-Fa-f]{8}|[0-9A-Fa-f]{32}):([0-9A-Fa-f]{4})", fields[1])
        if place:
            address = _address(place.group(1))
            loopback = address.startswith(("127.", "::ffff:127.")) or address == "::1"
            port, uid = int(place.group(2), 16), whole(fields[7], -1)
            found.append({"address": address, "port": port, "uid": uid, "inode": fields[9], "loopback": loopback})
    return found


def _address(text: str) -> str:
    """Return the address of the kernel's words, each of which is in the machine's own byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def read_listeners(expected_ports: Sequence[str] | None = None, among_ports: Sequence[str] | None = None) -> ListenersFacts:
    """Return the open ports, in order.

    Processes are searched only for ports among ``among_ports`` that are not expected. Raises CannotRead without /proc/net/tcp, WrongQuestion for
    an entry that is not a port.
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


def _by_port(listeners: Iterable[Listener], owners: Mapping[str, int]) -> list[OpenPort]:
    ports: dict[int, OpenPort] = {}
    for entry in listeners:
        known = ports.setdefault(entry["port"], {"port": entry["port"], "addresses": [], "user": "", "process": "", "pid": 0})
        if entry["address"] not in known["addresses"]:
            known["addresses"].append(entry["address"])
        known["user"] = known["user"] or user_name(entry["uid"])
        pid = owners.get(entry["inode"], 0)
        if pid and not known["pid"]:
            name = (text_of(os.path.join(PROC, str(pid), "comm"), 64) or "").strip()
            known["pid"], known["process"] = pid, label(pid, name)
    return [ports[port] for port in sorted(ports)]


def _owners(inodes: set[str]) -> dict[str, int]:
    """Return the process of each socket that this user may see; stops after OWNERS_WITHIN."""
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
    """Yield the targets of a process's descriptors; descriptors that are closed meanwhile are skipped."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            yield os.readlink(os.path.join(folder, name))


LISTENERS = Source("host.listeners", read_listeners, ("expected_ports", "among_ports"))
