"""What a new database holds: the customer's tables that Tank reads, and the accounts."""

# ruff: noqa: S608 - names are quoted, values are bound
from __future__ import annotations

import copy
import json
import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..customers import CUSTOMERS, Customer
from .catalog import Table
from .parser import quoted
from .store import Store, simple_table
from .values import DATE, SqlType, varchar

OWNER, APPLICATION, MONITOR = "CUST", "TANK", "TANK_MON"
_KEY = SqlType("NUMBER", 22, 10, 0)
_CUSTOMER = simple_table(OWNER, "CUSTOMER", {"CUST_ID": varchar(30), "CUST_NAME": varchar(100), "EMAIL_ADDR": varchar(200)}, ("CUST_ID",))
_TARGET = simple_table(
    OWNER,
    "TARGET",
    {
        "AUTO_ID": _KEY,
        "CUST_ID": varchar(30),
        "ATTACH_PATTERN": varchar(200),
        "CYCLE_MINUTES": _KEY,
        "NEXT_DUE_AT": DATE,
        "SENT_YN": SqlType("CHAR", 1),
        "SENT_AT": SqlType("TIMESTAMP", 6),
    },
    ("AUTO_ID", "CUST_ID"),
)
_ITEM = simple_table(
    OWNER,
    "CUSTOMER_ITEM",
    {"CUST_ID": varchar(30), "ITEM_NO": _KEY, "ITEM_NAME": varchar(100), "AMOUNT": SqlType("NUMBER", 22, 15, 2), "TRADE_DATE": DATE},
    ("CUST_ID", "ITEM_NO"),
)
_VIEW = Table(
    OWNER,
    "TARGET_VIEW",
    [],
    query="""SELECT t.AUTO_ID, t.CUST_ID, c.EMAIL_ADDR, c.CUST_NAME, t.NEXT_DUE_AT, t.SENT_YN,
  REPLACE(t.ATTACH_PATTERN, '{date}', TO_CHAR(SYSDATE, 'YYYYMMDD')) AS ATTACH_FILE_NAME
  FROM TARGET t JOIN CUSTOMER c ON c.CUST_ID = t.CUST_ID""",
)
_TABLES = (_CUSTOMER, _TARGET, _ITEM, _VIEW)
_GRANTS = {table.label: ["SELECT"] for table in _TABLES} | {_TARGET.label: ["SELECT", "UPDATE"]}
_VIEWS = {f"SYS.V_${name}": ["SELECT"] for name in ("SESSION", "RESOURCE_LIMIT", "INSTANCE")}
_ACCOUNTS: dict[str, dict[str, Any]] = {
    "SYS": {"rights": ["CREATE SESSION", "DBA"], "sysdba": True},
    "SYSTEM": {"rights": ["CREATE SESSION", "DBA"]},
    OWNER: {"rights": ["CREATE SESSION", "CREATE TABLE"]},
    APPLICATION: {"rights": ["CREATE SESSION"], "grants": _GRANTS},
    MONITOR: {"rights": ["CREATE SESSION"], "grants": {**_GRANTS, **_VIEWS}},
}
_PASSWORDS = "passwords.json"
_ITEMS = ("Domestic sales", "Overseas sales", "Fee")
_HOUR = 60


def seed(store: Store, folder: Path) -> None:
    """Fill a new database; an old one stays as it is. The accounts' passwords go to `passwords.json`."""
    passwords = folder / _PASSWORDS
    if store.accounts and passwords.exists():
        return
    known = {name: secrets.token_urlsafe(12) for name in _ACCOUNTS}
    with open(os.open(passwords, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as stream:
        json.dump(known, stream)
    restore(store, folder)
    _fill(store)


def restore(store: Store, folder: Path, only: str = "") -> None:
    """The accounts, or one, as they were made: open, with the passwords of `passwords.json` and the rights that they had."""
    known = json.loads((folder / _PASSWORDS).read_text(encoding="ascii"))
    for name, settings in _ACCOUNTS.items():
        if only in ("", name):
            store.create_account(name, known[name], **copy.deepcopy(settings))


def _fill(store: Store) -> None:
    connection = store.connect()
    try:
        connection.execute("BEGIN IMMEDIATE")
        synonyms = [Table("PUBLIC", table.name, [], synonym=table.label) for table in _TABLES]
        for table in (*_TABLES, *synonyms):
            if table.label not in store.tables:
                store.create_table(connection, table)
        _insert(connection, _CUSTOMER, [(customer.cust_id, customer.name, customer.email) for customer in CUSTOMERS])
        _insert(connection, _TARGET, [_target(store, customer) for customer in CUSTOMERS])
        _insert(connection, _ITEM, [row for customer in CUSTOMERS for row in _details(store, customer)])
        connection.execute("COMMIT")
    finally:
        connection.close()


def _insert(connection: Any, table: Table, rows: list[tuple[Any, ...]]) -> None:
    marks = ",".join("?" * len(rows[0]))
    connection.executemany(f"INSERT OR IGNORE INTO {quoted(table.label)} VALUES ({marks})", rows)


def _target(store: Store, customer: Customer) -> tuple[Any, ...]:
    """A customer of a REALTIME automation is due after a part of the cycle; the others are whenever their run comes, an hour apart at least."""
    automation = customer.automation
    cycle, due = _HOUR, store.now()
    if automation.type == "REALTIME":
        cycle = customer.cycle_minutes
        due += timedelta(minutes=(customer.number * 7) % cycle)
    return (automation.auto_id, customer.cust_id, customer.attachment("{date}"), cycle, due.isoformat(" "), "N", None)


def _details(store: Store, customer: Customer) -> list[tuple[Any, ...]]:
    """Lines of a statement: what a mapping query of type LIST reads."""
    day = store.now().replace(hour=0, minute=0, second=0) - timedelta(days=1)
    count = customer.number % 3 + 1
    amounts = [(customer.number * 7919 + item * 104729) % 5_000_000 / 100 for item in range(count)]
    return [(customer.cust_id, item + 1, _ITEMS[item], amounts[item], day.isoformat(" ")) for item in range(count)]
