# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area nas: its checks (manual 1, section 6; manual 2, section 7).

Is the right NAS mounted, alive and readable for the worker, and how full is it?
"""

from __future__ import annotations

from . import check_disk, check_mount, check_path

CHECKS = (check_mount.CHECK, check_path.CHECK, check_disk.CHECK)
