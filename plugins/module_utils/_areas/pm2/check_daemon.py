# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.daemon (manual 2, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared.pm2_list import LIST_PARAMETERS
from .blocked import denied
from .evidence import MOST_NAMES, dump_problem, read_if_possible, stamp, where_of
from .faults import fault
from .read_dump import DUMP
from .read_list import LIST
from .read_log import LOG

PARAMETERS = LIST_PARAMETERS


def judge(asked: Asked) -> list[Finding]:
    """Say whether the daemon runs and answers."""
    check = "pm2.daemon"
    listed = asked.read("pm2.list")
    where = where_of(asked, listed)
    if listed["state"] == "up":
        evidence = {"version": listed["version"], "pid": listed["daemon"]["pid"], "processes": len(listed["processes"])}
        return [ok(check, evidence=evidence)]
    if listed["state"] == "hung":
        about = listed.get("daemon") or {}
        evidence = {**where, "pid": about.get("pid"), "frozen": bool(about.get("frozen")), "waited": asked.parameters.get("answer_within")}
        return [fault("pm2.daemon_hung", check, evidence=evidence)]
    if listed["state"] == "denied":
        return [denied(check, listed)]
    return [fault("pm2.daemon_down", check, evidence={**where, "state": listed["state"], **_rest_of_a_daemon(asked, listed)})]


def _rest_of_a_daemon(asked: Asked, listed: Mapping[str, Any]) -> dict[str, Any]:
    log = read_if_possible(asked, "pm2.log") or {}
    dump = (read_if_possible(asked, "pm2.dump") or {}).get("dump", {})
    names = sorted({entry["name"] for entry in dump.get("entries", []) if not entry["module"]})
    return {
        "since": stamp(log.get("last_write")),
        "saved": names[:MOST_NAMES],
        "dump_problem": dump_problem(dump),
        "orphans": [f"{orphan['name']} ({orphan['pid']})" for orphan in listed.get("orphans", [])][:MOST_NAMES],
    }


CHECK = Check("pm2.daemon", "Does the PM2 daemon run and answer?", judge, (LIST, LOG, DUMP), PARAMETERS, run_as="app")
