# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run record: one JSON document per run. Collected while the run goes on, completed and judged at its end.

The document's schema is published as ``plugin_utils/record/schemas/run_record-1.json``. Nothing here prints or sends.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import AREAS
from ansible_collections.ops.remediation.plugins.module_utils._areas.run.faults import fault
from ansible_collections.ops.remediation.plugins.module_utils._core import finding as _finding
from ansible_collections.ops.remediation.plugins.module_utils._core.masking import mask_all, strip_ansi
from ansible_collections.ops.remediation.plugins.module_utils._core.times import rfc3339
from ansible_collections.ops.remediation.plugins.plugin_utils.record.actions import action_of
from ansible_collections.ops.remediation.plugins.plugin_utils.record.folding import fold, identity
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

SCHEMA = "ops.remediation/run_record/1"
FAIL_ON = {"critical": ("critical",), "unknown": ("critical", "unknown"), "warning": ("critical", "unknown", "warning"), "never": ()}
MOST_FINDINGS = 2000  # of one task on one host
MOST_OF_A_WORD = 100
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_CHECK = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_EMPTY = _finding.Finding(check="", area="").as_dict()
LANGUAGES = faults_catalogue.LANGUAGES
# How the callback tells the tasks of the run what it knows: they are forked from its process and inherit it.
VERDICT_VARIABLE = "OPS_REMEDIATION_RUN"
GOES_ON = ("run.rollback", "run.release_backup")  # what a host that has begun it ends by itself when the connection is lost


@dataclass
class Settings:
    """What the guard play read from the inventory; ``home`` is the controller's folder for runs."""

    cadence: str = ""
    hosts: list[str] = field(default_factory=list)
    fail_on: str = "critical"
    language: str = "en"
    home: str = ""
    guarded: bool = False


class RunRecord:
    """Collects what tasks returned. Times are RFC 3339 in UTC, durations milliseconds."""

    def __init__(self, playbook: str, collection_version: str) -> None:
        """Begin a run."""
        self.started = datetime.now(timezone.utc)
        self.run_id = f"{self.started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self.playbook = playbook
        self.collection_version = collection_version
        self.check_mode = False
        self.settings = Settings()
        self._expected: dict[str, list[str]] = {}
        self._unanswered: dict[tuple[str, str], str] = {}
        self._findings: dict[str, dict[str, Any]] = {}
        self._actions: list[dict[str, Any]] = []
        self._remarks: dict[tuple[str, str], dict[str, Any]] = {}
        self._unreachable: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._told: set[str] = set()
        self._sites: dict[str, str] = {}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take the settings that the guard play read."""
        self.settings = Settings(guarded=True, **settings)

    def answered(self, host: str, answer: Mapping[str, Any], reason: str = "", *, failed: bool = False) -> None:
        """Take what a task that returns findings said about a host; later answers replace earlier ones.

        reason: why the task gave no answer or not all; it holds for the checks that it left unanswered.
        failed: whether Ansible counts the host as failed for it.
        """
        expected = [check for check in answer.get("expected", []) if _is_check(check)]
        if reason:
            self._unanswered.update({(host, check): _one_line(reason) for check in expected})
        self._expected.setdefault(host, []).extend(check for check in expected if check not in self._expected.get(host, []))
        # The modules that ask on their own do not know the site; what another task told stays.
        self._sites[host] = str(answer.get("site", self._sites.get(host, "")))
        for finding in received(answer.get("findings") or [], expected):
            # What a host says of itself never overrides who it is.
            entry = {**finding, "host": host}
            self._findings[identity(entry)] = entry
        if failed:
            self._failed[host] = _one_line(reason)
            if any(_tells_of_failure(finding) for finding in answer.get("findings") or [] if isinstance(finding, Mapping)):
                self._told.add(host)

    def unreachable(self, host: str, reason: str) -> None:
        """Note that a host could not be reached."""
        self._unreachable[host] = _one_line(reason)

    def failed(self, host: str, task: str, reason: str) -> None:
        """Note that a task failed on a host; what it should have checked stays unchecked."""
        self._failed[host] = _one_line(f"{task}: {reason}" if task else reason)

    def acted(self, host: str, module: str, task: str, answer: Mapping[str, Any], *, check_mode: bool) -> None:
        """Note what a task's answer says was changed on a host, or would be in check mode."""
        action = action_of(host, module, task, answer, check_mode=check_mode, at=rfc3339(datetime.now(timezone.utc)))
        if action is not None:
            self._actions.append(action)

    def remarked(self, remarks: Iterable[Mapping[str, Any]]) -> None:
        """Take what the controller says about the run's own settings; the same said again counts once. It decides nothing."""
        self._remarks.update({(remark["kind"], remark["subject"]): dict(remark) for remark in remarks})

    @property
    def is_ours(self) -> bool:
        """Whether the run guarded itself or asked checks; other playbooks may run with the same configuration."""
        return self.settings.guarded or bool(self._expected)

    def verdict(self) -> dict[str, Any]:
        """Return {failed, reason, fail_on, run_id, counts...} for what is known so far."""
        return self.document()["verdict"]

    def document(self) -> dict[str, Any]:
        """Return the run record as it stands."""
        finished = datetime.now(timezone.utc)
        findings = fold(
            [{**entry, "site": self._sites.get(entry["host"], "")} for entry in [*self._findings.values(), *self._controller_findings()]]
        )
        for finding in findings:
            finding["texts"] = faults_catalogue.render(finding) if finding["status"] != "ok" else {}
        totals = self._totals(findings)
        return {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "collection_version": self.collection_version,
            "cadence": self.settings.cadence,
            "playbook": self.playbook,
            "check_mode": self.check_mode,
            "language": self.settings.language,
            "started_at": rfc3339(self.started),
            "finished_at": rfc3339(finished),
            "hosts": self._hosts(findings),
            "findings": findings,
            "actions": self._actions,
            "remarks": list(self._remarks.values()),
            "totals": totals,
            "timing": {"duration_ms": round((finished - self.started).total_seconds() * 1000)},
            "verdict": {"run_id": self.run_id, "fail_on": self.settings.fail_on, **_judge(totals, self.settings.fail_on, self._broken())},
        }

    def _broken(self) -> str:
        """Say which hosts Ansible itself counts as failed; its exit code is not 0 then, whatever was found."""
        kinds = (("unreachable", self._unreachable), ("failed", self._failed))
        return ", ".join(f"{len(hosts)} host{'s' if len(hosts) > 1 else ''} {kind}" for kind, hosts in kinds if hosts)

    def _host_names(self) -> list[str]:
        names = [*self.settings.hosts, *self._expected, *self._unreachable, *self._failed]
        return list(dict.fromkeys(names))

    def _hosts(self, findings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        answered = {(finding["host"], finding["check"]) for finding in findings if finding["status"] != "unknown"}
        return [
            {
                "host": host,
                "site": self._sites.get(host, ""),
                "state": self._state_of(host),
                "expected": self._expected.get(host, []),
                "checked": [check for check in self._expected.get(host, []) if (host, check) in answered],
            }
            for host in self._host_names()
        ]

    def _state_of(self, host: str) -> str:
        if host in self._unreachable:
            return "unreachable"
        if host in self._failed:
            return "failed"
        if host not in self._expected:
            return "not_asked"
        return "asked" if self._expected[host] else "nothing_to_check"

    def _controller_findings(self) -> list[dict[str, Any]]:
        """Make visible what was expected and not checked."""
        made = []
        for host in self._host_names():
            if host in self._unreachable:
                acting = [check for check in self._expected.get(host, []) if check in GOES_ON]
                evidence = {"reason": self._unreachable[host], **({"acting": acting} if acting else {})}
                made.append((host, fault("run.unreachable", "run.reach", evidence=evidence)))
            elif self._needs_telling(host):
                reason = self._failed.get(host) or "the run ended before this host was asked"
                made.append((host, _finding.unknown("run.reach", reason)))
            made.extend((host, finding) for finding in self._unchecked(host))
        moment = rfc3339(datetime.now(timezone.utc))
        return [{"host": host, **finding.as_dict(), "checked_at": moment, "asked_from": "localhost"} for host, finding in made]

    def _needs_telling(self, host: str) -> bool:
        """Whether a host was never asked, or failed in a way that none of its findings tells."""
        if host not in self._expected:
            return True
        return host in self._failed and host not in self._told and not self._unchecked(host)

    def _unchecked(self, host: str) -> list[_finding.Finding]:
        answered = {entry["check"] for entry in self._findings.values() if entry["host"] == host}
        blocked_by = "run.unreachable" if host in self._unreachable else ""
        return [
            _finding.unknown(check, self._unanswered.get((host, check), "no answer came back for this check"), blocked_by=blocked_by)
            for check in self._expected.get(host, [])
            if check not in answered
        ]

    def _totals(self, findings: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        hosts = self._hosts(findings)
        by_status = Counter(finding["status"] for finding in findings)
        roots = Counter(finding["status"] for finding in findings if not finding["follows_from"])
        totals = {
            "hosts": len(hosts),
            "expected": sum(len(host["expected"]) for host in hosts),
            "checked": sum(len(host["checked"]) for host in hosts),
        }
        for status in _finding.STATUSES:
            totals[status] = by_status[status]
        totals["roots"] = sum(roots[status] for status in ("critical", "unknown", "warning"))
        return totals


def _judge(totals: Mapping[str, int], fail_on: str, broken: str = "") -> dict[str, Any]:
    """Decide whether the run has failed, and say why in one line; broken: what failed besides the findings."""
    if not totals["expected"] and totals["unknown"]:
        return {"failed": True, "reason": "nothing was checked: no host could be asked"}
    if not totals["expected"]:
        return {"failed": True, "reason": "nothing was checked: no host of this run has a check for its stack_areas"}
    if not totals["checked"]:
        return {"failed": True, "reason": f"nothing was checked: none of {totals['expected']} expected checks could be asked"}
    counted = {status: totals[status] for status in FAIL_ON[fail_on] if totals[status]}
    if counted or broken:
        return {
            "failed": True,
            "reason": ", ".join([*(f"{number} {status}" for status, number in counted.items()), *([broken] if broken else [])]),
        }
    return {"failed": False, "reason": f"{totals['checked']} of {totals['expected']} checks answered"}


def received(findings: Any, expected: Iterable[str]) -> list[dict[str, Any]]:
    """Return findings as a host may send them: of the published form, cleaned once more, and bounded in number.

    A finding of another form becomes ``run.check_crashed`` of its check: it must neither pass nor break the record.
    """
    if not isinstance(findings, (list, tuple)):
        findings = [findings]
    taken = [finding if _is_well_formed(finding) else _malformed(finding, expected) for finding in findings[:MOST_FINDINGS]]
    if len(findings) > MOST_FINDINGS:
        more = f"this host sent {len(findings)} findings; the first {MOST_FINDINGS} are kept"
        taken.append(_finding.unknown("run.reach", more, code="run.check_crashed").as_dict())
    return [_clean(finding) for finding in taken]


def _is_check(identifier: Any) -> bool:
    """Whether this is the id of a check. Ansible hides a secret everywhere in an answer, also where it is a part of an id."""
    return isinstance(identifier, str) and bool(_CHECK.fullmatch(identifier))


def _is_well_formed(finding: Any) -> bool:
    return (
        isinstance(finding, Mapping)
        and set(finding) >= set(_EMPTY)
        and all(
            isinstance(finding[name], str) for name in ("check", "area", "code", "subject", "severity", "asked_from", "unit", "checked_at")
        )
        and _is_check(finding["check"])
        and finding["area"] in AREAS
        and finding["status"] in _finding.STATUSES
        and finding["severity"] in (("",) if finding["status"] == "ok" else ("P0", "P1", "P2", "P3"))
        and bool(finding["code"]) == (finding["status"] != "ok")
        and isinstance(finding["evidence"], Mapping)
        and isinstance(finding["remedies"], (list, tuple))
        and isinstance(finding["duration_ms"], int)
        and all(isinstance(finding[name], (int, float, str, type(None))) for name in ("value", "threshold"))
    )


def _malformed(finding: Any, expected: Iterable[str]) -> dict[str, Any]:
    named = finding.get("check") if isinstance(finding, Mapping) else None
    check = named if named in list(expected) else "run.reach"
    return _finding.unknown(str(check), "the host's answer is not a finding of this version", code="run.check_crashed").as_dict()


def _clean(finding: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the known keys, with texts masked and cut once more: a host's own word is not proof that they are."""
    kept = {name: finding[name] for name in _EMPTY}
    for name in ("check", "area", "code", "asked_from", "unit", "checked_at"):
        kept[name] = strip_ansi(kept[name])[:MOST_OF_A_WORD]
    if not _MOMENT.fullmatch(kept["checked_at"]):
        kept["checked_at"] = rfc3339(datetime.now(timezone.utc))
    kept["subject"] = strip_ansi(kept["subject"])[: _finding.MOST_OF_A_NAME]
    kept["evidence"] = mask_all(kept["evidence"])
    kept["remedies"] = [str(remedy)[:MOST_OF_A_WORD] for remedy in kept["remedies"]]
    return kept


def write(record: Mapping[str, Any], report: str, home: str) -> Path:
    """Keep a record and its report under ``<home>/runs/<run_id>/``; returns the folder. Raises OSError."""
    folder = Path(home) / "runs" / record["run_id"]
    folder.mkdir(mode=0o700, parents=True)
    _write(folder / "record.json", json.dumps(record, ensure_ascii=False, indent=1))
    _write(folder / "report.md", report)
    _point(folder.parent / "latest", folder.name)
    return folder


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def _point(link: Path, target: str) -> None:
    # Replaced in one step, so that a reader always finds one whole run.
    with tempfile.TemporaryDirectory(dir=link.parent, prefix=".") as folder:
        new = Path(folder) / "latest"
        new.symlink_to(target)
        os.replace(new, link)


def default_home() -> str:
    """Return the user's folder for runs, following XDG."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(base) / "ops-remediation")


def _tells_of_failure(finding: Mapping[str, Any]) -> bool:
    """Whether a finding says why its task failed: what could not be asked, or a fault of the run itself, such as a refused rollback."""
    return finding.get("status") == "unknown" or str(finding.get("code") or "").startswith("run.")


def _one_line(text: str) -> str:
    return " ".join(str(text).split())
