# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web.certificate: is each certificate valid for long enough? Sources: product facts."""

from __future__ import annotations

import math
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._core.times import rfc3339
from ..._shared.units import DAY
from .faults import fault
from .parameters import ADDRESS, TIMEOUT
from .read_certificates import CERTIFICATES, CertificateFacts

WARN_DAYS = 30


END_OF_TIME = 253402300799  # the last second of the year 9999: a certificate that never expires (RFC 5280, 4.1.2.5)
PARAMETERS: dict[str, dict[str, Any]] = {
    "url": {
        "type": "str",
        "variable": ["stack_web_certificate_url", "stack_web_url"],
        "description": "Address of the site; its certificate is read when the address begins with https.",
    },
    "address": ADDRESS,
    "certificate_files": {
        "type": "list",
        "elements": "path",
        "variable": "stack_web_certificate_files",
        "description": "Certificate files on this host (PEM or DER); of a chain, the first end counts.",
    },
    "ca_file": {
        "type": "path",
        "variable": "stack_web_ca_file",
        "description": "CA certificates to trust, by default the system's. Trust is evidence and never a fault.",
    },
    "timeout": TIMEOUT,
    "warn_days": {
        "type": "int",
        "default": WARN_DAYS,
        "description": "Days before the end of a certificate from which it is reported.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report for each certificate how long it is valid; whether a browser trusts it is evidence."""
    entries: list[CertificateFacts] = asked.read("web.certificate")
    if not entries:
        return [ok("web.certificate", evidence={"tls": False})]
    return [_validity(asked, entry) for entry in entries]


def _validity(asked: Asked, entry: CertificateFacts) -> Finding:
    check, subject = "web.certificate", entry["subject"]
    if entry["problem"]:
        cause = ("nginx.stopped" if entry.get("refused") else "web.no_answer") if entry["live"] else ""
        return unknown(check, entry["problem"], blocked_by=cause, subject=subject)
    begin, end = entry["not_before"] or 0, entry["not_after"] or 0
    left = math.floor((end - asked.now) / DAY)
    evidence: dict[str, Any] = {"not_before": _date_text(begin), "not_after": _date_text(end), "live": entry["live"]}
    if entry["live"]:
        evidence.update(trusted=entry["trusted"], distrust=entry["distrust"])
    measure = {"value": left, "threshold": asked.parameters["warn_days"], "unit": "days"}
    if begin > asked.now:
        return fault("web.certificate_expired", check, subject, evidence={**evidence, "problem": "not_yet"}, **measure)
    if end <= asked.now:
        return fault("web.certificate_expired", check, subject, evidence={**evidence, "problem": "expired"}, **measure)
    if left < asked.parameters["warn_days"]:
        return fault("web.certificate_30", check, subject, evidence=evidence, **measure)
    return ok(check, subject, evidence=evidence, **measure)


def _date_text(moment: float) -> str | None:
    """Return a time (epoch seconds) as RFC 3339 in UTC, None for one before 1970 or after the year 9999."""
    if not 0 < moment <= END_OF_TIME:
        return None
    return rfc3339(moment)


CHECK = Check("web.certificate", "Is each certificate valid for long enough?", judge, (CERTIFICATES,), PARAMETERS, runs_on="web")
