# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application's own word on whether it is well."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

from .._core.masking import mask
from .http_client import MAX_SHORT, TIMEOUT, get, summary

HEALTH_TRY = 5.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        return None


def health(url: str) -> str:
    """Return "" when a health page answers 2xx and, where it is JSON with a status, says ok; else what it said."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    try:
        with opener.open(url, timeout=HEALTH_TRY) as answer:
            code, body = answer.status, answer.read(65536)
    except urllib.error.HTTPError as error:
        return f"it answers {error.code}"
    except (OSError, ValueError) as error:
        return mask(f"no answer ({getattr(error, 'reason', None) or error})")
    if not 200 <= code < 300:
        return f"it answers {code}"
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    if isinstance(said, dict) and "status" in said and str(said["status"]).lower() != "ok":
        return mask(f"its status is {said['status']}")
    return ""


HEALTH_WITHIN = 4.0  # seconds for all requests of a health check that answers


def read_health(url: str, timeout: float | None = None, requests: int | None = None) -> dict[str, Any]:
    """Ask a health API a few times, one request after the other, until one fails.

    Returns ``status content_type problem detail`` of the last answer, ``json`` (whether it is JSON), ``said`` (its
    ``status`` member), ``sample`` (its beginning, masked), ``times`` (ms of each good answer), ``waited`` (seconds).
    """
    within = timeout or TIMEOUT
    stop = time.monotonic() + HEALTH_WITHIN
    times: list[float] = []
    while True:
        answer = get(url, within=within, max_body=MAX_SHORT, redirects=0)
        if answer.problem or not 200 <= answer.status < 300:
            break
        times.append(answer.ms)
        if len(times) >= (requests or 1) or time.monotonic() >= stop:
            break
    return {"url": url, "times": times, "waited": within, **summary(answer), **_health_body(answer.body)}


def _health_body(body: bytes) -> dict[str, Any]:
    text = body.decode("utf-8", "replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {"json": False, "said": "", "sample": mask(text, limit=120)}
    status = said.get("status") if isinstance(said, dict) else None
    return {"json": True, "said": str(status)[:60] if isinstance(status, (str, bool, int)) else "", "sample": mask(text, limit=120)}
