# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tank's tables in LogsDB: which must be there, and which may be absent (product facts, LogsDB schema)."""

from __future__ import annotations

from ..._shared.sql import Session, Unreachable

REQUIRED = ("automation", "auto_run_log", "email_send_log")
OPTIONAL = ("job_queue", "scheduler")


def read_tables(session: Session) -> dict[str, str]:
    """Return the state of each table: see :meth:`sql.Session.look_at_tables`. Raises Unreachable where a required one cannot be read."""
    tables = session.look_at_tables((*REQUIRED, *OPTIONAL))
    for state in ("missing", "no_privilege"):
        names = [name.upper() for name in REQUIRED if tables[name] == state]
        if names:
            raise Unreachable("tables", state, ", ".join(names))
    return tables
