# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read paths of a site that nginx passes on to the backend, such as /api/health."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urljoin

from ..._core.source import Source
from ..._shared.http_client import MAX_SHORT, TIMEOUT, AnswerFacts, get, summary
from .read_page import ALL_WITHIN


class PathFacts(AnswerFacts):
    """The answer to the request for a path."""

    path: str
    url: str
    waited: float  # seconds


def read_paths(url: str, paths: Sequence[str] | None = None, address: str | None = None, timeout: float | None = None) -> list[PathFacts]:
    """Request paths of a site; one entry each, in the order given.

    address: connect to this address instead of to the host of the url. timeout: seconds for one answer.
    """
    end = time.monotonic() + ALL_WITHIN
    found: list[PathFacts] = []
    for path in paths or []:
        target = urljoin(url, path)
        within = max(0.5, min(timeout or TIMEOUT, end - time.monotonic()))
        answer = get(target, within=within, address=address, max_body=MAX_SHORT)
        found.append({**summary(answer), "path": path, "url": target, "waited": round(within, 1)})
    return found


PATHS = Source("web.paths", read_paths, ("url", "paths", "address", "timeout"))
