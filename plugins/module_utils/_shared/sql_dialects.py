# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases that ``sql`` connects to: PostgreSQL, MySQL and MariaDB, Oracle (thin), SQLite. Read-only, with limited waits."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

LOCK_WITHIN = 1.0  # seconds to wait for a locked table


@dataclass(frozen=True)
class Target:
    """A database and how long it may take, in seconds; ``password`` never shows in a representation."""

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
    """One kind of database.

    modules: what it needs, which ``install`` (arguments of pip) installs. port: the usual one, 0 for a file. url, arguments: of
    SQLAlchemy's engine. limit: makes a connection read-only and limits its statements.
    """

    modules: tuple[str, ...]
    install: str
    port: int
    url: Callable[[Any, Target], Any]
    arguments: Callable[[Target], dict[str, Any]]
    limit: Callable[[Any, Target], None]


def _url(driver: str, **more: Any) -> Callable[[Any, Target], Any]:
    def url(sqlalchemy: Any, target: Target) -> Any:
        # Without the password: errors of SQLAlchemy and of drivers show URLs.
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
    # SET LOCAL holds for the transaction only, so that a pooler in between carries nothing over to other clients.
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
    # The new mode takes effect with the next transaction.
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
