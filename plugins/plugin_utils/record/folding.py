# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fold findings by cause: the one function that summary, triage, incidents and notices share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from ansible_collections.ops.remediation.plugins.module_utils._core.faults import Follows

STATUS_ORDER = {"critical": 0, "unknown": 1, "warning": 2, "ok": 3}


def identity(finding: Mapping[str, Any]) -> str:
    """Return the finding's identity, host + check + subject + code, as one text."""
    return "|".join(str(finding[part]) for part in ("host", "check", "subject", "code"))


def fold(findings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the findings in their order everywhere, each with ``id`` and ``follows_from``.

    follows_from: id of the root that explains it, "" for a root (and for what is well). Roots come first,
    then status, severity, code, host, subject.

    One finding may explain another when the catalogue says so (``follows``), or the finding itself
    (``evidence.blocked_by`` of what could not be asked, ``evidence.caused_by`` of the same event seen twice; same host);
    otherwise both must be of one site, and the cause must not be milder than what it explains: a readable dump does not
    explain a silent backend.
    """
    bad = [finding for finding in findings if finding["status"] != "ok"]
    by_code: dict[str, list[Mapping[str, Any]]] = {}
    for finding in bad:
        by_code.setdefault(finding["code"], []).append(finding)
    parents = {identity(finding): _parent(finding, by_code) for finding in bad}
    folded = [{**finding, "id": identity(finding), "follows_from": _root(identity(finding), parents)} for finding in findings]
    return sorted(folded, key=_order)


def _order(finding: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        bool(finding["follows_from"]),
        STATUS_ORDER[finding["status"]],
        finding["severity"] or "P9",
        finding["code"],
        finding["host"],
        finding["check"],
        finding["subject"],
    )


def _parent(finding: Mapping[str, Any], by_code: Mapping[str, list[Mapping[str, Any]]]) -> str:
    causes = [
        other for code in _causing_codes(finding, by_code) for other in by_code[code] if other is not finding and _explains(other, finding)
    ]
    if not causes:
        return ""
    best = min(
        causes,
        key=lambda cause: (
            cause["host"] != finding["host"],
            STATUS_ORDER[cause["status"]],
            cause["severity"],
            # Of several that are as bad, the nearest: of this area, and about the same.
            _area(cause) != _area(finding),
            not _places(cause) & _places(finding),
            identity(cause),
        ),
    )
    return identity(best)


def _causing_codes(finding: Mapping[str, Any], found: Iterable[str]) -> list[str]:
    """Return the codes among those found that may explain a finding, before host, site and subject are looked at."""
    entry = FAULTS.get(finding["code"])
    blocked_by = finding["evidence"].get("blocked_by")
    follows = [named.code for named in entry.follows] if entry else []
    named = (blocked_by, finding["evidence"].get("caused_by"))
    return [code for code in found if code in named or any(_names(pattern, code) for pattern in follows)]


def _names(pattern: str, code: str) -> bool:
    """Whether ``area.*`` or a code names a code."""
    if not pattern.endswith(".*"):
        return pattern == code
    entry = FAULTS.get(code)
    return entry is not None and entry.area == pattern[:-2]


def _explains(cause: Mapping[str, Any], finding: Mapping[str, Any]) -> bool:
    if cause["host"] == finding["host"] and cause["code"] in (finding["evidence"].get("blocked_by"), finding["evidence"].get("caused_by")):
        return True
    entry = FAULTS.get(finding["code"])
    if entry is None or cause.get("site", "") != finding.get("site", "") or cause["severity"] > finding["severity"]:
        return False
    return any(_matches(follows, cause, finding) for follows in entry.follows)


def _matches(follows: Follows, cause: Mapping[str, Any], finding: Mapping[str, Any]) -> bool:
    if follows.same_subject and not _places(cause) & _places(finding):
        return False
    return _names(follows.code, cause["code"])


def _area(finding: Mapping[str, Any]) -> str:
    return str(finding["check"]).partition(".")[0]


def _places(finding: Mapping[str, Any]) -> set[str]:
    """Return what a finding is about, and as ``host:port`` where that is: one may know it by name, another by address."""
    evidence = finding["evidence"]
    places = {finding["subject"], evidence.get("place")}
    if evidence.get("address") and evidence.get("port"):
        places.add(f"{evidence['address']}:{evidence['port']}")
    return {str(place) for place in places if place}


def _root(start: str, parents: Mapping[str, str]) -> str:
    """Follow causes up to their root; a circle ends where it would close, so that one of it stays a root."""
    path = [start]
    while parents.get(path[-1]):
        above = parents[path[-1]]
        if above in path:
            return "" if start == min(path[path.index(above) :]) else min(path[path.index(above) :])
        path.append(above)
    return path[-1] if len(path) > 1 else ""
