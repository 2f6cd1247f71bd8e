# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The technical half of the fault catalogue: what each code means for machines.

The texts for people are in ``_areas/<area>/texts.yml``, read on the controller. A finding can only be made
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


def _fault(code: str, severity: str, source: str, *remedies: Remedy, follows: tuple[Follows, ...] = ()) -> Fault:
    return Fault(code, code.split(".", 1)[0], severity, source, remedies, follows)


def _run(name: str) -> Fault:
    return Fault(f"run.{name}", "run", "P2", "+", unknown=True)


def _from(*codes: str) -> tuple[Follows, ...]:
    return tuple(Follows(code) for code in codes)


_BROKEN_BACKEND = tuple(
    Follows(f"backend.{name}", same_subject=True) for name in ("di_error", "env_invalid", "module_missing", "port_conflict")
)
_GONE = (Follows("pm2.missing", same_subject=True),)
# What the applications stand on.
_BELOW_APPLICATIONS = _from("pm2.*", "oracle.*", "ses.*", "nas.*", "attachments.*", "logsdb.unreachable")
_BELOW_WEB = _from("nginx.*")
# A sick mount hides its folders; a folder that is missing or closed, or a NAS that is full, explains missing files.
_SICK_MOUNT = _from("nas.not_mounted", "nas.wrong_source", "nas.stale", "nas.hung")
_BELOW_ATTACHMENTS = _from("nas.*")
_BELOW_GATEWAY = (*_from("backend.*", "pm2.*"), *_BELOW_WEB)

# A place that cannot be reached, asked by its own check.
_SAME_PLACE = tuple(
    Follows(code, same_subject=True)
    for code in ("logsdb.unreachable", "ORA-12541", "ORA-12170", "ORA-12537", "oracle.name_unknown", "ses.unreachable")
)

_RESTART_WORKER = Remedy("pm2.restart", APPROVAL)
_REDUCE = Remedy("worker.reduce_parallel", APPROVAL)
_PAUSE = Remedy("worker.pause", APPROVAL)
_TIGHTEN = Remedy("file.tighten", AUTO)
_RESTORE_BUILD = Remedy("web.restore_build", APPROVAL)
_ROTATE = Remedy("logs.rotate", AUTO)
_ROTATE_EARLY = Remedy("logs.rotate", APPROVAL)  # by itself from 90 % on only
_START_NGINX = Remedy("nginx.start", AUTO)
_REMOUNT = Remedy("nas.remount", APPROVAL)
_RENAME = Remedy("attachments.rename", APPROVAL)


def _backend(name: str, severity: str, source: str, *remedies: Remedy) -> Fault:
    return _fault(f"backend.{name}", severity, source, *remedies, follows=_BELOW_APPLICATIONS)


def _silent(name: str) -> Fault:
    """Return the row of a backend that does not serve; a start-up fault is a root of its own and explains it."""
    broken = _from(*(follows.code for follows in _BROKEN_BACKEND))
    return _fault(f"backend.{name}", "P1", "M1-3, M2-4", Remedy("pm2.restart", AUTO), follows=(*_BELOW_APPLICATIONS, *broken))


def _worker(name: str, severity: str, source: str, *remedies: Remedy) -> Fault:
    return _fault(f"worker.{name}", severity, source, *remedies, follows=_BELOW_APPLICATIONS)


def _web(name: str, severity: str, source: str, *remedies: Remedy) -> Fault:
    return _fault(f"web.{name}", severity, source, *remedies, follows=_BELOW_WEB)


def _mount(name: str, severity: str, source: str) -> Fault:
    return _fault(f"nas.{name}", severity, source, _REMOUNT)


def _below_mount(name: str, severity: str, source: str) -> Fault:
    return _fault(f"nas.{name}", severity, source, follows=_SICK_MOUNT)


def _attachment(name: str, *remedies: Remedy, severity: str = "P2", source: str = "M1-6, F") -> Fault:
    return _fault(f"attachments.{name}", severity, source, *remedies, follows=_BELOW_ATTACHMENTS)


def _oracle(code: str, severity: str, source: str, *remedies: Remedy) -> Fault:
    return Fault(code, "oracle", severity, source, remedies)


def _ses(name: str, severity: str, source: str, *remedies: Remedy, follows: tuple[Follows, ...] = ()) -> Fault:
    return _fault(f"ses.{name}", severity, source, *remedies, follows=follows)


_PM2 = (
    _fault("pm2.daemon_down", "P0", "M2-3", Remedy("pm2.resurrect", AUTO)),
    _fault("pm2.daemon_hung", "P0", "M2-3", Remedy("pm2.kill_daemon", APPROVAL)),
    _fault("pm2.missing", "P1", "M2-3", Remedy("pm2.start", AUTO)),
    _fault("pm2.stopped", "P1", "M2-3", Remedy("pm2.start", AUTO)),
    _fault("pm2.errored", "P1", "M2-3", Remedy("pm2.restart", AUTO), follows=_BROKEN_BACKEND),
    _fault("pm2.restart_loop", "P1", "M2-3", follows=_BROKEN_BACKEND),
    _fault("pm2.memory_restart", "P2", "M1-9"),
    _fault("pm2.killed", "P2", "M1-9"),
    _fault("pm2.not_saved", "P2", "M2-3", Remedy("pm2.save", AUTO)),
    _fault("pm2.dump_differs", "P2", "M2-3", Remedy("pm2.save", AUTO), follows=_GONE),
    _fault("pm2.startup_missing", "P2", "M2-3"),
    _fault("pm2.startup_wrong", "P2", "M2-3"),
    _fault("pm2.dump_readable", "P2", "F", _TIGHTEN),
    _fault("pm2.runs_as_root", "P2", "F"),
)
_RUN = (
    *(
        _run(name)
        for name in ("unreachable", "no_hosts", "check_unknown", "check_crashed", "check_timeout", "driver_missing", "credentials_held")
    ),
    _fault("run.rollback_refused", "P1", "M1-12"),
    _fault("run.rollback_undone", "P1", "M1-12"),
    _fault("run.rollback_broken", "P0", "M1-12"),
)

_BACKEND = (
    _silent("no_answer"),
    _silent("error_5xx"),
    _silent("wrong_body"),
    _backend("slow", "P2", "F"),
)
_BACKEND_LOG = (
    _fault("backend.di_error", "P1", "M1-3"),
    _fault("backend.env_invalid", "P1", "M1-3"),
    _fault("backend.module_missing", "P1", "M1-3"),
    _fault("backend.port_conflict", "P1", "M1-3", Remedy("backend.change_port", APPROVAL)),
    _fault("backend.env_readable", "P2", "F", _TIGHTEN),
)
_WORKER = (
    _worker("stalled", "P0", "M1-4, M2-5", _RESTART_WORKER),
    _worker("scheduler_silent", "P1", "M2-5", _RESTART_WORKER),
)
_WORKER_LOG = (
    _worker("oracle_failed", "P1", "M1-4"),
    _worker("ses_error", "P1", "M1-4"),
    _worker("file_not_found", "P1", "M1-4"),
    _worker("template_mismatch", "P1", "M1-4"),
    _worker("unknown_error", "P2", "M1-4"),
)
_NGINX = (
    _fault("nginx.stopped", "P1", "M1-8, M2-10", _START_NGINX, follows=_from("nginx.config_invalid", "nginx.port_conflict")),
    _fault("nginx.config_invalid", "P1", "M1-8, M2-10", _START_NGINX),
    _fault("nginx.port_conflict", "P1", "M1-8, M2-10", _START_NGINX),
    _fault("nginx.restarted", "P3", "M2-10"),
    _fault(
        "nginx.old_config",
        "P2",
        "M2-10",
        Remedy("nginx.reload", AUTO),
        follows=_from("nginx.config_invalid", "nginx.port_conflict"),
    ),
)
_WEB = (
    _web("no_answer", "P1", "+"),
    _web("blank", "P1", "M1-8, M2-10", _RESTORE_BUILD),
    _web("build_missing", "P1", "M1-8, M2-10", _RESTORE_BUILD),
    _web("asset_missing", "P1", "M1-8, M2-10", _RESTORE_BUILD),
    _web("asset_empty", "P1", "M1-8, M2-10", _RESTORE_BUILD),
    _web("forbidden", "P1", "M1-8, M2-10", _RESTORE_BUILD),
    _web("not_found", "P1", "M1-8"),
    _fault("web.bad_gateway", "P1", "M1-8", follows=_BELOW_GATEWAY),
    _fault("web.gateway_timeout", "P1", "M1-8", follows=_BELOW_GATEWAY),
    _web("secret_in_build", "P0", "F"),
    _web("certificate_30", "P3", "F"),
    _web("certificate_expired", "P1", "F"),
    _web("headers_missing", "P3", "F"),
)
_HOST = (
    _fault("host.cpu_80", "P2", "M1-9, M2-9", _REDUCE),
    _fault("host.cpu_saturated", "P1", "M1-9, M2-9", _REDUCE),
    _fault("host.memory_low", "P2", "M1-9, M2-9"),
    _fault("host.oom_killed", "P1", "M1-9, M2-9"),
    _fault("host.disk_80", "P2", "M1-9, M2-9", _ROTATE_EARLY),
    _fault("host.disk_90", "P1", "M1-9, M2-9", _ROTATE),
    # No remedy: rotating deletes nothing, so it frees no inode.
    _fault("host.inodes", "P1", "M1-9, M2-9"),
    _fault("host.disk_forecast", "P2", "M1-9, M2-9", _ROTATE_EARLY),
    _fault("host.log_not_rotated", "P3", "M1-9, F", _ROTATE),
    _fault("host.log_readable", "P2", "M1-9, F", _TIGHTEN),
    _fault("host.port_open", "P3", "F"),
    _fault("host.outbound_blocked", "P1", "F", follows=_SAME_PLACE),
    _fault("host.clock", "P2", "F"),
)
_LISTENER = "M1-5, M2-6"
_ORACLE = (
    _oracle("ORA-12514", "P0", _LISTENER),
    _oracle("ORA-12505", "P0", _LISTENER),
    _oracle("ORA-12518", "P0", "+"),
    _oracle("ORA-12541", "P0", _LISTENER),
    _oracle("ORA-12170", "P0", _LISTENER),
    _oracle("ORA-12537", "P0", _LISTENER),
    _oracle("oracle.name_unknown", "P0", "M1-5"),
    _oracle("oracle.tns_alias", "P0", "M1-5"),
    _oracle("ORA-01017", "P0", _LISTENER),
    _oracle("ORA-28000", "P0", _LISTENER),
    _oracle("ORA-28001", "P0", _LISTENER),
    _oracle("ORA-28009", "P0", _LISTENER),
    _oracle("ORA-28002", "P3", "+"),
    _oracle("ORA-01034", "P0", "+"),
    _oracle("ORA-01033", "P0", "+"),
    _oracle("ORA-03113", "P0", "+"),
    _oracle("oracle.no_privilege", "P1", "M2-6, F"),
    _oracle("oracle.too_much_privilege", "P3", "M2-6, F"),
    _oracle("oracle.needs_thick", "P1", "M1-5"),
    _oracle("oracle.instant_client_missing", "P1", "M1-5"),
    _oracle("oracle.slow", "P2", "F", _REDUCE),
    _oracle("oracle.pool_exhausted", "P2", "F", _REDUCE),
)
_LOGSDB = (_fault("logsdb.unreachable", "P1", "M2-11"),)

_NAS = (
    _mount("not_mounted", "P0", "M1-6, M2-7"),
    _mount("wrong_source", "P0", "M1-6, M2-7"),
    _mount("stale", "P0", "M1-6, M2-7"),
    _mount("hung", "P0", "M1-6, M2-7"),
    _below_mount("path_missing", "P1", "M1-6, M2-7"),
    _below_mount("no_permission", "P1", "M1-6, M2-7"),
    _below_mount("writable", "P3", "F"),
    _below_mount("disk_80", "P2", "M2-7"),
    _below_mount("disk_90", "P1", "M2-7"),
)
_SAME_IDENTITY = (Follows("ses.dkim", same_subject=True),)
_SES = (
    _ses("quota_80", "P2", "F, M2-8", _PAUSE),
    _ses("quota_forecast", "P2", "F, M2-8", _PAUSE),
    _ses("quota_exhausted", "P0", "F, M2-8", _PAUSE),
    _ses("rate_near_limit", "P2", "M1-7, M2-8", _REDUCE),
    _ses("throttled", "P1", "M1-7, M2-8", _REDUCE, follows=_from("ses.quota_exhausted")),
    _ses("bounce_5", "P2", "M2-8, M1-7"),
    _ses("bounce_10", "P0", "M2-8, M1-7", _PAUSE),
    _ses("bounce_rising", "P2", "M2-8, M1-7"),
    _ses("complaint_01", "P2", "M2-8, F"),
    _ses("complaint_05", "P0", "M2-8, F", _PAUSE),
    _ses("complaint_rising", "P2", "M2-8, F"),
    _ses("reject_5", "P1", "M2-8"),
    _ses("account_paused", "P0", "F"),
    _ses("account_probation", "P1", "F"),
    _ses("sandbox", "P1", "F"),
    _ses("identity_unverified", "P1", "M1-7, F", follows=_SAME_IDENTITY),
    _ses("spf", "P1", "M1-7, F"),
    _ses("dkim", "P1", "M1-7, F"),
    _ses("mail_from", "P1", "M1-7, F"),
    _ses("access_denied", "P0", "M1-7, F"),
    _ses("policy_too_wide", "P3", "M1-7, F"),
    _ses("key_invalid", "P0", "M2-8"),
    _ses("key_inactive", "P0", "M2-8"),
    _ses("clock", "P0", "M2-8"),
    _ses("key_old", "P3", "M1-13"),
    _ses("invalid_address", "P2", "M1-7"),
    _ses("unreachable", "P0", "F"),
)
_ATTACHMENTS = (
    _attachment("batch_missing", severity="P1", source="M1-6"),
    _fault("attachments.not_found", "P2", "M1-6", follows=(*_BELOW_ATTACHMENTS, *_from("attachments.batch_missing"))),
    _attachment("case_differs", _RENAME, source="M1-6"),
    _attachment("near_name", source="M1-6"),
    _attachment("duplicated", source="M1-6"),
    _attachment("empty"),
    _attachment("unreadable"),
    _attachment("damaged"),
    _attachment("wrong_type"),
    _attachment("extension"),
    _attachment("bad_name"),
    _attachment("no_name"),
    _attachment("still_written"),
    _attachment("retention", severity="P3", source="F"),
)

# Only what is built: an area comes in with its checks and its texts.
FAULTS: dict[str, Fault] = {
    fault.code: fault
    for fault in (
        *_PM2,
        *_RUN,
        *_LOGSDB,
        *_ORACLE,
        *_WORKER,
        *_HOST,
        *_BACKEND_LOG,
        *_WORKER_LOG,
        *_BACKEND,
        *_NGINX,
        *_WEB,
        *_NAS,
        *_ATTACHMENTS,
        *_SES,
    )
}
