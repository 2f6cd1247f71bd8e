# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source ``oracle.targets``: all targets, read at the same time, and the parameters that all checks of Oracle take."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from ..._core.refusals import Refusals
from ..._core.source import Source
from ..._shared.oracle import client, refused
from ..._shared.oracle.facts import Answer
from ..._shared.oracle.progress import Run
from ..._shared.oracle.reading import learnt, read_all, remember
from ..._shared.oracle.targets import TARGET_OPTIONS, TARGET_RULES, make_targets

READING_PARAMETERS: dict[str, dict[str, Any]] = {
    "targets": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": TARGET_OPTIONS,
        **TARGET_RULES,
        "variable": "stack_oracle_targets",
        "description": "The databases: each with name, host, port, service or sid (or dsn), user, password_from; see oracle_connect_test.",
    },
    "timeout": {
        "type": "float",
        "default": 9.0,
        "variable": "stack_oracle_timeout",
        "description": "Seconds for all targets together; less than the deadline of the check.",
    },
    "stage_timeout": {
        "type": "float",
        "default": 5.0,
        "variable": "stack_oracle_stage_timeout",
        "description": "Seconds for one stage of one target: name, tcp, listener, login, query.",
    },
    "lib_dir": {
        "type": "path",
        "variable": "stack_oracle_lib_dir",
        "description": "Folder of Oracle's Instant Client, for thick mode. Thin mode needs none.",
    },
    "forget_refused": {
        "type": "bool",
        "default": False,
        "variable": "stack_oracle_forget_refused",
        "description": "Forget the passwords that were refused in earlier runs, and try them once more.",
    },
}


class TargetsFacts(TypedDict):
    """``driver``: its name, release and mode. ``learnt`` and ``forgotten`` are for :func:`reading.remember`."""

    driver: str
    targets: list[Answer]
    learnt: dict[str, Any]
    forgotten: list[str]


def read_targets(
    targets: Sequence[Mapping[str, Any]],
    timeout: float,
    stage_timeout: float,
    lib_dir: str | None = None,
    forget_refused: bool = False,
    memory: Mapping[str, Any] | None = None,
) -> TargetsFacts:
    """Return an answer for each of ``targets``.

    timeout: seconds for all of it; stage_timeout: for one stage of one target. memory: what :func:`reading.remember` kept.
    Raises DriverMissing, WrongQuestion.
    """
    until = time.monotonic() + timeout
    made = make_targets(targets)
    refusals = Refusals(memory, refused.entries, forget=forget_refused)
    run = Run(client.load(lib_dir), until, stage_timeout, refusals)
    answers = read_all(run, made)
    if any(answer.get("code") == "oracle.needs_thick" for answer in answers):
        installed = client.instant_client(within=max(0.1, until - time.monotonic()))
        for answer in answers:
            if answer.get("code") == "oracle.needs_thick":
                answer["client"] = installed
    return {"driver": run.driver.title, "targets": answers, "learnt": learnt(run), "forgotten": refusals.forgotten}


# The host that connects keeps the refused passwords in one place, whatever the parameters are.
TARGETS = Source(
    "oracle.targets",
    read_targets,
    tuple(READING_PARAMETERS),
    limits=("timeout", "stage_timeout", "forget_refused"),
    remember=remember,
    kept_as="oracle-refused",
)
