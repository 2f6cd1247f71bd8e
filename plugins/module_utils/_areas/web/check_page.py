# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web.page: is the page served, with every file that it loads? Sources: M1-8, M2-10."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .faults import fault
from .parameters import ADDRESS, BUILD_DIR, TIMEOUT, URL
from .read_build import BUILD, BuildFacts
from .read_page import PAGE, Asset, PageFacts
from .served import MOST_NAMED, build_evidence, code_of, refusal

PARAMETERS: dict[str, dict[str, Any]] = {
    "url": URL,
    "address": ADDRESS,
    "timeout": TIMEOUT,
    "root_id": {
        "type": "str",
        "default": "root",
        "description": "Id of the element that the page is built in; an empty text requires none.",
    },
    "build_dir": BUILD_DIR,
}


def judge(asked: Asked) -> list[Finding]:
    """Report whether the page is served, can show something, and has all the files that it loads."""
    check, subject = "web.page", asked.parameters["url"]
    seen: PageFacts = asked.read("web.page")
    build: BuildFacts = asked.read("web.build")
    code = code_of(seen, build)
    if code:
        return [fault(code, check, subject, evidence=refusal(seen, build))]
    blank = _blank(seen, asked.parameters["root_id"])
    if blank:
        evidence = {
            "url": subject,
            "status": seen["status"],
            "problem": blank,
            "size": seen["size"],
            "root_id": asked.parameters["root_id"],
            **build_evidence(build),
        }
        return [fault("web.blank", check, subject, evidence=evidence)]
    found = _broken_assets(seen, subject, build)
    if found:
        return found
    if seen["unasked"]:
        named = ", ".join(seen["unasked"][:MOST_NAMED])
        return [unknown(check, f"{len(seen['unasked'])} files of the page were not requested for lack of time: {named}", subject=subject)]
    evidence = {
        "status": seen["status"],
        "ms": seen["ms"],
        "files": len(seen["assets"]),
        "bytes": seen["size"] + sum(asset["size"] for asset in seen["assets"]),
    }
    return [ok(check, subject, evidence={**evidence, "elsewhere": seen["elsewhere"]})]


def _blank(seen: PageFacts, root_id: str) -> str:
    """Return why a browser shows a blank page, "" when it shows something."""
    if not seen["size"]:
        return "empty"
    if root_id and root_id not in seen["ids"]:
        return "no_root"
    return "" if seen["scripts"] else "no_script"


def _broken_assets(seen: PageFacts, subject: str, build: BuildFacts) -> list[Finding]:
    """Return a finding for the files that are missing, and one for those that are empty."""
    problems = {asset["path"]: _asset_problem(asset) for asset in seen["assets"]}
    found = []
    for code, kinds in (("web.asset_missing", ("absent", "fallback", "wrong_type", "no_answer")), ("web.asset_empty", ("empty",))):
        files = [{"path": path, "problem": problem} for path, problem in problems.items() if problem in kinds]
        if files:
            types = {asset["path"]: asset["content_type"] for asset in seen["assets"]}
            shown = [{**file, "content_type": types[file["path"]]} for file in files[:MOST_NAMED]]
            evidence = {
                "url": subject,
                "status": seen["status"],
                "files": shown,
                "more": max(0, len(files) - MOST_NAMED),
                **build_evidence(build),
            }
            found.append(fault(code, "web.page", subject, evidence=evidence, value=len(files), unit="files"))
    return found


def _asset_problem(asset: Asset) -> str:
    """Return why a browser cannot use a file of the page, "" when it can."""
    if asset["problem"]:
        return "no_answer"
    if asset["status"] != 200:
        return "absent"
    if asset["wrong_type"]:
        return "fallback" if "html" in asset["content_type"] else "wrong_type"
    return "" if asset["size"] else "empty"


CHECK = Check(
    "web.page",
    "Is the page served, with every file that it loads?",
    judge,
    (
        PAGE,
        BUILD,
    ),
    PARAMETERS,
    runs_on="web",
)
