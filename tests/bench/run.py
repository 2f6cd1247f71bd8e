#!/usr/bin/env python3
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench: ours against what a user would use instead, in turn, several times; the median ratio counts.

A row each; the same as JSON in .cache/bench.json. The last line counts the rows within their bars.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import attachment_rows
import log_rows
import oracle_rows
import rollback_rows
import ses_rows

CHECKOUT = Path(__file__).resolve().parents[2]
INSTANCE = os.environ.get("TANK_REPLICA_NAME", "bench")
RESULT = CHECKOUT / ".cache" / "bench.json"
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / ".cache" / "collections")]

from ansible_collections.ops.remediation.plugins.module_utils._actions.release import options as _release_door  # noqa: E402 - found through the line above
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import rollback as _release  # noqa: E402 - found through the line above
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry  # noqa: E402 - found through the line above
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list  # noqa: E402
from ansible_collections.ops.remediation.plugins.modules import release_rollback  # noqa: E402


@dataclass
class Row:
    """One comparison: medians in seconds, the median of the ratios pair by pair, and the most it may be."""

    name: str
    ours: float
    reference: float
    ratio: float
    bar: float

    @property
    def within(self) -> bool:
        """Whether the ratio is within its bar."""
        return self.ratio <= self.bar


def environment() -> dict[str, str]:
    """Return what every measured command gets."""
    return {**os.environ, "TANK_REPLICA_NAME": INSTANCE, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}


def command(*argv: str) -> Callable[[], None]:
    """Return a function that runs a program and fails when it does."""

    def run() -> None:
        done = subprocess.run(argv, cwd=CHECKOUT, env=environment(), capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            raise SystemExit(f"bench: {' '.join(argv)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")

    return run


def seconds(function: Callable[[], Any], times: int = 1) -> float:
    """Return the time of one call, averaged over several in a row where one is too short to measure."""
    started = time.perf_counter()
    for _time in range(times):
        function()
    return (time.perf_counter() - started) / times


def compare(name: str, ours: Callable[[], Any], reference: Callable[[], Any], *, bar: float, rounds: int, ours_times: int = 1) -> Row:
    """Measure both in turn after one warm-up of each."""
    ours()
    reference()
    pairs = [(seconds(ours, ours_times), seconds(reference)) for _round in range(rounds)]
    ratio = statistics.median(first / second for first, second in pairs)
    row = Row(name, statistics.median(first for first, _ in pairs), statistics.median(second for _, second in pairs), ratio, bar)
    print(
        f"{row.name:<52} {row.ours:>9.4f} s {row.reference:>9.4f} s  ratio {row.ratio:>7.4f}  bar {row.bar:<5.3g} {'ok' if row.within else 'OVER'}",
        flush=True,
    )
    return row


def replica_facts() -> dict[str, Any]:
    """Start the replica and return its facts."""
    tool = [sys.executable, str(CHECKOUT / "tests/replica/replica"), "--name", INSTANCE]
    command(*tool, "up")()
    return json.loads(subprocess.run([*tool, "status", "--json"], capture_output=True, text=True, timeout=60, check=True).stdout)["facts"]


def many_hosts(folder: Path, count: int) -> str:
    """Write an inventory of ``count`` hosts that all are the replica's PM2, each with a state folder of its own."""
    listed = json.loads(
        subprocess.run(
            [str(CHECKOUT / "inventories/replica/tank.py")], env=environment(), capture_output=True, text=True, timeout=60, check=True
        ).stdout
    )
    one = listed["_meta"]["hostvars"]["tank-app"]
    own = {"stack_areas": ["pm2"]}
    hosts = {f"tank-app-{number:02}": {**one, **own, "stack_state_dir": f"{one['stack_state_dir']}-{number:02}"} for number in range(count)}
    path = folder / "many.yml"
    path.write_text(json.dumps({"tank": {"hosts": hosts, "vars": listed["tank"]["vars"]}}), encoding="utf-8")
    return str(path)


def of_ses() -> list[str]:
    """Return the checks that ask AWS."""
    return [check.id for check in _registry.every() if check.driver == "boto3"]


def main() -> int:
    """Run all rows; 0 when all are within their bars."""
    facts = replica_facts()
    rows = []
    print(f"{'':<52} {'ours':>11} {'reference':>11}")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        home = f"remediation_home={folder}/home"
        many = many_hosts(folder, 50)
        ping = ("ansible-playbook", "tests/bench/ping.yml", "-i")
        check = ("ansible-playbook", "playbooks/daily_check.yml", "-e", home, "-i")
        rows.append(
            compare(
                "daily check of pm2 / ping play, 1 host",
                command(*check, "inventories/replica", "--limit", "tank-app", "-e", '{"stack_areas": ["pm2"]}'),
                command(*ping, "inventories/replica", "--limit", "tank-app"),
                bar=1.8,
                rounds=9,
            )
        )
        rows.append(
            compare(
                "daily check of all areas but SES / ping play, 2 hosts",
                command(*check, "inventories/replica", "-e", json.dumps({"daily_check_off": of_ses()})),
                command(*ping, "inventories/replica"),
                bar=1.8,
                rounds=9,
            )
        )
        rows.append(
            compare(
                "daily check with Oracle and SES / ping play, 2 hosts",
                command(*check, "inventories/replica"),
                command(*ping, "inventories/replica"),
                bar=2.5,
                rounds=9,
            )
        )
        rows.append(
            compare(
                "daily check of pm2 / ping play, 50 hosts, 10 forks",
                command(*check, many, "-f", "10"),
                command(*ping, many, "-f", "10"),
                bar=2.5,
                rounds=3,
            )
        )
        told = folder / "facts.json"
        told.write_text(json.dumps({"facts": facts}), encoding="utf-8")
        stock = command("ansible-playbook", "tests/bench/stock.yml", "-i", "inventories/replica", "-e", f"@{told}")
        rows.append(
            compare("daily check / the same with stock modules", command(*check, "inventories/replica"), stock, bar=1 / 3, rounds=3)
        )
        path = os.pathsep.join([*facts["path_prefix"], os.environ["PATH"]])
        owner = Path(facts["pm2_home"]).stat().st_uid
        jlist = command("env", f"PM2_HOME={facts['pm2_home']}", f"PATH={path}", facts["pm2_executable"], "jlist")
        # As root the CLI would leave root's files in the PM2_HOME of another user, so it runs as that user.
        as_owner = (
            jlist
            if os.geteuid() == owner
            else command(
                "setpriv",
                f"--reuid={owner}",
                "--clear-groups",
                "env",
                f"HOME={facts['home']}",
                f"PM2_HOME={facts['pm2_home']}",
                f"PATH={path}",
                facts["pm2_executable"],
                "jlist",
            )
        )
        rows.append(
            compare(
                "process list in the module / pm2 jlist",
                lambda: pm2_list.read_list(facts["pm2_home"]),
                as_owner,
                bar=0.02,
                rounds=9,
                ours_times=20,
            )
        )
        rows += log_rows.rows(folder, CHECKOUT / ".cache" / "collections", Row)
        rows += attachment_rows.rows(folder, CHECKOUT / ".cache" / "collections", Row)
        rows += oracle_rows.rows(folder, CHECKOUT / ".cache" / "collections", Row)
        rows += ses_rows.rows(folder, CHECKOUT / ".cache" / "collections", Row)
        if os.geteuid() == 0:
            module = rollback_rows.Module(release_rollback.ARGUMENTS, _release_door.rollback, _release.roll_back)
            rows += rollback_rows.rows(folder, facts, module, Row)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([{**asdict(row), "within": row.within} for row in rows], indent=1), encoding="utf-8")
    print(f"bench: {sum(row.within for row in rows)} of {len(rows)} within their bars")
    return 0 if all(row.within for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
