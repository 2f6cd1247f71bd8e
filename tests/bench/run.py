#!/usr/bin/env python3
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python tests/bench/run.py [parts...]: ours against what a user would use instead, in turn, several times; the median ratio counts.

A row each; the same as JSON in .cache/bench.json. The last line counts the rows within their bars. A row says so when the machine was not
idle before it: its times then say little.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import attachment_rows
import log_rows
import oracle_rows
import rollback_rows
import ses_rows
from table import Row, measured

CHECKOUT = Path(__file__).resolve().parents[2]
INSTANCE = os.environ.get("TANK_REPLICA_NAME", "bench")
RESULT = CHECKOUT / ".cache" / "bench.json"
COLLECTIONS = CHECKOUT / ".cache" / "collections"
sys.path[:0] = [str(CHECKOUT), str(COLLECTIONS)]

from ansible_collections.ops.remediation.plugins.module_utils._actions.release import options as _release_door  # noqa: E402 - found through the line above
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import rollback as _release  # noqa: E402 - found through the line above
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry  # noqa: E402 - found through the line above
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list  # noqa: E402
from ansible_collections.ops.remediation.plugins.modules import release_rollback  # noqa: E402


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
    return Row(name, statistics.median(first for first, _ in pairs), statistics.median(second for _, second in pairs), ratio, bar)


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


def daily(folder: Path, facts: dict[str, Any]) -> Iterator[Row]:
    """The daily check against the least that Ansible can do, and against the same questions by stock modules.

    Each is measured from its second run on: the first run after a change of the sources builds the archive of the checks, and keeps it.
    """
    home = f"remediation_home={folder}/home"
    many = many_hosts(folder, 50)
    ping = ("ansible-playbook", "tests/bench/ping.yml", "-i")
    check = ("ansible-playbook", "playbooks/daily_check.yml", "-e", home, "-i")
    one_host = command(*check, "inventories/replica", "--limit", "tank-app", "-e", '{"stack_areas": ["pm2"]}')
    one_ping = command(*ping, "inventories/replica", "--limit", "tank-app")
    yield compare("daily check of pm2 / ping play, 1 host", one_host, one_ping, bar=1.8, rounds=9)
    without_ses = command(*check, "inventories/replica", "-e", json.dumps({"daily_check_off": of_ses()}))
    all_pings, everything = command(*ping, "inventories/replica"), command(*check, "inventories/replica")
    yield compare("daily check of all areas but SES / ping play, 2 hosts", without_ses, all_pings, bar=1.8, rounds=9)
    yield compare("daily check with Oracle and SES / ping play, 2 hosts", everything, all_pings, bar=2.5, rounds=9)
    many_checks, many_pings = command(*check, many, "-f", "10"), command(*ping, many, "-f", "10")
    yield compare("daily check of pm2 / ping play, 50 hosts, 10 forks", many_checks, many_pings, bar=2.5, rounds=3)
    told = folder / "facts.json"
    told.write_text(json.dumps({"facts": facts}), encoding="utf-8")
    stock = command("ansible-playbook", "tests/bench/stock.yml", "-i", "inventories/replica", "-e", f"@{told}")
    yield compare("daily check / the same with stock modules", everything, stock, bar=1 / 3, rounds=3)


def process_list(facts: dict[str, Any]) -> Iterator[Row]:
    """The process list against PM2's own command line."""
    path = os.pathsep.join([*facts["path_prefix"], os.environ["PATH"]])
    pm2 = [f"PM2_HOME={facts['pm2_home']}", f"PATH={path}", facts["pm2_executable"], "jlist"]
    owner = Path(facts["pm2_home"]).stat().st_uid
    # As root the CLI would leave root's files in the PM2_HOME of another user, so it runs as that user.
    other = [] if os.geteuid() == owner else ["setpriv", f"--reuid={owner}", "--clear-groups", "env", f"HOME={facts['home']}"]
    yield compare(
        "process list in the module / pm2 jlist",
        lambda: pm2_list.read_list(facts["pm2_home"]),
        command(*other, *([] if other else ["env"]), *pm2),
        bar=0.02,
        rounds=9,
        ours_times=20,
    )


def payload() -> None:
    """Print what Ansible sends to each host for the checks."""
    told = subprocess.run(
        [sys.executable, str(CHECKOUT / "tools/shipped_files.py")], capture_output=True, text=True, timeout=120, check=True
    )
    print("sent to a host:", next(line for line in told.stdout.splitlines() if line.startswith("stack_check")))


def parts(folder: Path, facts: Callable[[], dict[str, Any]]) -> dict[str, Callable[[], Iterable[Row]]]:
    """Return what makes the rows of each part; ``facts()`` starts the replica."""
    made: dict[str, Callable[[], Iterable[Row]]] = {
        "daily": lambda: daily(folder, facts()),
        "process-list": lambda: process_list(facts()),
        "logs": lambda: log_rows.rows(folder, COLLECTIONS),
        **{f"attachments-{part}": partial(attachment_rows.rows, folder, COLLECTIONS, part) for part in attachment_rows.PARTS},
        "oracle": lambda: oracle_rows.rows(folder, COLLECTIONS),
        "ses": lambda: ses_rows.rows(folder, COLLECTIONS),
    }
    if os.geteuid() == 0:
        module = rollback_rows.Module(release_rollback.ARGUMENTS, _release_door.rollback, _release.roll_back)
        made["rollback"] = lambda: rollback_rows.rows(folder, facts(), module)
    return made


def main(names: list[str]) -> int:
    """Run the named parts, all by default; 0 when all their rows are within their bars."""
    facts = lru_cache(maxsize=1)(replica_facts)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        known = parts(Path(name), facts)
        unknown = [part for part in names if part not in known]
        if unknown:
            print(f"bench: no part {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
            return 2
        payload()
        chosen = names or list(known)
        if {"daily", "process-list", "rollback"} & set(chosen):
            facts()  # it starts before the machine is watched
        print(f"{'':<56} {'ours':>10} {'reference':>10}")
        rows = list(measured(known[part] for part in chosen))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([{**asdict(row), "within": row.within, "idle": row.idle} for row in rows], indent=1), encoding="utf-8")
    beside = sum(not row.idle for row in rows)
    print(
        f"bench: {sum(row.within for row in rows)} of {len(rows)} within their bars"
        + (f"; {beside} measured beside other work" if beside else "")
    )
    return 0 if all(row.within for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
