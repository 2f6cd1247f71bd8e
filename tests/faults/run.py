#!/usr/bin/env python3
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault bench: make each fault for real, ask through ansible-playbook, compare, clear, ask again.

A row each; the same as JSON in .cache/<name of the replica>.json. The last line counts. Faults of areas that have nothing to do with each other
are made together and asked for in one run, which must tell them apart; where it does not, each is made again by itself, and that
counts.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cases import CHECKOUT, INSTANCE, BenchError, Case, asks_systemd, cases, differs_in_containers, matches, may_explain, replica

from tests.replica.fault_control import offers
from tests.replica.parts import parts
from tests.replica.paths import Paths

RESULT = CHECKOUT / ".cache" / f"{INSTANCE}.json"
WHOLE, LOGS = "whole", "logs"  # clean runs: of all areas; of those that log, which takes half as long
# The areas of a clean run between rows that log.
ONLY_LOGGING = json.dumps(
    {
        "stack_areas": "{{ {'tank-app': ['pm2', 'backend', 'worker'], 'tank-web': ['nginx', 'web']}[inventory_hostname] | default(['host']) }}"
    }
)
# Queues of areas that have nothing to do with each other: of each, one row may be made together with one of every other. Rows of areas
# that are not named here are made by themselves: without LogsDB much else has no answer either. A later part of the replica has an area
# of its own, and nothing else there uses it.
APPLICATIONS = ("pm2", "backend", "worker")
APART = (APPLICATIONS, ("oracle",), ("attachments", "nas"), ("nginx", "web"), ("host",), ("ses",), *((part.name,) for part in parts()))
# Areas that need PM2 and its applications: the worker logs in to Oracle, and nginx hands the API on to the backend.
NEED_APPLICATIONS = ("oracle", "nginx", "web")
# Rows of such areas that are no more than a file, which nothing else looks at; they go with those of the host.
ONLY_A_FILE = ("pm2.not_saved", "pm2.startup_missing", "pm2.startup_wrong", "pm2.dump_readable", "backend.env_readable")
LONGEST_STEADY = 30  # seconds that a process must have run since an error without a time of its own, see _log_verdict.STEADY_AFTER
A_RUN_S, A_ROW_S = 6, 3  # seconds, about: a run of the daily check; making a fault and clearing it
MOST_AGAIN = 8  # rows; when more fail, it is not for want of processor time
HANGUL = re.compile("[가-힣]")


@dataclass
class Row:
    """What became of one case; ``false``: findings that neither are the fault nor follow from it, and those that stayed."""

    address: str
    found: bool = False
    explained: bool = False
    mendable: bool = False
    mended: bool = False
    false: int = 0
    seconds: float = 0.0
    skipped: str = ""
    problem: str = ""
    said: str = ""
    first: str = ""

    @property
    def is_well(self) -> bool:
        """Whether the row is as the table says."""
        return bool(self.skipped) or (self.found and self.explained and not self.false and self.mended == self.mendable)


def daily_check(home: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the daily check on the replica; (exit code, run record)."""
    command = ["ansible-playbook", "playbooks/daily_check.yml", "-i", "inventories/replica", "-e", f"remediation_home={home}", *arguments]
    environment = {**os.environ, "TANK_REPLICA_NAME": INSTANCE, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=180, check=False)
    record = Path(home) / "runs" / "latest" / "record.json"
    if not record.exists():
        raise BenchError(f"no run record; ansible-playbook said: {(done.stdout + done.stderr).strip()[-1500:]}")
    document = json.loads(record.read_text(encoding="utf-8"))
    (record.parent.parent / "latest").unlink()
    return done.returncode, document


def roots(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the findings that are not well and follow from no other."""
    return [finding for finding in record["findings"] if finding["status"] != "ok" and not finding["follows_from"]]


def run_together(together: list[Case], home: str, clean_run: str) -> list[Row]:
    """Make the faults, judge the run for each, clear, judge the clean run ("" for none: the next run shows what is left)."""
    rows, started = [Row(case.address) for case in together], time.monotonic()
    if any(case.after_a_run for case in together):
        daily_check(home)
    with contextlib.ExitStack() as made:
        # Oracle is cleared first (what is added last): what needs the worker at work waits until Oracle answers again.
        for case in sorted(together, key=lambda case: case.area == "oracle"):
            made.callback(case.clear)
        # What the worker must be at work for comes before what takes its work away.
        for case in sorted(together, key=lambda case: not case.by_worker):
            case.make()
        time.sleep(max(case.settle_s for case in together))
        if any(case.asked_before for case in together):
            daily_check(home)
        code, record = daily_check(home, *(argument for case in together for argument in case.arguments))
        for case, row in zip(together, rows):
            judge(case, row, code, record, {cause_of(other) for other in together})
    if clean_run:
        expect_clean(rows[-1], home, clean_run, followed={named(finding) for finding in record["findings"] if finding["follows_from"]})
    for row in rows:
        row.seconds = round((time.monotonic() - started) / len(rows), 1)
    return rows


def expect_clean(row: Row, home: str, clean_run: str, followed: set[str]) -> None:
    """Ask again after clearing; what is found then is false.

    followed: what followed from the fault. A process that crashed until it was cleared has logged more of that since, and an error without
    a time counts until the process has run well for a while.
    """
    for patience in (LONGEST_STEADY, 0):
        code, record = daily_check(home, *(["-e", ONLY_LOGGING] if clean_run == LOGS else []))
        left = [named(finding) for finding in record["findings"] if finding["status"] != "ok"]
        if not patience or not left or not followed.issuperset(left):
            break
        time.sleep(patience)
    row.false += len(left)
    if left or code:
        row.problem += f" after clearing (rc {code}): {', '.join(left)}"


def named(finding: dict[str, Any]) -> str:
    """Return what a finding is about, in a word or two."""
    return f"{finding['code']} {finding['subject']}"


def cause_of(case: Case) -> str:
    """Return the code that must be the root: where another area tells the cause, the row's own finding is folded under it."""
    return case.expected.get("root", case.code)


def judge(case: Case, row: Row, code: int, record: dict[str, Any], causes: set[str]) -> None:
    """Compare a run with what the table of faults says; ``causes`` are the roots of all faults that were made."""
    found = roots(record)
    cause = cause_of(case)
    area = case.area if cause == case.code else cause.split(".")[0]
    # A fault of the run itself shows in the area of the check that could not be asked.
    in_area = [finding for finding in found if area in (finding["area"], finding["code"].split(".")[0])]
    others = [finding for finding in found if finding["code"] not in causes]
    row.false = len(others)
    first = in_area[0] if in_area else None
    if others:
        row.problem += " beside it: " + ", ".join(f"{finding['code']} {finding['subject']}" for finding in others)
    if first is None or first["code"] != cause:
        row.problem += f" first root is {first['code'] if first else 'missing'}"
        return
    # The same fault may show twice: in the worker's log, and, once enough mails have failed, in LogsDB. The row is about one of them.
    same = [finding for finding in in_area if finding["code"] == cause]
    first = next((finding for finding in same if finding["subject"] == case.subject), first)
    if cause != case.code:
        first = folded_under(same, case.code, record)
        if first is None:
            row.problem += f" nothing is folded under {cause}"
            return
    row.said = " | ".join(first["texts"]["en"].values())
    wrong = wrong_facts(case, first, code)
    row.found = not wrong
    unread = unexplained(case, first)
    row.explained = not unread
    if wrong or unread:
        row.problem += " " + "; ".join([*wrong, *unread])


def folded_under(roots: list[dict[str, Any]], code: str, record: dict[str, Any]) -> dict[str, Any] | None:
    """Return the finding of a code that follows from one of these roots."""
    ids = {root["id"] for root in roots}
    return next((finding for finding in record["findings"] if finding["code"] == code and finding["follows_from"] in ids), None)


def wrong_facts(case: Case, finding: dict[str, Any], code: int) -> list[str]:
    """Return what of the finding is not as the table says."""
    wrong = []
    if finding["severity"] != case.expected["severity"]:
        wrong.append(f"severity {finding['severity']}, not {case.expected['severity']}")
    if finding["remedies"] != case.expected["remedies"]:
        wrong.append(f"remedies {finding['remedies']}, not {case.expected['remedies']}")
    if case.subject and finding["subject"] != case.subject:
        wrong.append(f"subject {finding['subject']!r}, not {case.subject!r}")
    if finding["status"] == "critical" and code == 0:
        wrong.append("exit code 0 although critical")
    return wrong


def unexplained(case: Case, finding: dict[str, Any]) -> list[str]:
    """Return what a reader would miss in the texts."""
    english, korean = finding["texts"]["en"], finding["texts"]["ko"]
    missing = [f"cause lacks /{pattern}/" for pattern in matches(case.expected["cause"], f"{english['title']} {english['cause']}")]
    missing += [f"next step lacks /{pattern}/" for pattern in matches(case.expected["next"], english["next"])]
    missing += [f"{part} is not Korean" for part in ("title", "cause", "next") if not HANGUL.search(korean[part])]
    missing += [f"{part} is empty" for part in ("title", "cause", "next") if not english[part]]
    broken = [text for text in (*english.values(), *korean.values()) if re.search(r"\{\{|\{%|\bNone\b|\bundefined\b", text)]
    return missing + [f"reads badly: {text}" for text in broken]


def show(row: Row) -> None:
    """Print one row."""
    if row.skipped:
        print(f"{row.address:<28} skipped: {row.skipped}", flush=True)
        return
    words = ("found" if row.found else "NOT FOUND", "explained" if row.explained else "NOT EXPLAINED")
    print(f"{row.address:<28} {words[0]:<10} {words[1]:<14} {row.false} false  {row.seconds:>5.1f} s {row.problem.strip()}", flush=True)


def main() -> int:
    """Run the chosen rows; 0 when every row that could run is as the table says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("addresses", nargs="*", help="rows to run, such as pm2.stopped or pm2.stopped:exited; default: all")
    parser.add_argument("--lanes", type=int, default=2, help="replicas at work at the same time (default: %(default)s)")
    parser.add_argument(
        "--clean-runs",
        choices=["row", "area"],
        default="row",
        help="when to expect a clean run: after each row, or where it is needed: after the last of each area, and after what leaves errors in the logs",
    )
    parser.add_argument(
        "--containers", action="store_true", help="on the replica in containers; by default the rows whose answer may be another one there"
    )
    parser.add_argument(
        "--rows",
        choices=["all", "once", "rest", "sample"],
        default="all",
        help="once: each code in one way; with --containers, what only they prove; rest: the others; sample: one code of each area (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    wanted = set(options.addresses)
    kind = "containers" if options.containers else "local"
    if options.json:
        # A lane: each argument is a group.
        known = {case.address: case for case in cases(kind)}
        groups = [[known[address] for address in group.split(",")] for group in options.addresses]
        options.json.write_text(json.dumps([asdict(row) for row in run_rows(groups, options.clean_runs, kind)]), encoding="utf-8")
        return 0
    # A code means its variants too.
    chosen = [case for case in cases(kind) if not wanted or wanted & {case.address, case.code}]
    if not chosen:
        print(f"faults: no row is named {', '.join(sorted(wanted))}")
        return 2
    if options.containers and not wanted:
        chosen = [case for case in chosen if differs_in_containers(case)]
    chosen = chosen_by(options.rows, kind, chosen)
    lanes = lanes_of(chosen, options.lanes)
    if len(lanes) == 1:
        rows = {row.address: row for row in run_rows(lanes[0], options.clean_runs, kind)}
        return report([rows[case.address] for case in chosen])
    return report(look_again(chosen, run_lanes(chosen, lanes, options.clean_runs, kind), kind))


def look_again(chosen: list[Case], rows: list[Row], kind: str) -> list[Row]:
    """Run the rows that failed once more, by themselves: lanes take processor time from each other. Both results are kept."""
    failed = {row.address: row for row in rows if not row.is_well}
    if not failed or len(failed) > MOST_AGAIN:
        return rows
    print(f"again, one by one: {', '.join(failed)}", flush=True)
    second = {
        row.address: replace(row, first=failed[row.address].problem.strip())
        for row in run_rows([[case] for case in chosen if case.address in failed], kind=kind)
    }
    return [second.get(row.address, row) for row in rows]


def run_rows(chosen: list[list[Case]], clean_runs: str = "row", kind: str = "local") -> list[Row]:
    """Run groups of rows on one replica, one group after the other."""
    missing = {case.address: case.needs - offers(kind) for group in chosen for case in group}
    skipped = [Row(address, skipped=f"needs {', '.join(sorted(needs))}") for address, needs in missing.items() if needs]
    groups = [[case for case in group if not missing[case.address]] for group in chosen]
    groups = [group for group in groups if group]
    rows = {row.address: row for row in skipped}
    for row in skipped:
        show(row)
    with alone(), tempfile.TemporaryDirectory(prefix="faults-") as home, at_work(kind):
        for number, group in enumerate(groups, 1):
            after = {case.area for following in groups[number:] for case in following}
            ends = clean_runs == "row" or any(case.area not in after for case in group)
            clean_run = WHOLE if ends else LOGS if any(logs(case) for case in group) else ""
            for row in attempt(group, home, clean_run):
                rows[row.address] = row
                show(row)
    return [rows[case.address] for group in chosen for case in group]


@contextlib.contextmanager
def at_work(kind: str) -> Iterator[None]:
    """Have a replica without faults, and end it whatever comes of the rows: containers, their network and mounts go."""
    down = ("down", *(["--purge"] if kind == "containers" else []))
    try:
        replica("up", *(["--containers"] if kind == "containers" else []))
        replica("fault", "clear")
        yield
    except BaseException:
        # What ended the rows is what must be told; that the replica is still there comes beside it.
        try:
            replica(*down)
        except (BenchError, subprocess.TimeoutExpired) as error:
            print(f"faults: the replica {INSTANCE} is not down: {error}", file=sys.stderr, flush=True)
        raise
    replica(*down)


def grouped(chosen: list[Case], *, together: bool) -> list[list[Case]]:
    """Return the rows in groups that are made at the same time, one of each of the areas that are apart."""
    queues = [[case for case in chosen if areas == areas_of(case)] for areas in (APART if together else ())]
    shared = {case.address for queue in queues for case in queue}
    groups = [[case] for case in chosen if case.address not in shared]
    while any(queues):
        group: list[Case] = []
        # Of the longest queue first: where two cannot go together, none is left over at the end.
        for queue in sorted(queues, key=len, reverse=True):
            fitting = next((case for case in queue if not any(disturb(case, other) for other in group)), None)
            if fitting:
                group.append(fitting)
                queue.remove(fitting)
        groups.append(group)
    return groups


def disturb(case: Case, other: Case) -> bool:
    """Whether two rows of areas that are apart cannot be made together.

    The worker has one work at a time and needs Oracle to read files; a fault of the applications is one of all that needs them.
    """
    if case.area == other.area or (case.by_worker and other.by_worker):
        return True
    pairs = ((case, other), (other, case))
    if any(may_explain(one, two) for one, two in pairs):
        return True
    if any(logs(one) and (two.by_worker or two.area in NEED_APPLICATIONS) for one, two in pairs):
        return True
    return any(one.by_worker and one.area != "ses" and two.area == "oracle" for one, two in pairs)


def areas_of(case: Case) -> tuple[str, ...]:
    """Return those of APART that a row goes with, none for a row that is made by itself."""
    if troubles_all(case):
        return ()
    area = "host" if case.code in ONLY_A_FILE else case.area
    return next((areas for areas in APART if area in areas), ())


def logs(case: Case) -> bool:
    """Whether a row leaves errors in the logs, which would be new to the next row."""
    return case.area in APPLICATIONS and case.code not in ONLY_A_FILE


def troubles_all(case: Case) -> bool:
    """Whether a row takes processor time, memory or the network from everything else, or is made by how the playbook is called."""
    return bool(case.arguments or case.after_a_run or case.needs & {"cgroup", "container"})


def chosen_by(rows: str, kind: str, every: list[Case]) -> list[Case]:
    """Return the rows that ``--rows`` names, in the order of ``every``."""
    if rows == "all":
        return every
    once = once_in_containers(every) if kind == "containers" else once_of_each_code(every)
    if rows == "sample":
        # The one that waits least; of those the first.
        quick = sorted(once, key=lambda case: (case.settle_s, case.after_a_run, case.asked_before))
        once = list({case.area: case for case in reversed(quick)}.values())
    return [case for case in every if (case in once) == (rows != "rest")]


def once_of_each_code(every: list[Case], kind: str = "local") -> list[Case]:
    """Return of each code the first row that can be made on this kind of replica, or the first one, which is then shown as skipped."""
    here = offers(kind)
    first: dict[str, Case] = {}
    for case in every:
        if case.code not in first or (first[case.code].needs - here and not case.needs - here):
            first[case.code] = case
    return list(first.values())


def once_in_containers(every: list[Case]) -> list[Case]:
    """Return the rows that the local replica on this machine does not prove: it cannot make them, or has no systemd to ask."""
    here = offers("local")
    made_here = {case.code for case in every if not case.needs - here}
    once = once_of_each_code(every, "containers")
    return [case for case in every if "container" in case.needs or (case in once and (case.code not in made_here or asks_systemd(case)))]


def lanes_of(chosen: list[Case], count: int) -> list[list[list[Case]]]:
    """Return the groups for each lane: areas that are made row by row stay together, for they need fewer clean runs then."""
    lanes: list[list[list[Case]]] = [[] for _lane in range(count)]
    groups = grouped(chosen, together=True)
    apart = [group for group in groups if not areas_of(group[0])]
    for area in sorted({group[0].area for group in apart}, key=lambda area: -sum(group[0].area == area for group in apart)):
        min(lanes, key=seconds_of).extend(group for group in apart if group[0].area == area)
    for group in groups:
        if areas_of(group[0]):
            min(lanes, key=seconds_of).append(group)
    return [lane for lane in lanes if lane]


def seconds_of(lane: list[list[Case]]) -> float:
    """Return how long a lane takes, about."""
    return sum(A_RUN_S + max(case.settle_s for case in group) + A_ROW_S * len(group) + A_RUN_S * runs_more(group) for group in lane)


def runs_more(group: list[Case]) -> int:
    """Return how many runs of the daily check a group needs beside the one that must find its faults."""
    return sum(any(needs(case) for case in group) for needs in (logs, lambda case: case.after_a_run, lambda case: case.asked_before))


def run_lanes(chosen: list[Case], lanes: list[list[list[Case]]], clean_runs: str, kind: str) -> list[Row]:
    """Run rows on several replicas at once."""
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        started = [start_lane(number, lane, Path(folder), clean_runs, kind) for number, lane in enumerate(lanes)]
        try:
            for process, result in started:
                if process.wait() or not result.exists():
                    raise BenchError("a lane ended before its time; its last lines say why")
                rows |= {entry["address"]: Row(**entry) for entry in json.loads(result.read_text(encoding="utf-8"))}
        finally:
            end_lanes([process for process, _result in started])
    return [rows[case.address] for case in chosen]


def end_lanes(lanes: list[subprocess.Popen[bytes]]) -> None:
    """Tell lanes that still run to stop, and wait until they have ended their replicas."""
    for lane in lanes:
        lane.terminate()
    for lane in lanes:
        lane.wait()


def start_lane(number: int, lane: list[list[Case]], folder: Path, clean_runs: str, kind: str) -> tuple[subprocess.Popen[bytes], Path]:
    """Start this program for some rows, on a replica of its own; its rows go to the terminal and to a file."""
    result = folder / f"{number}.json"
    command = [sys.executable, __file__, "--json", str(result), "--clean-runs", clean_runs]
    command += [",".join(case.address for case in group) for group in lane]
    command += ["--containers"] if kind == "containers" else []
    return subprocess.Popen(command, env={**os.environ, "TANK_REPLICA_NAME": f"{INSTANCE}-{number}"}), result


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep a second bench off the same replica: each would find the other's faults."""
    base = Paths.of(INSTANCE).base
    base.mkdir(parents=True, exist_ok=True)
    with (base / f"{INSTANCE}.bench.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchError(f"another fault bench runs on the replica {INSTANCE!r}; wait for it, or set TANK_REPLICA_NAME") from None
        yield


def attempt(group: list[Case], home: str, clean_run: str) -> list[Row]:
    """Run the rows of a group, and one by one when it is not well; what breaks a row does not end the bench."""
    try:
        rows = run_together(group, home, clean_run)
    except (BenchError, subprocess.TimeoutExpired) as error:
        replica("up")
        replica("fault", "clear")
        rows = [Row(case.address, problem=f"{type(error).__name__}: {error}") for case in group]
    if len(group) == 1 or all(row.is_well for row in rows):
        return rows
    said = "; ".join(f"{row.address}: {row.problem.strip()}" for row in rows if not row.is_well)
    print(f"not told apart when made together, so one by one: {said}", flush=True)
    return [row for case in group for row in attempt([case], home, WHOLE)]


def report(rows: list[Row]) -> int:
    """Write the JSON, print the counts."""
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    asked = [row for row in rows if not row.skipped]
    found, explained = sum(row.found for row in asked), sum(row.explained for row in asked)
    mendable, mended, false = sum(row.mendable for row in asked), sum(row.mended for row in asked), sum(row.false for row in asked)
    again = [f"{row.address} (first: {row.first})" for row in rows if row.first]
    if again:
        print(f"well only when run by themselves, or not at all: {'; '.join(again)}")
    skipped = [f"{row.address} ({row.skipped})" for row in rows if row.skipped]
    if skipped:
        print(f"skipped: {', '.join(skipped)}")
    bad = [f"{row.address} ({row.problem.strip()})" for row in asked if not row.is_well]
    if bad:
        print(f"not as the table says: {'; '.join(bad)}")
    print(f"faults: {found} of {len(asked)} found first, {explained} explained, {mended} of {mendable} mended, {false} false")
    return 0 if asked and all(row.is_well for row in rows) else 1


def stop(_number: int, _frame: object) -> None:
    """Stop at the first Ctrl-C or SIGTERM; what comes after it must not end the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, stop)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("faults: stopped", file=sys.stderr)
        sys.exit(130)
    except BenchError as error:
        print(f"faults: {error}", file=sys.stderr)
        sys.exit(2)
