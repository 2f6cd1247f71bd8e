# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source that the areas backend and worker share: the applications' logs, read once."""

from __future__ import annotations

from . import _log_checks, _logs, _pm2
from ._sources import Source

APPLICATIONS = Source(
    "log.applications",
    _logs.read_applications,
    _log_checks.LOG_SOURCE_PARAMETERS,
    owner=_pm2.reader,
    remember=_log_checks.remember,
    recalls=True,
)
