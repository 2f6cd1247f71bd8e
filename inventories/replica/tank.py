#!/usr/bin/env python3
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory of the local replica: its ports and folders are found when it starts, so they are read from its facts.

TANK_REPLICA_NAME and TANK_REPLICA_BASE choose the instance, as they do for tests/replica/replica.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.replica.paths import Paths


def app_host(facts: dict, state_dir: Path) -> dict:
    """Return the variables of the host that runs the applications."""
    return {
        "stack_areas": ["pm2", "logsdb"],
        "stack_pm2_home": facts["pm2_home"],
        "stack_pm2_user": facts["user"],
        "stack_pm2_processes": [process["name"] for process in facts["processes"]],
        "stack_pm2_unit_dir": facts["unit_dir"],
        "stack_state_dir": str(state_dir),
        "stack_checker_state_dir": f"{state_dir}-checker",
        **logsdb(facts["logsdb"]),
    }


def logsdb(facts: dict) -> dict:
    """Return how the checker reaches LogsDB: with an account that may only read, its password in a file."""
    return {
        "stack_logsdb_dialect": "postgresql",
        "stack_logsdb_host": facts["host"],
        "stack_logsdb_port": facts["port"],
        "stack_logsdb_database": facts["database"],
        "stack_logsdb_user": facts["monitor_user"],
        "stack_logsdb_login": {"file": facts["monitor_password_file"]},
        "stack_logsdb_timezone": "Asia/Seoul",
    }


def main() -> int:
    """Print the inventory."""
    instance = Paths.of(os.environ.get("TANK_REPLICA_NAME", "default")).instance
    path = instance / "run" / "replica.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"inventories/replica: {path} cannot be read ({error}); start the replica with: tests/replica/replica up", file=sys.stderr)
        return 1
    hosts = {"tank-app": app_host(facts, instance / "state")}
    # The distribution's Python, as on a customer's host: every user can read it, whoever a check becomes.
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    shared = {"ansible_connection": "local", "ansible_python_interpreter": python, "stack_site": "replica"}
    print(json.dumps({"tank": {"hosts": list(hosts), "vars": shared}, "_meta": {"hostvars": hosts}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
