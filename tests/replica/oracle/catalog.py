"""What the database knows of itself: tables with their columns, and accounts with their rights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from .login import Verifier
from .values import SqlType

OPEN, LOCKED, LOCKED_TIMED, EXPIRED, GRACE = "OPEN", "LOCKED", "LOCKED(TIMED)", "EXPIRED", "EXPIRED(GRACE)"
STATUSES = (OPEN, LOCKED, LOCKED_TIMED, EXPIRED, GRACE)
TABLE_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
DICTIONARY_RIGHTS = ("SELECT_CATALOG_ROLE", "SELECT ANY DICTIONARY", "DBA")


@dataclass(frozen=True)
class Column:
    """Column of a table, a view or a query."""

    name: str
    type: SqlType
    nullable: bool = True
    default: str = ""


@dataclass
class Table:
    """A table of one owner; `unique` maps a constraint's name to its columns, the primary key among them.

    With `query` it is a view, with `synonym` (an `OWNER.TABLE`) another name for a table.
    """

    owner: str
    name: str
    columns: list[Column]
    unique: dict[str, list[str]] = field(default_factory=dict)
    query: str = ""
    synonym: str = ""

    @property
    def label(self) -> str:
        """Name in the store, in messages and in grants."""
        return f"{self.owner}.{self.name}"

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Table:
        made = json.loads(text)
        columns = [Column(item["name"], SqlType(**item["type"]), item["nullable"], item["default"]) for item in made.pop("columns")]
        return Table(columns=columns, **made)


@dataclass
class Account:
    """A user. `rights` are system privileges and roles, `grants` the rights on tables of others (and on V_$ views of SYS)."""

    name: str
    verifier: Verifier
    status: str = OPEN
    expires_at: str = ""
    created_at: str = ""
    locked_at: str = ""
    failed_logins: int = 0
    rights: list[str] = field(default_factory=list)
    grants: dict[str, list[str]] = field(default_factory=dict)
    sysdba: bool = False

    def has(self, right: str) -> bool:
        return right in self.rights or "DBA" in self.rights or self.name == "SYS"

    def sees_dictionary(self, view: str) -> bool:
        """True when this account may read a V$ view of the whole instance."""
        granted = self.grants.get(f"SYS.{view.replace('V$', 'V_$', 1)}", [])
        return self.name == "SYS" or "SELECT" in granted or any(right in self.rights for right in DICTIONARY_RIGHTS)

    def may(self, right: str, table: Table) -> bool:
        return table.owner == self.name or right in self.grants.get(table.label, []) or self.has(f"{right} ANY TABLE")

    def sees(self, table: Table) -> bool:
        return any(self.may(right, table) for right in TABLE_RIGHTS)

    def status_at(self, now: datetime) -> str:
        """Status, with a password that has run out meanwhile."""
        if self.status in (OPEN, GRACE) and self.expires_at and datetime.fromisoformat(self.expires_at) <= now:
            return EXPIRED
        return self.status

    def days_left(self, now: datetime) -> int:
        """Whole days until the password expires, rounded up; 0 without a date."""
        if not self.expires_at:
            return 0
        return max(0, -((now - datetime.fromisoformat(self.expires_at)) // timedelta(days=1)))

    def to_json(self) -> str:
        made = asdict(self)
        made["verifier"] = {"kind": self.verifier.kind, "salt": self.verifier.salt.hex(), "digest": self.verifier.digest.hex()}
        return json.dumps(made)

    @staticmethod
    def from_json(text: str) -> Account:
        made = json.loads(text)
        kept = made.pop("verifier")
        return Account(verifier=Verifier(kept["kind"], bytes.fromhex(kept["salt"]), bytes.fromhex(kept["digest"])), **made)
