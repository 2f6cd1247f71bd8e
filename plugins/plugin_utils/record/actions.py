# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the run record: what a task of this collection changed on a host, or would change in check mode.

The form is that of ``actions`` in ``schemas/run_record-1.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._core.masking import mask

COLLECTION = "ops.remediation."
MOST_STEPS = 100


def action_of(host: str, module: str, task: str, answer: Mapping[str, Any], *, check_mode: bool, at: str) -> dict[str, Any] | None:
    """Return the action that a module's answer tells; None for what changed nothing, and for modules of others.

    module: its full name. task: the task's name. at: RFC 3339 in UTC. A failure may have changed something too.
    """
    if not module.startswith(COLLECTION) or answer.get("changed") is not True:
        return None
    return {
        "host": host,
        "module": module,
        "task": _line(task),
        "at": at,
        "check_mode": check_mode,
        "failed": bool(answer.get("failed")),
        "steps": _steps(answer),
        "detail": _line(answer.get("msg") or ""),
    }


def _steps(answer: Mapping[str, Any]) -> list[str]:
    """Return what was done, in order: the modules say it as ``steps``, ``actions`` (pm2_control) or ``moves`` (attachment_scan)."""
    told = next(
        (answer[name] for name in ("steps", "actions", "moves") if isinstance(answer.get(name), (list, tuple)) and answer[name]), ()
    )
    steps = [f"{step.get('from')} -> {step.get('to')}" if isinstance(step, Mapping) else step for step in told[:MOST_STEPS]]
    left = len(told) - len(steps)
    return [*(_line(step) for step in steps), *([f"... and {left} more"] if left else [])]


def _line(text: Any) -> str:
    return mask(" ".join(str(text).split()))
