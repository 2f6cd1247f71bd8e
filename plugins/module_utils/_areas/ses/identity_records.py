# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records in DNS that an identity needs. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DKIM_ZONE = "dkim.amazonses.com"


def wanted_records(name: str, answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the questions to DNS that an identity brings: SPF, DMARC, three DKIM names, the MX and SPF of MAIL FROM."""
    domain = answer.get("through") or name
    if answer["state"] != "ok" or "@" in domain:
        return []
    asked = [(domain, "TXT"), (f"_dmarc.{domain}", "TXT")]
    asked += [(f"{token}._domainkey.{domain}", "CNAME") for token in tokens(answer["data"])]
    mail_from = (answer["data"].get("MailFromAttributes") or {}).get("MailFromDomain")
    return [*asked, (mail_from, "MX"), (mail_from, "TXT")] if mail_from else asked


def tokens(identity: Mapping[str, Any]) -> list[str]:
    """Return the names of Easy DKIM, none for a domain that brings its own key."""
    dkim = identity.get("DkimAttributes") or {}
    return list(dkim.get("Tokens") or []) if dkim.get("SigningAttributesOrigin", "AWS_SES") != "EXTERNAL" else []


def dkim_zone(identity: Mapping[str, Any]) -> str:
    """Return the zone that the DKIM names point into; some regions have one of their own."""
    return (identity.get("DkimAttributes") or {}).get("SigningHostedZone") or _DKIM_ZONE
