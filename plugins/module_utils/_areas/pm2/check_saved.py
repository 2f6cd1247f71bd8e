# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.saved.

Rules: manual 2, section 3 (``pm2 save``); product facts: secrets are not readable by others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared.pm2_list import LIST_PARAMETERS, WANTED_PARAMETERS, Wanted, saved_asleep, wanted
from .blocked import blocked, unless_intruded
from .evidence import MOST_NAMES, argument, dump_problem, stamp, where_of, without_remedies
from .faults import fault
from .read_dump import DUMP
from .read_list import LIST

MOST_SUBJECTS = 20  # findings of one code: a list of thousands must not become as many lines


PARAMETERS: dict[str, dict[str, Any]] = {**LIST_PARAMETERS, **WANTED_PARAMETERS}


def judge(asked: Asked) -> list[Finding]:
    """Say whether a reboot would bring back what runs now, and whether the dump keeps its secrets."""
    check = "pm2.saved"
    needed = wanted(asked.parameters)
    files = asked.read("pm2.dump")
    listed = asked.read("pm2.list")
    where = where_of(asked, listed)
    found = [_readable(file, where) for file in files.values() if file["exposed"]]
    if (listed.get("socket") or {}).get("open"):
        found.append(_open_socket(listed["socket"], where))
    if listed["state"] != "up":
        return [*found, blocked(check, listed)]
    differing = unless_intruded(_unsaved(files["dump"], listed, needed, where), listed)
    if not differing:
        evidence = {"saved": len(files["dump"]["entries"]), "saved_at": stamp(files["dump"]["saved_at"])}
        differing = [ok(check, evidence=evidence)]
    return [*differing, *found]


def _readable(file: Mapping[str, Any], where: Mapping[str, Any]) -> Finding:
    evidence = {**where, "path": file["path"], "mode": file["mode"], "owner": file["owner"], "wanted_mode": "0600"}
    return fault("pm2.dump_readable", "pm2.saved", file["path"], evidence={**evidence, **argument(file["path"])})


def _open_socket(socket: Mapping[str, Any], where: Mapping[str, Any]) -> Finding:
    """Report a socket that everybody may write to: PM2 tells its whole list through it, and does what it is told."""
    evidence = {**where, "kind": "socket", "path": socket["path"], "mode": socket["mode"], "owner": socket["owner"]}
    finding = fault("pm2.dump_readable", "pm2.saved", socket["path"], evidence={**evidence, **argument(socket["path"])})
    return without_remedies(finding, when=True)


def _unsaved(dump: Mapping[str, Any], listed: Mapping[str, Any], needed: Sequence[Wanted], where: Mapping[str, Any]) -> list[Finding]:
    running = [entry for entry in listed["processes"] if not entry["module"]]
    problem = dump_problem(dump)
    if problem:
        names = sorted({entry["name"] for entry in running})[:MOST_NAMES]
        kind = dump.get("kind") or "file"
        evidence = {**where, "problem": problem, "detail": dump["problem"], "kind": kind, "path": dump["path"], "listed": names}
        finding = fault("pm2.not_saved", "pm2.saved", evidence={**evidence, **argument(dump["path"])})
        return [without_remedies(finding, when=not running or (kind != "file" and problem == "unusable"))]
    now, then = _by_name(running), _by_name(entry for entry in dump["entries"] if not entry["module"])
    needs = {one.name: one for one in needed}
    findings = []
    for name in sorted({*now, *then}, key=lambda name: (name not in needs, name)):
        findings += _differences(name, now.get(name, []), then.get(name, []), needs.get(name), where)
    return _at_most(findings, where)


def _by_name(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        found.setdefault(entry["name"], []).append(entry)
    return found


def _at_most(findings: Sequence[Finding], where: Mapping[str, Any]) -> list[Finding]:
    """Keep so many findings of each code, and say of the rest only how many they are (``evidence.more``)."""
    kept = []
    for code in dict.fromkeys(finding.code for finding in findings):
        same = [finding for finding in findings if finding.code == code]
        kept += same[:MOST_SUBJECTS]
        if len(same) > MOST_SUBJECTS:
            kept.append(fault(code, "pm2.saved", evidence={**where, "more": len(same) - MOST_SUBJECTS}))
    return kept


def _differences(
    name: str, now: Sequence[Mapping[str, Any]], then: Sequence[Mapping[str, Any]], need: Wanted | None, where: Mapping[str, Any]
) -> list[Finding]:
    if not then:
        return [fault("pm2.not_saved", "pm2.saved", name, evidence={**where, **argument(name), "problem": "not_in_dump"})]
    found = [difference for difference in _compared(now, then) if difference]
    by_hand = bool(need and need.exec_mode and any(entry["exec_mode"] != need.exec_mode for entry in now))
    if by_hand and need:
        found.append({"field": "wanted_mode", "now": now[0]["exec_mode"], "saved": need.exec_mode})
    if not found:
        return []
    evidence = {**where, **argument(name), "differences": found, "only_wanted": [one["field"] for one in found] == ["wanted_mode"]}
    finding = fault("pm2.dump_differs", "pm2.saved", name, evidence=evidence)
    return [without_remedies(finding, when=by_hand or (need is not None and not now))]


def _compared(now: Sequence[Mapping[str, Any]], then: Sequence[Mapping[str, Any]]) -> Iterable[dict[str, Any] | None]:
    """Yield how the instances of one name differ from what is saved; merely being stopped now is no difference."""
    if not now:
        yield {"field": "not_running", "now": 0, "saved": len(then)}
        return
    if len(now) != len(then):
        yield {"field": "instances", "now": len(now), "saved": len(then)}
    for key, label in (("script", "script"), ("exec_mode", "mode")):
        here, there = sorted({entry[key] for entry in now}), sorted({entry[key] for entry in then})
        if here != there:
            yield {"field": label, "now": _joined(here), "saved": _joined(there)}
    if saved_asleep(now, then):
        yield {"field": "stopped", "now": "running", "saved": "stopped"}


def _joined(values: Sequence[str]) -> str:
    return ", ".join([*values[:3], "…"] if len(values) > 3 else values)


CHECK = Check(
    "pm2.saved", "Would a reboot bring back what runs now, and is the dump kept from others?", judge, (DUMP, LIST), PARAMETERS, run_as="app"
)
