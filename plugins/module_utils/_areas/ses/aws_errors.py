# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an error of AWS means for a query. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ..._core.children import describe_crash
from ..._core.masking import mask
from ..._core.references import scrub

SAID = 240


_KEY = ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "MissingAuthenticationToken", "AuthFailure")


_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")


_SECRET = ("SignatureDoesNotMatch", "InvalidSignatureException")


_CLOCK = ("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture")


_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError")


_THROTTLED = ("Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown")


_WRONG_TIME = re.compile(r"signature expired|not yet current|requesttimetooskewed", re.I)


def plain(value: Any) -> Any:
    """Return what JSON can carry: times as epoch seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def failure(exceptions: Any, secrets: Iterable[str], error: Exception) -> dict[str, Any]:
    """Return ``state code said`` of what a question ended with."""
    if isinstance(error, exceptions.ClientError):
        response = error.response
        code = str(response.get("Error", {}).get("Code") or "")
        said = str(response.get("Error", {}).get("Message") or "")
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return {"state": state_of(code, said, status), "code": code, "said": _clean(secrets, said)}
    if isinstance(error, TimeoutError):
        return {"state": "late", "code": "", "said": ""}
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return {"state": "key", "code": type(error).__name__, "said": _clean(secrets, str(error))}
    unreachable = (exceptions.HTTPClientError, exceptions.ConnectionError)
    if isinstance(error, unreachable):
        return {"state": "unreachable", "code": type(error).__name__, "said": _clean(secrets, str(error))}
    return {"state": "failed", "code": type(error).__name__, "said": _clean(secrets, describe_crash(error))}


def state_of(code: str, said: str, status: int) -> str:
    """Return what an error of AWS means for the question."""
    code = code.rpartition(":")[2].rpartition("#")[2]
    if code in _CLOCK or (code in _SECRET and _WRONG_TIME.search(said)):
        return "clock"
    for codes, state in ((_KEY, "key"), (_EXPIRED, "expired"), (_SECRET, "secret"), (_DENIED, "denied"), (_THROTTLED, "throttled")):
        if code in codes:
            return state
    return "server" if status >= 500 else "failed"


def _clean(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = scrub(text, secret)
    return mask(" ".join(text.split()), limit=SAID)
