"""The wire formats of SES: version 1 (query in, XML out) and version 2 (REST with JSON), and the simulation of policies that moto lacks."""

from __future__ import annotations

import email
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import getaddresses
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from .account import Account, SesError

_NAMESPACE = "http://ses.amazonaws.com/doc/2010-12-01/"
_IAM_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
REQUEST_ID = "8e9f7a0e-0000-4000-8000-000000000000"


# Version 1


def answer_v1(account: Account, form: Mapping[str, str], region: str, now: float) -> str:
    """XML that answers a call. Raises SesError."""
    action = form["Action"]
    if action == "GetSendQuota":
        values = {"Max24HourSend": account.limit, "MaxSendRate": account.rate, "SentLast24Hours": account.used(now)}
        return result_xml(action, "".join(f"<{name}>{value}</{name}>" for name, value in values.items()))
    if action == "GetSendStatistics":
        return result_xml(action, f"<SendDataPoints>{''.join(_point(point) for point in account.statistics(now))}</SendDataPoints>")
    if action == "SendRawEmail":
        raw = _decoded(form["RawMessage.Data"])
        return result_xml(action, f"<MessageId>{_send_raw(account, raw, form.get('Source', ''), _members(form), region)}</MessageId>")
    if action == "SendEmail":
        recipients = [value for name, value in form.items() if name.startswith("Destination.")]
        return result_xml(
            action, f"<MessageId>{account.send(_bare(form['Source']), [_bare(one) for one in recipients], region)}</MessageId>"
        )
    raise SesError("InvalidAction", f"Could not find operation {action} for version 2010-12-01")


def sender_v1(form: Mapping[str, str]) -> str:
    """The address that a mail is sent from."""
    if form.get("Source"):
        return _bare(form["Source"])
    return _sender_of(_decoded(form.get("RawMessage.Data", "")))


def _sender_of(raw: bytes) -> str:
    return _bare(str(email.message_from_bytes(raw).get("From", "")))


def _members(form: Mapping[str, str]) -> list[str]:
    return [value for name, value in form.items() if name.startswith("Destinations.member.")]


def _decoded(data: str) -> bytes:
    import base64

    return base64.b64decode(data)


def _send_raw(account: Account, raw: bytes, source: str, recipients: list[str], region: str) -> str:
    message = email.message_from_bytes(raw)
    sender = _bare(source or str(message.get("From", "")))
    found = recipients or [address or "" for _name, address in getaddresses([str(message.get("To", ""))])]
    return account.send(sender, [_bare(one) for one in found] or [""], region)


def _bare(address: str) -> str:
    return address.rpartition("<")[2].rstrip(">").strip() if "<" in address else address.strip()


def _point(point: Mapping[str, Any]) -> str:
    stamp = datetime.fromtimestamp(point["Timestamp"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    counts = "".join(f"<{name}>{point[name]}</{name}>" for name in ("DeliveryAttempts", "Bounces", "Complaints", "Rejects"))
    return f"<member><Timestamp>{stamp}</Timestamp>{counts}</member>"


def result_xml(action: str, inner: str, namespace: str = _NAMESPACE) -> str:
    meta = f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
    return f'<{action}Response xmlns="{namespace}"><{action}Result>{inner}</{action}Result>{meta}</{action}Response>'


def error_xml(code: str, message: str, namespace: str = _NAMESPACE) -> str:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return f'<ErrorResponse xmlns="{namespace}">{error}<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>'


_STRICTEST = ("explicitDeny", "implicitDeny", "allowed")


def simulation_xml(decisions: Mapping[str, Mapping[str, str]]) -> str:
    """The answer of iam:SimulatePrincipalPolicy: by action and resource. One member for an action, with the strictest decision; those on
    single resources are below it, unless all of them (*) were asked about."""
    members = "".join(_evaluation(action, by_resource) for action, by_resource in decisions.items())
    inner = f"<IsTruncated>false</IsTruncated><EvaluationResults>{members}</EvaluationResults>"
    return result_xml("SimulatePrincipalPolicy", inner, _IAM_NAMESPACE)


def _evaluation(action: str, by_resource: Mapping[str, str]) -> str:
    strictest = min(by_resource.values(), key=_STRICTEST.index)
    single = "".join(
        f"<member><EvalResourceName>{resource}</EvalResourceName><EvalResourceDecision>{decision}</EvalResourceDecision>"
        "<MatchedStatements/><MissingContextValues/></member>"
        for resource, decision in by_resource.items()
        if resource != "*"
    )
    specific = f"<ResourceSpecificResults>{single}</ResourceSpecificResults>" if single else ""
    return (
        f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{next(iter(by_resource))}</EvalResourceName>"
        f"<EvalDecision>{strictest}</EvalDecision><MatchedStatements/><MissingContextValues/>{specific}</member>"
    )


# Version 2

_V2 = {
    ("GET", "account"): "GetAccount",
    ("POST", "list-identities"): "ListEmailIdentities",
    ("GET", "identities"): "ListEmailIdentities",  # as older SDKs ask
    ("POST", "outbound-emails"): "SendEmail",
}


def action_v2(method: str, path: str) -> str:
    """Name of the call, "" for one that is not answered here."""
    parts = path.removeprefix("/v2/email/").strip("/").split("/")
    if method == "GET" and parts[0] == "identities" and len(parts) > 1:
        return "GetEmailIdentity"
    return _V2.get((method, parts[0]), "")


def answer_v2(account: Account, action: str, path: str, body: bytes, region: str, now: float) -> dict[str, Any]:
    """JSON that answers a call. Raises SesError."""
    if action == "GetAccount":
        quota = {"Max24HourSend": account.limit, "MaxSendRate": account.rate, "SentLast24Hours": account.used(now)}
        return {
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": account.enforcement,
            "ProductionAccessEnabled": account.production,
            "SendQuota": quota,
            "SendingEnabled": account.sending,
        }
    if action == "ListEmailIdentities":
        return {
            "EmailIdentities": [
                {"IdentityName": one.name, "IdentityType": "DOMAIN", "SendingEnabled": one.verified} for one in account.identities.values()
            ]
        }
    if action == "GetEmailIdentity":
        return _identity(account, unquote(path.rstrip("/").rpartition("/")[2]))
    wanted = json.loads(body)
    content = wanted["Content"]
    if "Raw" in content:
        to = [address for addresses in (wanted.get("Destination") or {}).values() for address in addresses]
        return {"MessageId": _send_raw(account, _decoded(content["Raw"]["Data"]), wanted.get("FromEmailAddress", ""), to, region)}
    to = [address for addresses in wanted["Destination"].values() for address in addresses]
    return {"MessageId": account.send(_bare(wanted["FromEmailAddress"]), to, region)}


def sender_v2(body: bytes) -> str:
    """The address that a mail is sent from."""
    wanted = json.loads(body)
    if wanted.get("FromEmailAddress"):
        return _bare(wanted["FromEmailAddress"])
    return _sender_of(_decoded(wanted["Content"].get("Raw", {}).get("Data", "")))


def _identity(account: Account, name: str) -> dict[str, Any]:
    one = account.identities.get(name)
    if one is None:
        raise SesError("NotFoundException", f"Email identity {name} does not exist.", status=404)
    return {
        "IdentityType": "EMAIL_ADDRESS" if "@" in name else "DOMAIN",
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": one.verified,
        "VerificationStatus": "SUCCESS" if one.verified else "PENDING",
        "DkimAttributes": {
            "SigningEnabled": one.signing,
            "Status": one.dkim_status,
            "Tokens": one.tokens,
            "SigningAttributesOrigin": "AWS_SES",
            "CurrentSigningKeyLength": "RSA_2048_BIT",
        },
        "MailFromAttributes": {
            "MailFromDomain": one.mail_from,
            "MailFromDomainStatus": one.mail_from_status,
            "BehaviorOnMxFailure": one.on_mx_failure,
        },
        "Policies": {},
        "Tags": [],
    }
