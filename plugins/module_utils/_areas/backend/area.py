# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area backend: its sources and its checks (manual 1, section 3)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from ..._shared.logs import applications as _log_area
from ..._shared.logs import ports as _log_ports
from ..worker import check_log as _log_checks
from . import check_health

PORTS = Source("log.ports", _log_ports.read_holders)
ENV_FILE = Source("backend.env_file", _log_checks.read_env_file, ("env_file",))

CHECKS: tuple[Check, ...] = (
    check_health.CHECK,
    Check(
        "backend.log",
        "Do the logs say why an application does not start?",
        _log_checks.backend_log,
        (_log_area.APPLICATIONS, PORTS),
        _log_checks.BACKEND_LOG_PARAMETERS,
        run_as="app",
    ),
    Check(
        "backend.env",
        "Is the applications' .env kept from other users?",
        _log_checks.env_file,
        (ENV_FILE,),
        _log_checks.ENV_PARAMETERS,
        run_as="app",
    ),
)
