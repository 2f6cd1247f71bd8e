# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area nginx: its sources and its checks (manual 1 section 8, manual 2 section 10)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from . import checks as _nginx_checks
from . import read as _nginx

_WHERE = ("executable", "conf", "prefix")
STATE = Source("nginx.state", _nginx.read_state, (*_WHERE, "pid_file", "error_log"), remember=_nginx_checks.remember_state)
TEST = Source("nginx.test", _nginx.read_test, _WHERE, owner=_nginx.config_owner)
STATUS = Source("nginx.status", _nginx.read_status, ("status_url",))

CHECKS = (
    Check(
        "nginx.running",
        "Does nginx run?",
        _nginx_checks.running,
        (STATE, STATUS),
        _nginx_checks.RUNNING_PARAMETERS,
        runs_on="web",
    ),
    Check(
        "nginx.config",
        "Would nginx start with its configuration, and are its ports its own?",
        _nginx_checks.config,
        (TEST, STATE),
        _nginx_checks.CONFIG_PARAMETERS,
        runs_on="web",
        run_as="root",
    ),
    Check(
        "nginx.restarts",
        "Did nginx or one of its workers die and start again?",
        _nginx_checks.restarts,
        (STATE,),
        _nginx_checks.RESTARTS_PARAMETERS,
        runs_on="web",
    ),
    Check(
        "nginx.loaded",
        "Does nginx serve the configuration that lies there?",
        _nginx_checks.loaded,
        (STATE,),
        _nginx_checks.LOADED_PARAMETERS,
        runs_on="web",
    ),
)
