# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LogsDB has about work: JOB_QUEUE, AUTO_RUN_LOG, EMAIL_SEND_LOG, AUTOMATION (product facts, LogsDB schema; M2-5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypedDict, cast
from zoneinfo import ZoneInfo

from ..._core.times import rfc3339
from ..._shared.sql import Session

SHOWN_AUTOMATIONS = 5


class Automation(TypedDict):
    """The runs of one automation; times are RFC 3339 in UTC."""

    auto_id: Any
    runs: int
    open: int
    last_start: str | None
    last_end: str | None


class Work(TypedDict, total=False):
    """Work, as other checks are given it; None for what could not be read, which ``not_asked`` names. Times are RFC 3339 in UTC.

    ``queue``: JOB_QUEUE exists. ``waiting``: jobs; without a queue, automations that are due. ``runs`` and what follows, up to
    ``last_run_end``: of the last ``look_back_days``. ``last_activity``: the newest sign of the worker. ``automations``: the most
    recent ones, of ``automations_total``.
    """

    look_back_days: int
    queue: bool
    waiting: int | None
    waiting_since: str | None
    running: int | None
    runs: int | None
    open_runs: int | None
    oldest_open: str | None
    last_run_start: str | None
    last_run_end: str | None
    last_activity: str | None
    automations: list[Automation]
    automations_total: int
    not_asked: list[str]


def read_work(session: Session, days: int) -> Work:
    """Return the work that waits and runs, and the runs of the last ``days``."""
    now = datetime.now(session.zone).replace(tzinfo=None)
    found: dict[str, Any] = {"look_back_days": days, "queue": session.tables["job_queue"] in ("there", "busy")}
    signs: list[Any] = []
    found.update(_queue(session, now, signs) if found["queue"] else _due(session, now))
    found.update(_runs(session, now - timedelta(days=days), signs))
    signs.append(_last_mail(session))
    found["last_activity"] = _latest(signs)
    found["not_asked"] = session.not_asked
    return cast("Work", _in_utc(found, session.zone))


def _queue(session: Session, now: datetime, signs: list[Any]) -> dict[str, Any]:
    """Return the numbers of jobs that wait and run, and since when the oldest has waited."""
    sql, job = session.sqlalchemy, session.table("job_queue", "auto_id", "status", "start_at", "end_at")
    count = sql.func.count().label("jobs")
    statement = sql.select(job.status, count, sql.func.max(job.start_at), sql.func.max(job.end_at)).group_by(job.status)
    rows = session.rows("JOB_QUEUE", statement)
    if rows is None:
        return {"waiting": None, "waiting_since": None, "running": None}
    for _status, _jobs, started, ended in rows:
        signs += [started, ended]
    jobs = {str(row[0]).upper(): int(row[1]) for row in rows}
    waiting = jobs.get("WAITING", 0)
    since = _waiting_since(session, job, now) if waiting else None
    return {"waiting": waiting, "waiting_since": since, "running": jobs.get("RUNNING", 0)}


def _waiting_since(session: Session, job: SimpleNamespace, now: datetime) -> datetime | None:
    """Return since when the oldest job has waited at least, None when that is unknown.

    JOB_QUEUE does not have the time at which a job was made. An automation has one job at a time, so its job was made after the
    previous one ended; a job with a fixed time was made at that time or later.
    """
    sql = session.sqlalchemy
    grouped = sql.select(job.auto_id, sql.func.min(job.start_at)).where(job.status == "WAITING").group_by(job.auto_id)
    rows = session.rows("JOB_QUEUE, waiting", grouped) or []
    automations = [row[0] for row in rows]
    ended = (
        sql.select(job.auto_id, sql.func.max(job.end_at)).where(job.auto_id.in_(automations), job.status != "WAITING").group_by(job.auto_id)
    )
    before = dict(session.rows("JOB_QUEUE, former jobs", ended) or [])
    times = _fixed_times(session, automations, now)
    since = [_moment(started) or _latest([before.get(auto), times.get(auto)]) for auto, started in rows]
    return min((moment for moment in since if moment is not None), default=None)


def _fixed_times(session: Session, automations: Sequence[Any], now: datetime) -> dict[Any, datetime]:
    """Return for each automation with a fixed time of the day the last such time before now."""
    if session.tables["scheduler"] != "there":
        return {}
    plan = session.table("scheduler", "auto_id", "type", "hour", "minute")
    wanted = session.sqlalchemy.select(plan.auto_id, plan.type, plan.hour, plan.minute).where(plan.auto_id.in_(automations))
    found = {}
    for auto, kind, hour, minute in session.rows("SCHEDULER", wanted) or []:
        if str(kind).upper() != "REALTIME" and isinstance(hour, int) and 0 <= hour < 24 and 0 <= int(minute or 0) < 60:
            today = now.replace(hour=hour, minute=int(minute or 0), second=0, microsecond=0)
            found[auto] = today if today <= now else today - timedelta(days=1)
    return found


def _due(session: Session, now: datetime) -> dict[str, Any]:
    """Return the automations that are due, where LogsDB has no JOB_QUEUE."""
    sql, automation = session.sqlalchemy, session.table("automation", "status", "next_run_at")
    statement = sql.select(sql.func.count(), sql.func.min(automation.next_run_at))
    rows = session.rows("AUTOMATION", statement.where(automation.status == "ACTIVE", automation.next_run_at <= now))
    if not rows:
        return {"waiting": None, "waiting_since": None, "running": None}
    return {"waiting": int(rows[0][0]), "waiting_since": _moment(rows[0][1]), "running": None}


def _runs(session: Session, oldest: datetime, signs: list[Any]) -> dict[str, Any]:
    """Return the runs since a moment, together and by automation.

    A statement of its own counts them together: a rollback trusts ``open_runs``, and the groups may be incomplete.
    """
    sql, run = session.sqlalchemy, session.table("auto_run_log", "auto_id", "start_at", "end_at")
    is_open = run.end_at.is_(None)
    counts = (sql.func.count(), sql.func.count(sql.case((is_open, 1))), sql.func.max(run.start_at), sql.func.max(run.end_at))
    recent = run.start_at >= oldest
    whole = sql.select(*counts, sql.func.min(sql.case((is_open, run.start_at))), sql.func.count(run.auto_id.distinct())).where(recent)
    rows = session.rows("AUTO_RUN_LOG", whole)
    if not rows:
        return {"runs": None, "open_runs": None, "oldest_open": None, "last_run_start": None, "last_run_end": None, "automations": []}
    runs, open_runs, started, ended, oldest_open, automations = rows[0]
    signs += [started, ended]
    grouped = sql.select(run.auto_id, *counts).where(recent).group_by(run.auto_id).order_by(sql.func.max(run.start_at).desc())
    groups = [
        {"auto_id": row[0], "runs": int(row[1]), "open": int(row[2]), "last_start": _moment(row[3]), "last_end": _moment(row[4])}
        for row in session.rows("AUTO_RUN_LOG, by automation", grouped, most=SHOWN_AUTOMATIONS) or []
    ]
    return {
        "runs": int(runs),
        "open_runs": int(open_runs),
        "oldest_open": _moment(oldest_open),
        "last_run_start": _moment(started),
        "last_run_end": _moment(ended),
        "automations": groups,
        "automations_total": int(automations),
    }


def _last_mail(session: Session) -> Any:
    """Return when the newest mail was sent. It is found by its key, because SEND_AT may have no index."""
    sql, mail = session.sqlalchemy, session.table("email_send_log", "send_id", "send_at")
    newest = sql.select(sql.func.max(mail.send_id)).scalar_subquery()
    rows = session.rows("EMAIL_SEND_LOG", sql.select(mail.send_at).where(mail.send_id == newest))
    return rows[0][0] if rows else None


def _latest(values: Sequence[Any]) -> datetime | None:
    return max((moment for moment in map(_moment, values) if moment is not None), default=None)


def _moment(value: Any) -> datetime | None:
    """Return a time of the database; SQLite has texts, some schemas have zones."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime) else None


def _in_utc(value: Any, zone: ZoneInfo) -> Any:
    """Return the same with every local time as RFC 3339 in UTC."""
    if isinstance(value, datetime):
        return rfc3339(value if value.tzinfo else value.replace(tzinfo=zone))
    if isinstance(value, dict):
        return {name: _in_utc(one, zone) for name, one in value.items()}
    return [_in_utc(one, zone) for one in value] if isinstance(value, list) else value
