# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading Oracle targets at the same time, each in a thread of its own. Run it in a child: see ``progress``."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ..._core.children import describe_crash
from ..._core.errors import RemediationError
from ..._core.references import scrub
from ..._core.refusals import Refusals
from . import client, refused, session
from .connecting import connected
from .facts import Answer
from .outcome import Outcome
from .progress import BREAK_WITHIN, FACTS, Abandoned, Failed, NotTried, Progress, Run, answer, begin, cut_short, stage, watch
from .targets import Target, make_targets

LEAVE_WITHIN = 0.3  # for logging off, when all is known


def take(
    target: Mapping[str, Any],
    look: Callable[[Any, str, float], Any],
    timeout: float,
    lib_dir: str | None = None,
    memory: Mapping[str, Any] | None = None,
) -> Answer:
    """Return the answer of one target (see :func:`read_all`) with ``taken``, the result of ``look(connection, query, until)``, and ``learnt``.

    memory: what :func:`refused.remember` kept. A query that takes too long is ``failed`` with the code oracle.slow.
    Raises DriverMissing, WrongQuestion.
    """
    made = make_targets([target])
    run = Run(client.load(lib_dir), time.monotonic() + timeout, timeout, Refusals(memory, refused.entries), take=look)
    (answered,) = read_all(run, made)
    answered["learnt"] = learnt(run)
    return answered


def read_all(run: Run, targets: Sequence[Target]) -> list[Answer]:
    """Read all targets, each in a thread; returns their answers, in their order, when all have one.

    An answer: ``name place database user``, ``ms`` (without waiting for other targets) and ``state``. ``up``: ``version``, and
    ``rows facts`` or ``taken``. ``failed``: ``stage code reason driver_code`` and more. ``held``, ``shared``, ``behind``: failed,
    and not tried. ``late``: the time for all was over. ``wrong``: the question. ``stage`` is the last one that began, ``times`` has
    the milliseconds of each that ended.
    """
    run.held = refused.held(targets, run.refusals.known)
    progresses = [Progress(target, _first_answer(target)) for target in targets]
    threads = [threading.Thread(target=_read, args=(run, progress), daemon=True) for progress in progresses]
    for thread in threads:
        thread.start()
    watch(run, progresses)
    give_up = min(time.monotonic() + LEAVE_WITHIN, run.until)
    for thread in threads:
        thread.join(max(0.0, give_up - time.monotonic()))
    with run.changed:
        return [cast("Answer", dict(progress.answer)) for progress in progresses]


def learnt(run: Run) -> dict[str, Any]:
    """Return what a run learnt about passwords, for :func:`refused.remember`."""
    with run.changed:
        return dict(run.learnt)


def remember(facts: Mapping[str, Any], former: Any = None) -> dict[str, Any]:
    """Return what the next run needs: the hashes of refused credentials, and whatever else is kept beside them.

    facts: with ``learnt``, and ``forgotten`` (hashes that do not count any more).
    """
    return refused.remember(facts["learnt"], former, facts["forgotten"] or ())


def _first_answer(target: Target) -> dict[str, Any]:
    known = {"name": target.name, "place": target.place, "database": target.database, "user": target.user, "mode": target.mode}
    return {**known, "state": "", "stage": "", "times": {}}


def _read(run: Run, progress: Progress) -> None:
    """Read one target and give its answer; the body of its thread."""
    connection = None
    try:
        connection = connected(run, progress)
        _queried(run, progress, connection)
    except Abandoned:
        return
    except Failed as failure:
        if not cut_short(run, progress, failure.outcome):
            answer(run, progress, _failure("failed", failure.outcome))
    except NotTried as reason:
        answer(run, progress, {**_failure(reason.kind, reason.outcome), **reason.more})
    except RemediationError as error:
        answer(run, progress, {"state": "wrong", "error": error.as_dict()})
    except Exception as error:
        # An error of the driver may hold secrets.
        text = describe_crash(error)
        for secret in progress.target.secrets:
            text = scrub(text, secret)
        answer(run, progress, {"state": "crashed", "reason": text})
    if connection is not None:
        with contextlib.suppress(Exception):
            connection.close()


def _failure(state: str, outcome: Outcome) -> dict[str, Any]:
    return {"state": state, "code": outcome.code, "reason": outcome.reason, "driver_code": outcome.driver_code, **outcome.more}


def _queried(run: Run, progress: Progress, connection: Any) -> None:
    """Run the query, read what the account may see, and give the answer."""
    try:
        with stage(run, progress, "query") as until:
            if run.take is not None:
                # The server needs a moment to answer the break of a query, within the time for all.
                taken = run.take(connection, progress.target.query, min(until, run.until - BREAK_WITHIN))
                answer(run, progress, {"state": "up", "taken": taken})
                return
            rows = session.count_rows(connection, progress.target.query, until)
            done: dict[str, Any] = {"rows": rows}
    except session.Gone:
        raise Failed(Outcome("ORA-03113", "dropped")) from None
    except session.TooSlow as slow:
        if run.take is not None:
            raise Failed(Outcome("oracle.slow", "unfinished")) from None
        done = {"rows": slow.rows, "unfinished": True}
    with run.changed:
        progress.answer.update(done)
    begin(run, progress, FACTS)
    until = min(run.until, progress.since + run.stage_timeout)
    facts = session.facts(connection, progress.target, until)
    answer(run, progress, {"state": "up", "facts": facts})
