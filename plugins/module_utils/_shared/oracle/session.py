# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session reads: the query and how fast it is, and what the account may see of itself and of the instance.

Product facts: a target query of 1,000 rows takes less than 1 s, 10,000 less than 3 s, 30,000 less than 8 s. Rows are counted and
never kept. Manual 2 section 6 and the product facts: the account needs SELECT on its tables and UPDATE on the flag, nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .facts import AccountFacts, Lacking, SessionLimit
from .outcome import EXPIRES_SOON, QUERY_TOO_SLOW, explain, full_code
from .targets import DEFAULT_QUERY, Target

MOST_ROWS = 30_000
ROWS_AT_ONCE = 200  # of wide rows more would take too much memory
TARGETS = ((1000, 1.0), (10_000, 3.0), (30_000, 8.0))  # rows, seconds
MOST_NAMES = 10
# System privileges that an application may have besides.
HARMLESS = ("CREATE SESSION", "ALTER SESSION", "SET CONTAINER")

_ABOUT_ACCOUNT = """
SELECT 'expires', TO_CHAR(TRUNC((EXPIRY_DATE - SYSDATE) * 86400)) FROM USER_USERS WHERE EXPIRY_DATE IS NOT NULL
UNION ALL SELECT 'privilege', PRIVILEGE FROM SESSION_PRIVS
UNION ALL SELECT 'role', ROLE FROM SESSION_ROLES
UNION ALL SELECT 'object', PRIVILEGE || ' ON ' || OWNER || '.' || TABLE_NAME FROM USER_TAB_PRIVS_RECD
  WHERE PRIVILEGE IN ('DELETE', 'INSERT', 'ALTER', 'INDEX', 'REFERENCES') AND ROWNUM <= 100
"""
_LIMITS = """
SELECT RESOURCE_NAME, CURRENT_UTILIZATION, TRIM(LIMIT_VALUE) FROM V$RESOURCE_LIMIT WHERE RESOURCE_NAME IN ('processes', 'sessions')
"""


class TooSlow(Exception):
    """The query did not end in time, but the server answered the break: it is up, and slow."""

    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.rows = rows


class Gone(Exception):
    """The connection has ended."""


def product_target(rows: int) -> float:
    """Return the seconds in which a target query with so many rows should be done."""
    return next((seconds for most, seconds in TARGETS if rows <= most), TARGETS[-1][1])


def count_rows(connection: Any, query: str, until: float) -> int:
    """Run the query and return its number of rows, MOST_ROWS at most. Raises TooSlow, or the driver's error.

    until: moment of time.monotonic at which the driver breaks the query.
    """
    rows = 0
    cursor = connection.cursor()
    cursor.arraysize = ROWS_AT_ONCE
    cursor.prefetchrows = ROWS_AT_ONCE
    try:
        _limit(connection, until)
        cursor.execute(query)
        while rows < MOST_ROWS:
            _limit(connection, until)
            fetched = len(cursor.fetchmany())
            rows += fetched
            if not fetched:
                break
            if time.monotonic() >= until:
                raise TooSlow(rows)
    except Exception as error:
        if full_code(error) == QUERY_TOO_SLOW:
            raise TooSlow(rows) from None
        raise
    return min(rows, MOST_ROWS)


def fetch(
    connection: Any, query: str, binds: Mapping[str, Any], pick: Callable[[Sequence[str]], Callable[[Any], Any]], until: float
) -> list[Any]:
    """Run the query and return what is picked of each row. Raises TooSlow, Gone, or the driver's error, and whatever ``pick`` raises.

    pick: is given the names of the columns, and returns a function that picks from a row; nothing else of a row is kept.
    """
    found: list[Any] = []
    cursor = connection.cursor()
    cursor.arraysize = cursor.prefetchrows = ROWS_AT_ONCE
    try:
        _limit(connection, until)
        cursor.execute(query, **binds)
        taken = pick([column[0] for column in cursor.description])
        while True:
            _limit(connection, until)
            rows = cursor.fetchmany()
            if not rows:
                return found
            found += map(taken, rows)
            if time.monotonic() >= until:
                raise TooSlow(len(found))
    except Exception as error:
        if full_code(error) == QUERY_TOO_SLOW:
            raise TooSlow(len(found)) from None
        raise


def _limit(connection: Any, until: float) -> None:
    """Bound the next call. Raises Gone: a connection that has ended must not be touched, the driver crashes the process then."""
    if not connection.is_healthy():
        raise Gone
    connection.call_timeout = max(1, round((until - time.monotonic()) * 1000))


def facts(connection: Any, target: Target, until: float) -> AccountFacts:
    """Return what the account may see. Never raises: ``not_asked`` names what it may not see."""
    found: AccountFacts = {"not_asked": [], "warned": full_code_of_warning(connection) == EXPIRES_SOON}

    def rows(what: str, statement: str) -> list[tuple[Any, ...]] | None:
        return _rows(connection, what, statement, until, found["not_asked"])

    about = rows("privileges and password expiry", _ABOUT_ACCOUNT)
    nothing: AccountFacts = {"expires_s": None, "privileges": None, "roles": None, "too_much": None}
    found.update(nothing if about is None else _account(about))
    limits = rows("sessions and their limit (V$RESOURCE_LIMIT)", _LIMITS)
    found["sessions"] = None if limits is None else [_limit_of(row) for row in limits if str(row[2]).isdigit()]
    found["tried"] = _kinds([*target.statements, *([] if target.query == DEFAULT_QUERY else [target.query])])
    found["lacking"] = [problem for statement in target.statements for problem in _parsed(connection, statement, until, found["not_asked"])]
    return found


def _kinds(statements: Iterable[str]) -> list[str]:
    """Return the first words of statements; a query may begin with WITH, and MERGE needs the right to update."""
    words = {statement.split(None, 1)[0].upper() for statement in statements if statement.strip()}
    return sorted({{"WITH": "SELECT", "MERGE": "UPDATE"}.get(word, word) for word in words})


def full_code_of_warning(connection: Any) -> str:
    """Return the code that came with a good login, such as ORA-28002, or ""."""
    return str(getattr(getattr(connection, "warning", None), "full_code", "") or "")


def _rows(connection: Any, what: str, sql: str, until: float, not_asked: list[str]) -> list[tuple[Any, ...]] | None:
    try:
        _limit(connection, until)
        return [tuple(row) for row in connection.cursor().execute(sql).fetchall()]
    except Exception as error:
        not_asked.append(f"{what}: {_why(error)}")
        return None


def _why(error: BaseException) -> str:
    code = full_code(error) or type(error).__name__
    known = {
        "ORA-00942": "this account may not see it (ORA-00942)",
        QUERY_TOO_SLOW: "no answer in time",
        "Gone": "the connection has ended",
    }
    return known.get(code, code)


def _account(rows: list[tuple[Any, ...]]) -> AccountFacts:
    named: dict[str, list[str]] = {"expires": [], "privilege": [], "role": [], "object": []}
    for kind, value in rows:
        named[str(kind).strip()].append(str(value))
    system = [name for name in named["privilege"] if name not in HARMLESS]
    return {
        "expires_s": int(named["expires"][0]) if named["expires"] else None,
        "privileges": len(named["privilege"]),
        "roles": sorted(named["role"])[:MOST_NAMES],
        "too_much": sorted(system) + sorted(named["object"]),
    }


def _limit_of(row: tuple[Any, ...]) -> SessionLimit:
    return {"name": str(row[0]), "used": int(row[1]), "limit": int(row[2])}


def _parsed(connection: Any, statement: str, until: float, not_asked: list[str]) -> list[Lacking]:
    """Have a statement parsed, which shows whether the account may run it; return the problem, if there is one."""
    try:
        _limit(connection, until)
        connection.cursor().parse(statement)
    except Exception as error:
        outcome = explain(error, "query")
        if outcome.code == "oracle.no_privilege":
            return [{"statement": " ".join(statement.split())[:120], "driver_code": outcome.driver_code}]
        not_asked.append(f"the statement {' '.join(statement.split())[:60]}: {_why(error)}")
    return []
