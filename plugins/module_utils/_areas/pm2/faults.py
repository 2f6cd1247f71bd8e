# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of PM2: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import APPROVAL, AUTO, Fault, Follows, Remedy, table
from ..._core.finding import reporter

_BROKEN_BACKEND = (
    Follows("backend.di_error", same_subject=True),
    Follows("backend.env_invalid", same_subject=True),
    Follows("backend.module_missing", same_subject=True),
    Follows("backend.port_conflict", same_subject=True),
)

FAULTS = table(
    "pm2",
    Fault("pm2.daemon_down", "P0", "M2-3", remedies=(Remedy("pm2.resurrect", AUTO),)),
    Fault("pm2.daemon_hung", "P0", "M2-3", remedies=(Remedy("pm2.kill_daemon", APPROVAL),)),
    Fault("pm2.missing", "P1", "M2-3", remedies=(Remedy("pm2.start", AUTO),)),
    Fault("pm2.stopped", "P1", "M2-3", remedies=(Remedy("pm2.start", AUTO),)),
    Fault("pm2.errored", "P1", "M2-3", remedies=(Remedy("pm2.restart", AUTO),), follows=_BROKEN_BACKEND),
    Fault("pm2.restart_loop", "P1", "M2-3", follows=_BROKEN_BACKEND),
    Fault("pm2.memory_restart", "P2", "M1-9"),
    Fault("pm2.killed", "P2", "M1-9"),
    Fault("pm2.not_saved", "P2", "M2-3", remedies=(Remedy("pm2.save", AUTO),)),
    Fault("pm2.dump_differs", "P2", "M2-3", remedies=(Remedy("pm2.save", AUTO),), follows=(Follows("pm2.missing", same_subject=True),)),
    Fault("pm2.startup_missing", "P2", "M2-3"),
    Fault("pm2.startup_wrong", "P2", "M2-3"),
    Fault("pm2.dump_readable", "P2", "F", remedies=(Remedy("file.tighten", AUTO),)),
    Fault("pm2.runs_as_root", "P2", "F"),
)
fault = reporter(FAULTS)
