# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.identities: whether SES has verified the identities, and whether DNS has their records (manual 1 section 7, product facts, sending)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.dns import DnsAnswer
from . import spf
from .answers import MOST, answer_to, data_of, filled, unanswered
from .aws_actions import NO_IDENTITY
from .facts import Facts
from .faults import fault
from .identity_records import dkim_zone, tokens
from .parameters import READING_PARAMETERS
from .read import FACTS

PARAMETERS = READING_PARAMETERS
_NO_ANSWER = ("failed", "late")


def judge(asked: Asked) -> list[Finding]:
    """Return the findings of each identity, and once those of a domain that covers several of them."""
    check = "ses.identities"
    facts: Facts = asked.read(FACTS.name)
    names = facts["names"]
    if not names:
        if data_of(facts, "identity_list") is None:
            return [unanswered(check, facts, "identity_list", facts["region"])]
        evidence = {"reason": "none", "region": facts["region"]}
        return [fault("ses.identity_unverified", check, facts["region"], evidence=evidence)]
    found = [finding for name in sorted(names) for finding in _identity(check, facts, name)]
    covering = {answer_to(facts, f"identity {name}").get("through") or "" for name in names} - {"", *names}
    found += [finding for domain in sorted(covering) for finding in _covering(check, facts, domain)]
    if facts["names_left"]:
        note = f"{facts['names_left']} more identities: only {len(names)} of those that SES lists were checked; set identities to those that matter"
        found[0] = replace(found[0], evidence={**found[0].evidence, "not_asked": [note]})
    return found


def _identity(check: str, facts: Facts, name: str) -> list[Finding]:
    answer = answer_to(facts, f"identity {name}")
    shared = filled({"region": facts["region"], "identity": name, "through": answer.get("through")})
    if answer["state"] != "ok":
        if answer.get("code") in NO_IDENTITY:
            return [fault("ses.identity_unverified", check, name, evidence={**shared, "reason": "missing"})]
        reason = unanswered(check, facts, f"identity {name}", name)
        return [replace(reason, evidence={**reason.evidence, **shared})]
    data = answer["data"]
    found = []
    if not data.get("VerifiedForSendingStatus"):
        evidence = {**shared, "reason": "unverified", "status": str(data.get("VerificationStatus") or "")}
        found.append(fault("ses.identity_unverified", check, name, evidence=filled(evidence)))
    if not answer.get("through"):
        found += _in_dns(check, facts, name, data)
    return found or [ok(check, name, evidence=filled({**shared, "dmarc": dmarc_of(facts, answer.get("through") or name)}))]


def _covering(check: str, facts: Facts, domain: str) -> list[Finding]:
    """Return the DNS findings of a domain that is not in the list of identities itself, but covers names that are."""
    answers = [answer for answer in facts["answers"].values() if answer.get("through") == domain and answer["state"] == "ok"]
    return _in_dns(check, facts, domain, answers[0]["data"]) if answers else []


def _in_dns(check: str, facts: Facts, name: str, data: Mapping[str, Any]) -> list[Finding]:
    shared = {"region": facts["region"], "identity": name}
    if "@" in name:
        return []
    return [*_spf(check, facts, name, shared), *_dkim(check, facts, name, data, shared), *_mail_from(check, facts, name, data, shared)]


def _records(facts: Facts, name: str, kind: str) -> DnsAnswer:
    return facts["dns"].get(f"{name} {kind}") or {"state": "late", "values": [], "said": "not asked"}


def _no_answer(check: str, name: str, kind: str, answer: DnsAnswer) -> Finding:
    what = "did not answer in time" if answer["state"] == "late" else f"failed ({answer['said']})"
    return unknown(check, f"DNS {what} for {kind} of {name}; check the resolver", subject=name)


def dmarc_of(facts: Facts, name: str) -> str:
    """Return the policy of DMARC: none, quarantine, reject, unknown, or a recommendation where the record is missing; never a fault."""
    answer = _records(facts, f"_dmarc.{name}", "TXT")
    record = next((value for value in answer["values"] if value.lower().startswith("v=dmarc1")), "")
    if answer["state"] in _NO_ANSWER:
        return "unknown"
    if not record:
        return f"missing; advice: TXT _dmarc.{name} v=DMARC1; p=none"
    tags = dict(part.strip().partition("=")[::2] for part in record.split(";"))
    return tags.get("p", "none").strip()


def _spf(check: str, facts: Facts, name: str, shared: Mapping[str, Any]) -> list[Finding]:
    answer = _records(facts, name, "TXT")
    if answer["state"] in _NO_ANSWER:
        return [_no_answer(check, name, "TXT", answer)]
    problem = spf.problem(answer["values"], facts["dns"])
    if not problem:
        return []
    if problem == "unknown":
        others = ", ".join(spf.others_in(answer["values"])[:MOST])
        return [
            unknown(
                check,
                f"SPF of {name} includes other records ({others}), and DNS did not return all of them; check the resolver",
                subject=name,
            )
        ]
    has = spf.records_of(answer["values"])
    evidence = {**shared, "reason": problem, "record": f"TXT {name}", "wanted": "v=spf1 include:amazonses.com ~all", "has": has[:MOST]}
    return [fault("ses.spf", check, name, evidence=filled({**evidence, "dmarc": dmarc_of(facts, name)}))]


def _dkim(check: str, facts: Facts, name: str, data: Mapping[str, Any], shared: Mapping[str, Any]) -> list[Finding]:
    zone = dkim_zone(data)
    missing, has = [], []
    for token in tokens(data):
        record, wanted = f"{token}._domainkey.{name}", f"{token}.{zone}"
        answer = _records(facts, record, "CNAME")
        if answer["state"] in _NO_ANSWER:
            return [_no_answer(check, name, f"CNAME ({record})", answer)]
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
    evidence = filled({**shared, "reason": reason, "status": status, "missing": missing, "has": has[:MOST]})
    value, unit = (len(missing), "records") if missing else (None, "")
    return [fault("ses.dkim", check, name, evidence=evidence, value=value, unit=unit)]


def _mail_from(check: str, facts: Facts, name: str, data: Mapping[str, Any], shared: Mapping[str, Any]) -> list[Finding]:
    settings = data.get("MailFromAttributes") or {}
    domain = settings.get("MailFromDomain")
    if not domain:
        return []
    exchange, texts = _records(facts, domain, "MX"), _records(facts, domain, "TXT")
    for kind, answer in (("MX", exchange), ("TXT", texts)):
        if answer["state"] in _NO_ANSWER:
            return [_no_answer(check, name, f"{kind} ({domain})", answer)]
    host = f"feedback-smtp.{facts['region']}.amazonses.com"
    missing = []
    if host not in [value.split()[-1].rstrip(".").lower() for value in exchange["values"]]:
        missing.append(f"MX {domain} 10 {host}")
    if spf.problem(texts["values"], facts["dns"]) not in ("", "unknown"):
        missing.append(f"TXT {domain} v=spf1 include:amazonses.com ~all")
    status = str(settings.get("MailFromDomainStatus") or "")
    if not missing and status in ("", "SUCCESS"):
        return []
    has = [*exchange["values"], *texts["values"]][:MOST]
    behaviour = str(settings.get("BehaviorOnMxFailure") or "")
    evidence = {**shared, "domain": domain, "status": status, "missing": missing, "has": has, "on_failure": behaviour}
    return [fault("ses.mail_from", check, name, evidence=filled(evidence))]


CHECK = Check(
    "ses.identities",
    "Are the identities verified, and does DNS have their records?",
    judge,
    (FACTS,),
    PARAMETERS,
    driver="boto3",
)
