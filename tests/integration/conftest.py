# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replica, and how to run a playbook on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
INSTANCE = os.environ.get("TANK_REPLICA_NAME", "test")


@dataclass
class Run:
    """One end of ansible-playbook: its exit code, what it printed, and its run record (None when none was written)."""

    code: int
    output: str
    record: dict | None

    def reasons(self) -> str:
        """Return why checks could not be asked, a line each."""
        return "\n".join(finding["evidence"].get("reason", "") for finding in (self.record or {}).get("findings", []))


@pytest.fixture(scope="session")
def replica() -> dict:
    """Return the facts of a healthy replica."""
    command = [sys.executable, str(CHECKOUT / "tests/replica/replica"), "--name", INSTANCE]
    done = subprocess.run([*command, "up"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(subprocess.run([*command, "status", "--json"], capture_output=True, text=True, timeout=60, check=True).stdout)[
        "facts"
    ]


@pytest.fixture
def play(replica, tmp_path):
    """Return a function that runs a playbook on the replica with more arguments."""
    home = tmp_path / "home"

    def run(
        *arguments: str,
        playbook: str = "playbooks/daily_check.yml",
        inventory: str = "inventories/replica",
        environment: dict | None = None,
    ) -> Run:
        command = ["ansible-playbook", playbook, "-i", inventory, "-e", json.dumps({"remediation_home": str(home)}), *arguments]
        variables = {
            **os.environ,
            "TANK_REPLICA_NAME": INSTANCE,
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            **(environment or {}),
        }
        done = subprocess.run(command, cwd=CHECKOUT, env=variables, capture_output=True, text=True, timeout=120, check=False)
        latest = home / "runs" / "latest"
        record = json.loads((latest / "record.json").read_text(encoding="utf-8")) if latest.exists() else None
        return Run(done.returncode, done.stdout + done.stderr, record)

    return run
