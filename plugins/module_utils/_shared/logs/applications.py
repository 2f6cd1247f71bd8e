# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source that the areas backend and worker share: the applications' logs, read once."""

from __future__ import annotations

from ..._areas.worker import check_log as _log_checks
from ..._core.source import Source
from .. import pm2_list
from . import reader as _logs

APPLICATIONS = Source(
    "log.applications",
    _logs.read_applications,
    _log_checks.LOG_SOURCE_PARAMETERS,
    owner=pm2_list.reader,
    remember=_log_checks.remember,
)
