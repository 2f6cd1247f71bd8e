# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers for a check that cannot judge: the daemon is down or denied, or root runs it in another user's PM2_HOME."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.finding import Finding, unknown
from ..._shared.pm2_list import NO_DAEMON


def intruded(listed: Mapping[str, Any]) -> bool:
    """Whether somebody runs a daemon as root in another user's PM2_HOME: that user's own commands cannot reach it."""
    return bool(listed.get("daemon")) and listed["daemon"]["uid"] == 0 and listed["user"] != "root"


def unless_intruded(findings: Sequence[Finding], listed: Mapping[str, Any]) -> list[Finding]:
    """Give way to pm2.runs_as_root: under root's daemon no other remedy can work before that one is gone."""
    if not intruded(listed):
        return list(findings)
    return [finding if finding.status == "ok" else _behind_intruder(finding) for finding in findings]


def _behind_intruder(finding: Finding) -> Finding:
    return unknown(
        finding.check,
        f"root's PM2 daemon in the PM2_HOME of another user says {finding.code}; that daemon must go first",
        blocked_by="pm2.runs_as_root",
        subject=finding.subject,
    )


def blocked(check: str, listed: Mapping[str, Any]) -> Finding:
    if listed["state"] == "denied":
        return denied(check, listed)
    return unknown(check, listed["problem"], blocked_by=NO_DAEMON[listed["state"]])


def denied(check: str, listed: Mapping[str, Any]) -> Finding:
    return unknown(check, f"{listed['problem']}; run as root or as {listed.get('keeper') or 'the user that started PM2'}")
