# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application's own word on whether it is well."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from .._core.masking import mask

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
