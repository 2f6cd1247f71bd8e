# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.reach: whether the host can reach the API and the SMTP interface of SES (product facts, sending)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .answers import filled, of_ses, ses_is_silent
from .facts import Facts
from .faults import fault
from .parameters import READING_PARAMETERS
from .read import FACTS

PARAMETERS = READING_PARAMETERS


def judge(asked: Asked) -> list[Finding]:
    """Return one finding for each endpoint, API and SMTP."""
    check = "ses.reach"
    facts: Facts = asked.read(FACTS.name)
    silent = ses_is_silent(facts)
    found = []
    for role, port in sorted(facts["ports"].items()):
        api, place = role == "api", port["place"]
        # Behind a proxy the port of the API is closed, and SES answers all the same.
        if (port["state"] == "open" and not (api and silent)) or (api and not silent):
            found.append(ok(check, place, evidence={"waited": port["waited"], "region": facts["region"]}))
            continue
        reason = "no_answer" if port["state"] == "open" else port["state"]
        failed = next((answer.get("said") for answer in of_ses(facts).values() if answer["state"] == "unreachable"), None)
        evidence = filled(
            {
                "reason": reason,
                "place": place,
                "host": place.rpartition(":")[0],
                "port": place.rpartition(":")[2],
                "waited": port["waited"],
                "said": port["said"] or (failed if api else ""),
                "region": facts["region"],
                "api": api,
            }
        )
        found.append(fault("ses.unreachable", check, place, evidence=evidence))
    return found or [unknown(check, "no endpoint is known; set region")]


CHECK = Check("ses.reach", "Can the API and SMTP of SES be reached?", judge, (FACTS,), PARAMETERS, driver="boto3")
