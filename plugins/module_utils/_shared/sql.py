# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to a database of ``sql_dialects``. It reads only, limits every wait, and never tries a refused password twice.

Only a checker has SQLAlchemy and the drivers, so they are imported where the reading begins (architecture, stack_check).
Durations are seconds, times RFC 3339 in UTC.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from .._core import refusals
from .._core.children import describe_crash
from .._core.errors import Busy, Crashed, DriverMissing, RemediationError, WrongQuestion
from .._core.masking import mask
from .._core.references import read_secret, scrub
from .._core.times import rfc3339
from . import tcp
from .sql_dialects import DIALECTS, Dialect, Target

PROBE_WITHIN = 2.0  # seconds to find out, after a failure, how far the network lets us
MAX_GROUPS = 200  # rows of a grouped answer that are taken
SAID = 240  # characters kept of a driver's message
# A login with a refused password counts towards the lock of the account, so it is never repeated. A login to an account that is
# locked or expired does not count, and the database administrator ends both without a change of the credentials.
REFUSALS = ("password",)
# How far the network let us when no connection was made: (stage, reason).
_NETWORK: dict[tcp.State, tuple[str, str]] = {
    "name": ("name", "not_resolved"),
    "timeout": ("network", "timeout"),
    "refused": ("network", "refused"),
    "denied": ("network", "unreachable"),
    "unreachable": ("network", "unreachable"),
}
LOGIN = "login"  # the one account of a memory, and what its lock is called

# Messages of drivers and servers (English and Korean), with the stage that was reached and the reason.
_SAYINGS = tuple(
    (re.compile(pattern, re.I), stage, reason)
    for pattern, stage, reason in (
        (r"password authentication failed|password 인증|no password supplied|ORA-01017|\((?:1045|1698),", "login", "password"),
        (r"ORA-28000|account is locked|\((?:3118|4151),", "login", "locked"),
        (r"ORA-28001|\((?:1862|1820),", "login", "expired"),
        (r"no pg_hba\.conf entry|pg_hba\.conf 설정|\(1130,|\(1129,", "login", "not_allowed"),
        (r"role \"[^\"]*\" does not exist|롤\(role\)", "login", "password"),
        (r"database \"[^\"]*\" does not exist|데이터베이스[^ ]* 없|\(1049,|ORA-125(?:14|05)|DPY-600[13]", "database", "missing"),
        (r"unable to open database file", "database", "missing"),
        (r"file is not a database|malformed", "database", "damaged"),
        (r"permission denied for database|\(1044,|ORA-01045", "database", "no_privilege"),
        (
            r"too many clients|remaining connection slots|too many connections|\((?:1040|1203),|ORA-125(?:16|18|20)|ORA-00020",
            "session",
            "too_many",
        ),
        (r"starting up|shutting down|in recovery|ORA-0103[34]|\(1053,", "session", "starting"),
        (r"\b(?:SSL|TLS|certificate)\b", "network", "tls"),
        (r"name or service not known|failed to resolve|getaddrinfo|could not translate host name|ORA-12545", "name", "not_resolved"),
    )
)


class Unreachable(Exception):
    """The database cannot be used; ``said`` is the driver's message without the password."""

    def __init__(self, stage: str, reason: str, said: str = "") -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason
        self.said = said


# --- reading


def read(look: Callable[[Session], Mapping[str, Any]], memory: Any = None, **parameters: Any) -> dict[str, Any]:
    """Return ``state`` up with what ``look(session)`` returned, or away with the reason. Connects once, and not with a refused login.

    parameters: dialect, host, port, database, user, login (a reference), timezone, connect_within, answer_within, forget_refused.
    memory: what :func:`remember` kept. Up: ``connect_ms``. Away: ``stage`` (name, network, login, database, session, or what look
    raised), ``reason``, ``said``, ``held_since`` (the login was refused then and not tried again). Both: ``refused``, for remember.
    Raises DriverMissing, NeedsUser, and WrongQuestion for a reference, zone or dialect that does not exist.
    """
    dialect = DIALECTS[parameters["dialect"]]
    sqlalchemy = _load(dialect, parameters["dialect"])
    zone = _zone(parameters["timezone"])
    target = target_of(parameters)
    guard = refusals.Refusals(memory, _entries, forget=bool(parameters.get("forget_refused")))
    try:
        return _guarded(sqlalchemy, target, zone, guard, look)
    except RemediationError:
        raise
    except Exception as error:
        # An error of the driver may hold the password.
        raise Crashed(scrub(describe_crash(error), target.password)) from None


def take(look: Callable[[Session], Any], refused: Any = None, **parameters: Any) -> dict[str, Any]:
    """Return the same as :func:`read`, with the result of ``look(session)`` as ``taken``.

    refused: the ``refused`` of an earlier answer.
    """
    return read(lambda session: {"taken": look(session)}, {"refused": refused}, **parameters)


def remember(facts: Mapping[str, Any], _former: Any = None) -> dict[str, Any]:
    """Return what the next run needs: the fingerprint of credentials that were refused."""
    return {"refused": facts.get("refused")}


def _load(dialect: Dialect, name: str) -> Any:
    missing = [module for module in dialect.modules if importlib.util.find_spec(module) is None]
    if missing:
        raise DriverMissing(
            f"{name} needs {' and '.join(missing)}, which {sys.executable} (Python {sys.version_info[0]}.{sys.version_info[1]}) does not have",
            libraries=missing,
            install=f"{sys.executable} -m pip install {dialect.install}",
        )
    try:
        for module in dialect.modules:
            __import__(module)
    except ImportError as error:
        install = f"{sys.executable} -m pip install --upgrade {dialect.install}"
        raise DriverMissing(f"{name}: a driver cannot be loaded ({error})", libraries=list(dialect.modules), install=install) from error
    return sys.modules["sqlalchemy"]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        remedy = "give a name such as Asia/Seoul (and install tzdata where the check runs)"
        raise WrongQuestion("timezone", name, "is not a time zone here", remedy) from error


def target_of(parameters: Mapping[str, Any]) -> Target:
    """Return the target of the parameters, its reference followed. Raises WrongQuestion, NeedsUser."""
    dialect = DIALECTS[parameters["dialect"]]
    if not parameters.get("database"):
        raise WrongQuestion("database", parameters.get("database"), "names no database", "give its name, service or file")
    if dialect.port and not parameters.get("host"):
        raise WrongQuestion("host", parameters.get("host"), "names no server", "give the host that LogsDB runs on")
    return Target(
        dialect=parameters["dialect"],
        host=parameters.get("host") or "",
        port=parameters.get("port") or dialect.port,
        database=parameters["database"],
        user=parameters.get("user") or "",
        connect_within=parameters["connect_within"],
        answer_within=parameters["answer_within"],
        password=read_secret(parameters.get("login")),
    )


# --- the guard against refused passwords


def _guarded(
    sqlalchemy: Any, target: Target, zone: ZoneInfo, guard: refusals.Refusals, look: Callable[[Session], Mapping[str, Any]]
) -> dict[str, Any]:
    known = guard.known.get(LOGIN)
    if _is_held(target, known):
        return _held(known)
    end = time.monotonic() + target.connect_within + 1.0
    with contextlib.ExitStack() as login:
        try:
            hung = login.enter_context(guard.alone(LOGIN, lambda: time.monotonic() >= end))
        except Busy:
            hung = True
        if hung:
            return {**_behind_another_login(target), "refused": guard.recalled.get(LOGIN)}
        known = guard.again().get(LOGIN)
        if _is_held(target, known):
            return _held(known)
        try:
            started = time.monotonic()
            with connected(sqlalchemy, target, zone) as session:
                login.close()  # the login was good: other runs may log in
                connect_ms = round((time.monotonic() - started) * 1000)
                return {"state": "up", "connect_ms": connect_ms, **look(session), "refused": None}
        except Unreachable as error:
            facts = {"state": "away", "stage": error.stage, "reason": error.reason, "said": error.said, "held_since": None}
            if error.stage == "login" and error.reason in REFUSALS:
                refused = refusal(target, error.reason)
                guard.keep(lambda _former: {"refused": refused})
                return {**facts, "refused": refused}
            return {**facts, "refused": known if error.stage in ("name", "network") else None}


def _entries(memory: Mapping[str, Any]) -> Mapping[str, Any]:
    refused = memory.get("refused")
    return {LOGIN: refused} if isinstance(refused, Mapping) else {}


def _is_held(target: Target, entry: Any) -> bool:
    return isinstance(entry, Mapping) and entry.get("reason") in REFUSALS and refusals.is_of(entry, *_credentials(target))


def _held(refused: Any) -> dict[str, Any]:
    known = {"state": "away", "stage": "login", "reason": refused["reason"], "said": ""}
    return {**known, "held_since": refused["at"], "refused": refused}


def _behind_another_login(target: Target) -> dict[str, Any]:
    """Return the answer where other runs have been logging in for too long: how far the network lets us."""
    stage, reason = _network(target)
    reason = "silent" if (stage, reason) == ("network", "connects") else reason
    return {"state": "away", "stage": stage, "reason": reason, "said": "", "held_since": None}


def refusal(target: Target, reason: str) -> dict[str, Any]:
    """Return what is kept of a refused login; ``moment``: epoch seconds."""
    now = datetime.now(timezone.utc)
    return {**refusals.refusal(*_credentials(target)), "reason": reason, "at": rfc3339(now), "moment": now.timestamp()}


def _credentials(target: Target) -> tuple[str, ...]:
    return (target.dialect, target.host, str(target.port), target.database, target.user, target.password)


# --- the connection


@contextlib.contextmanager
def connected(sqlalchemy: Any, target: Target, zone: ZoneInfo) -> Iterator[Session]:
    """Connect once, read-only and limited; raises Unreachable with the stage that was reached."""
    dialect = DIALECTS[target.dialect]
    engine = sqlalchemy.create_engine(
        dialect.url(sqlalchemy, target), poolclass=sqlalchemy.pool.NullPool, hide_parameters=True, **dialect.arguments(target)
    )
    clock = _Clock(target.connect_within + 0.5)
    try:
        with clock:
            connection = engine.connect()
    except (sqlalchemy.exc.DBAPIError, OSError, _Over) as error:
        raise _explained(target, error, late=clock.over) from None
    with connection:
        yield Session(sqlalchemy, target, connection, zone)


class _Over(Exception):
    """A wait took too long."""


class _Clock:
    """Interrupts its block after some seconds: nothing else limits the wait for a peer that accepts a connection and sends nothing.

    It works for sockets, in the main thread (the reader is alone in its child). ``over``: the time was over; a driver may turn the
    interruption into an error of its own.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        self._former: Any = None

    def __enter__(self) -> _Clock:
        self._former = signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        return self

    def __exit__(self, *_details: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._former)

    def _ring(self, *_details: Any) -> None:
        self.over = True
        raise _Over


class Session:
    """One connection and its open transaction."""

    def __init__(self, sqlalchemy: Any, target: Target, connection: Any, zone: ZoneInfo) -> None:
        """Make the connection read-only and limited."""
        self.sqlalchemy = sqlalchemy
        self._dialect = DIALECTS[target.dialect]
        self._target = target
        self._connection = connection
        self.zone = zone
        self._upper: set[str] = set()
        self.tables: dict[str, str] = {}
        self.not_asked: list[str] = []
        self._limited()

    def _limited(self) -> None:
        try:
            self._dialect.limit(self._connection, self._target)
        except self.sqlalchemy.exc.DBAPIError as error:
            raise _explained(self._target, error) from None

    @property
    def dialect(self) -> str:
        """The name of the dialect, as in DIALECTS."""
        return self._target.dialect

    def server(self) -> str:
        """Return the kind and version of the server."""
        dialect = self._connection.dialect
        version = ".".join(str(part) for part in (dialect.server_version_info or ())[:3])
        name = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
        return f"{name} {version}".strip()

    def table(self, name: str, *columns: str) -> SimpleNamespace:
        """Return the columns of a table as attributes (``everything`` is the table itself), spelt as the database has them.

        SQLAlchemy does not quote lower-case names, so that each database folds them its way; it quotes upper-case ones.
        """
        spell = str.upper if name in self._upper else str.lower
        made = self.sqlalchemy.table(spell(name), *(self.sqlalchemy.column(spell(column)) for column in columns))
        return SimpleNamespace(everything=made, **{column: made.columns[spell(column)] for column in columns})

    def rows(self, what: str, statement: Any, most: int | None = None) -> list[tuple[Any, ...]] | None:
        """Return the rows of a statement; None when it failed, which ``not_asked`` then has.

        most: how many are wanted. By default all are, up to MAX_GROUPS; ``not_asked`` has a note when there were more.
        """
        try:
            found = self._execute(statement).fetchmany(most or MAX_GROUPS + 1)
        except self.sqlalchemy.exc.DBAPIError as error:
            self._again(error)
            self.not_asked.append(f"{what}: {_short(self._target, error)}")
            return None
        if most is None and len(found) > MAX_GROUPS:
            self.not_asked.append(f"{what}: there are more than {MAX_GROUPS} groups, the others are left out")
        return [tuple(self._local(value) for value in row) for row in found[: most or MAX_GROUPS]]

    def fetch(self, statement: Any, pick: Callable[[Sequence[str]], Callable[[Any], Any]]) -> list[Any]:
        """Return what is picked of each row; raises Unreachable when the statement fails. pick: see ``oracle.session.fetch``."""
        try:
            result = self._execute(statement)
            return list(map(pick(list(result.keys())), result))
        except self.sqlalchemy.exc.DBAPIError as error:
            raise Unreachable("query", "failed", _short(self._target, error)) from None

    def _local(self, value: Any) -> Any:
        """Return a time with a zone as a local time, as all others are."""
        aware = isinstance(value, datetime) and value.tzinfo is not None
        return value.astimezone(self.zone).replace(tzinfo=None) if aware else value

    def _execute(self, statement: Any) -> Any:
        if self._target.dialect == "sqlite":
            self._dialect.limit(self._connection, self._target)
        return self._connection.execute(statement)

    def _again(self, error: Any) -> None:
        """Begin a new transaction after a failed statement; raises Unreachable when the connection is lost."""
        if getattr(error, "connection_invalidated", False):
            raise Unreachable("network", "dropped", _short(self._target, error)) from None
        try:
            self._connection.rollback()
        except self.sqlalchemy.exc.DBAPIError as failure:
            raise Unreachable("network", "dropped", _short(self._target, failure)) from None
        self._limited()

    def look_at_tables(self, names: Iterable[str]) -> dict[str, str]:
        """Return for each table (named in lower case) there, busy (locked), missing or no_privilege; :meth:`table` then spells them right."""
        self.tables = {name: self._table_state(name) for name in names}
        return self.tables

    def _table_state(self, name: str) -> str:
        state = self._probe(name)
        if state != "missing":
            return state
        # Made with quoted names, or in MySQL on Linux, where names are case-sensitive.
        self._upper.add(name)
        state = self._probe(name)
        if state == "missing":
            self._upper.discard(name)
        return state

    def _probe(self, name: str) -> str:
        sql = self.sqlalchemy
        statement = sql.select(sql.literal_column("1")).select_from(self.table(name).everything).where(sql.text("1 = 0"))
        try:
            self._execute(statement).fetchall()
        except self.sqlalchemy.exc.DBAPIError as error:
            if re.search(r"file is not a database|malformed", str(error.orig)):
                raise Unreachable("database", "damaged", _short(self._target, error)) from None
            self._again(error)
            return _table_problem(error)
        return "there"


def _table_problem(error: Any) -> str:
    """Return the state of a table whose probe failed: missing, no_privilege or busy."""
    code = getattr(error.orig, "sqlstate", None) or ""
    text = str(error.orig)
    if code == "42P01" or re.search(r"\((?:1146|1109),|ORA-00942|no such table", text):
        return "missing"
    if code == "42501" or re.search(r"\((?:1142|1143|1227),|ORA-01031", text):
        return "no_privilege"
    return "busy"


# --- why not


def _explained(target: Target, error: Any, late: bool = False) -> Unreachable:
    """Return the stage at which a connection failed, and why. Where the driver's message does not show it, the network is probed."""
    said = _short(target, error)
    original = str(getattr(error, "orig", error))
    if not late:
        for pattern, stage, reason in _SAYINGS:
            if pattern.search(original):
                return Unreachable(stage, reason, said)
    if not target.host:
        return Unreachable("database", "unusable", said)
    stage, reason = _network(target)
    if (stage, reason) == ("network", "connects"):
        reason = "silent" if late or re.search(r"timed? ?out", original, re.I) else "dropped"
    return Unreachable(stage, reason, "" if late else said)


def _network(target: Target) -> tuple[str, str]:
    """Return how far the network lets us to a server whose driver gave up: (stage, reason)."""
    try:
        addresses = tcp.resolve(target.host, target.port)  # a slow name server takes nothing of the time to connect
        connection, _address = tcp.connect_to(addresses, time.monotonic() + PROBE_WITHIN)
    except tcp.NotConnected as error:
        return _NETWORK[error.state]
    connection.close()
    return "network", "connects"


def _short(target: Target, error: Any) -> str:
    text = " ".join(scrub(str(getattr(error, "orig", None) or error), target.password).split())
    return mask(text, SAID)


# --- what LogsDB says about work
