# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.http_client import stamp
from .faults import fault
from .parameters import ADDRESS, TIMEOUT
from .read_certificates import CERTIFICATES

WARN_DAYS = 30


DAY = 86400


PARAMETERS: dict[str, dict[str, Any]] = {
    "url": {"type": "str", "description": "Address of the site; its certificate is asked for when it begins with https."},
    "address": ADDRESS,
    "certificate_files": {
        "type": "list",
        "elements": "path",
        "description": "Certificate files on this host (PEM or DER); of a chain, the first end counts.",
    },
    "ca_file": {"type": "path", "description": "CA certificates to trust, by default the system's. Trust is evidence, not judged."},
    "timeout": TIMEOUT,
    "warn_days": {"type": "int", "default": WARN_DAYS, "description": "Days before its end from which on it is reported."},
}


def judge(asked: Asked) -> list[Finding]:
    """Say how long each certificate is valid; what a browser would think of it otherwise is evidence."""
    entries = asked.read("web.certificate")
    if not entries:
        return [ok("web.certificate", evidence={"tls": False})]
    return [_validity(asked, entry) for entry in entries]


def _validity(asked: Asked, entry: Mapping[str, Any]) -> Finding:
    check, subject = "web.certificate", entry["subject"]
    if entry["problem"]:
        cause = ("nginx.stopped" if entry.get("refused") else "web.no_answer") if entry["live"] else ""
        return unknown(check, entry["problem"], blocked_by=cause, subject=subject)
    left = math.floor((entry["not_after"] - asked.now) / DAY)
    evidence = {"not_before": stamp(entry["not_before"]), "not_after": stamp(entry["not_after"]), "live": entry["live"]}
    if entry["live"]:
        evidence.update(trusted=entry["trusted"], distrust=entry["distrust"])
    measure = {"value": left, "threshold": asked.parameters["warn_days"], "unit": "days"}
    if entry["not_before"] > asked.now:
        return fault("web.certificate_expired", check, subject, evidence={**evidence, "problem": "not_yet"}, **measure)
    if entry["not_after"] <= asked.now:
        return fault("web.certificate_expired", check, subject, evidence={**evidence, "problem": "expired"}, **measure)
    if left < asked.parameters["warn_days"]:
        return fault("web.certificate_30", check, subject, evidence=evidence, **measure)
    return ok(check, subject, evidence=evidence, **measure)


CHECK = Check("web.certificate", "Is each certificate valid for a while yet?", judge, (CERTIFICATES,), PARAMETERS, runs_on="web")
