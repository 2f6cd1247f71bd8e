# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the area pm2 (manual 2, section 3).

Does the daemon (PM2 5, 6 and 7) answer, does each process run and stay up, would all come back after a reboot?
"""

from __future__ import annotations

from . import check_daemon, check_processes, check_saved, check_startup, check_user

CHECKS = (check_daemon.CHECK, check_processes.CHECK, check_saved.CHECK, check_startup.CHECK, check_user.CHECK)
