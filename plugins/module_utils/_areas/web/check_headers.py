# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web.headers: does the page carry the headers that protect it? Sources: product facts."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .faults import fault
from .parameters import PAGE_AND_BUILD
from .read_build import BUILD
from .read_page import PAGE, PageFacts
from .served import code_of

PARAMETERS = PAGE_AND_BUILD


def judge(asked: Asked) -> list[Finding]:
    """Report missing headers that protect the page, and headers that show the version of the server."""
    check, subject = "web.headers", asked.parameters["url"]
    seen: PageFacts = asked.read("web.page")
    code = code_of(seen, asked.read("web.build"))
    if code:
        return [unknown(check, "the page is not served", blocked_by=code, subject=subject)]
    there = seen["headers"]
    missing = []
    if "x-frame-options" not in there and "frame-ancestors" not in there.get("content-security-policy", ""):
        missing.append("X-Frame-Options")
    if there.get("x-content-type-options", "").strip().lower() != "nosniff":
        missing.append("X-Content-Type-Options")
    tells = [name for name in ("server", "x-powered-by") if any(sign.isdigit() for sign in there.get(name, ""))]
    evidence = {"url": subject, "missing": missing, "tells": [there[name] for name in tells]}
    if missing or tells:
        return [fault("web.headers_missing", check, subject, evidence=evidence)]
    return [ok(check, subject, evidence={"server": there.get("server", "")})]


CHECK = Check(
    "web.headers",
    "Does the page carry the headers that protect it?",
    judge,
    (
        PAGE,
        BUILD,
    ),
    PARAMETERS,
    runs_on="web",
)
