# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small helpers for the evidence of findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_empty(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evidence without entries that are None, empty texts or empty lists."""
    return {name: value for name, value in evidence.items() if value not in (None, "", [])}
