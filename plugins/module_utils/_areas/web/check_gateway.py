# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web.gateway: do the paths answer that nginx passes on to the backend? Sources: M1-8, M2-10."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.http_client import SILENT
from .faults import fault
from .parameters import ADDRESS, TIMEOUT, URL
from .read_page import PAGE, PageFacts
from .read_paths import PATHS, PathFacts
from .served import code_of, refusal

PARAMETERS: dict[str, dict[str, Any]] = {
    "url": URL,
    "paths": {
        "type": "list",
        "elements": "str",
        "default": ["/api/health"],
        "variable": "stack_web_paths",
        "description": "Paths that nginx passes on to the backend and that must answer.",
    },
    "address": ADDRESS,
    "timeout": TIMEOUT,
}


def judge(asked: Asked) -> list[Finding]:
    """Report for each path that nginx passes on whether it answers."""
    paths: list[PathFacts] = asked.read("web.paths")
    return [_passed_on(asked, entry) for entry in paths] or [ok("web.gateway")]


def _passed_on(asked: Asked, entry: PathFacts) -> Finding:
    check, subject = "web.gateway", entry["url"]
    seen: PageFacts = asked.read("web.page")
    if entry["problem"] and seen["problem"]:
        return unknown(check, f"the site itself does not answer: {seen['detail']}", blocked_by="web.no_answer", subject=subject)
    evidence = refusal(entry)
    if entry["problem"] == SILENT:
        # The page is served, so nginx works: the backend does not answer, and nginx waits for it longer than this check does.
        return fault("web.gateway_timeout", check, subject, evidence=evidence)
    code = "" if 200 <= entry["status"] < 300 and not entry["problem"] else code_of(entry, None) or "web.no_answer"
    if entry["status"] >= 500 and code == "web.no_answer":
        code = "web.bad_gateway"  # nginx passes on an error of the backend itself
    if not code and entry["digest"] == seen.get("digest"):
        code, evidence["problem"] = "web.not_found", "fallback"
    if code:
        return fault(code, check, subject, evidence=evidence)
    return ok(check, subject, evidence={"status": entry["status"], "ms": entry["ms"]})


CHECK = Check(
    "web.gateway",
    "Do the paths answer that nginx passes on to the backend?",
    judge,
    (
        PATHS,
        PAGE,
    ),
    PARAMETERS,
    runs_on="web",
)
