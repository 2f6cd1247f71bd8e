"""The one door of the stand-in for AWS: signatures, permissions and conditions first, then SES of our own or moto."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from fnmatch import fnmatchcase
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.datastructures import MultiDict
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from . import ses_api
from .account import Account, SesError
from .people import SENDING, People, Refused

HANG_S = 60
_OPERATION_HEADER = "Smithy-Protocol"
_TARGET_HEADER = "X-Amz-Target"


class Front:
    """A WSGI application. conditions: what is set against it, by kind (see README); their actions may have `*`, as in policies."""

    def __init__(self, account: Account, people: People, region: str):
        self.account, self.people, self.region = account, people, region
        self.elsewhere = Account()
        self.elsewhere.identities.clear()
        self.elsewhere.production = False
        self.conditions: dict[str, dict[str, Any]] = {}
        self.calls: Counter[str] = Counter()
        self.switched_off: set[str] = set()  # regions that the account has not opted in to
        self.changed = threading.Lock()
        self.moto = DomainDispatcherApplication(create_backend_app)

    def now(self) -> datetime:
        """AWS's time; `date` moves it away from this machine's."""
        return datetime.now(UTC) + timedelta(seconds=self.conditions.get("date", {}).get("offset", 0))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._answer(request)
        except Refused as refused:
            response = self._error(request, refused.code, refused.json_code, refused.message, refused.status)
        except SesError as error:
            response = self._error(request, error.code, error.code_v2, error.message, error.status)
        response.headers["Date"] = format_datetime(self.now(), usegmt=True)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        body = request.get_data(cache=True)
        action = _action(request)
        with self.changed:
            self.calls[action] += 1
        self._conditions(action)
        user, service, region = self.people.authenticate(request, self.now())
        if region in self.switched_off and service != "iam":  # which is one for all regions
            raise Refused("InvalidClientTokenId", "The security token included in the request is invalid", "UnrecognizedClientException")
        account = self.account if region == self.region else self.elsewhere
        resource = "*"
        if action in SENDING:
            # As AWS does, the right to send is one on the identity that it goes out from.
            sender = ses_api.sender_v2(body) if request.path.startswith("/v2/") else ses_api.sender_v1(request.form)
            resource = f"arn:aws:ses:{region}:{DEFAULT_ACCOUNT_ID}:identity/{account.identity_of(sender)}"
        self.people.must_be_allowed(user, action, resource)
        now = time.time()
        if service == "ses":
            name = action.partition(":")[2]
            if request.path.startswith("/v2/"):
                return Response(json.dumps(ses_api.answer_v2(account, name, request.path, body, region, now)), mimetype="application/json")
            return Response(ses_api.answer_v1(account, request.form.to_dict(), region, now), mimetype="text/xml")
        if action == "iam:SimulatePrincipalPolicy":
            form = request.form
            asked = form["PolicySourceArn"].rpartition("/")[2]
            names = [value for name, value in form.items() if name.startswith("ActionNames.member.")]
            resources = [value for name, value in form.items() if name.startswith("ResourceArns.member.")] or ["*"]
            decisions = {name: {one: self.people.decision(asked, name, one) for one in resources} for name in names}
            return Response(ses_api.simulation_xml(decisions), mimetype="text/xml")
        return Response.from_app(self.moto, _rewound(request, body))

    def _conditions(self, action: str) -> None:
        """Raise, or wait, as the conditions that are set for this call say."""
        for kind in ("slow", "hang", "throttle", "server_error", "deny", "expired"):
            condition = self.conditions.get(kind)
            if condition is None or not any(fnmatchcase(action, pattern) for pattern in condition.get("actions") or ["*"]):
                continue
            if kind == "slow":
                time.sleep(condition["seconds"])
            elif kind == "hang":
                time.sleep(condition.get("seconds", HANG_S))
            elif kind == "throttle":
                with self.changed:
                    condition["left"] = condition.get("left", condition.get("times", 1_000_000)) - 1
                if condition["left"] >= 0:
                    said = "Maximum sending rate exceeded." if "Send" in action.removeprefix("ses:Get") else "Rate exceeded"
                    raise Refused("Throttling", said, "TooManyRequestsException", 400)
            elif kind == "server_error":
                raise Refused(
                    "InternalFailure", "An internal error occurred.", "InternalServiceErrorException", condition.get("status", 500)
                )
            elif kind == "deny":
                arn = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:user/denied"
                raise Refused("AccessDenied", f"User: {arn} is not authorized to perform: {action}", "AccessDeniedException")
            else:
                raise Refused("ExpiredToken", "The security token included in the request is expired", "ExpiredTokenException")

    @staticmethod
    def _error(request: Request, code: str, json_code: str, message: str, status: int) -> Response:
        if request.headers.get(_OPERATION_HEADER) == "rpc-v2-cbor":
            return _cbor_error(json_code, message, status)
        if _TARGET_HEADER in request.headers:
            told = json.dumps({"__type": json_code, "message": message})
            response = Response(told, status=status, mimetype="application/x-amz-json-1.0")
            response.headers["x-amzn-query-error"] = f"{code};Sender"
            return response
        if request.path.startswith("/v2/"):
            response = Response(json.dumps({"message": message}), status=status, mimetype="application/json")
            response.headers["x-amzn-ErrorType"] = json_code
            return response
        return Response(ses_api.error_xml(code, message), status=status, mimetype="text/xml")


def _action(request: Request) -> str:
    """The action as policies name it, such as ses:GetSendQuota."""
    if "/service/GraniteServiceVersion20100801/operation/" in request.path:
        return f"cloudwatch:{request.path.rpartition('/')[2]}"
    if request.headers.get(_TARGET_HEADER, "").startswith("GraniteService"):
        return f"cloudwatch:{request.headers[_TARGET_HEADER].rpartition('.')[2]}"
    if request.path.startswith("/v2/"):
        return f"ses:{ses_api.action_v2(request.method, request.path)}"
    form: MultiDict[str, str] = request.form
    credential = request.headers.get("Authorization", "").partition("Credential=")[2].split("/")
    service = credential[3] if len(credential) > 3 else "unknown"
    return f"{'cloudwatch' if service == 'monitoring' else service}:{form.get('Action', '')}"


def _cbor_error(code: str, message: str, status: int) -> Response:
    """An error of Smithy's RPC in CBOR: a map of two texts."""

    def text(value: str) -> bytes:
        data = value.encode()
        size = len(data)
        head = bytes([0x60 | size]) if size < 24 else bytes([0x78, size]) if size < 256 else b"\x79" + size.to_bytes(2, "big")
        return head + data

    body = b"\xa2" + text("__type") + text(code) + text("message") + text(message)
    response = Response(body, status=status, mimetype="application/cbor")
    response.headers[_OPERATION_HEADER] = "rpc-v2-cbor"
    return response


def _rewound(request: Request, body: bytes) -> dict[str, Any]:
    """The request for moto, which reads the body again."""
    import io

    environ = {key: value for key, value in request.environ.items() if not key.startswith("werkzeug.")}
    return {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def load_moto() -> None:
    """Have moto import what it does at the first request of each service."""
    front = Client(DomainDispatcherApplication(create_backend_app))
    for service, action in (("iam", "ListUsers"), ("sts", "GetCallerIdentity"), ("monitoring", "ListMetrics")):
        credential = f"AKIA/20260101/us-east-1/{service}/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"}
        front.post("/", data={"Action": action, "Version": "2010-05-08"}, headers=headers)
