# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web.secrets: are there secrets in the files that browsers receive? Sources: product facts."""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.http_client import MAX_BODY
from .faults import fault
from .parameters import PAGE_AND_BUILD
from .read_build import BUILD, BuildFacts
from .read_page import PAGE, PageFacts
from .served import MOST_NAMED, build_evidence, code_of

PARAMETERS = PAGE_AND_BUILD


def judge(asked: Asked) -> list[Finding]:
    """Report the secrets in what is served to browsers and in the folder of the build."""
    check, subject = "web.secrets", asked.parameters["url"]
    seen: PageFacts = asked.read("web.page")
    build: BuildFacts = asked.read("web.build")
    found = {(one["file"].lstrip("/"), one["kind"]) for one in (*build["secrets"], *seen["secrets"])}
    if found:
        files = [{"file": file, "kind": kind} for file, kind in sorted(found)]
        evidence = {"url": subject, "files": files[:MOST_NAMED], "more": max(0, len(files) - MOST_NAMED), **build_evidence(build)}
        return [fault("web.secret_in_build", check, subject, evidence=evidence, value=len(files), unit="secrets")]
    if not build["files"] and code_of(seen, build):
        return [unknown(check, "nothing could be searched: the page is not served", blocked_by=code_of(seen, build), subject=subject)]
    evidence = {"files": build["files"] or 1 + len(seen["assets"])}
    unseen, failed = _not_searched(seen)
    if unseen and not build["files"]:
        cause = "web.asset_missing" if failed else ""
        return [unknown(check, f"not searched: {_few(unseen)}; give build_dir on the web host", blocked_by=cause, subject=subject)]
    not_asked = []
    if build["unread"]:
        not_asked.append(f"{build['unread']} files of {build['path']}: too many, too large, or not readable by this user")
    if unseen:
        not_asked.append(f"what is served, beside the files of {build['path']}: {_few(unseen)}")
    return [ok(check, subject, evidence={**evidence, **({"not_asked": not_asked} if not_asked else {})})]


def _not_searched(seen: PageFacts) -> tuple[list[str], bool]:
    """Return the served files that were not searched, each with the reason, and whether one of them was not answered."""
    failed = [asset for asset in seen["assets"] if asset["problem"] or asset["status"] >= 500]
    named = [f"{path} (no time)" for path in seen["unasked"]]
    named += [f"{asset['path']} ({asset['problem'] or asset['status']})" for asset in failed]
    cut = [asset["path"] for asset in seen["assets"] if not asset["whole"]] + ([] if seen["whole"] else ["index.html"])
    return [*named, *(f"{path} (longer than {MAX_BODY // 1024 // 1024} MB)" for path in cut)], bool(failed)


def _few(names: Sequence[str]) -> str:
    """Return the first names as a list, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


CHECK = Check(
    "web.secrets",
    "Does the page keep secrets out?",
    judge,
    (
        PAGE,
        BUILD,
    ),
    PARAMETERS,
    runs_on="web",
)
