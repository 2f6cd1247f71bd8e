# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin

from ..._core.source import Source
from ..._shared.http_client import ALL_WITHIN, MAX_SHORT, TIMEOUT, get, summary


def read_paths(
    url: str, paths: Sequence[str] | None = None, address: str | None = None, timeout: float | None = None
) -> list[dict[str, Any]]:
    """Ask for paths of a site, such as /api/health through nginx; one entry each, in the order given.

    An entry has ``path url status content_type problem detail ms waited``.
    """
    end = time.monotonic() + ALL_WITHIN
    found = []
    for path in paths or []:
        target = urljoin(url, path)
        within = max(0.5, min(timeout or TIMEOUT, end - time.monotonic()))
        answer = get(target, within=within, address=address, max_body=MAX_SHORT)
        found.append({"path": path, "url": target, "waited": round(within, 1), **summary(answer)})
    return found


PATHS = Source("web.paths", read_paths, ("url", "paths", "address", "timeout"))
