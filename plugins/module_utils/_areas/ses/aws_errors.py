# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an error of AWS or of botocore means for a query. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict

from ..._core.children import describe_crash
from ..._core.masking import mask
from ..._core.references import scrub

SAID = 240  # characters of a message
_KEY = ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "MissingAuthenticationToken", "AuthFailure")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
_SECRET = ("SignatureDoesNotMatch", "InvalidSignatureException")
_CLOCK = ("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture")
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError")
_THROTTLED = ("Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown")
_WRONG_TIME = re.compile(r"signature expired|not yet current|requesttimetooskewed", re.I)


class Failure(TypedDict):
    """The part of an answer that an error fills."""

    state: str
    code: str
    said: str


def failure(exceptions: Any, secrets: Iterable[str], error: Exception) -> Failure:
    """Return what a query ended with. exceptions: the module botocore.exceptions. secrets: what must not be in the message."""
    if isinstance(error, exceptions.ClientError):
        response: Mapping[str, Any] = getattr(error, "response", {})
        code = str(response.get("Error", {}).get("Code") or "")
        said = str(response.get("Error", {}).get("Message") or "")
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return {"state": state_of(code, said, status), "code": code, "said": _clean(secrets, said)}
    if isinstance(error, TimeoutError):
        return {"state": "late", "code": "", "said": ""}
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return {"state": "key", "code": type(error).__name__, "said": _clean(secrets, str(error))}
    if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError)):
        return {"state": "unreachable", "code": type(error).__name__, "said": _clean(secrets, str(error))}
    return {"state": "failed", "code": type(error).__name__, "said": _clean(secrets, describe_crash(error))}


def state_of(code: str, said: str, status: int) -> str:
    """Return the state of an answer by AWS's error code and message, and the HTTP status."""
    code = code.rpartition(":")[2].rpartition("#")[2]
    if code in _CLOCK or (code in _SECRET and _WRONG_TIME.search(said)):
        return "clock"
    for codes, state in ((_KEY, "key"), (_EXPIRED, "expired"), (_SECRET, "secret"), (_DENIED, "denied"), (_THROTTLED, "throttled")):
        if code in codes:
            return state
    return "server" if status >= 500 else "failed"


def plain(value: Any) -> Any:
    """Return a value of boto3 as JSON can carry it: times as epoch seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _clean(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = scrub(text, secret)
    return mask(" ".join(text.split()), limit=SAID)
