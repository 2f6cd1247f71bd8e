# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area worker: its checks (manual 1, section 4; manual 2, section 5)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from ..._shared import pm2_list
from ..._shared.logs import applications as _log_area
from . import check_log as _log_checks
from . import check_rhythm as _worker_rhythm

RHYTHM = Source("worker.rhythm", _worker_rhythm.read, _worker_rhythm.SOURCE_PARAMETERS, owner=pm2_list.reader)

CHECKS: tuple[Check, ...] = (
    Check(
        "worker.log",
        "Which errors of its daily work does the worker report?",
        _log_checks.worker_log,
        (_log_area.APPLICATIONS,),
        _log_checks.WORKER_LOG_PARAMETERS,
        run_as="app",
    ),
    Check(
        "worker.ses",
        "Does SES throttle the worker, or refuse addresses, by its log?",
        _log_checks.ses_log,
        (_log_area.APPLICATIONS,),
        _log_checks.WORKER_LOG_PARAMETERS,
        run_as="app",
    ),
    Check(
        "worker.rhythm",
        "Does the worker still take jobs while work waits, and does its scheduler make its rounds?",
        _worker_rhythm.check,
        (RHYTHM,),
        _worker_rhythm.PARAMETERS,
        run_as="app",
    ),
)
