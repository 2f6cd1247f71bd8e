"""Users, keys and policies, kept in moto's IAM; signatures and permissions are judged with moto's evaluation of policies."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.models import AccessKeyLastUsed, iam_backends

SENDER, MONITOR = "tank-sender", "tank-monitor"
SENDING = ["ses:SendEmail", "ses:SendRawEmail"]
READING = [
    "ses:GetAccount",
    "ses:GetSendQuota",
    "ses:GetSendStatistics",
    "ses:ListEmailIdentities",
    "ses:GetEmailIdentity",
    "cloudwatch:GetMetricData",
    "iam:ListAccessKeys",
    "iam:GetAccessKeyLastUsed",
    "iam:SimulatePrincipalPolicy",
]
_SKEW_S = 300
_SCOPE = re.compile(r"Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)")


class Refused(Exception):
    """A signature or permission is not good; the code as query services, and as JSON services call it."""

    def __init__(self, code: str, message: str, json_code: str = "", status: int = 403):
        super().__init__(message)
        self.code, self.message, self.json_code, self.status = code, message, json_code or code, status


def backend() -> Any:
    return iam_backends[DEFAULT_ACCOUNT_ID]["aws"]


class People:
    """The two users. keys: {user: [id, secret]}, kept over restarts of the server."""

    def __init__(self, keys: dict[str, list[str]]):
        self.keys = keys
        self.restore()

    def restore(self) -> None:
        """Both users as delivered, each with its own key, three weeks old."""
        iam = backend()
        for name, actions in ((SENDER, SENDING), (MONITOR, READING)):
            if name not in iam.users:
                iam.create_user("us-east-1", name)
            self._make_key(name)
            for policy in list(iam.users[name].policies):
                iam.delete_user_policy(name, policy)
            self.allow(name, actions)

    def _make_key(self, name: str) -> None:
        user = backend().users[name]
        user.access_keys.clear()
        key = user.create_access_key(prefix="AKIA")
        if name in self.keys:
            key.access_key_id, key.secret_access_key = self.keys[name]
        self.keys[name] = [key.access_key_id, key.secret_access_key]
        key.create_date = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=21)

    def allow(self, name: str, actions: list[str], effect: str = "Allow", policy: str = "tank", resource: str | list[str] = "*") -> None:
        document = {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": actions, "Resource": resource}]}
        backend().put_user_policy(name, policy, json.dumps(document))

    def key_of(self, name: str) -> Any:
        keys = backend().users[name].access_keys
        return keys[0] if keys else None

    def change_key(self, name: str, *, status: str = "", days_old: float = 0, delete: bool = False) -> None:
        key = self.key_of(name)
        if delete:
            backend().users[name].access_keys.clear()
        if status and key:
            key.status = status
        if days_old and key:
            key.create_date = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days_old)

    def decision(self, user: str, action: str, resource: str = "*") -> str:
        """allowed, explicitDeny or implicitDeny."""
        results = {IAMPolicy(document).is_action_permitted(action, resource) for document in backend().users[user].policies.values()}
        if PermissionResult.DENIED in results:
            return "explicitDeny"
        return "allowed" if PermissionResult.PERMITTED in results else "implicitDeny"

    # Requests

    def authenticate(self, request: Any, now: datetime) -> tuple[str, str, str]:
        """Return user, service and region of a signed request. Raises Refused as AWS does."""
        scope = _SCOPE.search(request.headers.get("Authorization", ""))
        if not scope:
            raise Refused("MissingAuthenticationToken", "Request is missing Authentication Token", "MissingAuthenticationTokenException")
        key_id, _date, region, service, signed, signature = scope.groups()
        if "X-Amz-Security-Token" in request.headers:
            raise Refused("ExpiredToken", "The security token included in the request is expired", "ExpiredTokenException")
        owner = self._owner(key_id)
        if owner is None:
            said = "The security token included in the request is invalid."
            raise Refused("InvalidClientTokenId", said, "UnrecognizedClientException")
        user, key = owner
        self._must_be_now(request, now)
        if self._signature(request, key.access_key_id, key.secret_access_key, service, region, signed) != signature:
            said = (
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
            )
            raise Refused("SignatureDoesNotMatch", said, "InvalidSignatureException")
        key.last_used = AccessKeyLastUsed(datetime.now(UTC).replace(tzinfo=None), service, region)
        return user, service, region

    @staticmethod
    def _owner(key_id: str) -> tuple[str, Any] | None:
        for user in backend().users.values():
            for key in user.access_keys:
                if key.access_key_id == key_id and key.status == "Active":
                    return user.name, key
        return None

    @staticmethod
    def _must_be_now(request: Any, now: datetime) -> None:
        stamp = request.headers.get("X-Amz-Date", "")
        made = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs((now - made).total_seconds()) > _SKEW_S:
            word, sign = ("expired", "<") if made < now else ("not yet current", ">")
            said = f"Signature {word}: {stamp} is now {'earlier' if made < now else 'later'} than {now:%Y%m%dT%H%M%SZ} ({sign} 5 min.)"
            raise Refused("SignatureDoesNotMatch", said, "InvalidSignatureException")

    @staticmethod
    def _signature(request: Any, key_id: str, secret: str, service: str, region: str, signed: str) -> str:
        names = signed.split(";")
        headers = {name: value for name, value in request.headers.items() if name.lower() in names}
        # The server sees the path decoded; what was signed had it encoded.
        url = f"{request.scheme}://{request.host}{quote(request.path, safe='/-_.~')}"
        params = parse_qsl(request.query_string.decode(), keep_blank_values=True)
        auth = SigV4Auth(Credentials(key_id, secret), service, region)
        made = AWSRequest(method=request.method, url=url, params=params, data=request.get_data(), headers=headers)
        made.context["timestamp"] = request.headers["X-Amz-Date"]
        return auth.signature(auth.string_to_sign(made, auth.canonical_request(made)), made)

    def must_be_allowed(self, user: str, action: str, resource: str = "*") -> None:
        if action == "sts:GetCallerIdentity" or self.decision(user, action, resource) == "allowed":
            return
        arn = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:user/{user}"
        where = "" if resource == "*" else f" on resource: {resource}"
        said = f"User: {arn} is not authorized to perform: {action}{where} because no identity-based policy allows the {action} action"
        raise Refused("AccessDenied", said, "AccessDeniedException")
