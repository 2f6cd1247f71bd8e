# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the figures of nginx from its stub_status page."""

from __future__ import annotations

import re

from ..._core.errors import CannotRead
from ..._core.source import Source
from ..._shared.http_client import get

STATUS_WITHIN = 2.0


def read_status(status_url: str | None = None) -> dict[str, int]:
    """Return the figures of a stub_status page: ``active accepted handled requests reading writing waiting``; {} where none is named.

    Raises CannotRead when there is no such page.
    """
    if not status_url:
        return {}
    answer = get(status_url, within=STATUS_WITHIN, max_body=4096, redirects=0)
    if answer.problem or answer.status != 200:
        raise CannotRead(f"stub_status gives no figures: {answer.detail or f'status {answer.status}'}")
    return parse_status(answer.body.decode("ascii", "replace"))


def parse_status(text: str) -> dict[str, int]:
    """Return the figures of a stub_status page; raises CannotRead for another page."""
    match = re.match(
        r"Active connections: (\d{1,18})\s+server accepts handled requests\s+(\d{1,18}) (\d{1,18}) (\d{1,18})\s+"
        r"Reading: (\d{1,18}) Writing: (\d{1,18}) Waiting: (\d{1,18})",
        text,
    )
    if match is None:
        raise CannotRead("the page is not one of stub_status")
    return dict(zip(("active", "accepted", "handled", "requests", "reading", "writing", "waiting"), map(int, match.groups())))


STATUS = Source("nginx.status", read_status, ("status_url",))
