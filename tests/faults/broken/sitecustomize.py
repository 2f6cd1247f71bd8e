# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the page size unknown, with an error that no check reckons with; Python reads this file when it starts."""

from __future__ import annotations

import os

_sysconf = os.sysconf


def _broken(name: str) -> int:
    if name == "SC_PAGE_SIZE":  # what the check of the memory counts in
        raise RuntimeError("broken on purpose")
    return _sysconf(name)


os.sysconf = _broken
