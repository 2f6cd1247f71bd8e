# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The technical half of the fault catalogue: what each code means for machines.

The texts for people are in ``plugin_utils/catalogue/*.yml``, read on the controller. A finding can only be made
with a code that stands here.
"""

from __future__ import annotations

from dataclasses import dataclass

AREAS = (
    "pm2",
    "backend",
    "worker",
    "oracle",
    "nas",
    "attachments",
    "ses",
    "nginx",
    "web",
    "host",
    "logsdb",
    "templates",
    "backups",
    "run",
)
AUTO, APPROVAL, MANUAL = "auto", "approval", "manual"


@dataclass(frozen=True)
class Remedy:
    """What may be done about a fault: the action's id and who may decide on it."""

    id: str
    permission: str


@dataclass(frozen=True)
class Follows:
    """A code (or ``area.*``) that may be the cause; with ``same_subject`` only for the same process, mount ..."""

    code: str
    same_subject: bool = False


@dataclass(frozen=True)
class Fault:
    """One entry: severity P0 (sending stops) to P3 (advice), remedies best first, possible causes.

    source: manual and section (M1-9, M2-3), F for the product facts, + for ours.
    status: derived; ``unknown`` for what could not be asked.
    """

    code: str
    area: str
    severity: str
    source: str
    remedies: tuple[Remedy, ...] = ()
    follows: tuple[Follows, ...] = ()
    unknown: bool = False

    @property
    def status(self) -> str:
        """``critical`` for P0 and P1, ``warning`` for P2 and P3, ``unknown`` where nothing could be asked."""
        if self.unknown:
            return "unknown"
        return "critical" if self.severity in ("P0", "P1") else "warning"


def _pm2(name: str, severity: str, source: str, remedies: tuple[Remedy, ...] = (), follows: tuple[Follows, ...] = ()) -> Fault:
    return Fault(f"pm2.{name}", "pm2", severity, source, remedies, follows)


def _run(name: str) -> Fault:
    return Fault(f"run.{name}", "run", "P2", "+", unknown=True)


_BROKEN_BACKEND = tuple(
    Follows(f"backend.{name}", same_subject=True) for name in ("di_error", "env_invalid", "module_missing", "port_conflict")
)
_GONE = (Follows("pm2.missing", same_subject=True),)

FAULTS: dict[str, Fault] = {
    fault.code: fault
    for fault in (
        _pm2("daemon_down", "P0", "M2-3", (Remedy("pm2.resurrect", AUTO),)),
        _pm2("daemon_hung", "P0", "M2-3", (Remedy("pm2.kill_daemon", APPROVAL),)),
        _pm2("missing", "P1", "M2-3", (Remedy("pm2.start", AUTO),)),
        _pm2("stopped", "P1", "M2-3", (Remedy("pm2.start", AUTO),)),
        _pm2("errored", "P1", "M2-3", (Remedy("pm2.restart", AUTO),), _BROKEN_BACKEND),
        _pm2("restart_loop", "P1", "M2-3", (), _BROKEN_BACKEND),
        _pm2("memory_restart", "P2", "M1-9"),
        _pm2("killed", "P2", "M1-9"),
        _pm2("not_saved", "P2", "M2-3", (Remedy("pm2.save", AUTO),)),
        _pm2("dump_differs", "P2", "M2-3", (Remedy("pm2.save", AUTO),), _GONE),
        _pm2("startup_missing", "P2", "M2-3"),
        _pm2("startup_wrong", "P2", "M2-3"),
        _pm2("dump_readable", "P2", "F", (Remedy("file.tighten", AUTO),)),
        _pm2("runs_as_root", "P2", "F"),
        _run("unreachable"),
        _run("no_hosts"),
        _run("check_unknown"),
        _run("check_crashed"),
        _run("check_timeout"),
    )
}
