# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault is, and the faults that the engine itself reports.

Each area has the faults of its own checks in ``_areas/<area>/faults.py`` and their texts for people, read on the controller, in
``texts.yml`` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

AUTO, APPROVAL = "auto", "approval"


@dataclass(frozen=True)
class Remedy:
    """An action against a fault: its id, and who may decide on it (AUTO or APPROVAL)."""

    id: str
    permission: str


@dataclass(frozen=True)
class Follows:
    """A code (or ``area.*``) that may be the cause; with ``same_subject`` only for the same process, mount ..."""

    code: str
    same_subject: bool = False


@dataclass(frozen=True)
class Fault:
    """One row of the catalogue.

    severity: P0 (sending stops) to P3 (advice). source: manual and section (M1-9, M2-3), F for the product facts, + for ours.
    remedies: best first. follows: possible causes. unknown: the question could not be asked. area: set by :func:`table`.
    """

    code: str
    severity: str
    source: str
    remedies: tuple[Remedy, ...] = ()
    follows: tuple[Follows, ...] = ()
    unknown: bool = False
    area: str = ""

    @property
    def status(self) -> str:
        """``critical`` for P0 and P1, ``warning`` for P2 and P3, ``unknown`` where nothing could be asked."""
        if self.unknown:
            return "unknown"
        return "critical" if self.severity in ("P0", "P1") else "warning"


def table(area: str, *rows: Fault) -> dict[str, Fault]:
    """Return the faults of an area by their codes; raises ValueError for a code that stands there twice."""
    faults = {row.code: replace(row, area=area) for row in rows}
    if len(faults) != len(rows):
        raise ValueError(f"{area}: a code stands there twice")
    return faults


# The run's own health: what was expected and could not be checked.
ENGINE: Mapping[str, Fault] = table(
    "run",
    Fault("run.unreachable", "P2", "+", unknown=True),
    Fault("run.no_hosts", "P2", "+", unknown=True),
    Fault("run.check_unknown", "P2", "+", unknown=True),
    Fault("run.check_crashed", "P2", "+", unknown=True),
    Fault("run.check_timeout", "P2", "+", unknown=True),
    Fault("run.driver_missing", "P2", "+", unknown=True),
    Fault("run.credentials_held", "P2", "+", unknown=True),
)
