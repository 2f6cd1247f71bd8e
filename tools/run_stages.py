"""Run the test stages, go on after one that failed, and report at the end what failed and how many tests ran.

python tools/run_stages.py [test|ci|full|stage...]     by default the stages of `make test`

Stages run beside each other as long as the processors suffice: most of them wait more than they compute.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

CHECKOUT = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest", "-q", "-rfEs", "--no-header", "-p", "no:cacheprovider"]
INTEGRATION = [sys.executable, "tests/integration/run.py"]
FAULTS = [sys.executable, "tests/faults/run.py", "--clean-runs", "area"]
MOLECULE = [sys.executable, "tools/run_molecule.py"]


@dataclass(frozen=True)
class Stage:
    """One program that runs tests.

    processors: how many it keeps busy on average. seconds: how long it takes on two idle processors, where nothing else runs; the
    longest begins first, as far as the processors suffice. in_containers: it needs hosts in containers. replica: the name of the replica
    that it makes, where another stage of the same program may run beside it.
    """

    argv: list[str]
    processors: float
    seconds: int
    in_containers: bool = False
    replica: str = ""


STAGES = {
    # Six workers for two processors: half of these tests wait for processes, servers and time limits.
    "unit": Stage([*PYTEST, "-n", "6", "--dist", "worksteal", "tests/unit"], 1.6, 190),
    "lint": Stage([sys.executable, "tools/lint.py"], 1.3, 85),
    "sanity": Stage([sys.executable, "tools/sanity.py"], 1.0, 180),
    "packaging": Stage([*PYTEST, "tests/packaging"], 0.8, 30),
    "integration": Stage([*INTEGRATION, "--part", "rest"], 0.8, 250),
    "integration-long": Stage([*INTEGRATION, "--part", "long"], 0.5, 540),
    "faults-sample": Stage([*FAULTS, "--rows", "sample"], 0.9, 80, replica="faults-sample"),
    "faults": Stage([*FAULTS, "--rows", "once"], 0.9, 640, replica="faults"),
    "faults-rest": Stage([*FAULTS, "--rows", "rest"], 0.9, 430, replica="faults-rest"),
    "molecule": Stage([*MOLECULE, "--part", "roles"], 0.9, 350, in_containers=True),
    "molecule-rest": Stage([*MOLECULE, "--part", "modules"], 1.2, 500, in_containers=True),
    "container-faults": Stage(
        [*FAULTS, "--containers", "--rows", "once", "--lanes", "1"], 0.5, 200, in_containers=True, replica="faults-hosts"
    ),
    "container-faults-rest": Stage([*FAULTS, "--containers", "--rows", "rest"], 1.2, 400, in_containers=True, replica="faults-hosts"),
    "versions": Stage([sys.executable, "tools/versions.py"], 1.0, 600),
}
# The plans. `make test`: what needs no podman and waits for no minutes, and a fault of each area. `make ci`: every test, each fault in one
# way, each role under Molecule. `make full`: everything.
_TEST = ("unit", "lint", "sanity", "packaging", "integration")
_CI = (*_TEST, "integration-long", "faults", "molecule", "container-faults")
PLANS = {
    "test": (*_TEST, "faults-sample"),
    "ci": _CI,
    "full": (*_CI, "faults-rest", "molecule-rest", "container-faults-rest", "versions"),
}
PROCESSORS = max(2.0, float(os.cpu_count() or 2))
SHARED = 1.15  # stages wait at different times, so that together they may need a little more than there is
# Stages call ansible-playbook and its like by name. What forbids byte code (images of Python do) is left out, as in the Makefile.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ENVIRONMENT |= {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"}
# Seconds for one stage, far more than it takes. On two processors `make test` takes less than 10 minutes, `make ci` 30, `make full` 90.
LONGEST = 2400
CLEANS_UP = 90  # seconds that a stage which was told to end has for removing its containers
RUNNING: list[subprocess.Popen[str]] = []
INTERRUPTED: list[int] = []  # signals that came: a stage that had just started and was not yet in RUNNING ends too
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
    work: float = 0.0  # seconds of processor time, without what runs as a service (the replica's processes)


def main(names: list[str]) -> int:
    """Run the stages of a plan or the named stages, by default those of `make test`; returns the exit code."""
    plan = (names or ["test"])[0]
    unknown = [] if names == [plan] and plan in PLANS else [name for name in names if name not in STAGES]
    if unknown:
        print(
            f"run_stages: no stage {', '.join(unknown)}; there are {', '.join(STAGES)}, or one of {', '.join(PLANS)}",
            file=sys.stderr,
        )
        return 2
    chosen = list(names) if plan in STAGES else list(PLANS[plan])
    missing = no_containers() if any(STAGES[name].in_containers for name in chosen) else ""
    if missing:
        # Reported now, and not when the other stages have run for twenty minutes.
        print(f"run_stages: no containers here: {missing}; `make test` runs what needs none", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    began = time.monotonic()
    outcomes = run_all(chosen)
    report(outcomes, [name for name in PLANS["full"] if name not in chosen] if plan in PLANS else [], time.monotonic() - began)
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
    """Run stages beside each other, as many as the processors suffice for; returns how each ended, in the order of ``names``.

    The longest begins first. One that keeps more processors busy than are free waits while a shorter one that fits begins.
    """
    waiting = sorted(names, key=lambda name: -STAGES[name].seconds)
    at_work: dict[Future[Outcome], str] = {}
    outcomes: dict[str, Outcome] = {}
    # In threads, also a single one: this one must be free for Ctrl-C, and wait then until the stages have cleaned up.
    with ThreadPoolExecutor(len(waiting) or 1) as pool:
        try:
            while waiting or at_work:
                for name in next_of(waiting, at_work.values()):
                    waiting.remove(name)
                    at_work[pool.submit(run, name, f"{name:<21} | " if len(names) > 1 else "")] = name
                for ended in wait(at_work, return_when=FIRST_COMPLETED).done:
                    outcomes[at_work.pop(ended)] = ended.result()
        except KeyboardInterrupt:
            # The stages have got the signal; they still clean up before this leaves the pool.
            pool.shutdown(wait=False, cancel_futures=True)
            raise SystemExit(130) from None
    return [outcomes[name] for name in names]


def next_of(waiting: Sequence[str], at_work: Iterable[str]) -> list[str]:
    """Return the waiting stages that begin now.

    One that needs more processors than there are begins when nothing runs. Of those in containers one runs at a time: they share the
    image, which the first one builds.
    """
    running = list(at_work)
    begin = []
    for name in waiting:
        stage = STAGES[name]
        fits = sum(STAGES[other].processors for other in running) + stage.processors <= PROCESSORS * SHARED
        shares = stage.in_containers and any(STAGES[other].in_containers for other in running)
        if not running or (fits and not shares):
            begin.append(name)
            running.append(name)
    return begin


def run(name: str, prefix: str = "") -> Outcome:
    """Run one stage and pass its output on, each line with a prefix."""
    print(f"\n== {name}" if not prefix else f"{prefix}begins", flush=True)
    started = time.monotonic()
    outcome, stage = Outcome(name, 0), STAGES[name]
    # A session of its own, so that whatever a hanging stage started ends with it.
    with (
        subprocess.Popen(
            stage.argv,
            cwd=CHECKOUT,
            env={**ENVIRONMENT, **({"TANK_REPLICA_NAME": stage.replica} if stage.replica else {})},
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
        outcome.work = processor_time(child)
        child.wait()
    outcome.seconds = time.monotonic() - started
    outcome.problem = problem_of(outcome, child.returncode)
    return outcome


def processor_time(child: subprocess.Popen[str]) -> float:
    """Wait for a stage to end; returns the processor time that it and the processes it waited for used."""
    # It stays to be waited for: its exit code is read by Popen.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    fields = Path(f"/proc/{child.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


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
    if INTERRUPTED:
        interrupt_stage(child)
    try:
        yield
    finally:
        RUNNING.remove(child)


def interrupt(number: int, _frame: object) -> None:
    """Hand Ctrl-C (or SIGTERM) on to the stages, and end those that do not heed it."""
    INTERRUPTED.append(number)
    for child in RUNNING.copy():
        interrupt_stage(child)
    raise KeyboardInterrupt


def interrupt_stage(child: subprocess.Popen[str]) -> None:
    """Ask a stage to end, and kill it when it does not heed that."""
    end(child, signal.SIGINT)
    killer = Timer(CLEANS_UP, end, (child, signal.SIGKILL))
    killer.daemon = True
    killer.start()


def end(child: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal a stage with everything it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def report(outcomes: list[Outcome], left_out: Sequence[str], seconds: float) -> None:
    """Print a line for each stage, what was left out, and the total."""
    print()
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total += outcome.counts
        # A stage that broke without a failed test must still be seen in the total.
        total["failed"] += bool(outcome.problem and not outcome.counts["failed"])
        state = f"FAILED ({outcome.problem})" if outcome.problem else "ok"
        numbers = ", ".join(f"{number} {word}" for word, number in sorted(outcome.counts.items()))
        print(f"{outcome.name:<21} {outcome.seconds:6.1f} s  {outcome.work:6.1f} s of processor  {state:<24} {numbers}")
    failed = [outcome for outcome in outcomes if outcome.problem]
    print(f"\n{'failed stages: ' + ', '.join(outcome.name for outcome in failed) if failed else 'all stages are well'}", end="")
    print(f", {seconds:.0f} s")
    if left_out:
        print(f"left out: {', '.join(left_out)} (make full runs them too)")
    print(f"total: {total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped", flush=True)
    for outcome in failed:
        for line in outcome.named[:MOST_NAMED]:
            prefix = "" if line.startswith(f"{outcome.name}: ") else f"{outcome.name}: "
            print(f"{prefix}{line[:LONGEST_NAMED]}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
