# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a health API, and judge whether it reports a healthy application.

The check backend.health and the actions that restart an application use the same client and the same rule, so that the check that found
a fault is the one that verifies its repair.
"""

from __future__ import annotations

import json
import time
from typing import Literal, TypedDict

from .._core.errors import RemediationError
from .._core.masking import mask
from .http_client import MAX_SHORT, TIMEOUT, AnswerFacts, get, summary

HEALTH_WITHIN = 4.0  # seconds for all requests of one reading whose answers are good
HEALTH_TRY = 5.0  # seconds for the one request of health()
MOST_OF_A_STATUS = 60
MOST_OF_A_SAMPLE = 120

Flaw = Literal["", "no_answer", "error_5xx", "status", "not_json", "said"]


class _Body(TypedDict):
    json: bool  # the body is JSON
    stated: bool  # it has a member "status"
    said: str  # that member as text, "" where it is neither text, number nor truth value
    sample: str  # the beginning of the body, masked


class HealthFacts(AnswerFacts, _Body):
    """What a health API answered: facts of the last answer, and the milliseconds of each good one."""

    url: str
    times: list[float]
    waited: float  # seconds, for one answer


def read_health(url: str, timeout: float | None = None, requests: int | None = None) -> HealthFacts:
    """Request a health API several times, one request after the other, until one fails.

    timeout: seconds for one answer. requests: how often, fewer times when HEALTH_WITHIN is over.
    """
    within = timeout or TIMEOUT
    stop = time.monotonic() + HEALTH_WITHIN
    times: list[float] = []
    while True:
        answer = get(url, within=within, max_body=MAX_SHORT, redirects=0)
        if answer.problem or not 200 <= answer.status < 300:
            break
        times.append(answer.ms)
        if len(times) >= (requests or 1) or time.monotonic() >= stop:
            break
    return {"url": url, "times": times, "waited": within, **summary(answer), **_body(answer.body)}


def _body(body: bytes) -> _Body:
    text = body.decode("utf-8", "replace")
    sample = mask(text, limit=MOST_OF_A_SAMPLE)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {"json": False, "stated": False, "said": "", "sample": sample}
    status = content.get("status") if isinstance(content, dict) else None
    said = str(status)[:MOST_OF_A_STATUS] if isinstance(status, (str, bool, int)) else ""
    return {"json": True, "stated": isinstance(content, dict) and "status" in content, "said": said, "sample": sample}


def flaw_of(facts: HealthFacts, healthy: str, *, required: bool = True) -> Flaw:
    """Return why an answer is not a healthy one, "" when it is.

    ``no_answer``, ``error_5xx``, ``status`` (another status than 2xx), ``not_json``, ``said`` (the status in the body is another one).
    healthy: the status that the body must have, in upper or lower case; "" accepts any body. required: whether a body without a status is a
    flaw; where it is not, only a status that is another one is.
    """
    if facts["problem"]:
        return "no_answer"
    if facts["status"] >= 500:
        return "error_5xx"
    if not 200 <= facts["status"] < 300:
        return "status"
    if not healthy or not (required or facts["stated"]):
        return ""
    if not facts["json"]:
        return "not_json"
    return "" if facts["said"].lower() == healthy.lower() else "said"


def health(url: str) -> str:
    """Return "" when a health API reports a healthy application, otherwise the reason.

    Any 2xx answer is healthy unless it is JSON with another status than "ok".
    """
    try:
        facts = read_health(url, HEALTH_TRY)
    except RemediationError as error:
        return f"no answer ({error.message})"
    flaw = flaw_of(facts, "ok", required=False)
    if flaw == "no_answer":
        return f"no answer ({facts['detail'] or facts['problem']})"
    if flaw in ("error_5xx", "status"):
        return f"it answers {facts['status']}"
    return mask(f"its status is {facts['said'] or 'not a text'}") if flaw else ""
