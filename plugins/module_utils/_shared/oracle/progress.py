# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far each target of a run is, and the watch that ends what takes too long.

Each target has a thread of its own, which goes from stage to stage: name, tcp, listener, login, query. The driver cannot limit a
wait for a peer that sends nothing, so a thread that hangs is left behind at its limit, and ends with the child process that all of
this runs in (see ``children``). Durations are seconds unless a name ends in ``_ms``; moments are of ``time.monotonic``.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._core.errors import RemediationError
from ..._core.refusals import Refusals
from .client import Driver
from .gates import Gate, Gates
from .outcome import Outcome, explain
from .refused import entries
from .targets import Target

STAGES = ("name", "tcp", "listener", "login", "query")
WAITS, FACTS = "waits", "facts"  # what a thread does besides the stages
BREAK_WITHIN = 0.5  # for a server to answer the break of a query that takes too long
_LOOK_AGAIN = 0.05
_ROUNDED = 0.005  # by how much a wait of the system may end early
# These have a limit of their own, after which they can give a better reason than the watch; it lets them.
_GRACE = {"tcp": 0.2, "listener": 0.2, "query": BREAK_WITHIN, FACTS: BREAK_WITHIN}


class Abandoned(Exception):
    """The target has its answer, because its time is over: the thread ends as soon as it notices."""


class Failed(Exception):
    """A target failed at a stage."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


class NotTried(Exception):
    """The login was not tried.

    ``kind``: held (refused in an earlier run), shared (another target was just refused), behind (another target's login hangs).
    """

    def __init__(self, kind: str, outcome: Outcome, **more: Any) -> None:
        super().__init__(kind)
        self.kind = kind
        self.outcome = outcome
        self.more = more


@dataclass
class Progress:
    """How far one target is. ``answer`` is what is known of it; nothing is added once it is ``over``.

    doing, since: a stage, or what else its thread does, and from which moment on. worked: seconds before that, without waiting
    for other targets.
    """

    target: Target
    answer: dict[str, Any]
    doing: str = ""
    since: float = 0.0
    worked: float = 0.0
    over: bool = False
    gate: Gate | None = None
    alone: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


@dataclass
class Run:
    """What the threads of one reading share; ``changed`` guards all of it.

    until: the moment at which all must be done. stage_timeout: for one stage of one target. refusals: passwords that earlier and
    other runs were refused. held: targets whose credentials are among them, and since when. learnt: see :func:`refused.remember`.
    take: ``take(connection, query, until)``, instead of counting the rows of the query.
    """

    driver: Driver
    until: float
    stage_timeout: float
    refusals: Refusals = field(default_factory=lambda: Refusals(None, entries))
    changed: threading.Condition = field(default_factory=threading.Condition)
    learnt: dict[str, Any] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    take: Callable[[Any, str, float], Any] | None = None

    def __post_init__(self) -> None:
        self.gates = Gates(self.changed)


# --- the watch over all threads


def watch(run: Run, progresses: Sequence[Progress]) -> None:
    """Wait until every target has its answer; answer for those whose time is over."""
    with run.changed:
        while True:
            now = time.monotonic()
            for progress in progresses:
                if not progress.over and now >= _limit_of(run, progress):
                    _abandon(run, progress, now)
            left = [_limit_of(run, progress) for progress in progresses if not progress.over]
            if not left:
                return
            # A thread that begins a stage does not notify: each switch of threads costs more than this short poll.
            run.changed.wait(min(max(0.0, min(left) - now), _LOOK_AGAIN))


def _limit_of(run: Run, progress: Progress) -> float:
    """Return the moment at which a target has taken too long for what it is doing."""
    if progress.doing in ("", WAITS):
        return run.until
    return min(run.until, progress.since + run.stage_timeout + _GRACE.get(progress.doing, 0.0))


def _abandon(run: Run, progress: Progress, now: float) -> None:
    """Give the answer of a target that hangs."""
    answer, waited = progress.answer, round(now - progress.since, 1)
    if progress.doing == FACTS:
        answer["facts"] = {"not_asked": [f"all but the query: no answer in {waited:g} s"]}
        answer["state"] = "up"
    elif progress.doing in ("", WAITS) or now - progress.since < run.stage_timeout:
        answer.update(state="late", waited=waited)
    elif progress.doing == "name":
        answer.update(state="failed", code="oracle.name_unknown", reason="no_dns", driver_code="", waited=waited)
    else:
        answer.update(state="failed", code="ORA-12170", reason="silent", driver_code="", waited=waited)
    if progress.doing == "login" and progress.gate and progress.gate.state == "asking":
        progress.gate.state, progress.gate.by = "stuck", progress.target.name
    _end(run, progress)


def cut_short(run: Run, progress: Progress, outcome: Outcome) -> bool:
    """Answer ``late`` for a stage that waited until the time for all targets was over: it might still have had an answer."""
    now = time.monotonic()
    if outcome.reason not in ("timeout", "silent") or now < run.until - _ROUNDED or now - progress.since >= run.stage_timeout:
        return False
    with run.changed:
        if not progress.over:
            _abandon(run, progress, now)
    return True


# --- what a thread notes


def answer(run: Run, progress: Progress, known: Mapping[str, Any]) -> None:
    """Give a target its answer, unless it has one."""
    with run.changed:
        if not progress.over:
            progress.answer.update(known)
            _end(run, progress)


def _end(run: Run, progress: Progress) -> None:
    _count_work(progress)
    progress.answer["ms"] = round(progress.worked * 1000, 1)
    progress.over = True
    run.changed.notify_all()


def _count_work(progress: Progress) -> None:
    if progress.doing not in ("", WAITS):
        progress.worked += time.monotonic() - progress.since


def begin(run: Run, progress: Progress, what: str) -> None:
    """Note what a thread begins; raises Abandoned when its time is over."""
    with run.changed:
        if progress.over:
            raise Abandoned
        _count_work(progress)
        progress.doing, progress.since = what, time.monotonic()
        if what in STAGES:
            progress.answer["stage"] = what


@contextlib.contextmanager
def stage(run: Run, progress: Progress, name: str) -> Iterator[float]:
    """Do one stage; yields the moment at which it must be done. An error of the driver or of a socket becomes Failed."""
    begin(run, progress, name)
    started = progress.since
    try:
        yield min(run.until, started + run.stage_timeout)
    except (Failed, Abandoned, RemediationError):
        raise
    except Exception as error:
        if not isinstance(error, (OSError, run.driver.module.Error)):
            raise
        outcome = explain(error, name, progress.target.secrets)
        if outcome.reason == "timeout":
            outcome.more["waited"] = round(time.monotonic() - started, 1)
        raise Failed(outcome) from None
    finally:
        with run.changed:
            if not progress.over:
                progress.answer["times"][name] = round((time.monotonic() - started) * 1000, 1)
