# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area logsdb: its source and its checks (manual 2, section 11)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from ..._shared import sql as _logsdb
from . import check_sending as _ses_sent
from . import checks as _logsdb_checks

FACTS = Source("logsdb.facts", _logsdb.read, _logsdb.PARAMETERS, limits=_logsdb.LIMITS, remember=_logsdb.remember)

CHECKS = (
    Check(
        "logsdb.reach",
        "Can LogsDB be reached, logged into and read?",
        _logsdb_checks.reach,
        (FACTS,),
        _logsdb_checks.PARAMETERS,
        runs_on="checker",
    ),
    Check(
        "logsdb.work",
        "What work waits or runs, and when did the worker last do something?",
        _logsdb_checks.work,
        (FACTS,),
        _logsdb_checks.PARAMETERS,
        runs_on="checker",
    ),
    Check(
        "logsdb.sending",
        "Are failures of sending more than usual for this hour and weekday?",
        _ses_sent.sent,
        (FACTS,),
        _ses_sent.PARAMETERS,
        runs_on="checker",
    ),
)
