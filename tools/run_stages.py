"""Run the test stages, go on after one that failed, and say at the end what failed and how many tests ran.

python tools/run_stages.py [stage...|all]     by default every stage of `make test`
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

CHECKOUT = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest", "-q", "-rfEs", "--no-header", "-p", "no:cacheprovider"]
INTEGRATION = [sys.executable, "tests/integration/run.py"]
FAULTS = [sys.executable, "tests/faults/run.py", "--clean-runs", "area"]
STAGES = {
    "unit": [*PYTEST, "tests/unit"],
    "lint": [sys.executable, "tools/lint.py"],
    "sanity": [sys.executable, "tools/sanity.py"],
    "packaging": [*PYTEST, "tests/packaging"],
    "integration": [*INTEGRATION, "--part", "rest"],
    "faults": [*FAULTS, "--rows", "quick"],
    "integration-long": [*INTEGRATION, "--part", "long"],
    "faults-rest": [*FAULTS, "--rows", "rest"],
    "molecule": [sys.executable, "tools/run_molecule.py"],
    "container-faults": [*FAULTS, "--containers"],
}
# Stages that need hosts in containers.
IN_CONTAINERS = ("molecule", "container-faults")
# Stages that use one processor; two of them run at a time, the longest first.
SMALL = ("unit", "integration-long", "integration", "sanity", "lint", "packaging")
# What `make test` leaves out: what waits for minutes, further ways of faults that it makes in one way, and what needs podman.
LEFT_OUT = ("integration-long", "faults-rest", *IN_CONTAINERS)
# Stages call ansible-playbook and its like by name. What forbids byte code (images of Python do) is left out, as in the Makefile.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ENVIRONMENT |= {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"}
LONGEST = 1500  # seconds for one stage, far more than it takes; `make test` should stay under 20 minutes, `make ci` under 60
CLEANS_UP = 90  # seconds that a stage which was told to end has for removing its containers
RUNNING: list[subprocess.Popen[str]] = []
# What a stage says about the tests it ran: a line of its own (`<word>: 3 passed, 1 failed`), the last line of pytest,
# or the last line of the fault table.
OWN_COUNT = re.compile(r"^(?:\w+: )?\d+ passed, \d+ failed(?:, \d+ skipped)?(?: in \d+ s)?$")
PYTEST_COUNT = re.compile(r"^=*\s*\d+ (?:passed|failed|skipped|errors?|deselected|xfailed|warnings?)\b.* in [\d.]+s")
FAULTS_COUNT = re.compile(r"^faults: (\d+) of (\d+) found first\b")
ONE_COUNT = re.compile(r"(\d+) (passed|failed|skipped|error)")
# Lines in which a stage names what failed; they are told once more at the very end, where a look at the last lines finds them.
NAMED_AS_FAILED = re.compile(r"^(?:FAILED|ERROR) \S|^\w+: [\w/.-]+:? +FAILED\b|^not as the table says: ")
LONGEST_NAMED = 300  # characters of such a line
MOST_NAMED = 10  # such lines of a stage


@dataclass
class Outcome:
    """How one stage ended; ``problem`` is "" when it is well."""

    name: str
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)
    problem: str = ""
    named: list[str] = field(default_factory=list)  # lines in which it names what failed


def main(names: list[str]) -> int:
    """Run the named stages, all by default; returns the exit code."""
    unknown = [name for name in names if name not in STAGES and names != ["all"]]
    if unknown:
        print(f"run_stages: no stage {', '.join(unknown)}; there are {', '.join(STAGES)}, or all", file=sys.stderr)
        return 2
    chosen = list(STAGES) if names == ["all"] else names or [name for name in STAGES if name not in LEFT_OUT]
    missing = no_containers() if set(chosen) & set(IN_CONTAINERS) else ""
    if missing:
        # Said now, and not when the other stages have run for forty minutes.
        print(f"run_stages: no containers here: {missing}; `make test` runs what needs none", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    began = time.monotonic()
    outcomes = run_all(chosen)
    tell(outcomes, () if names else LEFT_OUT, time.monotonic() - began)
    return int(any(outcome.problem for outcome in outcomes))


def no_containers() -> str:
    """Say why there can be no hosts in containers here, "" when there can."""
    sys.path.insert(0, str(CHECKOUT))
    try:
        from tests.replica.containers import engine
        from tests.replica.system import ReplicaError
    finally:
        sys.path.remove(str(CHECKOUT))
    try:
        return engine.missing()
    except ReplicaError as error:
        return str(error)


def run_all(names: Sequence[str]) -> list[Outcome]:
    """Run stages: first those that use one processor two at a time, then the others one by one."""
    small = [name for name in SMALL if name in names]
    with ThreadPoolExecutor(2) as pool:
        began = [pool.submit(run, name, f"{name:<16} | " if len(small) > 1 else "") for name in small]
        try:
            outcomes = [future.result() for future in began]
            # In a thread too: this one must be free for Ctrl-C, and wait then until the stage has cleaned up.
            return outcomes + [pool.submit(run, name).result() for name in names if name not in small]
        except KeyboardInterrupt:
            # The stages have been told; they still clean up before this leaves the pool.
            pool.shutdown(wait=False, cancel_futures=True)
            raise SystemExit(130) from None


def run(name: str, prefix: str = "") -> Outcome:
    """Run one stage and pass its output on, each line with a prefix."""
    print(f"\n== {name}" if not prefix else f"{prefix}begins", flush=True)
    started = time.monotonic()
    outcome = Outcome(name, 0)
    # A session of its own, so that whatever a hanging stage started ends with it.
    with (
        subprocess.Popen(
            STAGES[name],
            cwd=CHECKOUT,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as child,
        deadline(child),
        known(child),
    ):
        for line in child.stdout or ():
            print(f"{prefix}{line}", end="", flush=True)
            outcome.counts += count(line.strip())
            outcome.named += [line.strip()] if NAMED_AS_FAILED.match(line) else []
        child.wait()
    outcome.seconds = time.monotonic() - started
    outcome.problem = problem_of(outcome, child.returncode)
    return outcome


def count(line: str) -> Counter[str]:
    """Return the numbers of a line that tells how many tests ran, otherwise nothing."""
    table = FAULTS_COUNT.match(line)
    if table:
        found, rows = int(table[1]), int(table[2])
        return Counter(passed=found, failed=rows - found)
    if not (OWN_COUNT.match(line) or PYTEST_COUNT.match(line)):
        return Counter()
    numbers: Counter[str] = Counter()
    for number, word in ONE_COUNT.findall(line):
        numbers["failed" if word == "error" else word] += int(number)
    return numbers


def problem_of(outcome: Outcome, rc: int) -> str:
    """Say in a few words why a stage is not well."""
    if rc and outcome.seconds > LONGEST:
        return f"ended after {LONGEST} s"
    if rc:
        return f"{outcome.counts['failed']} failed" if outcome.counts["failed"] else f"exit code {rc}"
    if outcome.counts["failed"]:
        return f"{outcome.counts['failed']} failed"
    return "" if outcome.counts["passed"] else "ran no test"


@contextlib.contextmanager
def deadline(child: subprocess.Popen[str]) -> Iterator[None]:
    """End a stage that takes too long."""
    timers = [Timer(LONGEST, end, (child, signal.SIGTERM)), Timer(LONGEST + CLEANS_UP, end, (child, signal.SIGKILL))]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


@contextlib.contextmanager
def known(child: subprocess.Popen[str]) -> Iterator[None]:
    """Remember a stage while it runs, for Ctrl-C."""
    RUNNING.append(child)
    try:
        yield
    finally:
        RUNNING.remove(child)


def interrupt(_number: int, _frame: object) -> None:
    """Hand Ctrl-C (or SIGTERM) on to the stages, and end those that do not heed it."""
    for child in RUNNING.copy():
        end(child, signal.SIGINT)
        killer = Timer(CLEANS_UP, end, (child, signal.SIGKILL))
        killer.daemon = True
        killer.start()
    raise KeyboardInterrupt


def end(child: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal a stage with everything it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def tell(outcomes: list[Outcome], left_out: Sequence[str], seconds: float) -> None:
    """Print a line for each stage, what was left out, and the total."""
    print()
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total += outcome.counts
        # A stage that broke without a failed test must still be seen in the total.
        total["failed"] += bool(outcome.problem and not outcome.counts["failed"])
        state = f"FAILED ({outcome.problem})" if outcome.problem else "ok"
        numbers = ", ".join(f"{number} {word}" for word, number in sorted(outcome.counts.items()))
        print(f"{outcome.name:<16} {outcome.seconds:6.1f} s  {state:<24} {numbers}")
    failed = [outcome for outcome in outcomes if outcome.problem]
    print(f"\n{'failed stages: ' + ', '.join(outcome.name for outcome in failed) if failed else 'all stages are well'}", end="")
    print(f", {seconds:.0f} s")
    if left_out:
        print(f"left out: {', '.join(left_out)} (make ci runs them too; the last two need podman)")
    print(f"total: {total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped", flush=True)
    for outcome in failed:
        for line in outcome.named[:MOST_NAMED]:
            prefix = "" if line.startswith(f"{outcome.name}: ") else f"{outcome.name}: "
            print(f"{prefix}{line[:LONGEST_NAMED]}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
