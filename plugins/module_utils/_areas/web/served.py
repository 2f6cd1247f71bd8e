# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several checks of the area web conclude from an answer and from the folder of the build."""

from __future__ import annotations

from typing import Any

from .read_build import BuildFacts
from .read_page import PageFacts
from .read_paths import PathFacts

MOST_NAMED = 10  # files in the evidence
_CODES = {401: "web.forbidden", 403: "web.forbidden", 404: "web.not_found", 502: "web.bad_gateway", 504: "web.gateway_timeout"}


def code_of(answer: PageFacts | PathFacts, build: BuildFacts | None) -> str:
    """Return the code for an answer that is not the page, "" when it may be the page."""
    if answer["problem"]:
        return "web.no_answer"
    status = answer["status"]
    if status in (403, 404, 500) and _is_missing(build):
        return "web.build_missing"
    if status < 400:
        return "" if status == 200 else "web.no_answer"
    return _CODES.get(status, "web.no_answer")


def _is_missing(build: BuildFacts | None) -> bool:
    """Whether the built page is certainly absent: its folder lacks index.html, or is absent and no closed folder hides it."""
    if not build or not build["given"] or build["index"]["present"]:
        return False
    return build["present"] or build["closed"] is None


def refusal(answer: PageFacts | PathFacts, build: BuildFacts | None = None) -> dict[str, Any]:
    """Return the evidence of an answer that is not the page."""
    evidence = {
        "url": answer["url"],
        "status": answer["status"] or None,
        "problem": answer["problem"],
        "detail": answer["detail"],
        "waited": answer["waited"],
    }
    return {key: value for key, value in {**evidence, **build_evidence(build)}.items() if value not in (None, "")}


def build_evidence(build: BuildFacts | None) -> dict[str, Any]:
    """Return the evidence of the folder of the build, {} where none was named."""
    if not build or not build["given"]:
        return {}
    return {"build_dir": build["path"], "build_present": build["present"], "index": build["index"], "closed": build["closed"]}
