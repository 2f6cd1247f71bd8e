# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._core.children import user_name
from ..._core.masking import mask
from .processes import pids, text_of

HOLDERS_WITHIN = 2.0  # seconds to look through /proc for who holds a port


def ports_of(wanted: Sequence[tuple[str, int]], master: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return for each address and port of the configuration who listens there.

    An entry: ``address port here`` (whether this host has the address) ``held`` ("" nobody, ours, other), ``holder``:
    None or ``uid user pid program`` (pid 0 and program ""
    where this user may not see it).
    """
    if not wanted:
        return []
    sockets = [one for one in _listening() if one["port"] in {port for _address, port in wanted}]
    ours = _inodes([master["pid"], *(worker["pid"] for worker in master["workers"])]) if master else None
    found = []
    for address, port in wanted:
        here = [one for one in sockets if one["port"] == port and _overlap(address, one)]
        mine = [one for one in here if master and _is_ours(one, master, ours)]
        entry: dict[str, Any] = {"address": address, "port": port, "here": _is_local(address), "holder": None}
        entry["held"] = "ours" if mine else "other" if here else ""
        if here and not mine:
            entry["holder"] = _holder(here[0])
        found.append(entry)
    return found


def _is_local(address: str) -> bool:
    """Whether this host has an address; asked with a datagram socket, which nobody sees."""
    if not re.fullmatch(r"[0-9a-fA-F:.]+", address):
        return True
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


def _is_ours(one: Mapping[str, Any], master: Mapping[str, Any], ours: set[int] | None) -> bool:
    """Whether a socket is this nginx's; where its files may not be seen, the user that opened it must do."""
    return one["inode"] in ours if ours else one["uid"] == master["uid"]


def _overlap(address: str, listening: Mapping[str, Any]) -> bool:
    return not address or not listening["address"] or address == listening["address"] or (address == "::" and listening["six"])


def _listening() -> list[dict[str, Any]]:
    """Return the listening TCP sockets of this network: ``address`` ("" for all), ``port uid inode six``."""
    found = []
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
    """Return the sockets that processes hold, None where this user may not see them."""
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


def _holder(listening: Mapping[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + HOLDERS_WITHIN
    holder = {"uid": listening["uid"], "user": user_name(listening["uid"]), "pid": 0, "program": ""}
    for pid in pids():
        if time.monotonic() > end:
            break
        if listening["inode"] in (_inodes([pid]) or ()):
            return {**holder, "pid": pid, "program": _named(pid)}
    return holder


def _named(pid: int) -> str:
    """Return the program of a process and the script that it runs; other arguments may be secrets."""
    words = text_of(f"/proc/{pid}/cmdline").split("\0")
    name = os.path.basename(words[0].split(" ")[0]) or text_of(f"/proc/{pid}/comm").strip()
    script = next((word for word in words[1:3] if word.startswith("/") and os.path.isfile(word)), "")
    return mask(f"{name} {script}".strip(), limit=160)
