# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read which processes listen on the ports of a configuration."""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from typing import TypedDict

from ..._core.children import user_name
from ..._core.masking import mask
from .processes import Master, pids, text_of

HOLDERS_WITHIN = 2.0  # seconds to search /proc for the process that holds a port


class _Socket(TypedDict):
    address: str  # "" for every address
    port: int
    uid: int
    inode: int
    six: bool


class Holder(TypedDict):
    """The process that listens on a port; pid 0 and program "" where this user may not see it."""

    uid: int
    user: str
    pid: int
    program: str


class PortFacts(TypedDict):
    """An address and port of the configuration."""

    address: str  # "" for every address
    port: int
    here: bool  # this host has the address
    held: str  # by "" (none), ours (this nginx) or other
    holder: Holder | None  # the other


def ports_of(wanted: Sequence[tuple[str, int]], master: Master | None) -> list[PortFacts]:
    """Return for each address and port of a configuration which process listens there."""
    if not wanted:
        return []
    sockets = [one for one in _listening() if one["port"] in {port for _address, port in wanted}]
    ours = _inodes([master["pid"], *(worker["pid"] for worker in master["workers"])]) if master else None
    found: list[PortFacts] = []
    for address, port in wanted:
        here = [one for one in sockets if one["port"] == port and _overlap(address, one)]
        mine = [one for one in here if master and _is_ours(one, master, ours)]
        held = "ours" if mine else "other" if here else ""
        holder = _holder(here[0]) if held == "other" else None
        found.append({"address": address, "port": port, "here": _is_local(address), "held": held, "holder": holder})
    return found


def _is_local(address: str) -> bool:
    """Whether this host has an address, tested with a datagram socket that sends nothing."""
    if not re.fullmatch(r"[0-9a-fA-F:.]+", address):
        return True
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


def _is_ours(one: _Socket, master: Master, ours: set[int] | None) -> bool:
    """Whether a socket belongs to this nginx; where its files may not be read, the user that opened the socket decides."""
    return one["inode"] in ours if ours else one["uid"] == master["uid"]


def _overlap(address: str, listening: _Socket) -> bool:
    return not address or not listening["address"] or address == listening["address"] or (address == "::" and listening["six"])


def _listening() -> list[_Socket]:
    """Return the listening TCP sockets of this network namespace."""
    found: list[_Socket] = []
    for name in ("tcp", "tcp6"):
        for line in text_of(f"/proc/net/{name}", 4 * 1024 * 1024).splitlines()[1:]:
            fields = line.split()
            if len(fields) < 10 or fields[3] != "0A":
                continue
            place, _colon, port = fields[1].rpartition(":")
            address = _ip(place)
            found.append({"address": address, "port": int(port, 16), "uid": int(fields[7]), "inode": int(fields[9]), "six": name == "tcp6"})
    return found


def _ip(text: str) -> str:
    """Return the address of /proc/net/tcp (words in the machine's byte order), "" for every address."""
    words = struct.pack(f"={len(text) // 8}I", *(int(text[at : at + 8], 16) for at in range(0, len(text), 8)))
    if not any(words):
        return ""
    return socket.inet_ntop(socket.AF_INET6 if len(words) == 16 else socket.AF_INET, words)


def _inodes(pids: Iterable[int]) -> set[int] | None:
    """Return the inodes of the sockets that processes hold, None where this user may not see them."""
    found: set[int] = set()
    seen = False
    for pid in pids:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        seen = True
        for name in names:
            match = re.match(r"socket:\[(\d+)\]", _link(f"/proc/{pid}/fd/{name}"))
            if match:
                found.add(int(match.group(1)))
    return found if seen else None


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _holder(listening: _Socket) -> Holder:
    end = time.monotonic() + HOLDERS_WITHIN
    holder: Holder = {"uid": listening["uid"], "user": user_name(listening["uid"]), "pid": 0, "program": ""}
    for pid in pids():
        if time.monotonic() > end:
            break
        if listening["inode"] in (_inodes([pid]) or ()):
            return {**holder, "pid": pid, "program": _named(pid)}
    return holder


def _named(pid: int) -> str:
    """Return the program of a process and the script that it runs; other arguments are left out, they may be secrets."""
    words = text_of(f"/proc/{pid}/cmdline").split("\0")
    name = os.path.basename(words[0].split(" ")[0]) or text_of(f"/proc/{pid}/comm").strip()
    script = next((word for word in words[1:3] if word.startswith("/") and os.path.isfile(word)), "")
    return mask(f"{name} {script}".strip(), limit=160)
