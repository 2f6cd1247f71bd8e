# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area pm2: its sources and its checks (manual 2, section 3)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from ..._shared import kernel_log, pm2_list
from . import checks as _pm2_checks
from . import read as _pm2

LIST = Source(
    "pm2.list",
    pm2_list.read_list,
    ("pm2_home", "user", "answer_within"),
    limits=("answer_within",),
    owner=pm2_list.reader,
    remember=_pm2_checks.remember_list,
)
LOG = Source("pm2.log", _pm2.read_daemon_log, ("pm2_home", "user"), owner=pm2_list.reader)
DUMP = Source("pm2.dump", _pm2.read_dump, ("pm2_home", "user"), owner=pm2_list.reader)
# Read as who runs this, root as a rule: the application's user may not see the kernel's log.
KILLS = Source("host.kills", kernel_log.read_kills)
STARTUP = Source("pm2.startup", _pm2.read_startup, ("pm2_home", "user", "unit_dir"))

CHECKS = (
    Check(
        "pm2.daemon",
        "Does the PM2 daemon run and answer?",
        _pm2_checks.daemon,
        (LIST, LOG, DUMP),
        _pm2_checks.DAEMON_PARAMETERS,
        run_as="app",
    ),
    Check(
        "pm2.processes",
        "Does each process that must run do so, and stay up?",
        _pm2_checks.processes,
        (LIST, LOG, KILLS),
        _pm2_checks.PROCESSES_PARAMETERS,
        run_as="app",
    ),
    Check(
        "pm2.saved",
        "Would a reboot bring back what runs now, and is the dump kept from others?",
        _pm2_checks.saved,
        (DUMP, LIST),
        _pm2_checks.SAVED_PARAMETERS,
        run_as="app",
    ),
    Check(
        "pm2.startup",
        "Does PM2 itself come back after a reboot?",
        _pm2_checks.startup,
        (STARTUP,),
        _pm2_checks.STARTUP_PARAMETERS,
        run_as="app",
    ),
    Check(
        "pm2.user",
        "Does any of the processes run as root?",
        _pm2_checks.user,
        (LIST,),
        _pm2_checks.USER_PARAMETERS,
        run_as="app",
    ),
)
