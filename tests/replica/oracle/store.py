"""The database's files: a SQLite database with the tables and their catalogue, one with the accounts. They outlast restarts."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .catalog import LOCKED_TIMED, OPEN, Account, Column, Table
from .errors import OraError
from .login import make_verifier
from .parser import quoted
from .values import SqlType

_CATALOG = "CREATE TABLE IF NOT EXISTS {} (name TEXT PRIMARY KEY, content TEXT NOT NULL)"
_AFFINITY = {"NUMBER": "NUMERIC", "RAW": "BLOB"}


class Store:
    """Tables and accounts. Sessions have connections of their own; an open transaction of theirs does not lock the accounts."""

    def __init__(self, folder: Path, database_offset: timedelta):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "database.sqlite"
        self.database_offset = database_offset
        self._lock = threading.Lock()
        tables = self.connect()
        tables.execute("PRAGMA journal_mode=WAL")
        tables.execute(_CATALOG.format("oracle_tables"))
        self.tables = {name: Table.from_json(content) for name, content in tables.execute("SELECT name, content FROM oracle_tables")}
        tables.close()
        self._accounts = sqlite3.connect(folder / "accounts.sqlite", isolation_level=None, check_same_thread=False)
        self._accounts.execute(_CATALOG.format("accounts"))
        self.accounts = {name: Account.from_json(content) for name, content in self._accounts.execute("SELECT name, content FROM accounts")}

    def connect(self) -> sqlite3.Connection:
        """A connection whose transactions are begun by hand. What it writes survives the process, not a power failure."""
        connection = sqlite3.connect(self.path, timeout=5, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def close(self) -> None:
        self._accounts.close()

    def now(self) -> datetime:
        """The database's local time, without a zone."""
        return (datetime.now(UTC) + self.database_offset).replace(tzinfo=None, microsecond=0)

    # Accounts

    def save_account(self, account: Account) -> None:
        with self._lock:
            self.accounts[account.name] = account
            self._accounts.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", (account.name, account.to_json()))

    def create_account(self, name: str, password: str, verifier: str = "12c", **settings: object) -> Account:
        created = self.now().isoformat(" ")
        account = Account(name.upper(), make_verifier(verifier, password), created_at=created, **settings)
        self.save_account(account)
        return account

    def count_login(self, account: Account, successful: bool, limit: int) -> None:
        """A failed login locks the account when it is number `limit`; a successful one forgets those before."""
        if successful and not account.failed_logins:
            return
        account.failed_logins = 0 if successful else account.failed_logins + 1
        if limit and account.failed_logins >= limit and account.status == OPEN:
            account.status, account.locked_at = LOCKED_TIMED, self.now().isoformat(" ")
        self.save_account(account)

    # Tables

    def create_table(self, connection: sqlite3.Connection, table: Table) -> None:
        """In a transaction of the caller's."""
        if table.label in self.tables:
            raise OraError(955)
        listed = [_definition(column) for column in table.columns]
        listed += [f"CONSTRAINT {quoted(name)} UNIQUE ({','.join(map(quoted, names))})" for name, names in table.unique.items()]
        if listed:
            connection.execute(f"CREATE TABLE {quoted(table.label)} ({','.join(listed)})")
        connection.execute("INSERT INTO oracle_tables VALUES (?, ?)", (table.label, table.to_json()))
        self.tables[table.label] = table

    def drop_table(self, connection: sqlite3.Connection, table: Table) -> None:
        """In a transaction of the caller's."""
        if table.columns:
            connection.execute(f"DROP TABLE {quoted(table.label)}")
        connection.execute("DELETE FROM oracle_tables WHERE name = ?", (table.label,))
        self.tables.pop(table.label, None)

    def grant(self, account_name: str, object_name: str, rights: list[str], revoke: bool = False) -> None:
        """Rights on `OWNER.TABLE`, or take them away; raises ORA-01917."""
        account = self.accounts.get(account_name)
        if account is None:
            raise OraError(1917, account_name)
        have = [right for right in account.grants.get(object_name, []) if right not in rights]
        account.grants[object_name] = have if revoke else [*have, *rights]
        self.save_account(account)

    def constraint(self, message: str) -> str:
        """Name of the constraint that SQLite's message is about, as ORA-00001 shows it."""
        columns = message.partition(": ")[2].split(", ")
        label, names = columns[0].rpartition(".")[0], [column.rpartition(".")[2] for column in columns]
        table = self.tables.get(label)
        found = [name for name, listed in table.unique.items() if listed == names] if table else []
        return f"{label.partition('.')[0]}.{found[0] if found else 'UNKNOWN'}"


def _definition(column: Column) -> str:
    return f"{quoted(column.name)} {_AFFINITY.get(column.type.name, 'TEXT')}"


def simple_table(owner: str, name: str, columns: dict[str, SqlType], key: tuple[str, ...] = ()) -> Table:
    """A table whose key columns are not NULL and unique."""
    listed = [Column(column, kind, column not in key) for column, kind in columns.items()]
    return Table(owner, name, listed, {f"PK_{name}": list(key)} if key else {})
