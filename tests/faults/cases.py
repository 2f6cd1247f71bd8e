# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the fault bench: the replica's faults, and those of the run itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from plugins.module_utils._areas.catalogue import FAULTS as CATALOGUE  # noqa: E402 - found through the line above
from plugins.module_utils._areas.registry import REGISTERED  # noqa: E402
from tests.faults.breakages import BREAKAGES  # noqa: E402

REPLICA = CHECKOUT / "tests" / "replica" / "replica"
INSTANCE = os.environ.get("TANK_REPLICA_NAME", "faults")
# What is asked through the connection, or of nginx and LogsDB as services of systemd.
_OF_THE_CONNECTION = (
    "run.check_timeout",
    "run.driver_missing",
    "nginx.stopped",
    "nginx.config_invalid",
    "nginx.restarted",
    "logsdb.unreachable",
)


class BenchError(Exception):
    """The bench itself cannot go on: no replica, no run record."""


@dataclass(frozen=True)
class Case:
    """One row: how the fault is made, and which finding must come first.

    arguments: of ansible-playbook, added for the run that must find the fault. needs: what the machine must offer.
    after_a_run: ask once before the fault is made, since it shows by comparison with an earlier run. by_worker: the worker must
    be at work for it to be made. asked_before: ask once with the fault, since it shows only in the run after that.
    """

    address: str
    code: str
    area: str
    subject: str
    make: Callable[[], None]
    clear: Callable[[], None]
    settle_s: float = 0
    needs: frozenset[str] = frozenset()
    arguments: tuple[str, ...] = ()
    after_a_run: bool = False
    by_worker: bool = False
    asked_before: bool = False
    expected: dict[str, Any] = field(default_factory=dict)


def replica(*arguments: str) -> str:
    """Call the replica's command; raises BenchError with its last line."""
    done = subprocess.run(
        [sys.executable, str(REPLICA), "--name", INSTANCE, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise BenchError((done.stderr or done.stdout).strip().splitlines()[-1])
    return done.stdout


def needed_for(address: str) -> frozenset[str]:
    """Return what the machine must offer for a fault of the replica."""
    return next(fault.needs for fault in BREAKAGES if fault.address == address)


def nothing() -> None:
    """Make or clear nothing: the fault is in how the run is called."""


def cases(kind: str = "local") -> list[Case]:
    """Return all rows for a kind of replica (`local`, `containers`), in the order in which they run.

    They are the faults of all areas that have checks.
    """
    files = sorted(Path(__file__).parent.glob("*/expected.yml"))
    expected = {code: entry for file in files for code, entry in yaml.safe_load(file.read_text(encoding="utf-8")).items()}
    expected = {code: {**entry, **entry.get(kind, {})} for code, entry in expected.items()}
    rows = [_of_replica(fault, expected) for fault in BREAKAGES if fault.area in REGISTERED] + _of_runs(expected)
    missing = [row.address for row in rows if not row.expected]
    if missing:
        raise BenchError(f"tests/faults/<area>/expected.yml say nothing about {', '.join(missing)}")
    return rows


def _expectation(code: str, variant: str, expected: dict[str, Any]) -> dict[str, Any]:
    known = expected.get(code, {})
    return {**known, **expected.get(f"{code}:{variant}", {})} if known else {}


def _of_replica(fault: Any, expected: dict[str, Any]) -> Case:
    return Case(
        address=fault.address,
        code=fault.code,
        area=fault.area,
        subject=fault.subject,
        make=lambda: replica("fault", "set", fault.address) and None,
        clear=lambda: replica("fault", "clear", fault.address) and None,
        settle_s=fault.settle_s,
        needs=fault.needs,
        after_a_run=fault.after_a_run,
        by_worker=fault.by_worker,
        expected=_expectation(fault.code, fault.variant, expected),
    )


def _of_runs(expected: dict[str, Any]) -> list[Case]:
    """Return the faults of the run itself; each is made by how the playbook is called."""
    unreachable = str(Path(__file__).parent / "unreachable.yml")
    tune = '{"daily_check_tune": {"pm2.daemon": {"deadline": 1}, "pm2.processes": {"deadline": 1}, "pm2.saved": {"deadline": 1}, "pm2.user": {"deadline": 1}, "backend.log": {"deadline": 1}, "worker.log": {"deadline": 1}, "worker.rhythm": {"deadline": 1}, "worker.ses": {"deadline": 1}}}'

    def row(
        name: str,
        *arguments: str,
        make: Callable[[], None] = nothing,
        clear: Callable[[], None] = nothing,
        needs: str = "",
        subject: str = "",
        asked_before: bool = False,
    ) -> Case:
        code = f"run.{name}"
        return Case(
            code,
            code,
            "run",
            subject,
            make,
            clear,
            needs=frozenset(needs.split()),
            arguments=arguments,
            asked_before=asked_before,
            expected=_expectation(code, "", expected),
        )

    return [
        row("unreachable", "-i", unreachable),
        row("no_hosts", "-e", "remediation_hosts=nosuchgroup"),
        row(
            "check_timeout",
            "-e",
            tune,
            make=lambda: replica("fault", "set", "pm2.daemon_hung") and None,
            clear=lambda: replica("fault", "clear", "pm2.daemon_hung") and None,
        ),
        # Any user other than the application's and root; this one comes with PostgreSQL and has a shell.
        row("check_unknown", "-e", "ansible_become=true ansible_become_method=su ansible_become_user=postgres", needs="root local"),
        # The application's host asks instead of the controller, and its Python has no drivers.
        row("driver_missing", "-e", "stack_checker=tank-app"),
        # The first run is refused; the second must not try the same password.
        row(
            "credentials_held",
            make=lambda: replica("fault", "set", "ORA-01017") and None,
            clear=lambda: replica("fault", "clear", "ORA-01017") and None,
            needs=" ".join(needed_for("ORA-01017")),
            asked_before=True,
        ),
        # A Python in which one question to the system breaks: the check that needs it crashes, and harms no other.
        row(
            "check_crashed",
            "-e",
            f"ansible_python_interpreter={Path(__file__).parent / 'broken_python'}",
            make=lambda: os.environ.update(BROKEN_PYTHON=sys.executable),
            needs="local",
        ),
    ]


def differs_in_containers(case: Case) -> bool:
    """Whether a host of its own, with systemd as process 1, may give another answer than this machine."""
    if "local" in case.needs:
        return False
    return bool(case.needs) or asks_systemd(case)


def asks_systemd(case: Case) -> bool:
    """Whether what is asked goes through the connection to a host of its own, or to its systemd."""
    return case.code.startswith("pm2.startup") or case.code in _OF_THE_CONNECTION


def may_explain(cause: Case, case: Case) -> bool:
    """Whether the fault of one row may be folded under that of another: made together, it would be no root."""
    if cause.expected["severity"] > case.expected["severity"]:
        return False
    named = [follows.code for follows in CATALOGUE[case.code].follows if not follows.same_subject]
    return cause.code in named or f"{CATALOGUE[cause.code].area}.*" in named


def matches(patterns: list[str], text: str) -> list[str]:
    """Return the patterns that a text does not match."""
    return [pattern for pattern in patterns if not re.search(pattern, text)]
