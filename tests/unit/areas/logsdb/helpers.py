# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An SQLite LogsDB, and how tests read it."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb.read_facts import READING_PARAMETERS, read_facts

SEOUL = ZoneInfo("Asia/Seoul")
SCHEMA = """
CREATE TABLE AUTOMATION (AUTO_ID int, STATUS text, LAST_RUN_AT text, NEXT_RUN_AT text);
CREATE TABLE SCHEDULER (AUTO_ID int, TYPE text, HOUR int, MINUTE int);
CREATE TABLE AUTO_RUN_LOG (RUN_ID integer PRIMARY KEY, AUTO_ID int, START_AT text, END_AT text);
CREATE TABLE EMAIL_SEND_LOG (SEND_ID integer PRIMARY KEY, SEND_AT text);
CREATE TABLE JOB_QUEUE (JOB_ID integer PRIMARY KEY, AUTO_ID int, STATUS text, START_AT text, END_AT text);
"""


def parameters(**given):
    """Return the parameters of the source as the module hands them over, defaults filled in."""
    return {**{name: spec.get("default") for name, spec in READING_PARAMETERS.items()}, **given}


def make_database(path, *statements, schema=SCHEMA):
    """Make an SQLite LogsDB with more statements; return its path."""
    with sqlite3.connect(path) as connection:
        connection.executescript(schema)
        for statement, *values in statements:
            connection.execute(statement, values)
    connection.close()
    return str(path)


def local(**before):
    """Return a local time of LogsDB, some time before now."""
    return (datetime.now(SEOUL) - timedelta(**before)).replace(tzinfo=None, microsecond=0).isoformat(sep=" ")


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL).astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_sqlite(path, **more):
    return read_facts(**parameters(dialect="sqlite", database=path, **more))
