# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects findings during a run; at its end writes the run record and the report, and prints the summary."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_record
type: aggregate
short_description: Write the run record and the report of a run, and print its summary
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Collects the findings that tasks of this collection return, adds what was expected and not checked, folds them by cause,
    keeps what the modules of this collection changed, and at the end writes C(runs/RUN_ID/record.json) and C(report.md) under
    C(remediation_home) and prints a summary.
  - The playbooks of this collection refuse to run without it.
  - In check mode it prints the summary and writes nothing.
requirements:
  - enabled in the configuration, C(callbacks_enabled = ops.remediation.run_record)
"""

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.plugin_utils.record import record
from ansible_collections.ops.remediation.plugins.plugin_utils.run import build_ahead, playbook_tasks
from ansible_collections.ops.remediation.plugins.plugin_utils.run.version import VERSION
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import render

GUARD = "ops.remediation.run_guard"
NOTHING_RAN = (
    "nothing was checked: no host of the inventory was in this run, and not even its first task ran; see the warnings above about the"
    " inventory, and look at it with ansible-inventory -i <inventory> --graph and at the --limit of this run"
)


def _result_of(task_result: Any) -> dict[str, Any]:
    """Return the result's dictionary; the attribute's name changed with ansible-core 2.19."""
    return task_result.result if hasattr(type(task_result), "result") else task_result._result


def _host_of(task_result: Any) -> str:
    host = task_result.host if hasattr(type(task_result), "host") else task_result._host
    return str(host.get_name())


def _task_of(task_result: Any) -> Any:
    return task_result.task if hasattr(type(task_result), "task") else task_result._task


def _module_of(task: Any) -> str:
    """Return the full name of a task's module, however the playbook wrote it."""
    return str(getattr(task, "resolved_action", None) or task.action)


def _is_guard(task_result: Any) -> bool:
    return str(_task_of(task_result).action).rsplit(".", 1)[-1] == "run_guard"


def _items(task_result: Any, reason: str, failed: bool) -> list[tuple[dict[str, Any], str, bool]]:
    """Return (answer, reason, failed) of a task, or of each round of its loop; a round that ended well has no reason."""
    answer = _result_of(task_result)
    rounds = answer.get("results")
    if "findings" in answer or not isinstance(rounds, list):
        return [(answer, reason, failed)]
    task = str(_task_of(task_result).get_name())
    items = [item for item in rounds if isinstance(item, dict)]
    return [
        (
            item,
            f"{task}: {item.get('msg', 'failed')}" if item.get("failed") or item.get("unreachable") else "",
            failed and bool(item.get("failed")),
        )
        for item in items
    ]


class CallbackModule(CallbackBase):
    """The run record's collector."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "ops.remediation.run_record"
    CALLBACK_NEEDS_ENABLED = True

    _record: record.RunRecord  # from the start of the playbook on
    _guarded = False  # whether the playbook is one of this collection
    _builder = 0  # process id of what builds a module ahead

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Begin a record; tasks learn from the environment that somebody keeps one."""
        self._record = record.RunRecord(os.path.basename(playbook._file_name), VERSION)
        self._guarded = playbook_tasks.names_module(playbook, GUARD)
        self._builder = build_ahead.begin(playbook)
        # Each task of each host is a fork of this process: what is imported here is not imported again in every one.
        _registry.every()
        self._publish()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Let the tasks of the coming play know the verdict so far."""
        self._record.check_mode = self._record.check_mode or bool(getattr(play, "check_mode", False))
        self._publish()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Take the guard's settings, and findings."""
        self._take(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Take the findings that a failed task still has; what it did not answer counts as unknown."""
        answer = _result_of(result)
        task = str(_task_of(result).get_name())
        told = self._take(result, reason=f"{task}: {answer.get('msg', 'failed')}", failed=True)
        # The verdict is about the run, not about the host that happened to speak it.
        if not told and not ignore_errors and str(_task_of(result).action).rsplit(".", 1)[-1] != "run_verdict":
            self._record.failed(_host_of(result), task, str(answer.get("msg", "failed")))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Nothing could be asked; by a checker that is out of reach, only its own questions about the host."""
        answer = _result_of(result)
        reason = str(answer.get("msg", "unreachable"))
        host = _host_of(result)
        asked_from = answer.get("asked_from", host)
        self._take(result, reason=reason if asked_from == host else f"{asked_from} could not be reached: {reason}")
        if asked_from == host:
            self._record.unreachable(host, reason)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Write and print. A playbook of others stays silent; one of this collection that ran no task has failed."""
        build_ahead.end(self._builder)
        if not self._record.is_ours:
            if self._guarded:
                self._display.error(NOTHING_RAN)
                raise SystemExit(1)  # Ansible ends a run without hosts as if all were well
            return
        document = self._record.document()
        place = None
        if not document["check_mode"]:
            place = self._write(document)
        self._display.display(render.summary(document, place, color=self._color()))

    def _take(self, result: Any, reason: str = "", failed: bool = False) -> bool:
        """Take what a result says for the record; returns whether it was an answer to checks."""
        answer = _result_of(result)
        if _is_guard(result):
            # The guard's own finding says why it failed.
            reason, failed = "", False
        # Only what runs on the controller may set the run; a host's answer may not.
        if _is_guard(result) and "remediation_run" in answer:
            self._record.configure(answer["remediation_run"])
            self._record.remarked(answer.get("remediation_remarks", []))
            self._record.check_mode = bool(answer.get("check_mode"))
        host, task, told = _host_of(result), _task_of(result), False
        for item, why, broken in _items(result, reason, failed):
            told = self._answered(host, item, why, broken) or told
            self._record.acted(host, _module_of(task), str(task.get_name()), item, check_mode=bool(getattr(task, "check_mode", False)))
        return told

    def _answered(self, host: str, answer: dict[str, Any], reason: str, failed: bool) -> bool:
        asked = isinstance(answer.get("findings"), list) and "expected" in answer
        if asked:
            self._record.answered(host, answer, reason, failed=failed)
        return asked

    def _write(self, document: dict[str, Any]) -> str | None:
        home = self._record.settings.home or record.default_home()
        try:
            return str(record.write(document, render.report(document), home) / "report.md")
        except OSError as error:
            self._display.warning(
                f"remediation_home: the run record cannot be written under {home} ({error.strerror}); give a folder that this user may write"
            )
            return None

    def _publish(self) -> None:
        os.environ[record.VERDICT_VARIABLE] = json.dumps(self._record.verdict())

    @staticmethod
    def _color() -> render.Color:
        from ansible import constants
        from ansible.utils.color import ANSIBLE_COLOR, stringc

        if not ANSIBLE_COLOR:
            return render.plain
        colors = {
            "critical": constants.COLOR_ERROR,
            "unknown": constants.COLOR_UNREACHABLE,
            "warning": constants.COLOR_WARN,
            "ok": constants.COLOR_OK,
        }
        return lambda text, status: stringc(text, colors[status])
