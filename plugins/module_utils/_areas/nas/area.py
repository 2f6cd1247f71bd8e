# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area nas: its source and its checks (manual 1, section 6; manual 2, section 7)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from . import checks as _nas_checks
from . import read as _nas

STATE = Source(
    "nas.state",
    _nas.read,
    _nas.PARAMETERS,
    limits=("probe_within",),
    owner=_nas.owner,
    remember=_nas_checks.remember,
    exclusive=("mounts", "paths"),
)

CHECKS = (
    Check(
        "nas.mount",
        "Is each NAS mounted, is it the right one, and does it answer?",
        _nas_checks.mount,
        (STATE,),
        _nas_checks.PARAMETERS,
        run_as="app",
    ),
    Check(
        "nas.path",
        "Are the folders there, and can the worker read them and nothing more?",
        _nas_checks.path,
        (STATE,),
        _nas_checks.PATH_PARAMETERS,
        run_as="app",
    ),
    Check(
        "nas.disk", "How full is each NAS, and when will it be full?", _nas_checks.disk, (STATE,), _nas_checks.DISK_PARAMETERS, run_as="app"
    ),
)
