# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DNS records that an identity of SES needs. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .facts import Answer

_DKIM_ZONE = "dkim.amazonses.com"


def wanted_records(name: str, answer: Answer) -> list[tuple[str, str]]:
    """Return name and type of the records of an identity: SPF, DMARC, three DKIM names, MX and SPF of MAIL FROM. None for an address."""
    domain = answer.get("through") or name
    if answer["state"] != "ok" or "@" in domain:
        return []
    records = [(domain, "TXT"), (f"_dmarc.{domain}", "TXT")]
    records += [(f"{token}._domainkey.{domain}", "CNAME") for token in tokens(answer["data"])]
    mail_from = (answer["data"].get("MailFromAttributes") or {}).get("MailFromDomain")
    return [*records, (mail_from, "MX"), (mail_from, "TXT")] if mail_from else records


def tokens(identity: Mapping[str, Any]) -> list[str]:
    """Return the names of Easy DKIM, none for a domain that has its own key (BYODKIM). identity: SES's GetEmailIdentity."""
    dkim = identity.get("DkimAttributes") or {}
    return list(dkim.get("Tokens") or []) if dkim.get("SigningAttributesOrigin", "AWS_SES") != "EXTERNAL" else []


def dkim_zone(identity: Mapping[str, Any]) -> str:
    """Return the zone that the DKIM names point into; some regions have their own."""
    return (identity.get("DkimAttributes") or {}).get("SigningHostedZone") or _DKIM_ZONE
