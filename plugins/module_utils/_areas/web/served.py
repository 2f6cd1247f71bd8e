# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_NAMED = 10


def code_of(seen: Mapping[str, Any], build: Mapping[str, Any] | None) -> str:
    """Return the code for an answer that is not the page, "" when it may be the page."""
    if seen["problem"]:
        return "web.no_answer"
    status = seen["status"]
    if status in (403, 404, 500) and is_missing(build):
        return "web.build_missing"
    if status < 400:
        return "" if status == 200 else "web.no_answer"
    return {401: "web.forbidden", 403: "web.forbidden", 404: "web.not_found", 502: "web.bad_gateway", 504: "web.gateway_timeout"}.get(
        status, "web.no_answer"
    )


def is_missing(build: Mapping[str, Any] | None) -> bool:
    """Whether the built page is surely not there: its folder lacks index.html, or is absent and no closed folder hides it."""
    if not build or not build["given"] or build["index"]["present"]:
        return False
    return build["present"] or build["closed"] is None


def refusal(seen: Mapping[str, Any], build: Mapping[str, Any] | None = None) -> dict[str, Any]:
    evidence = {
        "url": seen["url"],
        "status": seen["status"] or None,
        "problem": seen["problem"],
        "detail": seen["detail"],
        "waited": seen["waited"],
    }
    return {key: value for key, value in {**evidence, **build_evidence(build)}.items() if value not in (None, "")}


def build_evidence(build: Mapping[str, Any] | None) -> dict[str, Any]:
    if not build or not build["given"]:
        return {}
    return {"build_dir": build["path"], "build_present": build["present"], "index": build["index"], "closed": build["closed"]}
