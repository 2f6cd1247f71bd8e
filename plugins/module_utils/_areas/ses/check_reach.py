# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.reach. Pure functions of one reading (product facts, sending)."""

from __future__ import annotations

from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .answers import FACTS, filled, of_ses, ses_is_silent
from .faults import fault


def reach(asked: Asked) -> list[Finding]:
    """Say whether the API and SMTP of SES can be reached from here."""
    check = "ses.reach"
    facts = asked.read(FACTS)
    silent = ses_is_silent(facts)
    found = []
    for role, port in sorted(facts["ports"].items()):
        api, place = role == "api", port["place"]
        # Through a proxy there is no direct way, and none is needed.
        if (port["state"] == "open" and not (api and silent)) or (api and not silent):
            found.append(ok(check, place, evidence={"waited": port["waited"], "region": facts["region"]}))
            continue
        reason = "no_answer" if port["state"] == "open" else port["state"]
        failed = next((answer for answer in of_ses(facts).values() if answer["state"] == "unreachable"), {})
        evidence = filled(
            {
                "reason": reason,
                "place": place,
                "host": place.rpartition(":")[0],
                "port": place.rpartition(":")[2],
                "waited": port["waited"],
                "said": port["said"] or (failed.get("said") if api else ""),
                "region": facts["region"],
                "api": api,
            }
        )
        found.append(fault("ses.unreachable", check, place, evidence=evidence))
    return found or [unknown(check, "no place to reach is known; give region")]
