# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.saved.

Rules: manual 2, section 3 (``pm2 save``); product facts: other users cannot read secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared.pm2_list import LIST_PARAMETERS, WANTED_PARAMETERS, Listed, Process, SocketMode, Wanted, saved_asleep, wanted
from ..._shared.units import stamp
from .blocked import blocked, unless_intruded
from .evidence import MOST_NAMES, argument, dump_problem, where_of, without_remedies
from .faults import fault
from .read_dump import DUMP, DumpEntry, DumpFile, Dumps
from .read_list import LIST

MOST_SUBJECTS = 20  # findings of one code; more processes are counted in one further finding

PARAMETERS = {**LIST_PARAMETERS, **WANTED_PARAMETERS}


class Difference(TypedDict):
    """One field in which the processes of one name differ from the dump."""

    field: str
    now: Any
    saved: Any


def judge(asked: Asked) -> list[Finding]:
    """Report running processes that a reboot would not bring back as they are (M2-3), and secrets that other users can read."""
    check = "pm2.saved"
    needed = wanted(asked.parameters)
    files: Dumps = asked.read("pm2.dump")
    listed: Listed = asked.read("pm2.list")
    where = where_of(asked, listed)
    found = [_readable(file, where) for file in (files["dump"], files["backup"]) if file["exposed"]]
    socket = listed.get("socket")
    if socket and socket["open"]:
        found.append(_open_socket(socket, where))
    if listed["state"] != "up":
        return [*found, blocked(check, listed)]
    differing = unless_intruded(_unsaved(files["dump"], listed, needed, where), listed)
    if not differing:
        evidence = {"saved": len(files["dump"]["entries"]), "saved_at": stamp(files["dump"]["saved_at"])}
        differing = [ok(check, evidence=evidence)]
    return [*differing, *found]


def _readable(file: DumpFile, where: Mapping[str, Any]) -> Finding:
    evidence = {**where, "path": file["path"], "mode": file["mode"], "owner": file["owner"], "wanted_mode": "0600"}
    return fault("pm2.dump_readable", "pm2.saved", file["path"], evidence={**evidence, **argument(file["path"])})


def _open_socket(socket: SocketMode, where: Mapping[str, Any]) -> Finding:
    """Return the finding of a socket that every user may write to: PM2 sends its whole list through it and obeys its commands."""
    evidence = {**where, "kind": "socket", "path": socket["path"], "mode": socket["mode"], "owner": socket["owner"]}
    finding = fault("pm2.dump_readable", "pm2.saved", socket["path"], evidence={**evidence, **argument(socket["path"])})
    return without_remedies(finding, when=True)


def _unsaved(dump: DumpFile, listed: Listed, needed: Sequence[Wanted], where: Mapping[str, Any]) -> list[Finding]:
    """Return a finding for each name that differs from the dump, or one finding for a dump that is of no use."""
    running = [entry for entry in listed["processes"] if not entry["module"]]
    problem = dump_problem(dump)
    if problem:
        names = sorted({entry["name"] for entry in running})[:MOST_NAMES]
        kind = dump.get("kind") or "file"
        evidence = {**where, "problem": problem, "detail": dump["problem"], "kind": kind, "path": dump["path"], "listed": names}
        finding = fault("pm2.not_saved", "pm2.saved", evidence={**evidence, **argument(dump["path"])})
        return [without_remedies(finding, when=not running or (kind != "file" and problem == "unusable"))]
    now: dict[str, list[Process]] = {}
    for process in running:
        now.setdefault(process["name"], []).append(process)
    then: dict[str, list[DumpEntry]] = {}
    for entry in dump["entries"]:
        if not entry["module"]:
            then.setdefault(entry["name"], []).append(entry)
    needs = {one.name: one for one in needed}
    findings = []
    for name in sorted({*now, *then}, key=lambda name: (name not in needs, name)):
        findings += _differences(name, now.get(name, []), then.get(name, []), needs.get(name), where)
    return _at_most(findings, where)


def _at_most(findings: Sequence[Finding], where: Mapping[str, Any]) -> list[Finding]:
    """Return at most MOST_SUBJECTS findings of each code, and one that counts the others (``evidence.more``)."""
    kept = []
    for code in dict.fromkeys(finding.code for finding in findings):
        same = [finding for finding in findings if finding.code == code]
        kept += same[:MOST_SUBJECTS]
        if len(same) > MOST_SUBJECTS:
            kept.append(fault(code, "pm2.saved", evidence={**where, "more": len(same) - MOST_SUBJECTS}))
    return kept


def _differences(
    name: str, now: Sequence[Process], then: Sequence[DumpEntry], need: Wanted | None, where: Mapping[str, Any]
) -> list[Finding]:
    if not then:
        return [fault("pm2.not_saved", "pm2.saved", name, evidence={**where, **argument(name), "problem": "not_in_dump"})]
    found = list(_compared(now, then))
    by_hand = bool(need and need.exec_mode and any(entry["exec_mode"] != need.exec_mode for entry in now))
    if by_hand and need:
        found.append({"field": "wanted_mode", "now": now[0]["exec_mode"], "saved": need.exec_mode})
    if not found:
        return []
    evidence = {**where, **argument(name), "differences": found, "only_wanted": [one["field"] for one in found] == ["wanted_mode"]}
    finding = fault("pm2.dump_differs", "pm2.saved", name, evidence=evidence)
    return [without_remedies(finding, when=by_hand or (need is not None and not now))]


def _compared(now: Sequence[Process], then: Sequence[DumpEntry]) -> Iterable[Difference]:
    """Yield the differences between the instances of one name and the dump; an instance that is merely stopped now is none."""
    if not now:
        yield {"field": "not_running", "now": 0, "saved": len(then)}
        return
    if len(now) != len(then):
        yield {"field": "instances", "now": len(now), "saved": len(then)}
    scripts = sorted({entry["script"] for entry in now}), sorted({entry["script"] for entry in then})
    modes = sorted({entry["exec_mode"] for entry in now}), sorted({entry["exec_mode"] for entry in then})
    for field, (here, there) in (("script", scripts), ("mode", modes)):
        if here != there:
            yield {"field": field, "now": _joined(here), "saved": _joined(there)}
    if saved_asleep(now, then):
        yield {"field": "stopped", "now": "running", "saved": "stopped"}


def _joined(values: Sequence[str]) -> str:
    return ", ".join([*values[:3], "…"] if len(values) > 3 else values)


CHECK = Check(
    "pm2.saved",
    "Would a reboot bring back what runs now, and is the dump kept from others?",
    judge,
    (DUMP, LIST),
    PARAMETERS,
    run_as="app",
)
