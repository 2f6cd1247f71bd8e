# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.daemon (manual 2, section 3)."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared.pm2_list import LIST_PARAMETERS, Listed
from ..._shared.units import stamp
from .blocked import denied
from .evidence import MOST_NAMES, dump_problem, read_if_possible, where_of
from .faults import fault
from .read_dump import DUMP
from .read_list import LIST
from .read_log import LOG

PARAMETERS = LIST_PARAMETERS


def judge(asked: Asked) -> list[Finding]:
    """Report a daemon that does not run (M2-3) or does not answer."""
    check = "pm2.daemon"
    listed: Listed = asked.read("pm2.list")
    where = where_of(asked, listed)
    about = listed.get("daemon")
    if listed["state"] == "up":
        evidence = {"version": listed["version"], "pid": about["pid"] if about else None, "processes": len(listed["processes"])}
        return [ok(check, evidence=evidence)]
    if listed["state"] == "hung":
        seen = {"pid": about["pid"] if about else None, "frozen": bool(about and about["frozen"])}
        return [fault("pm2.daemon_hung", check, evidence={**where, **seen, "waited": asked.parameters.get("answer_within")})]
    if listed["state"] == "denied":
        return [denied(check, listed)]
    return [fault("pm2.daemon_down", check, evidence={**where, "state": listed["state"], **_remains(asked, listed)})]


def _remains(asked: Asked, listed: Listed) -> dict[str, Any]:
    """Return what a daemon left: the end of its log, its saved processes, and applications that still run without it."""
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
