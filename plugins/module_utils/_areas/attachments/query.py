# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wanted names of a database: of the target query in Oracle, or of the mails of a day in LogsDB.

Product facts, attachments: the name is a column of the target query; EMAIL_SEND_LOG keeps it for each mail. Only the name and the
group of a row are kept. A refused password is not tried again (see _shared/oracle and _shared/sql). The drivers are imported when the
reading begins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from ..._core.errors import RemediationError, WrongQuestion, from_dict
from ..._shared import sql
from ..._shared.oracle import reading
from ..._shared.oracle import session as oracle_session
from .wanted import MOST

CONNECT_WITHIN = 3.0
_NAME = "wanted_query"
_READS = re.compile(r"\s*(?:SELECT|WITH)\b", re.I)
_DAY = re.compile(r"(?<![:\w]):day\b", re.I)
Row = tuple[Any, Any]


@dataclass(frozen=True)
class Names:
    """The answer of a database: ``rows`` of name and group, or ``problem`` (``reason``, and ``code`` of the fault that explains it).

    learnt: what the next run needs of refused passwords, see :func:`remember`.
    """

    rows: list[Row]
    problem: dict[str, str]
    learnt: dict[str, Any]


def ask(given: Mapping[str, Any], columns: tuple[str, str], day: date, zone: str, within: float, memory: Any = None) -> Names:
    """Return the wanted names. columns: of the name, and of the group ("" for none). within: seconds.

    Raises WrongQuestion for a statement that is no query or lacks a column, NeedsUser, DriverMissing.
    """
    query = given.get("query") or ""
    if query and not _READS.match(query):
        raise WrongQuestion(f"{_NAME}.query", query[:60], "is no query", "give a SELECT")
    known = memory if isinstance(memory, Mapping) else {}
    if given.get("oracle"):
        return _from_oracle(given["oracle"], query, columns, day, within, known)
    return _from_logsdb(given["logsdb"], query, columns, day, zone, within, known)


def remember(learnt: Mapping[str, Any], former: Any) -> dict[str, Any] | None:
    """Return what the next run needs of refused passwords; None where no database was queried."""
    if not learnt:
        return None
    kept = former if isinstance(former, Mapping) else {}
    if "oracle" in learnt:
        return reading.remember({"forgotten": False, "learnt": learnt["oracle"]}, kept)
    return {**kept, "logsdb": learnt["logsdb"]}


def _picker(columns: tuple[str, str]) -> Callable[[Sequence[str]], Callable[[Any], Row]]:
    """Return a function that finds the columns of name and group in any case; the only column of a query needs no name."""

    def pick(names: Sequence[str]) -> Callable[[Any], Row]:
        folded = [name.casefold() for name in names]
        places = []
        for option, wanted in zip(("name_column", "group_column"), columns):
            if not wanted:
                places.append(-1)
            elif wanted.casefold() in folded:
                places.append(folded.index(wanted.casefold()))
            elif option == "name_column" and len(names) == 1:
                places.append(0)
            else:
                raise WrongQuestion(option, wanted, "is no column of the query", f"it has {', '.join(names[:20])}")
        name, group = places
        count = [0]

        def take(row: Any) -> Row:
            count[0] += 1
            if count[0] > MOST:
                raise WrongQuestion(_NAME, f"more than {MOST} rows", "are too many for one scan", "ask for a part of them")
            return row[name], (row[group] if group >= 0 else None)

        return take

    return pick


# --- Oracle


def _from_oracle(
    given: Mapping[str, Any], query: str, columns: tuple[str, str], day: date, within: float, memory: Mapping[str, Any]
) -> Names:
    if not query:
        raise WrongQuestion(f"{_NAME}.query", query, "is missing", "give the target query, a SELECT with the names")
    binds = {"day": f"{day:%Y%m%d}"} if _DAY.search(query) else {}
    target = {**{name: value for name, value in given.items() if name != "lib_dir"}, "name": _NAME, "query": query}

    def look(connection: Any, text: str, until: float) -> list[Row]:
        return oracle_session.fetch(connection, text, binds, _picker(columns), until)

    try:
        answer = reading.take(target, look, within, given.get("lib_dir"), memory)
    except WrongQuestion as error:
        raise _of_ours(error) from None
    learnt = {"oracle": answer["learnt"]}
    if answer["state"] == "up":
        return Names(answer["taken"], {}, learnt)
    if answer["state"] == "wrong":
        raise _of_ours(from_dict(answer["error"]))
    return Names([], {"reason": _why_not(answer), "code": answer.get("code") or _CODES.get(answer["state"], "")}, learnt)


_CODES = {"crashed": "run.check_crashed", "late": "run.check_timeout"}


def _why_not(answer: Mapping[str, Any]) -> str:
    """Return how far the connection came, as a reason."""
    place = f"Oracle at {answer['place']}"
    if answer["state"] == "late":
        return f"{place} gave no answer within {answer['waited']:g} s (stage {answer['stage'] or 'name'})"
    if answer["state"] == "crashed":
        return f"{place}: {answer['reason']}"
    if answer["state"] == "held":
        return f"{place} refused these credentials at {answer['held_since']}, they are not tried again before they change"
    words = [answer.get("code") or "", answer.get("driver_code") or ""]
    return f"{place}: {' '.join(dict.fromkeys(word for word in words if word)) or 'failed'} in the stage {answer['stage']}"


def _of_ours(error: RemediationError) -> RemediationError:
    """Return the error with the option named as this check names it."""
    if not isinstance(error, WrongQuestion):
        return error
    details = dict(error.details)
    details["option"] = details["option"].replace(f"targets[{_NAME}]", f"{_NAME}.oracle", 1)
    return WrongQuestion.from_details(details)


# --- LogsDB


def _from_logsdb(
    given: Mapping[str, Any], query: str, columns: tuple[str, str], day: date, zone: str, within: float, memory: Mapping[str, Any]
) -> Names:
    named = columns if query else (columns[0], columns[1] or "ORG_ID")

    def look(session: Any) -> list[Row]:
        return session.fetch(_statement(session, query, named, day), _picker(named))

    parameters = {**given, "timezone": zone, "connect_within": min(CONNECT_WITHIN, within), "answer_within": within}
    answer = sql.take(look, memory.get("logsdb"), **parameters)
    learnt = {"logsdb": answer["refused"]}
    if answer["state"] == "up":
        return Names(answer["taken"], {}, learnt)
    since = f" (refused at {answer['held_since']}, not tried again)" if answer["held_since"] else ""
    said = f": {answer['said']}" if answer["said"] else ""
    return Names([], {"reason": f"LogsDB: {answer['stage']} {answer['reason']}{since}{said}", "code": "logsdb.unreachable"}, learnt)


def _statement(session: Any, query: str, columns: tuple[str, str], day: date) -> Any:
    """Return the given query, or the query for the names of the day's mails."""
    sqlalchemy = session.sqlalchemy
    if query:
        statement = sqlalchemy.text(query)
        return statement.bindparams(day=f"{day:%Y%m%d}") if _DAY.search(query) else statement
    session.look_at_tables(("email_send_log",))
    name, group = (column.lower() for column in columns)
    mail = session.table("email_send_log", "send_at", *dict.fromkeys((name, group)))
    begin = datetime.combine(day, time())
    wanted = sqlalchemy.select(getattr(mail, name), getattr(mail, group)).distinct()
    return wanted.where(mail.send_at >= begin, mail.send_at < begin + timedelta(days=1))
