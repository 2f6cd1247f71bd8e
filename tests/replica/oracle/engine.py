"""One session's SQL: translation, execution and transaction."""

# ruff: noqa: S608 - names are quoted, values are bound
from __future__ import annotations

import re
import sqlite3
import string
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from . import statements
from .catalog import Account, Column, Table
from .errors import OraError
from .functions import Functions
from .parser import Context, Source, quoted
from .statements import Fit, Statement, Statements
from .store import Store
from .values import SqlType, parse_offset

_LOCK_PAUSE = 0.02
_CACHED = 200
_ROWID_LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
# A view is made when a statement reads it: columns and rows.
View = tuple[tuple[Column, ...], Callable[[], Iterable[Sequence[Any]]]]


@dataclass
class Outcome:
    """What one execution gave. `failures` are the offsets and errors of an array DML that went on."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    count: int = 0
    last_row: int = 0
    failures: list[tuple[int, OraError]] = field(default_factory=list)


class SqlSession:
    """SQL of one login. Not to be used by two threads at a time, `interrupt` aside."""

    def __init__(self, store: Store, account: Account, view: Callable[[str], View | None], context: dict[str, str]):
        self.store = store
        self.account = account
        self.schema = account.name
        self.functions = Functions(store.database_offset)
        self.in_transaction = False
        self.cancelled = False
        self._view = view
        self._context = context
        self._fits: tuple[Fit, ...] = ()
        self._cache: dict[tuple[str, tuple[SqlType, ...], str], tuple[Statement, tuple[str, ...]]] = {}
        self._connection = store.connect()
        self._connection.execute("PRAGMA case_sensitive_like=ON")
        self._connection.execute("PRAGMA busy_timeout=0")
        self.functions.register(self._connection)
        self._connection.create_function("ora_fit", 2, self._fit)
        self._connection.create_function("ora_context", 2, self._user_environment)
        self._connection.create_function("ora_rowid", 1, rowid_text)

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()
        self._connection.close()

    def interrupt(self) -> None:
        """From another thread: end what runs, with ORA-01013."""
        self.cancelled = True
        self._connection.interrupt()

    # Translation

    def translate(self, sql: str, bind_types: tuple[SqlType, ...]) -> tuple[Statement, tuple[str, ...]]:
        """The statement and the views that it reads. Raises OraError."""
        key = (sql, bind_types, self.schema)
        if key not in self._cache:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            views: list[str] = []
            context = Context(self.account, self.schema, lambda owner, name: self._find(owner, name, views), bind_types)
            made = Statements(sql, context).statement(), tuple(views)
            if made[0].kind not in (statements.QUERY, statements.CHANGE):
                return made
            self._cache[key] = made
        return self._cache[key]

    def forget_translations(self) -> None:
        """Tables or rights have changed."""
        self._cache.clear()

    def _find(self, owner: str, name: str, views: list[str]) -> Source | None:
        table = self._table(owner, name)
        if table and self.account.sees(table):
            if not table.query:
                return Source(name, tuple(table.columns), quoted(table.label), table)
            definer = self.store.accounts.get(table.owner, self.account)
            context = Context(definer, table.owner, lambda owner, name: self._find_for(definer, owner or table.owner, name))
            query = Statements(table.query, context).query()
            return Source(name, query.columns, f"({query.sql})", table)
        view = self._view(name) if owner in ("", "SYS") else None
        if view is None:
            return None
        views.append(name)
        return Source(name, view[0], f"temp.{quoted(name)}")

    def _table(self, owner: str, name: str) -> Table | None:
        """A table by its name, or by a public synonym."""
        tables = self.store.tables
        table = tables.get(f"{owner or self.schema}.{name}")
        if table is None and not owner:
            synonym = tables.get(f"PUBLIC.{name}")
            table = tables.get(synonym.synonym) if synonym else None
        return table

    def _find_for(self, definer: Account, owner: str, name: str) -> Source | None:
        """A table that a view reads, with the rights of the view's owner."""
        table = self.store.tables.get(f"{owner}.{name}")
        return Source(name, tuple(table.columns), quoted(table.label), table) if table and definer.sees(table) else None

    # Execution

    def run(self, made: tuple[Statement, tuple[str, ...]], binds: list[list[Any]], go_on: bool = False) -> Outcome:
        """Execute once for each row of binds. With `go_on` a row that fails does not stop the others."""
        statement, views = made
        self.cancelled = False
        if statement.kind in (statements.COMMIT, statements.ROLLBACK):
            self.commit() if statement.kind == statements.COMMIT else self.rollback()
            return Outcome()
        if statement.kind == statements.SESSION:
            self._apply(statement.settings)
            return Outcome()
        if statement.kind == statements.DDL:
            return self._define(statement.settings)
        if any(len(row) < statement.binds for row in binds):
            raise OraError(1008)
        if statement.kind == statements.BLOCK:
            return self._pause(statement.settings, binds)
        if statement.takes_lock:
            self._begin()
        for name in views:
            self._materialise(name)
        outcome = Outcome()
        self._fits = statement.fits
        for offset, row in enumerate(binds):
            try:
                self._execute(statement, row, outcome)
            except OraError as error:
                if not go_on:
                    error.args = (*error.args, offset)
                    raise
                outcome.failures.append((offset, error))
        return outcome

    def _execute(self, statement: Statement, row: list[Any], outcome: Outcome) -> None:
        self.functions.failure = None
        try:
            cursor = self._connection.execute(statement.sql, row[: statement.binds])
            if statement.kind == statements.QUERY:
                outcome.rows = cursor.fetchall()
            else:
                outcome.count += max(cursor.rowcount, 0)
                if statement.inserts:
                    outcome.last_row = cursor.lastrowid or 0
        except sqlite3.IntegrityError as error:
            raise OraError(1, self.store.constraint(str(error))) from None
        except sqlite3.OperationalError as error:
            raise self._translated(error) from None

    def _translated(self, error: sqlite3.OperationalError) -> OraError:
        if self.functions.failure:
            return self.functions.failure
        if self.cancelled or "interrupted" in str(error):
            return OraError(1013)
        if "no such table" in str(error):
            return OraError(942)
        return OraError(600, text=f"ORA-00600: internal error code, arguments: [{error}]")

    def _pause(self, settings: dict[str, object], binds: list[list[Any]]) -> Outcome:
        amount = str(settings.get("sleep", "0"))
        seconds = float(binds[0][0]) if amount.startswith(":") else float(amount)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.cancelled:
                raise OraError(1013)
            time.sleep(min(_LOCK_PAUSE, max(until - time.monotonic(), 0)))
        return Outcome()

    # Transactions

    def _begin(self) -> None:
        """Become the one that writes. Another's open transaction is waited for, as for a row that it has changed."""
        while not self.in_transaction:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self.in_transaction = True
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                if self.cancelled:
                    raise OraError(1013) from None
                time.sleep(_LOCK_PAUSE)

    def commit(self) -> None:
        self._end("COMMIT")

    def rollback(self) -> None:
        self._end("ROLLBACK")

    def _end(self, how: str) -> None:
        if self.in_transaction:
            self._connection.execute(how)
            self.in_transaction = False

    # Definitions and settings

    def _define(self, settings: dict[str, object]) -> Outcome:
        self.commit()
        self._begin()
        try:
            self._define_in_transaction(settings)
        except BaseException:
            self.rollback()
            raise
        self.commit()
        self.forget_translations()
        return Outcome()

    def _define_in_transaction(self, settings: dict[str, object]) -> None:
        table = next(settings[name] for name in ("create", "drop", "truncate", "grant", "revoke") if name in settings)
        assert isinstance(table, Table)
        if "create" in settings:
            self.store.create_table(self._connection, table)
        elif "drop" in settings:
            self.store.drop_table(self._connection, table)
        elif "truncate" in settings:
            self._connection.execute(f"DELETE FROM {quoted(table.label)}")
        else:
            self.store.grant(str(settings["account"]), table.label, list(settings["rights"]), revoke="revoke" in settings)

    def _apply(self, settings: dict[str, object]) -> None:
        """ALTER SESSION SET. Settings without an effect here are taken as given."""
        for name, value in settings.items():
            if name == "CURRENT_SCHEMA":
                self.schema = str(value).upper()
            elif name == "NLS_DATE_FORMAT":
                self.functions.date_format = str(value)
            elif name == "TIME_ZONE":
                self.set_time_zone(str(value))

    def set_time_zone(self, text: str) -> None:
        offset = parse_offset(text)
        if offset is not None:
            self.functions.session_offset = offset

    def alter_at_login(self, sql: str) -> None:
        """The ALTER SESSION that a client sends with its login."""
        zone = re.search(r"TIME_ZONE\s*=\s*'([^']*)'", sql)
        if zone:
            self.set_time_zone(zone.group(1))

    def _materialise(self, name: str) -> None:
        view = self._view(name)
        if view is None:
            raise OraError(942)
        columns, rows = view
        self._connection.execute(f"DROP TABLE IF EXISTS temp.{quoted(name)}")
        self._connection.execute(f"CREATE TEMP TABLE {quoted(name)} ({','.join(quoted(column.name) for column in columns)})")
        marks = ",".join("?" * len(columns))
        self._connection.executemany(f"INSERT INTO temp.{quoted(name)} VALUES ({marks})", list(rows()))

    # Functions that need the session

    def _user_environment(self, namespace: str, name: str) -> str | None:
        if name.upper() == "SESSIONTIMEZONE":
            seconds = int(self.functions.session_offset.total_seconds())
            return f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02d}:{abs(seconds) // 60 % 60:02d}"
        return {**self._context, "CURRENT_SCHEMA": self.schema, "DBTIMEZONE": "+00:00"}.get(name.upper())

    def _fit(self, value: Any, index: int) -> Any:
        try:
            return fitted(value, self._fits[index])
        except OraError as error:
            self.functions.failure = self.functions.failure or error
            raise


def fitted(value: Any, fit: Fit) -> Any:
    """The value as its column keeps it; raises what Oracle raises when it does not fit."""
    column, kind = fit.column, fit.column.type
    if value is None or value == "":
        if not column.nullable:
            raise OraError(1407 if fit.update else 1400, fit.label)
        return None
    if kind.is_text:
        size = len(str(value).encode())
        if size > kind.size:
            raise OraError(12899, fit.label, size, kind.size)
        return str(value).ljust(kind.size) if kind.name == "CHAR" else str(value)
    if kind.name == "NUMBER" and kind.precision:
        rounded = round(Decimal(format(value, ".15g") if isinstance(value, float) else value), kind.scale)
        if abs(rounded) >= Decimal(10) ** (kind.precision - kind.scale):
            raise OraError(1438)
        return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)
    if kind.name == "DATE":
        return value[:19]
    return value


def rowid_parts(number: int) -> tuple[int, int, int, int]:
    """Data object, file, block and row of a row."""
    return 73196, 12, 128 + number // 500, number % 500


def rowid_text(number: int) -> str:
    text = ""
    for part, width in zip(reversed(rowid_parts(number)), (3, 6, 3, 6), strict=True):
        for _ in range(width):
            text = _ROWID_LETTERS[part & 63] + text
            part >>= 6
    return text
