# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source ``logsdb.facts``: one connection to LogsDB, and the parameters that all its checks take.

Names in LogsDB are upper-case and usually unquoted (PostgreSQL folds them to lower case, Oracle to upper); times are local and have
no zone (product facts, LogsDB schema). The database makes the counts; its rows never leave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict, cast

from ..._core.references import LOGIN_OPTIONS
from ..._core.source import Source
from ..._shared import sql
from .read_mails import Mails, read_mails
from .read_work import Work, read_work
from .tables import read_tables

READING_PARAMETERS: dict[str, dict[str, Any]] = {
    "dialect": {
        "type": "str",
        "default": "postgresql",
        "choices": ["postgresql", "mysql", "oracle", "sqlite"],
        "variable": "stack_logsdb_dialect",
        "description": "Kind of database; mysql stands for MariaDB as well.",
    },
    "host": {
        "type": "str",
        "variable": "stack_logsdb_host",
        "description": "Server of LogsDB, as the checker reaches it; none for sqlite.",
    },
    "port": {"type": "int", "variable": "stack_logsdb_port", "description": "Its port, by default the usual one of the dialect."},
    "database": {
        "type": "str",
        "required": True,
        "variable": "stack_logsdb_database",
        "description": "Name of the database; the service name for oracle, the file for sqlite.",
    },
    "user": {"type": "str", "variable": "stack_logsdb_user", "description": "An account that may read and nothing else."},
    "login": {
        "type": "dict",
        "options": LOGIN_OPTIONS,
        "variable": "stack_logsdb_login",
        "description": "Where the checker finds the password: {file: ...}, or {env_file: ..., key: ...}. Never the password itself.",
    },
    "timezone": {
        "type": "str",
        "default": "Asia/Seoul",
        "variable": "stack_logsdb_timezone",
        "description": "Zone of the times in LogsDB, which are local and do not name it.",
    },
    "connect_within": {"type": "float", "default": 3.0, "description": "Seconds that connecting and logging in may take."},
    "answer_within": {"type": "float", "default": 2.0, "description": "Seconds that one statement may take; the database then stops it."},
    "look_back_days": {
        "type": "int",
        "default": 35,
        "description": "Days of AUTO_RUN_LOG that are read; they must include a monthly run.",
    },
    "forget_refused": {
        "type": "bool",
        "default": False,
        "variable": "stack_logsdb_forget_refused",
        "description": "Forget that the password was refused in an earlier run, and try it once more.",
    },
}


class Facts(TypedDict, total=False):
    """Whether LogsDB can be used, and what it has.

    ``state``: up or away. Away: ``stage`` (name, network, login, database, session, tables), ``reason``, ``said`` (the driver's words),
    ``held_since`` (the login was refused then and not tried again). Up: the others. ``tables``: their states.
    ``refused``: what must be remembered of a refused login.
    """

    state: str
    stage: str
    reason: str
    said: str
    held_since: str | None
    refused: dict[str, Any] | None
    server: str
    connect_ms: int
    tables: dict[str, str]
    work: Work
    mails: Mails


def read_facts(memory: Mapping[str, Any] | None = None, **parameters: Any) -> Facts:
    """Return what LogsDB has. Connects once, and not at all with a login that was refused before.

    parameters: see READING_PARAMETERS. memory: what :func:`sql.remember` kept.
    Raises DriverMissing, NeedsUser, and WrongQuestion for a reference, zone or dialect that does not exist.
    """
    days = parameters["look_back_days"]
    return cast("Facts", sql.read(lambda session: _facts(session, days), memory, **parameters))


def _facts(session: sql.Session, days: int) -> dict[str, Any]:
    tables = read_tables(session)
    work = read_work(session, days)
    session.not_asked = []
    mails = read_mails(session, datetime.now(session.zone).replace(tzinfo=None))
    return {"server": session.server(), "tables": tables, "work": work, "mails": {**mails, "not_asked": session.not_asked}}


FACTS = Source("logsdb.facts", read_facts, tuple(READING_PARAMETERS), limits=("forget_refused",), remember=sql.remember)
