# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area nginx: its checks (manual 1 section 8, manual 2 section 10).

Does nginx run with the configuration on disk, and who holds its ports?
"""

from __future__ import annotations

from . import check_config, check_loaded, check_restarts, check_running

CHECKS = (check_running.CHECK, check_config.CHECK, check_restarts.CHECK, check_loaded.CHECK)
