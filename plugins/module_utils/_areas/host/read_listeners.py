# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..._core.children import user_name
from ..._core.errors import CannotRead, WrongQuestion
from ..._core.source import Source
from ..._shared.proc import PROC, label
from ..._shared.text_files import text_of, whole

LISTENING = "0A"


MAX_SOCKETS_TEXT = 4 * 1024 * 1024


OWNERS_WITHIN = 1.0


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


LISTENERS = Source("host.listeners", read_listeners, ("expected_ports", "among_ports"))
