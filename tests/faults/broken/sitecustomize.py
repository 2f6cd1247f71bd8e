# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes os.statvfs break with an error that no check reckons with; Python reads this file when it starts."""

from __future__ import annotations

import os


def _break(path: object) -> None:
    raise RuntimeError("broken on purpose")


os.statvfs = _break
