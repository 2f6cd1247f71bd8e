# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LogsDB has about sending: failures by SES's names for them, now and in the same hours of previous weeks, and the peak rate.

The database makes the counts (product facts, EMAIL_SEND_LOG); of an address only its domain is kept.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, TypedDict

from ..._shared.sql import Session

HOURS = 3  # the window that is compared
WEEKS = 4  # previous weeks that are the usual
PEAK_HOURS = 24
MOST_DOMAINS = 5
_ADDRESS_V1, _ADDRESS_V2 = "InvalidParameter", "BadRequestException"  # SES's names for a bad address
_SECOND = {
    "postgresql": lambda sql, column: sql.func.date_trunc("second", column),
    "mysql": lambda sql, column: sql.func.date_format(column, "%Y-%m-%d %H:%i:%s"),
    "oracle": lambda sql, column: sql.func.to_char(column, "YYYY-MM-DD HH24:MI:SS"),
    "sqlite": lambda sql, column: sql.func.strftime("%Y-%m-%d %H:%M:%S", column),
}


class Failures(TypedDict):
    """Attempts to send, and failures by ERROR_TYPE."""

    attempts: int
    errors: dict[str, int]


class Mails(TypedDict, total=False):
    """``now``: the last ``hours``; ``usual``: the sum of the same hours and weekday of the previous ``weeks``.

    ``domains``: of bad addresses. ``peak``: mails a second. None for what could not be read, which ``not_asked`` names.
    """

    hours: int
    weeks: int
    now: Failures | None
    usual: Failures | None
    domains: dict[str, int]
    peak: int | None
    not_asked: list[str]


def read_mails(session: Session, now: datetime) -> Mails:
    """Return what was sent lately; ``session.not_asked`` names what could not be read. now: local, as the times in LogsDB are."""
    found: Mails = {"hours": HOURS, "weeks": WEEKS, "now": None, "usual": None, "domains": {}, "peak": None}
    counted = _counted(session, now)
    if counted is not None:
        recent, found["usual"] = counted
        found["now"] = recent
        if any(name.startswith(_ADDRESS_V1) or name == _ADDRESS_V2 for name in recent["errors"]):
            found["domains"] = _domains(session, now)
    found["peak"] = _peak(session, now)
    return found


def _mail(session: Session) -> Any:
    return session.table("email_send_log", "email", "status", "error_type", "send_at")


def _counted(session: Session, now: datetime) -> tuple[Failures, Failures] | None:
    sql, mail = session.sqlalchemy, _mail(session)
    spans = [(now - timedelta(weeks=week, hours=HOURS), now - timedelta(weeks=week)) for week in range(WEEKS + 1)]
    inside = [sql.and_(mail.send_at > begin, mail.send_at <= end) for begin, end in spans]
    # The WHERE leaves only these spans, so the ELSE is the previous weeks.
    this = sql.case((inside[0], 1), else_=0)
    statement = sql.select(this.label("this_week"), mail.error_type, sql.func.count())
    # Grouped by position: drivers send the bounds of a repeated CASE as other parameters, and to some databases that is another expression.
    rows = session.rows("EMAIL_SEND_LOG, failures", statement.where(sql.or_(*inside)).group_by(sql.text("1"), mail.error_type))
    if rows is None:
        return None
    attempts, errors = {1: 0, 0: 0}, {1: Counter[str](), 0: Counter[str]()}
    for flag, error, count in rows:
        attempts[int(flag)] += int(count)
        if error:
            errors[int(flag)][str(error)] += int(count)
    recent: Failures = {"attempts": attempts[1], "errors": dict(errors[1])}
    before: Failures = {"attempts": attempts[0], "errors": dict(errors[0])}
    return recent, before


def _domains(session: Session, now: datetime) -> dict[str, int]:
    """Return the domains of addresses that SES rejected, the most frequent first."""
    sql, mail = session.sqlalchemy, _mail(session)
    named = sql.or_(mail.error_type.like(f"{_ADDRESS_V1}%"), mail.error_type == _ADDRESS_V2)
    chosen = sql.and_(mail.send_at > now - timedelta(hours=HOURS), named)
    rows = session.rows("EMAIL_SEND_LOG, addresses", sql.select(mail.email, sql.func.count()).where(chosen).group_by(mail.email))
    counted = Counter[str]()
    for address, count in rows or []:
        counted[str(address or "").rpartition("@")[2].strip().lower() or "(none)"] += int(count)
    return dict(counted.most_common(MOST_DOMAINS))


def _peak(session: Session, now: datetime) -> int | None:
    sql, mail = session.sqlalchemy, _mail(session)
    second = _SECOND[session.dialect](sql, mail.send_at).label("second")
    recent = sql.and_(mail.send_at > now - timedelta(hours=PEAK_HOURS), mail.send_at <= now)
    by_second = sql.select(second, sql.func.count().label("mails")).where(recent).group_by(sql.text("1")).subquery()
    rows = session.rows("EMAIL_SEND_LOG, peak", sql.select(sql.func.max(by_second.c.mails)))
    return int(rows[0][0]) if rows and rows[0][0] is not None else None
