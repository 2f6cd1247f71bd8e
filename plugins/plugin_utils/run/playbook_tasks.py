# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules a playbook names, before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def names_module(playbook: Any, module: str) -> bool:
    """Whether a task of the playbook, or of a role that it names, is a module. What it includes at run time is not seen.

    False also where another version of Ansible has playbooks of another form.
    """
    try:
        return any(module in (task.action, getattr(task, "resolved_action", None)) for task in _tasks_of(playbook))
    except (AttributeError, TypeError):
        return False


def _tasks_of(playbook: Any) -> Iterator[Any]:
    for play in playbook.get_plays():
        for block in [*play.tasks, *(block for role in play.roles for block in role.get_task_blocks())]:
            yield from _tasks(block)


def _tasks(entry: Any) -> Iterator[Any]:
    """Yield the tasks of a block, those of the blocks within it too, or the task that ``entry`` is."""
    if not hasattr(entry, "block"):
        yield entry
        return
    for inner in [*entry.block, *entry.rescue, *entry.always]:
        yield from _tasks(inner)
