# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings of a check that cannot judge: the daemon is down, denies access, or belongs to root in another user's PM2_HOME."""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.finding import Finding, unknown
from ..._shared.pm2_list import NO_DAEMON, Listed


def blocked(check: str, listed: Listed) -> Finding:
    """Return the ``unknown`` of a check that needs the list of a daemon that is not up; it names the daemon's own fault."""
    if listed["state"] == "denied":
        return denied(check, listed)
    return unknown(check, listed["problem"], blocked_by=NO_DAEMON[listed["state"]])


def denied(check: str, listed: Listed) -> Finding:
    """Return the ``unknown`` of a check that may not connect to the daemon; it names the user to run as."""
    return unknown(check, f"{listed['problem']}; run as root or as {listed.get('keeper') or 'the user that started PM2'}")


def intruded(listed: Listed) -> bool:
    """Whether the daemon runs as root in another user's PM2_HOME, where that user's own commands cannot reach it."""
    daemon = listed["daemon"]
    return daemon is not None and daemon["uid"] == 0 and listed["user"] != "root"


def unless_intruded(findings: Sequence[Finding], listed: Listed) -> list[Finding]:
    """Return the findings; under root's daemon each fault becomes an ``unknown`` that names pm2.runs_as_root.

    No other remedy works before root's daemon is gone.
    """
    if not intruded(listed):
        return list(findings)
    return [finding if finding.status == "ok" else _behind_intruder(finding) for finding in findings]


def _behind_intruder(finding: Finding) -> Finding:
    return unknown(
        finding.check,
        f"a PM2 daemon that root runs in the PM2_HOME of another user reports {finding.code}; end that daemon first",
        blocked_by="pm2.runs_as_root",
        subject=finding.subject,
    )
