# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area oracle: its source and its checks (manual 1 section 5, manual 2 section 6)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from ..._shared.oracle import reading as _oracle
from . import checks as _oracle_checks

# What is kept of refused passwords belongs to the host that asks, whatever else is asked of it.
TARGETS = Source(
    "oracle.targets",
    _oracle.read,
    _oracle.PARAMETERS,
    limits=_oracle.LIMITS,
    remember=_oracle.remember,
    kept_as="oracle-refused",
)

CHECKS = (
    Check(
        "oracle.connect",
        "How far does a connection to each database get, and is it fast enough?",
        _oracle_checks.connect,
        (TARGETS,),
        _oracle_checks.CONNECT_PARAMETERS,
        driver="oracledb",
    ),
    Check(
        "oracle.privileges",
        "May each account do what Tank needs, and no more?",
        _oracle_checks.privileges,
        (TARGETS,),
        _oracle_checks.PRIVILEGES_PARAMETERS,
        driver="oracledb",
    ),
)
