# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the API and the SMTP interface of SES accept TCP connections. ``until`` is a moment of ``time.monotonic``."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..._core.errors import WrongQuestion
from .facts import Port

REACH_WITHIN = 3.0  # seconds


def places(region: str, endpoints: Mapping[str, str], smtp_endpoint: str | None) -> dict[str, tuple[str, int]]:
    """Return host and port by ``api`` and ``smtp``: of the region, or as given; ``smtp`` is missing for the endpoint "-"."""
    parts = urlsplit(endpoints.get("ses") or f"https://email.{region}.amazonaws.com")
    found = {"api": (str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80))}
    smtp = smtp_endpoint or f"email-smtp.{region}.amazonaws.com:587"
    if smtp != "-":
        host, _colon, port = smtp.rpartition(":")
        if not host or not port.isdigit():
            raise WrongQuestion("smtp_endpoint", smtp, "is not host:port", "set host:port, or - to skip SMTP")
        found["smtp"] = (host.strip("[]"), int(port))
    return found


def reach(role: str, host: str, port: int, until: float, ports: dict[str, Port]) -> None:
    """Connect by TCP to the addresses of a host, until one accepts, and keep the result in ``ports``."""
    place, started = f"{host}:{port}", time.monotonic()
    end = min(until, started + REACH_WITHIN)
    ports[role] = {"place": place, "state": "silent", "said": "", "waited": REACH_WITHIN}
    try:
        addresses = list(dict.fromkeys(info[4] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except OSError as error:
        said = str(error.strerror or error)
        ports[role] = {"place": place, "state": "no_name", "said": said, "waited": round(time.monotonic() - started, 1)}
        return
    said = ""
    for address in addresses:
        said = _connect(address, end)
        if not said:
            ports[role] = {"place": place, "state": "open", "said": "", "waited": round(time.monotonic() - started, 2)}
            return
        if time.monotonic() >= end:
            break
    state = "silent" if said == "timed out" else "refused"
    ports[role] = {"place": place, "state": state, "said": said, "waited": round(time.monotonic() - started, 1)}


def _connect(address: tuple[Any, ...], end: float) -> str:
    """Return the error of a connection, "" for none."""
    family = socket.AF_INET6 if ":" in str(address[0]) else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as one, selectors.DefaultSelector() as selector:
        one.setblocking(False)
        code = one.connect_ex(address)
        selector.register(one, selectors.EVENT_WRITE)
        if code and not selector.select(max(0.0, end - time.monotonic())):
            return "timed out"
        code = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return os.strerror(code) if code else ""
