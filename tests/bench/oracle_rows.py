# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bench asks of the Oracle connect test: many targets take hardly longer than one, and little more than the driver alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from table import FRESH, Row

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests.replica.oracle.tests.conftest import start_server  # noqa: E402 - found through the line above

TARGETS = 10
ROUNDS = 15
PASSWORD = "bench-password-1"


def measure(folder: Path, collections: Path) -> dict[str, Any]:
    """Return what oracle_measure.py measured on a replica of its own."""
    server = start_server(folder / "oracle")
    try:
        place = {"host": "127.0.0.1", "port": server.ports["port"], "service": "ORCLPDB1", "password": PASSWORD}
        users = [f"BENCH{number}" for number in range(TARGETS)]
        for user in users:
            server.control.account(user, password=PASSWORD)
        request = {
            "distinct": [{**place, "name": user, "user": user} for user in users],
            "shared": [{**place, "name": user, "user": "BENCH0"} for user in users],
            "one": {**place, "name": "one", "user": "BENCH0"},
            "rounds": ROUNDS,
            "folder": str(folder / "state"),
        }
        command = [*FRESH, sys.executable, str(Path(__file__).with_name("oracle_measure.py")), str(collections)]
        done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise SystemExit(f"bench: oracle_measure.py ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout)
    finally:
        server.stop()


def rows(folder: Path, collections: Path) -> list[Row]:
    """Return the rows of the bench."""
    told = measure(folder, collections)
    return [
        Row("Oracle connect test, 10 accounts / the slowest", *told["distinct"], 1.3),
        Row("Oracle connect test, 10 of one account / the slowest", *told["shared"], 2.2),
        Row("Oracle connect test of one / driver's own", *told["one"], 1.5),
        Row("Oracle connect test, memory in MB / 70", told["mb"], 70.0, told["mb"] / 70, 1.0),
    ]
