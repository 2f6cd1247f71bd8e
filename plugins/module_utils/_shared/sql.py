# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one connection to LogsDB: PostgreSQL, MySQL and MariaDB, Oracle (thin), SQLite. Reads only, every wait is bounded.

SQLAlchemy and the driver are imported where the reading begins: only a checker has them (architecture, stack_check).
Names in LogsDB are upper-case and usually unquoted (PostgreSQL folds them to lower case, Oracle to upper), tables such
as JOB_QUEUE are optional, times are local and without a zone (product facts, LogsDB schema). Counts and latest times
are made by the database; rows never leave it. Durations are seconds, times RFC 3339 in UTC.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import re
import secrets
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from .._areas.logsdb import mails as _logsdb_mails
from .._core.children import describe_crash
from .._core.errors import Busy, Crashed, DriverMissing, RemediationError, WrongQuestion
from .._core.masking import mask
from .._core.references import fingerprint, read_secret, scrub
from .._core.state import Kept

REQUIRED = ("automation", "auto_run_log", "email_send_log")
OPTIONAL = ("job_queue", "scheduler")
LOCK_WITHIN = 1.0  # seconds to wait for a table that somebody has locked
PROBE_WITHIN = 2.0  # seconds to find out, after a failure, how far the network lets us
MAX_GROUPS = 200  # rows of a grouped answer that are taken
SHOWN_GROUPS = 5  # of them in evidence
SAID = 240  # characters kept of what a driver said
# Never tried again with the same credentials: it counts towards the lock of the account. A login to an account that is locked
# or expired does not, and the database administrator ends both without a change of the credentials.
REFUSALS = ("password",)
PARAMETERS = (
    "dialect",
    "host",
    "port",
    "database",
    "user",
    "login",
    "timezone",
    "connect_within",
    "answer_within",
    "look_back_days",
    "forget_refused",
)
LIMITS = ("forget_refused",)  # what is kept of a refused login does not depend on it

# What drivers and servers say (English and Korean), with the stage that was reached and the reason.
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
    """LogsDB cannot be used; ``said`` is what the driver said, already without the password."""

    def __init__(self, stage: str, reason: str, said: str = "") -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason
        self.said = said


@dataclass(frozen=True)
class Target:
    """Where LogsDB is and how long it may take; ``password`` never shows in a representation."""

    dialect: str
    host: str
    port: int
    database: str
    user: str
    connect_within: float
    answer_within: float
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Dialect:
    """One kind of database: the modules it needs, what to install, its usual port, and how to use it.

    engine: makes SQLAlchemy's engine arguments. limits: what makes a connection read-only and bounded.
    """

    modules: tuple[str, ...]
    install: str
    port: int
    url: Callable[[Any, Target], Any]
    arguments: Callable[[Target], dict[str, Any]]
    limit: Callable[[Any, Target], None]


# --- the four dialects


def _url(driver: str, **more: Any) -> Callable[[Any, Target], Any]:
    def url(sqlalchemy: Any, target: Target) -> Any:
        # Without the password: SQLAlchemy and drivers show URLs in their errors.
        parts = {name: value(target) if callable(value) else value for name, value in more.items()}
        parts.setdefault("database", target.database)
        return sqlalchemy.URL.create(driver, username=target.user or None, host=target.host, port=target.port, **parts)

    return url


def _postgresql_arguments(target: Target) -> dict[str, Any]:
    return {
        "connect_args": {
            "password": target.password or None,
            "connect_timeout": max(2, math.ceil(target.connect_within)),  # libpq takes whole seconds, 2 at least
            "application_name": "ops.remediation",
        }
    }


def _postgresql_limit(connection: Any, target: Target) -> None:
    # SET LOCAL holds for the transaction only, so a pooler in between carries nothing over to others.
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_milliseconds(target.answer_within)}")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_milliseconds(LOCK_WITHIN)}")


def _mysql_arguments(target: Target) -> dict[str, Any]:
    return {
        "connect_args": {
            "password": target.password,
            "connect_timeout": max(1, math.ceil(target.connect_within)),
            "read_timeout": math.ceil(target.answer_within) + 1,
            "write_timeout": math.ceil(target.answer_within) + 1,
            "charset": "utf8mb4",
        }
    }


def _mysql_limit(connection: Any, target: Target) -> None:
    connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
    connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {math.ceil(LOCK_WITHIN)}")
    if getattr(connection.dialect, "is_mariadb", False):
        connection.exec_driver_sql(f"SET SESSION max_statement_time = {target.answer_within:g}")
    else:
        connection.exec_driver_sql(f"SET SESSION max_execution_time = {_milliseconds(target.answer_within)}")
    # The new mode begins with the next transaction.
    connection.commit()


def _oracle_arguments(target: Target) -> dict[str, Any]:
    return {"connect_args": {"password": target.password, "tcp_connect_timeout": target.connect_within, "retry_count": 0}}


def _oracle_limit(connection: Any, target: Target) -> None:
    connection.connection.dbapi_connection.call_timeout = _milliseconds(target.answer_within)
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def _sqlite_url(sqlalchemy: Any, _target: Target) -> Any:
    return sqlalchemy.URL.create("sqlite")


def _sqlite_arguments(target: Target) -> dict[str, Any]:
    place = f"file:{quote(target.database)}?mode=ro"
    return {"creator": lambda: sqlite3.connect(place, uri=True, timeout=LOCK_WITHIN, check_same_thread=False)}


def _sqlite_limit(connection: Any, target: Target) -> None:
    end = time.monotonic() + target.answer_within
    connection.connection.dbapi_connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)
    connection.exec_driver_sql("PRAGMA query_only = ON")


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


_SERVICE = _url("oracle+oracledb", database=None, query=lambda target: {"service_name": target.database})
DIALECTS = {
    "postgresql": Dialect(
        ("sqlalchemy", "psycopg"),
        "sqlalchemy 'psycopg[binary]'",
        5432,
        _url("postgresql+psycopg"),
        _postgresql_arguments,
        _postgresql_limit,
    ),
    "mysql": Dialect(("sqlalchemy", "pymysql"), "sqlalchemy PyMySQL", 3306, _url("mysql+pymysql"), _mysql_arguments, _mysql_limit),
    "oracle": Dialect(("sqlalchemy", "oracledb"), "sqlalchemy oracledb", 1521, _SERVICE, _oracle_arguments, _oracle_limit),
    "sqlite": Dialect(("sqlalchemy",), "sqlalchemy", 0, _sqlite_url, _sqlite_arguments, _sqlite_limit),
}


# --- source logsdb.facts


def read(memory: Mapping[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
    """Return whether LogsDB can be used, and what it says about work. Connects once, and not at all with a login refused before.

    parameters: see PARAMETERS. memory: what :func:`remember` kept of the former reading.
    ``state`` is up or away. Away: ``stage`` (name, network, login, database, session, tables), ``reason``, ``said``,
    ``held_since`` (the login was refused then and not tried again). Up: ``server connect_ms tables`` and ``work`` (see
    :func:`_work`). ``refused``: what must be remembered of a refused login.
    Raises DriverMissing, WrongQuestion for a reference, zone or dialect that leads nowhere, NeedsUser.
    """
    dialect = DIALECTS[parameters["dialect"]]
    sqlalchemy = _load(dialect, parameters["dialect"])
    zone = _zone(parameters["timezone"])
    target = _target(dialect, parameters)
    days = parameters["look_back_days"]
    kept = memory if isinstance(memory, Kept) else None
    look = _Look(lambda session: _facts(session, zone, days), (memory or {}).get("refused"), bool(parameters.get("forget_refused")), kept)
    return _asked(sqlalchemy, dialect, target, zone, look)


def take(look: Callable[[Session], Any], refused: Any = None, **parameters: Any) -> dict[str, Any]:
    """Return ``state``, and ``taken``, what ``look(session)`` returned; away with ``stage reason said held_since`` as :func:`read` does.

    refused: what a former answer said under this name; with the parameter ``forget_refused`` it does not count.
    """
    dialect = DIALECTS[parameters["dialect"]]
    sqlalchemy = _load(dialect, parameters["dialect"])
    zone = _zone(parameters["timezone"])
    wanted = _Look(lambda session: {"taken": look(session)}, refused, bool(parameters.get("forget_refused")))
    return _asked(sqlalchemy, dialect, _target(dialect, parameters), zone, wanted)


def remember(facts: Mapping[str, Any], _former: Any = None) -> dict[str, Any]:
    """Return what the next reading needs: the fingerprint of credentials that were refused."""
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


def _target(dialect: Dialect, parameters: Mapping[str, Any]) -> Target:
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


@dataclass
class _Look:
    """What is asked once connected, and what is known of refused logins.

    kept: the memory itself, which other runs change as well (hosts that delegate to one checker); None where there is none.
    forget: what was refused before this moment does not count.
    """

    ask: Callable[[Session], dict[str, Any]]
    refused: Any
    forget: bool = False
    kept: Kept | None = None
    started: float = field(default_factory=time.time)

    def holds(self, target: Target) -> bool:
        """Whether this login was refused already and must not be tried."""
        return _is_held(target, self.refused) and not (self.forget and self.refused.get("moment", 0.0) <= self.started)

    def hear(self) -> None:
        """Take what another run has learnt meanwhile."""
        if self.kept is not None:
            self.refused = self.kept.again().get("refused")

    def alone(self, within: float) -> contextlib.AbstractContextManager[bool]:
        """Let no other run log in here meanwhile; raises Busy when one does for too long. within: seconds."""
        end = time.monotonic() + within
        return contextlib.nullcontext(False) if self.kept is None else self.kept.alone("login", lambda: time.monotonic() >= end)

    def keep(self, refusal: Mapping[str, Any]) -> None:
        """Keep a refusal at once; what cannot be kept is told at the end of the run."""
        if self.kept is not None:
            with contextlib.suppress(OSError, RemediationError):
                self.kept.keep(lambda _former: {"refused": refusal})


def _asked(sqlalchemy: Any, dialect: Dialect, target: Target, zone: ZoneInfo, look: _Look) -> dict[str, Any]:
    """Connect and return what is asked, or why that could not be."""
    try:
        return _connect_and_ask(sqlalchemy, dialect, target, zone, look)
    except RemediationError:
        raise
    except Exception as error:
        # Whatever a driver throws may carry the password; nothing of it goes further unscrubbed.
        raise Crashed(scrub(describe_crash(error), target.password)) from None


def _connect_and_ask(sqlalchemy: Any, dialect: Dialect, target: Target, zone: ZoneInfo, look: _Look) -> dict[str, Any]:
    if look.holds(target):
        return _held(look.refused)
    with contextlib.ExitStack() as login:
        try:
            stuck = login.enter_context(look.alone(target.connect_within + 1.0))
        except Busy:
            stuck = True
        if stuck:
            return {**_away(target), "refused": look.refused}
        look.hear()
        if look.holds(target):
            return _held(look.refused)
        before = None if look.forget else look.refused
        try:
            started = time.monotonic()
            with _connected(sqlalchemy, dialect, target, zone) as session:
                login.close()  # the login was good: the next may go
                connect_ms = round((time.monotonic() - started) * 1000)
                return {"state": "up", "connect_ms": connect_ms, **look.ask(session), "refused": None}
        except Unreachable as error:
            facts = {"state": "away", "stage": error.stage, "reason": error.reason, "said": error.said, "held_since": None}
            if error.stage == "login" and error.reason in REFUSALS:
                refusal = _refusal(target, error.reason)
                look.keep(refusal)
                return {**facts, "refused": refusal}
            return {**facts, "refused": before if error.stage in ("name", "network") else None}


def _away(target: Target) -> dict[str, Any]:
    """Say why others have been logging in for longer than that may take."""
    stage, reason = _network(target)
    reason = "silent" if (stage, reason) == ("network", "connects") else reason
    return {"state": "away", "stage": stage, "reason": reason, "said": "", "held_since": None}


def _held(refused: Mapping[str, Any]) -> dict[str, Any]:
    known = {"state": "away", "stage": "login", "reason": refused["reason"], "said": ""}
    return {**known, "held_since": refused["at"], "refused": refused}


def _facts(session: Session, zone: ZoneInfo, days: int) -> dict[str, Any]:
    tables = session.look_at_tables()
    _must_be_usable(tables)
    work = _work(session, zone, days)
    session.not_asked = []
    mails = _logsdb_mails.read(session, datetime.now(zone).replace(tzinfo=None), session.dialect)
    return {"server": session.server(), "tables": tables, "work": work, "mails": {**mails, "not_asked": session.not_asked}}


def _is_held(target: Target, refused: Any) -> bool:
    if not isinstance(refused, Mapping) or not {"salt", "hash", "reason", "at"} <= set(refused):
        return False
    if refused["reason"] not in REFUSALS:
        return False
    return secrets.compare_digest(_credentials(target, refused["salt"]), refused["hash"])


def _refusal(target: Target, reason: str) -> dict[str, Any]:
    """Return what is kept of a refused login; ``moment``: epoch seconds."""
    salt, now = secrets.token_hex(16), datetime.now(timezone.utc)
    return {"salt": salt, "hash": _credentials(target, salt), "reason": reason, "at": _stamp(now), "moment": now.timestamp()}


def _credentials(target: Target, salt: str) -> str:
    return fingerprint(salt, target.dialect, target.host, str(target.port), target.database, target.user, target.password)


def _must_be_usable(tables: Mapping[str, str]) -> None:
    for state in ("missing", "no_privilege"):
        names = [name.upper() for name in REQUIRED if tables[name] == state]
        if names:
            raise Unreachable("tables", state, ", ".join(names))


# --- the connection


@contextlib.contextmanager
def _connected(sqlalchemy: Any, dialect: Dialect, target: Target, zone: ZoneInfo) -> Iterator[Session]:
    """Connect once, read-only and limited; raises Unreachable with the stage that was reached."""
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
        yield Session(sqlalchemy, dialect, target, connection, zone)


class _Over(Exception):
    """A wait took longer than it may."""


class _Clock:
    """Interrupts what is inside after some seconds: a peer that takes a connection and says nothing has no other limit.

    It works for sockets, in the main thread (the reader is alone in its child); ``over`` tells that it rang, since a
    driver may turn the interruption into an error of its own.
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

    def __init__(self, sqlalchemy: Any, dialect: Dialect, target: Target, connection: Any, zone: ZoneInfo) -> None:
        """Make the connection read-only and limited."""
        self.sqlalchemy = sqlalchemy
        self._dialect = dialect
        self._target = target
        self._connection = connection
        self._zone = zone
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

        SQLAlchemy leaves lower-case names unquoted, so that each database folds them its way, and quotes upper-case ones.
        """
        spell = str.upper if name in self._upper else str.lower
        made = self.sqlalchemy.table(spell(name), *(self.sqlalchemy.column(spell(column)) for column in columns))
        return SimpleNamespace(everything=made, **{column: made.columns[spell(column)] for column in columns})

    def rows(self, what: str, statement: Any, most: int | None = None) -> list[tuple[Any, ...]] | None:
        """Return the rows of a statement; None when it could not be answered, which ``not_asked`` then tells.

        most: how many are wanted. By default all are, up to MAX_GROUPS; ``not_asked`` tells that there were more.
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
        """Return what is picked of each row; raises Unreachable when the statement fails. pick: see ``_oracle_session.fetch``."""
        try:
            result = self._execute(statement)
            return list(map(pick(list(result.keys())), result))
        except self.sqlalchemy.exc.DBAPIError as error:
            raise Unreachable("query", "failed", _short(self._target, error)) from None

    def _local(self, value: Any) -> Any:
        """Return a time with a zone as the local one that all others are."""
        aware = isinstance(value, datetime) and value.tzinfo is not None
        return value.astimezone(self._zone).replace(tzinfo=None) if aware else value

    def _execute(self, statement: Any) -> Any:
        if self._target.dialect == "sqlite":
            self._dialect.limit(self._connection, self._target)
        return self._connection.execute(statement)

    def _again(self, error: Any) -> None:
        """Go on after a failed statement in a new transaction; raises Unreachable when the connection is gone."""
        if getattr(error, "connection_invalidated", False):
            raise Unreachable("network", "dropped", _short(self._target, error)) from None
        try:
            self._connection.rollback()
        except self.sqlalchemy.exc.DBAPIError as failure:
            raise Unreachable("network", "dropped", _short(self._target, failure)) from None
        self._limited()

    def look_at_tables(self) -> dict[str, str]:
        """Return for each table there, busy (locked by somebody), missing or no_privilege."""
        self.tables = {name: self._table_state(name) for name in (*REQUIRED, *OPTIONAL)}
        return self.tables

    def _table_state(self, name: str) -> str:
        state = self._probe(name)
        if state != "missing":
            return state
        # Made with quoted names, or MySQL on Linux, which tells upper from lower case.
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
    """Return missing, no_privilege or busy: what a failed look at a table means."""
    code = getattr(error.orig, "sqlstate", None) or ""
    text = str(error.orig)
    if code == "42P01" or re.search(r"\((?:1146|1109),|ORA-00942|no such table", text):
        return "missing"
    if code == "42501" or re.search(r"\((?:1142|1143|1227),|ORA-01031", text):
        return "no_privilege"
    return "busy"


# --- why not


def _explained(target: Target, error: Any, late: bool = False) -> Unreachable:
    """Say at which stage a connection failed, and why. What only the network knows is asked of the network."""
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
    """Find out how far the network lets us to a server whose driver gave up: (stage, reason)."""
    try:
        with socket.create_connection((target.host, target.port), timeout=PROBE_WITHIN):
            return "network", "connects"
    except socket.gaierror:
        return "name", "not_resolved"
    except ConnectionRefusedError:
        return "network", "refused"
    except (TimeoutError, socket.timeout):  # two kinds before Python 3.10
        return "network", "timeout"
    except OSError:
        return "network", "unreachable"


def _short(target: Target, error: Any) -> str:
    text = " ".join(scrub(str(getattr(error, "orig", None) or error), target.password).split())
    return mask(text, SAID)


# --- what LogsDB says about work


def _work(session: Session, zone: ZoneInfo, days: int) -> dict[str, Any]:
    """Return what other checks need to know about work; None for what could not be asked, which ``not_asked`` names.

    ``queue`` (JOB_QUEUE is there) ``waiting`` (jobs; without a queue, automations that are due) ``waiting_since``
    ``running`` ``open_runs oldest_open runs last_run_start last_run_end`` (of the last ``look_back_days``)
    ``last_activity`` (the newest sign that the worker works) ``automations`` (the last active ones: ``auto_id runs open
    last_start last_end``) ``automations_total``.
    """
    now = datetime.now(zone).replace(tzinfo=None)
    found: dict[str, Any] = {"look_back_days": days, "queue": session.tables["job_queue"] in ("there", "busy")}
    signs: list[Any] = []
    found.update(_queue(session, now, signs) if found["queue"] else _due(session, now))
    found.update(_runs(session, now - timedelta(days=days), signs))
    signs.append(_last_mail(session))
    found["last_activity"] = _latest(signs)
    found["not_asked"] = session.not_asked
    return _in_utc(found, zone)


def _queue(session: Session, now: datetime, signs: list[Any]) -> dict[str, Any]:
    """Return the jobs that wait and run, and since when the oldest has waited."""
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
    """Return since when the longest waiting job has waited at least, None when nothing tells.

    JOB_QUEUE does not keep when a job was made. An automation has one job at a time, so its job was made after its former
    one ended; one with a fixed time was made at that time or later.
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

    Together they are counted in a statement of their own: a rollback trusts ``open_runs``, and groups may be cut.
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
        for row in session.rows("AUTO_RUN_LOG, by automation", grouped, most=SHOWN_GROUPS) or []
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
    """Return when the newest mail was sent: by its key, since SEND_AT may have no index."""
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
        return _stamp(value if value.tzinfo else value.replace(tzinfo=zone))
    if isinstance(value, dict):
        return {name: _in_utc(one, zone) for name, one in value.items()}
    return [_in_utc(one, zone) for one in value] if isinstance(value, list) else value


def _stamp(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
