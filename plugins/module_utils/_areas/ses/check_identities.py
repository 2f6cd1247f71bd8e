# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about the identities that mails are sent from: SES's own word, and what DNS says. Pure functions.

Rules: manual 1 section 7 and the product facts (sending).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from . import spf as _ses_spf
from .answers import FACTS, MOST, answers_of, cannot, data_of, filled
from .aws_actions import NO_IDENTITY
from .faults import fault
from .identity_records import dkim_zone, tokens


def identities(asked: Asked) -> list[Finding]:
    """Say for each identity whether SES may send from it, and whether DNS says what it must."""
    check = "ses.identities"
    facts = asked.read(FACTS)
    names = facts["names"]
    if not names:
        listed = data_of(facts, "identity_list")
        if listed is None:
            return [cannot(check, facts, "identity_list", facts["region"])]
        evidence = {"reason": "none", "region": facts["region"]}
        return [fault("ses.identity_unverified", check, facts["region"], evidence=evidence)]
    found = [finding for name in sorted(names) for finding in _identity(check, facts, name)]
    covering = {answers_of(facts, f"identity {name}").get("through") for name in names} - {"", None, *names}
    found += [finding for domain in sorted(covering) for finding in _covering(check, facts, domain)]
    if facts["names_left"]:
        note = f"{facts['names_left']} more identities: only {len(names)} of those that SES lists were asked about; name those that matter"
        found[0] = replace(found[0], evidence={**found[0].evidence, "not_asked": [note]})
    return found


def _identity(check: str, facts: Mapping[str, Any], name: str) -> list[Finding]:
    answer = answers_of(facts, f"identity {name}")
    shared = filled({"region": facts["region"], "identity": name, "through": answer.get("through")})
    if answer["state"] != "ok":
        if answer.get("code") in NO_IDENTITY:
            return [fault("ses.identity_unverified", check, name, evidence={**shared, "reason": "missing"})]
        reason = cannot(check, facts, f"identity {name}", name)
        return [replace(reason, evidence={**reason.evidence, **shared})]
    data = answer["data"]
    found = []
    if not data.get("VerifiedForSendingStatus"):
        evidence = {**shared, "reason": "unverified", "status": str(data.get("VerificationStatus") or "")}
        found.append(fault("ses.identity_unverified", check, name, evidence=filled(evidence)))
    if not answer.get("through"):
        found += _in_dns(check, facts, name, data)
    return found or [ok(check, name, evidence=filled({**shared, "dmarc": dmarc_of(facts, answer.get("through") or name)}))]


def _covering(check: str, facts: Mapping[str, Any], domain: str) -> list[Finding]:
    """Say once what DNS lacks of a domain that was not asked about itself, but covers names that were."""
    told = [answer for answer in facts["answers"].values() if answer.get("through") == domain and answer["state"] == "ok"]
    return _in_dns(check, facts, domain, told[0]["data"]) if told else []


def _in_dns(check: str, facts: Mapping[str, Any], name: str, data: Mapping[str, Any]) -> list[Finding]:
    shared = {"region": facts["region"], "identity": name}
    if "@" in name:
        return []
    return [*_spf(check, facts, name, shared), *_dkim(check, facts, name, data, shared), *_mail_from(check, facts, name, data, shared)]


def _records(facts: Mapping[str, Any], name: str, kind: str) -> Mapping[str, Any]:
    return facts["dns"].get(f"{name} {kind}") or {"state": "late", "values": [], "said": "not asked"}


def _unasked(check: str, name: str, kind: str, answer: Mapping[str, Any]) -> Finding:
    what = "did not answer in time" if answer["state"] == "late" else f"failed ({answer['said']})"
    return unknown(check, f"DNS {what} for {kind} of {name}; look at the resolver", subject=name)


def dmarc_of(facts: Mapping[str, Any], name: str) -> str:
    """Return the policy of DMARC (none, quarantine, reject), or what to do about it: advice, no fault."""
    answer = _records(facts, f"_dmarc.{name}", "TXT")
    record = next((value for value in answer["values"] if value.lower().startswith("v=dmarc1")), "")
    if answer["state"] in ("failed", "late"):
        return "unknown"
    if not record:
        return f"missing; advice: TXT _dmarc.{name} v=DMARC1; p=none"
    tags = dict(part.strip().partition("=")[::2] for part in record.split(";"))
    return tags.get("p", "none").strip()


def _spf(check: str, facts: Mapping[str, Any], name: str, shared: Mapping[str, Any]) -> list[Finding]:
    answer = _records(facts, name, "TXT")
    if answer["state"] in ("failed", "late"):
        return [_unasked(check, name, "TXT", answer)]
    problem = _ses_spf.problem(answer["values"], facts["dns"])
    if not problem:
        return []
    if problem == "unknown":
        others = ", ".join(_ses_spf.others_in(answer["values"])[:MOST])
        return [
            unknown(check, f"SPF of {name} takes in others ({others}), and DNS did not tell them all; look at the resolver", subject=name)
        ]
    has = _ses_spf.records_of(answer["values"])
    evidence = {**shared, "reason": problem, "record": f"TXT {name}", "wanted": "v=spf1 include:amazonses.com ~all", "has": has[:MOST]}
    return [fault("ses.spf", check, name, evidence=filled({**evidence, "dmarc": dmarc_of(facts, name)}))]


def _dkim(check: str, facts: Mapping[str, Any], name: str, data: Mapping[str, Any], shared: Mapping[str, Any]) -> list[Finding]:

    zone = dkim_zone(data)
    missing, has = [], []
    for token in tokens(data):
        record, wanted = f"{token}._domainkey.{name}", f"{token}.{zone}"
        answer = _records(facts, record, "CNAME")
        if answer["state"] in ("failed", "late"):
            return [_unasked(check, name, f"CNAME ({record})", answer)]
        if [value.lower() for value in answer["values"]] != [wanted.lower()]:
            missing.append(f"CNAME {record} {wanted}")
            has += answer["values"]
    dkim = data.get("DkimAttributes") or {}
    status = str(dkim.get("Status") or "")
    if missing:
        reason = "records"
    elif status not in ("", "SUCCESS"):
        reason = "status"
    elif dkim and not dkim.get("SigningEnabled", True):
        reason = "switched_off"
    else:
        return []
    evidence = {**shared, "reason": reason, "status": status, "missing": missing, "has": has[:MOST]}
    return [
        fault(
            "ses.dkim", check, name, evidence=filled(evidence), value=len(missing) if missing else None, unit="records" if missing else ""
        )
    ]


def _mail_from(check: str, facts: Mapping[str, Any], name: str, data: Mapping[str, Any], shared: Mapping[str, Any]) -> list[Finding]:
    settings = data.get("MailFromAttributes") or {}
    domain = settings.get("MailFromDomain")
    if not domain:
        return []
    exchange, texts = _records(facts, domain, "MX"), _records(facts, domain, "TXT")
    for kind, answer in (("MX", exchange), ("TXT", texts)):
        if answer["state"] in ("failed", "late"):
            return [_unasked(check, name, f"{kind} ({domain})", answer)]
    host = f"feedback-smtp.{facts['region']}.amazonses.com"
    missing = []
    if host not in [value.split()[-1].rstrip(".").lower() for value in exchange["values"]]:
        missing.append(f"MX {domain} 10 {host}")
    if _ses_spf.problem(texts["values"], facts["dns"]) not in ("", "unknown"):
        missing.append(f"TXT {domain} v=spf1 include:amazonses.com ~all")
    status = str(settings.get("MailFromDomainStatus") or "")
    if not missing and status in ("", "SUCCESS"):
        return []
    has = [*exchange["values"], *texts["values"]][:MOST]
    behaviour = str(settings.get("BehaviorOnMxFailure") or "")
    evidence = {**shared, "domain": domain, "status": status, "missing": missing, "has": has, "on_failure": behaviour}
    return [fault("ses.mail_from", check, name, evidence=filled(evidence))]
