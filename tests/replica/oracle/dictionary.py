"""The views that a database shows of itself, as far as a connection test or a health check reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .catalog import Account, Column, Table
from .engine import View
from .store import Store
from .values import DATE, NUMBER, varchar

BANNER = "Oracle Database 19c Enterprise Edition Release 19.0.0.0.0 - Production"
VERSION = (19, 21, 0, 0, 0)
FULL_VERSION = ".".join(map(str, VERSION))
_Rows = Callable[[], Iterable[Sequence[Any]]]


@dataclass
class SessionInfo:
    """One login, as V$SESSION shows it."""

    number: int
    serial: int
    user: str
    client_host: str
    program: str
    os_user: str
    process: str
    machine: str
    service: str
    started: datetime
    active: bool = False
    sql: str = ""
    module: str = ""


@dataclass
class Usage:
    """How much of a limit is used, and was at most since the start."""

    name: str
    limit: int
    current: int = 0
    most: int = 0


@dataclass
class Instance:
    """What the views say of the running instance."""

    name: str
    service: str
    host: str
    started: datetime
    sessions: dict[int, SessionInfo] = field(default_factory=dict)
    usages: list[Usage] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)


class Dictionary:
    """The views for one account."""

    def __init__(self, store: Store, instance: Instance, account: Account):
        self._store = store
        self._instance = instance
        self._account = account

    def view(self, name: str) -> View | None:
        """None when there is no such view, or when the account may not see it: both are ORA-00942."""
        public = {
            "DUAL": (_columns("DUMMY:1"), lambda: [("X",)]),
            "V$VERSION": (_columns("BANNER:80 BANNER_FULL:160 BANNER_LEGACY:80 CON_ID#"), self._version),
            "PRODUCT_COMPONENT_VERSION": (_columns("PRODUCT:80 VERSION:80 VERSION_FULL:80 STATUS:80"), self._product),
            "USER_USERS": (_columns(_USER_USERS), self._user_users),
            "USER_SYS_PRIVS": (_columns("USERNAME:128 PRIVILEGE:40 ADMIN_OPTION:3 COMMON:3 INHERITED:3"), self._user_sys_privs),
            "SESSION_PRIVS": (_columns("PRIVILEGE:40"), lambda: [(right,) for right in self._session_rights()]),
            "USER_ROLE_PRIVS": (_columns("USERNAME:128 GRANTED_ROLE:128 ADMIN_OPTION:3 DEFAULT_ROLE:3"), self._role_privs),
            "SESSION_ROLES": (_columns("ROLE:128"), lambda: [(role,) for role in self._roles()]),
            "USER_TAB_PRIVS": (_columns(_TAB_PRIVS.format("OWNER")), self._user_tab_privs),
            "USER_TAB_PRIVS_RECD": (_columns("OWNER:128 TABLE_NAME:128 GRANTOR:128 PRIVILEGE:40 GRANTABLE:3"), self._received),
            "ALL_TAB_PRIVS": (_columns("GRANTOR:128 GRANTEE:128 TABLE_SCHEMA:128 TABLE_NAME:128 PRIVILEGE:40 GRANTABLE:3"), self._all_privs),
            "ALL_TABLES": (_columns("OWNER:128 TABLE_NAME:128 TABLESPACE_NAME:30 STATUS:8"), self._all_tables),
            "USER_TABLES": (_columns("TABLE_NAME:128 TABLESPACE_NAME:30 STATUS:8"), self._user_tables),
            "ALL_TAB_COLUMNS": (_columns(_TAB_COLUMNS), self._all_columns),
        }  # fmt: skip
        if name in public:
            return public[name]
        guarded: dict[str, tuple[tuple[Column, ...], _Rows]] = {
            "V$SESSION": (_columns(_V_SESSION), self._sessions),
            "V$RESOURCE_LIMIT": (_columns(_V_RESOURCE_LIMIT), self._limits),
            "V$INSTANCE": (_columns("INSTANCE_NAME:16 HOST_NAME:64 VERSION:17 STARTUP_TIME@ STATUS:12 DATABASE_STATUS:17"), self._instances),
            "V$DATABASE": (_columns("DBID# NAME:9 OPEN_MODE:20 LOG_MODE:12 DATABASE_ROLE:16"), self._database),
            "V$PARAMETER": (_columns("NUM# NAME:80 TYPE# VALUE:4000 ISDEFAULT:9"), self._parameters),
            "DBA_USERS": (_columns(_USER_USERS), self._dba_users),
        }  # fmt: skip
        canonical = name.replace("V_$", "V$", 1)
        if canonical in guarded and self._account.sees_dictionary(canonical):
            return guarded[canonical]
        return None

    def _version(self) -> list[tuple[Any, ...]]:
        return [(BANNER, f"{BANNER}\nVersion {FULL_VERSION}", BANNER, 0)]

    def _product(self) -> list[tuple[Any, ...]]:
        return [("Oracle Database 19c Enterprise Edition ", "19.0.0.0.0", FULL_VERSION, "Production")]

    def _user_row(self, account: Account) -> tuple[Any, ...]:
        names = sorted(self._store.accounts)
        dates = [account.locked_at or None, account.expires_at or None]
        status = account.status_at(self._store.now())
        return (account.name, names.index(account.name) + 101, status, *dates, "USERS", "TEMP", account.created_at, "DEFAULT")

    def _user_users(self) -> list[tuple[Any, ...]]:
        return [self._user_row(self._account)]

    def _dba_users(self) -> list[tuple[Any, ...]]:
        return [self._user_row(account) for account in self._store.accounts.values()]

    def _system_rights(self) -> list[str]:
        return sorted(right for right in self._account.rights if right not in _ROLES)

    def _session_rights(self) -> list[str]:
        """The rights of the account and those of its roles."""
        return sorted({*self._system_rights(), *(right for role in self._roles() for right in _ROLE_RIGHTS.get(role, ()))})

    def _roles(self) -> list[str]:
        return sorted(right for right in self._account.rights if right in _ROLES)

    def _user_sys_privs(self) -> list[tuple[Any, ...]]:
        return [(self._account.name, right, "NO", "NO", "NO") for right in self._system_rights()]

    def _role_privs(self) -> list[tuple[Any, ...]]:
        return [(self._account.name, role, "NO", "YES") for role in self._roles()]

    def _granted(self) -> list[tuple[str, str, str]]:
        pairs = sorted((label, right) for label, rights in self._account.grants.items() for right in rights)
        return [(*label.split(".", 1), right) for label, right in pairs]

    def _user_tab_privs(self) -> list[tuple[Any, ...]]:
        kind = {owner: "VIEW" if owner == "SYS" else "TABLE" for owner, _, _ in self._granted()}
        return [
            (self._account.name, owner, name, owner, right, "NO", "NO", "NO", kind[owner], "NO") for owner, name, right in self._granted()
        ]

    def _received(self) -> list[tuple[Any, ...]]:
        return [(owner, name, owner, right, "NO") for owner, name, right in self._granted()]

    def _all_privs(self) -> list[tuple[Any, ...]]:
        return [(owner, self._account.name, owner, name, right, "NO") for owner, name, right in self._granted()]

    def _visible(self) -> list[Table]:
        return [table for _, table in sorted(self._store.tables.items()) if self._account.sees(table)]

    def _all_tables(self) -> list[tuple[Any, ...]]:
        return [(table.owner, table.name, "USERS", "VALID") for table in self._visible()]

    def _user_tables(self) -> list[tuple[Any, ...]]:
        return [(table.name, "USERS", "VALID") for table in self._visible() if table.owner == self._account.name]

    def _all_columns(self) -> list[tuple[Any, ...]]:
        rows = []
        for table in self._visible():
            for number, column in enumerate(table.columns, 1):
                kind = column.type
                scale = kind.scale if kind.precision else None
                sizes = (kind.size or 22, kind.precision or None, scale)
                rows.append((table.owner, table.name, column.name, kind.name, *sizes, "Y" if column.nullable else "N", number))
        return rows

    def _sessions(self) -> list[tuple[Any, ...]]:
        rows = []
        for info in self._instance.sessions.values():
            started = info.started.isoformat(" ", "seconds")
            state = "ACTIVE" if info.active else "INACTIVE"
            client = (info.os_user, info.process, info.machine, info.program)
            rows.append((info.number, info.serial, info.user, state, "USER", *client, info.module or None, started, info.service))
        return rows

    def _limits(self) -> list[tuple[Any, ...]]:
        return [(usage.name, usage.current, usage.most, f"{usage.limit:>10}", f"{usage.limit:>10}", 0) for usage in self._instance.usages]

    def _instances(self) -> list[tuple[Any, ...]]:
        started = self._instance.started.isoformat(" ", "seconds")
        return [(self._instance.name, self._instance.host, "19.0.0.0.0", started, "OPEN", "ACTIVE")]

    def _database(self) -> list[tuple[Any, ...]]:
        return [(1587642319, self._instance.name, "READ WRITE", "ARCHIVELOG", "PRIMARY")]

    def _parameters(self) -> list[tuple[Any, ...]]:
        listed = sorted(self._instance.parameters.items())
        return [(number, name, 3 if value.isdigit() else 2, value, "FALSE") for number, (name, value) in enumerate(listed, 1)]


# Of the many rights of DBA those that reach furthest.
_ROLE_RIGHTS = {
    "CONNECT": ("CREATE SESSION", "SET CONTAINER"),
    "RESOURCE": ("CREATE PROCEDURE", "CREATE SEQUENCE", "CREATE TABLE", "CREATE TRIGGER"),
    "DBA": (
        "ALTER SYSTEM",
        "ALTER USER",
        "CREATE ANY TABLE",
        "CREATE SESSION",
        "CREATE USER",
        "DELETE ANY TABLE",
        "DROP ANY TABLE",
        "DROP USER",
        "GRANT ANY PRIVILEGE",
        "INSERT ANY TABLE",
        "SELECT ANY DICTIONARY",
        "SELECT ANY TABLE",
        "UPDATE ANY TABLE",
    ),
}
_ROLES = ("CONNECT", "RESOURCE", "DBA", "SELECT_CATALOG_ROLE")
_USER_USERS = (
    "USERNAME:128 USER_ID# ACCOUNT_STATUS:32 LOCK_DATE@ EXPIRY_DATE@ DEFAULT_TABLESPACE:30 TEMPORARY_TABLESPACE:30 CREATED@ PROFILE:128"
)
_TAB_PRIVS = "GRANTEE:128 {}:128 TABLE_NAME:128 GRANTOR:128 PRIVILEGE:40 GRANTABLE:3 HIERARCHY:3 COMMON:3 TYPE:24 INHERITED:3"
_TAB_COLUMNS = "OWNER:128 TABLE_NAME:128 COLUMN_NAME:128 DATA_TYPE:128 DATA_LENGTH# DATA_PRECISION# DATA_SCALE# NULLABLE:1 COLUMN_ID#"
_V_SESSION = "SID# SERIAL## USERNAME:128 STATUS:8 TYPE:10 OSUSER:128 PROCESS:24 MACHINE:64 PROGRAM:48 MODULE:64 LOGON_TIME@ SERVICE_NAME:64"
_V_RESOURCE_LIMIT = "RESOURCE_NAME:30 CURRENT_UTILIZATION# MAX_UTILIZATION# INITIAL_ALLOCATION:10 LIMIT_VALUE:10 CON_ID#"


def _columns(text: str) -> tuple[Column, ...]:
    """`NAME:size` is text, `NAME#` a number, `NAME@` a date."""
    made = []
    for word in text.split():
        name, _, size = word.partition(":")
        if size:
            made.append(Column(name, varchar(int(size))))
        else:
            made.append(Column(word[:-1], NUMBER if word.endswith("#") else DATE))
    return tuple(made)
