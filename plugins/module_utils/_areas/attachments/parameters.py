# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that the checks of attachments share, and the options of a query for wanted names."""

from __future__ import annotations

from typing import Any

from ..._core.references import LOGIN_OPTIONS
from ..._shared.oracle.targets import TARGET_OPTIONS, TARGET_RULES

SHOWN = 5  # examples in the evidence of a finding
S3_OPTIONS: dict[str, dict[str, Any]] = {
    "endpoint": {"type": "str", "description": "Address of a service other than AWS."},
    "region": {"type": "str", "description": "Region of the bucket; AWS_REGION of the env_file by default."},
    "profile": {"type": "str", "description": "Profile of the AWS configuration."},
    "env_file": {"type": "path", "description": "The applications' .env, whose AWS_ACCESS_KEY and AWS_SECRET_KEY are used."},
}
QUERY_OPTIONS: dict[str, dict[str, Any]] = {
    "query": {
        "type": "str",
        "description": (
            "A SELECT with the column name_column, such as a target query of Tank; :day in it becomes the day as YYYYMMDD. From LogsDB, by"
            " default, the names in EMAIL_SEND_LOG of the mails of that day, with ORG_ID as the group."
        ),
    },
    "oracle": {
        "type": "dict",
        "options": {
            **{name: option for name, option in TARGET_OPTIONS.items() if name not in ("name", "query", "statements")},
            "lib_dir": {"type": "path", "description": "Folder of Oracle's Instant Client, for thick mode. Thin mode needs none."},
        },
        **TARGET_RULES,
        "description": "The customer's database, given as a target of oracle_connect_test. Needs the package oracledb.",
    },
    "logsdb": {
        "type": "dict",
        "options": {
            "dialect": {
                "type": "str",
                "default": "postgresql",
                "choices": ["postgresql", "mysql", "oracle", "sqlite"],
                "description": "Kind of database; mysql stands for MariaDB as well.",
            },
            "host": {"type": "str", "description": "Server of LogsDB, as the host that runs the check reaches it; none for sqlite."},
            "port": {"type": "int", "description": "Its port, by default the usual one of the dialect."},
            "database": {
                "type": "str",
                "required": True,
                "description": "Name of the database; the service name for oracle, the file for sqlite.",
            },
            "user": {"type": "str", "description": "A read-only account."},
            "login": {
                "type": "dict",
                "options": LOGIN_OPTIONS,
                "description": "Where the host that runs the check finds the password: {file: ...}, or {env_file: ..., key: ...}.",
            },
        },
        "description": "LogsDB. Needs SQLAlchemy and the driver of the dialect.",
    },
}
QUERY_RULES: dict[str, Any] = {"mutually_exclusive": [("oracle", "logsdb")], "required_one_of": [("oracle", "logsdb")]}
ROOTS: dict[str, dict[str, Any]] = {
    "roots": {
        "type": "list",
        "elements": "str",
        "required": True,
        "variable": "stack_attachment_roots",
        "description": (
            "Folders or S3 prefixes (s3://bucket/prefix) that attachments lie in. A date, as in"
            " /batch/report/AC/statement/%Y%m%d, is filled in."
        ),
    },
    "date": {
        "type": "str",
        "default": "today",
        "description": "The day: today, tomorrow (before its run starts), yesterday or YYYY-MM-DD.",
    },
    "timezone": {
        "type": "str",
        "default": "Asia/Seoul",
        "variable": "stack_attachment_timezone",
        "description": "Time zone in which that day begins.",
    },
    "as_user": {
        "type": "str",
        "variable": ["stack_nas_user", "stack_pm2_user"],
        "description": "The user that the worker runs as; the check reads folders as this user. Needs root, or that user.",
    },
    "silent_roots": {
        "type": "dict",
        "description": (
            "Roots that are known not to answer, with their problem: {/batch/report: ESTALE}, or silent for one that hangs. The check"
            " reports them and does not read them."
        ),
    },
}
