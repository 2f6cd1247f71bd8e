# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End applications that outlived their PM2 daemon."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from ..._shared.pm2_orphans import Orphan, read_orphans


def end_orphans(pm2_home: str, patience: float) -> list[Orphan]:
    """End applications that outlived their daemon, and return those that still run.

    Like PM2, send SIGINT first, and SIGKILL after ``patience`` seconds.
    """
    for number in (signal.SIGINT, signal.SIGKILL):
        for orphan in read_orphans(pm2_home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan["pid"], number)
        give_up = time.monotonic() + (patience if number == signal.SIGINT else 1.0)
        while read_orphans(pm2_home):
            if time.monotonic() >= give_up:
                break
            time.sleep(0.1)
    return read_orphans(pm2_home)
