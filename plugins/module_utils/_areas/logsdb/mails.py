# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LogsDB says about sending: failures by SES's names for them, now and in the same hours of former weeks, and the peak a second.

The counts are made by the database (product facts, EMAIL_SEND_LOG); of an address only its domain is kept.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

HOURS = 3  # the window that is compared
WEEKS = 4  # former weeks that are the usual
PEAK_HOURS = 24
MOST_DOMAINS = 5
_ADDRESS_V1, _ADDRESS_V2 = "InvalidParameter", "BadRequestException"  # SES's words for a bad address
_SECOND = {
    "postgresql": lambda sql, column: sql.func.date_trunc("second", column),
    "mysql": lambda sql, column: sql.func.date_format(column, "%Y-%m-%d %H:%i:%s"),
    "oracle": lambda sql, column: sql.func.to_char(column, "YYYY-MM-DD HH24:MI:SS"),
    "sqlite": lambda sql, column: sql.func.strftime("%Y-%m-%d %H:%M:%S", column),
}


def read(session: Any, now: datetime, dialect: str) -> dict[str, Any]:
    """Return ``hours``, ``now`` and ``usual`` (attempts, and failures by ERROR_TYPE), ``domains`` of bad addresses, ``peak`` (mails a second).

    now: local, as LogsDB writes times. usual: the sum of the same hours and weekday of the former four weeks. None where a question could
    not be answered, which ``session.not_asked`` names.
    """
    found: dict[str, Any] = {"hours": HOURS, "weeks": WEEKS, "now": None, "usual": None, "domains": {}, "peak": None}
    counted = _counted(session, now)
    if counted is not None:
        found["now"], found["usual"] = counted
        if any(name.startswith(_ADDRESS_V1) or name == _ADDRESS_V2 for name in found["now"]["errors"]):
            found["domains"] = _domains(session, now)
    found["peak"] = _peak(session, now, dialect)
    return found


def _mail(session: Any) -> Any:
    return session.table("email_send_log", "email", "status", "error_type", "send_at")


def _counted(session: Any, now: datetime) -> tuple[dict[str, Any], dict[str, Any]] | None:
    sql, mail = session.sqlalchemy, _mail(session)
    spans = [(now - timedelta(weeks=week, hours=HOURS), now - timedelta(weeks=week)) for week in range(WEEKS + 1)]
    inside = [sql.and_(mail.send_at > begin, mail.send_at <= end) for begin, end in spans]
    # One that is not asked with an ELSE is of the former weeks, since the WHERE leaves nothing else.
    this = sql.case((inside[0], 1), else_=0)
    statement = sql.select(this.label("this_week"), mail.error_type, sql.func.count())
    # By place: drivers send the bounds of a repeated CASE as other parameters, which some databases take for another expression.
    rows = session.rows("EMAIL_SEND_LOG, failures", statement.where(sql.or_(*inside)).group_by(sql.text("1"), mail.error_type))
    if rows is None:
        return None
    told = {flag: {"attempts": 0, "errors": Counter[str]()} for flag in (1, 0)}
    for flag, error, count in rows:
        told[int(flag)]["attempts"] += int(count)
        if error:
            told[int(flag)]["errors"][str(error)] += int(count)
    return tuple({**one, "errors": dict(one["errors"])} for one in (told[1], told[0]))  # type: ignore[return-value]


def _domains(session: Any, now: datetime) -> dict[str, int]:
    """Return the domains of addresses that SES did not take, the commonest first."""
    sql, mail = session.sqlalchemy, _mail(session)
    named = sql.or_(mail.error_type.like(f"{_ADDRESS_V1}%"), mail.error_type == _ADDRESS_V2)
    chosen = sql.and_(mail.send_at > now - timedelta(hours=HOURS), named)
    rows = session.rows("EMAIL_SEND_LOG, addresses", sql.select(mail.email, sql.func.count()).where(chosen).group_by(mail.email))
    counted = Counter[str]()
    for address, count in rows or []:
        counted[str(address or "").rpartition("@")[2].strip().lower() or "(none)"] += int(count)
    return dict(counted.most_common(MOST_DOMAINS))


def _peak(session: Any, now: datetime, dialect: str) -> int | None:
    sql, mail = session.sqlalchemy, _mail(session)
    second = _SECOND[dialect](sql, mail.send_at).label("second")
    recent = sql.and_(mail.send_at > now - timedelta(hours=PEAK_HOURS), mail.send_at <= now)
    by_second = sql.select(second, sql.func.count().label("mails")).where(recent).group_by(sql.text("1")).subquery()
    rows = session.rows("EMAIL_SEND_LOG, peak", sql.select(sql.func.max(by_second.c.mails)))
    return int(rows[0][0]) if rows and rows[0][0] is not None else None
