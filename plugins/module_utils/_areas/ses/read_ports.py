# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the API and the SMTP interface of SES accept TCP connections. ``until`` is a moment of ``time.monotonic``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..._core.errors import WrongQuestion
from ..._shared import tcp
from .facts import Port

REACH_WITHIN = 3.0  # seconds
_STATES: dict[tcp.State, str] = {"name": "no_name", "timeout": "silent"}  # any other one is "refused": the system has said why


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
        connection, _address = tcp.connect(host, port, end)
    except tcp.NotConnected as error:
        state = _STATES.get(error.state, "refused")
        said = "timed out" if state == "silent" else error.detail
        ports[role] = {"place": place, "state": state, "said": said, "waited": round(time.monotonic() - started, 1)}
        return
    connection.close()
    ports[role] = {"place": place, "state": "open", "said": "", "waited": round(time.monotonic() - started, 2)}
