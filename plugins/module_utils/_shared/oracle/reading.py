# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Oracle targets, asked at the same time: each in a thread of its own, stage by stage, and none longer than it may take.

Stages: name, tcp, listener, login, query. A thread that hangs in one (no API of the driver bounds a peer that says nothing)
is left behind when its time is over, and ends with the child process that all of this runs in (see ``_process``). So this must
run in a child. Durations are seconds unless a name ends in ``_ms``; moments are of ``time.monotonic``.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._core.children import describe_crash
from ..._core.errors import Busy, RemediationError
from ..._core.references import scrub
from ..._core.state import Kept
from . import client as _oracle_client
from . import probe as _oracle_probe
from . import refused as _oracle_refused
from . import session as _oracle_session
from .client import Driver
from .outcome import COUNTED, Outcome, explain
from .probe import STRANGERS, Address
from .refused import Gate, Gates
from .targets import Target, make_targets

STAGES = ("name", "tcp", "listener", "login", "query")
PARAMETERS = ("targets", "timeout", "stage_timeout", "lib_dir", "forget_refused")
LIMITS = ("timeout", "stage_timeout", "forget_refused")
BREAK_WITHIN = 0.5  # for a server to answer the break of a query that takes too long
LOOK_AGAIN = 0.05
_ROUNDED = 0.005  # by how much a wait of the system may end early
LEAVE_WITHIN = 0.3  # for logging off, when all is known
_WAITS, _FACTS = "waits", "facts"  # what a thread does besides the stages
# What has a time limit of its own may tell more than the watch can, and is given the time to.
_GRACE = {"tcp": 0.2, "listener": 0.2, "query": BREAK_WITHIN, _FACTS: BREAK_WITHIN}


class Abandoned(Exception):
    """The target's time is over, and its answer is given: the thread ends as soon as it notices."""


class Failed(Exception):
    """A target is not well."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


class NotTried(Exception):
    """The login was not tried. ``kind``: held, shared (another target was just refused), behind (another one's login hangs)."""

    def __init__(self, kind: str, outcome: Outcome, **more: Any) -> None:
        super().__init__(kind)
        self.kind = kind
        self.outcome = outcome
        self.more = more


@dataclass
class Progress:
    """How far one target is. ``answer`` is what is known of it; ``over`` means that nothing is added any more.

    doing, since: a stage or what else its thread does, and from which moment on. worked: seconds before that, without waiting
    for others.
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
    """What the threads of one reading share; ``changed`` guards all of it. look: see :func:`take`.

    kept: the memory itself, which other runs change as well; None where there is none. forgotten: what was refused before this
    moment (RFC 3339) does not count.
    """

    driver: Driver
    until: float
    stage_timeout: float
    memory: Mapping[str, Any]
    changed: threading.Condition = field(default_factory=threading.Condition)
    learnt: dict[str, Any] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    look: Callable[[Any, str, float], Any] | None = None
    kept: Kept | None = None
    forgotten: str = ""

    def __post_init__(self) -> None:
        self.gates = Gates(self.changed)


# --- source oracle.targets


def read(
    targets: Sequence[Mapping[str, Any]],
    timeout: float,
    stage_timeout: float,
    lib_dir: str | None = None,
    forget_refused: bool = False,
    memory: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return ``driver`` (its name, release and mode), an answer for each of ``targets``, ``learnt`` (for :func:`remember`).

    targets: see ``_oracle_targets``. timeout: for all of it; stage_timeout: for one stage of one target. memory: what
    :func:`remember` kept.
    An answer: ``name place database user``, ``ms`` (without waiting for others) and ``state``. ``up``: ``version rows facts``. ``failed``: ``stage code reason
    driver_code`` and more. ``held``, ``shared``, ``behind``: failed as well, but not tried. ``late``: the whole's time was over.
    ``wrong``: the question. ``stage`` is the last one that was begun, ``times`` milliseconds of each that ended.
    Raises DriverMissing, WrongQuestion.
    """
    until = time.monotonic() + timeout
    made = make_targets(targets)
    driver = _oracle_client.load(lib_dir)
    forgotten = _oracle_refused.stamp() if forget_refused else ""
    kept = memory if isinstance(memory, Kept) else None
    run = Run(driver, until, stage_timeout, _refused_in(memory, forgotten), kept=kept, forgotten=forgotten)
    answers = _ask_all(run, made)
    if any(answer.get("code") == "oracle.needs_thick" for answer in answers):
        client = _oracle_client.instant_client(within=max(0.1, until - time.monotonic()))
        answers = [{**answer, "client": client} if answer.get("code") == "oracle.needs_thick" else answer for answer in answers]
    return {"driver": driver.title, "targets": answers, "learnt": _learnt(run), "forgotten": forgotten}


def take(
    target: Mapping[str, Any],
    look: Callable[[Any, str, float], Any],
    timeout: float,
    lib_dir: str | None = None,
    memory: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the answer of one target as :func:`read` does, with ``taken``, what ``look(connection, query, until)`` returned, and ``learnt``.

    A query that takes too long is ``failed`` with the code oracle.slow.
    """
    made = make_targets([target])
    kept = memory if isinstance(memory, Kept) else None
    run = Run(_oracle_client.load(lib_dir), time.monotonic() + timeout, timeout, _refused_in(memory), look=look, kept=kept)
    (answer,) = _ask_all(run, made)
    return {**answer, "learnt": _learnt(run)}


def _ask_all(run: Run, targets: Sequence[Target]) -> list[dict[str, Any]]:
    """Ask all targets, each in a thread; returns their answers when all have one."""
    run.held = _held(targets, run.memory)
    progresses = [Progress(target, _first_answer(target)) for target in targets]
    threads = [threading.Thread(target=_ask, args=(run, progress), daemon=True) for progress in progresses]
    for thread in threads:
        thread.start()
    _watch(run, progresses)
    give_up = min(time.monotonic() + LEAVE_WITHIN, run.until)
    for thread in threads:
        thread.join(max(0.0, give_up - time.monotonic()))
    with run.changed:
        return [dict(progress.answer) for progress in progresses]


def _learnt(run: Run) -> dict[str, Any]:
    with run.changed:
        return dict(run.learnt)


def remember(facts: Mapping[str, Any], former: Any = None) -> dict[str, Any]:
    """Return what the next run needs: the hashes of credentials that were refused, and whatever else is kept beside them."""
    kept = _refused_in(former, facts["forgotten"])
    others = former if isinstance(former, Mapping) else {}
    return {**others, "refused": _oracle_refused.merged(kept, facts["learnt"])}


def _refused_in(memory: Any, forgotten: str = "") -> Mapping[str, Any]:
    """Return what was kept and not forgotten; a damaged memory is none."""
    kept = memory.get("refused") if isinstance(memory, Mapping) else None
    return _oracle_refused.since(kept, forgotten or "") if isinstance(kept, Mapping) else {}


def _first_answer(target: Target) -> dict[str, Any]:
    known = {"name": target.name, "place": target.place, "database": target.database, "user": target.user, "mode": target.mode}
    return {**known, "state": "", "stage": "", "times": {}}


def _held(targets: Sequence[Target], memory: Mapping[str, Any]) -> dict[str, str]:
    """Return for the targets whose credentials were refused in an earlier run since when; an account's other services count."""
    found = {target.name: _oracle_refused.held_since(target, memory) for target in targets} if memory else {}
    by_account = {_login_of(target): found[target.name] for target in targets if found.get(target.name)}
    return {target.name: by_account[_login_of(target)] for target in targets if _login_of(target) in by_account}


def _login_of(target: Target) -> tuple[str, ...]:
    return (target.place.lower(), target.user.upper(), target.mode, target.password)


# --- the watch over all threads


def _watch(run: Run, progresses: Sequence[Progress]) -> None:
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
            # A thread that goes on to a stage wakes nobody: each change of thread costs more than a look now and then.
            run.changed.wait(min(max(0.0, min(left) - now), LOOK_AGAIN))


def _limit_of(run: Run, progress: Progress) -> float:
    """Return the moment at which what a target does has taken too long."""
    if progress.doing in ("", _WAITS):
        return run.until
    return min(run.until, progress.since + run.stage_timeout + _GRACE.get(progress.doing, 0.0))


def _abandon(run: Run, progress: Progress, now: float) -> None:
    """Give the answer of a target that hangs."""
    answer, waited = progress.answer, round(now - progress.since, 1)
    if progress.doing == _FACTS:
        answer["facts"] = {"not_asked": [f"all but the query: no answer in {waited:g} s"]}
        answer["state"] = "up"
    elif progress.doing in ("", _WAITS) or now - progress.since < run.stage_timeout:
        answer.update(state="late", waited=waited)
    elif progress.doing == "name":
        answer.update(state="failed", code="oracle.name_unknown", reason="no_dns", driver_code="", waited=waited)
    else:
        answer.update(state="failed", code="ORA-12170", reason="silent", driver_code="", waited=waited)
    if progress.doing == "login" and progress.gate and progress.gate.state == "asking":
        progress.gate.state, progress.gate.by = "stuck", progress.target.name
    _over(run, progress)


# --- one target


def _ask(run: Run, progress: Progress) -> None:
    """Ask one target and give its answer; the body of its thread."""
    connection = None
    try:
        connection = _connected(run, progress)
        _queried(run, progress, connection)
    except Abandoned:
        return
    except Failed as failure:
        if not _cut_short(run, progress, failure.outcome):
            _answer(run, progress, _failure("failed", failure.outcome))
    except NotTried as reason:
        _answer(run, progress, {**_failure(reason.kind, reason.outcome), **reason.more})
    except RemediationError as error:
        _answer(run, progress, {"state": "wrong", "error": error.as_dict()})
    except Exception as error:
        # Whatever a driver throws may hold secrets; nothing of it goes further unscrubbed.
        text = describe_crash(error)
        for secret in progress.target.secrets:
            text = scrub(text, secret)
        _answer(run, progress, {"state": "crashed", "reason": text})
    if connection is not None:
        with contextlib.suppress(Exception):
            connection.close()


def _cut_short(run: Run, progress: Progress, outcome: Outcome) -> bool:
    """Give the answer of a stage that waited as long as there was time for all targets: nobody knows whether it would have answered."""
    now = time.monotonic()
    if outcome.reason not in ("timeout", "silent") or now < run.until - _ROUNDED or now - progress.since >= run.stage_timeout:
        return False
    with run.changed:
        if not progress.over:
            _abandon(run, progress, now)
    return True


def _failure(state: str, outcome: Outcome) -> dict[str, Any]:
    return {"state": state, "code": outcome.code, "reason": outcome.reason, "driver_code": outcome.driver_code, **outcome.more}


def _answer(run: Run, progress: Progress, answer: Mapping[str, Any]) -> None:
    with run.changed:
        if not progress.over:
            progress.answer.update(answer)
            _over(run, progress)


def _over(run: Run, progress: Progress) -> None:
    _count_work(progress)
    progress.answer["ms"] = round(progress.worked * 1000, 1)
    progress.over = True
    run.changed.notify_all()


def _count_work(progress: Progress) -> None:
    if progress.doing not in ("", _WAITS):
        progress.worked += time.monotonic() - progress.since


def _now_doing(run: Run, progress: Progress, what: str) -> None:
    """Note what a thread begins; raises Abandoned when its time is over."""
    with run.changed:
        if progress.over:
            raise Abandoned
        _count_work(progress)
        progress.doing, progress.since = what, time.monotonic()
        if what in STAGES:
            progress.answer["stage"] = what


@contextlib.contextmanager
def _stage(run: Run, progress: Progress, name: str) -> Iterator[float]:
    """Do one stage, within its time; yields the moment at which it must be done. What a driver or socket raises becomes Failed."""
    _now_doing(run, progress, name)
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


def _connected(run: Run, progress: Progress) -> Any:
    target = progress.target
    if target.problem is not None:
        raise target.problem
    if run.driver.problem:
        more = {key: value for key, value in run.driver.problem.items() if key not in ("driver_code", "said")}
        said = {"said": run.driver.problem["said"], "client": more}
        raise Failed(Outcome("oracle.instant_client_missing", "not_loaded", run.driver.problem["driver_code"], said))
    with _stage(run, progress, "name"):
        parameters = _oracle_client.parameters(run.driver, target)
        places, protocol = _oracle_client.places(parameters)
        if target.dsn and places:
            with run.changed:
                progress.answer["place"] = f"{places[0][0]}:{places[0][1]}"
        addresses = _oracle_probe.resolve(places)
        # The driver tries the addresses one after the other; one that is dead must leave time for the next.
        parameters.set(tcp_connect_timeout=run.stage_timeout / (len(addresses) + 1))
    if protocol != "tcp":
        with run.changed:
            progress.answer["protocol"] = protocol
    with _stage(run, progress, "tcp") as until:
        connection, address = _oracle_probe.connect(addresses, until)
    with run.changed:
        progress.answer["address"] = address.text
    with _stage(run, progress, "listener") as until:
        peer, banner = _oracle_probe.look_at(connection, tls=protocol == "tcps", until=until)
        if peer == _oracle_probe.CLOSED and protocol == "tcp" and _oracle_probe.speaks_tls(address, until):
            peer = _oracle_probe.TLS
        _must_be_a_listener(run, peer, banner)
    return _logged_in(run, progress, parameters, addresses)


def _must_be_a_listener(run: Run, peer: str, banner: str) -> None:
    """Raise Failed for a peer that is none. One that closed may still be one, a gateway that drops pings: the driver decides."""
    if peer in STRANGERS:
        raise Failed(Outcome("ORA-12537", "stranger", "", {"peer": peer, "banner": banner if peer != "tls" else ""}))
    if peer == _oracle_probe.SILENT:
        raise Failed(Outcome("ORA-12170", "silent", "", {"waited": round(run.stage_timeout, 1)}))


def _logged_in(run: Run, progress: Progress, parameters: Any, addresses: Sequence[Address]) -> Any:
    gate = _pass_the_gate(run, progress, addresses)
    with progress.alone:
        return _login(run, progress, parameters, gate)


def _login(run: Run, progress: Progress, parameters: Any, gate: Gate) -> Any:
    target = progress.target
    try:
        with _stage(run, progress, "login"):
            connection = _oracle_client.connect(run.driver, target, parameters)
    except Failed as failure:
        _note_where_it_ended(run, progress, failure.outcome.ended)
        _after_the_gate(run, progress, gate, failure.outcome)
        raise
    except Exception:
        _oracle_refused.stuck(run.changed, gate)
        raise
    _after_the_gate(run, progress, gate, None)
    with run.changed:
        if progress.over:  # it came back after all, too late
            with contextlib.suppress(Exception):
                connection.close()
            raise Abandoned
        progress.answer["version"] = str(getattr(connection, "version", "") or "")
    return connection


def _note_where_it_ended(run: Run, progress: Progress, stage: str) -> None:
    """Name the stage that ended a login, where the listener ended it before the account was looked at."""
    with run.changed:
        times = progress.answer["times"]
        if stage != "login" and not progress.over and "login" in times:
            progress.answer["stage"] = stage
            times[stage] = round(times.get(stage, 0.0) + times.pop("login"), 1)


def _pass_the_gate(run: Run, progress: Progress, addresses: Sequence[Address]) -> Gate:
    """Wait until this account may be tried; return its gate. Raises NotTried when its password was refused, now or in an earlier run."""
    _now_doing(run, progress, _WAITS)
    target = progress.target
    held = run.held.get(target.name, "")
    with run.changed:
        gate = progress.gate = run.gates.of(target, (address.text for address in addresses))
        while gate.state == "asking" and not progress.over:
            run.changed.wait()
        if progress.over:
            raise Abandoned
        if held and gate.state == "free":
            gate.state, gate.verdict, gate.by = "shut", Outcome("ORA-01017", "password"), target.name
        state, verdict, by = gate.state, gate.verdict, gate.by
        if state == "free":
            gate.state, gate.by = "asking", target.name
    if state == "shut" and verdict is not None:
        if held:
            raise NotTried("held", verdict, held_since=held)
        _learn(run, target, verdict)
        raise NotTried("shared", verdict, refused_for=by)
    if state == "stuck":
        raise NotTried("behind", Outcome("", ""), refused_for=by)
    if state == "free" and run.kept is not None:
        _be_alone(run, progress, gate, addresses)
    return gate


def _be_alone(run: Run, progress: Progress, gate: Gate, addresses: Sequence[Address]) -> None:
    """Wait until no other run logs in to this account, then hear what it has learnt: this password may be refused by now.

    Raises NotTried for one that is, Abandoned when the time is over. Where the other run's login hung, this one is not begun: nobody
    knows whether it counted, and the server gives no answer.
    """
    target, began = progress.target, time.monotonic()
    account = " ".join((min((address.text for address in addresses), default=target.place), target.user.upper(), target.mode))
    try:
        stuck = progress.alone.enter_context(run.kept.alone(account, lambda: progress.over or time.monotonic() >= run.until))
    except Busy:
        raise Abandoned from None
    if stuck:
        progress.alone.close()
        _now_doing(run, progress, "login")
        with run.changed:
            gate.state, gate.by = "stuck", target.name
            run.changed.notify_all()
        raise Failed(Outcome("ORA-12170", "silent", "", {"waited": round(time.monotonic() - began, 1)}))
    with run.changed:
        held = _oracle_refused.held_since(target, _refused_in(run.kept.again(), run.forgotten))
        if not held:
            return
        gate.state, gate.verdict = "shut", Outcome("ORA-01017", "password")
        run.held[target.name] = held
        run.changed.notify_all()
    progress.alone.close()
    raise NotTried("held", Outcome("ORA-01017", "password"), held_since=held)


def _after_the_gate(run: Run, progress: Progress, gate: Gate, outcome: Outcome | None) -> None:
    """Tell the others of this account how the login ended."""
    with run.changed:
        if gate.state == "open" or (gate.state == "asking" and gate.by == progress.target.name):
            _oracle_refused.passed(gate, outcome)
            run.changed.notify_all()
    _learn(run, progress.target, outcome)


def _learn(run: Run, target: Target, outcome: Outcome | None) -> None:
    """Keep for the next runs what a login said about the password."""
    name = _oracle_refused.account(target)
    if outcome is not None and outcome.code in COUNTED:
        with run.changed:
            known = run.learnt.get(name)
        if not known:
            refusal = _oracle_refused.refusal(target)
            with run.changed:
                run.learnt[name] = refusal
            if run.kept is not None:
                # Before the lock of the account goes; what cannot be kept is told at the end of the run.
                with contextlib.suppress(OSError, RemediationError):
                    run.kept.keep(lambda former: remember({"forgotten": run.forgotten, "learnt": {name: refusal}}, former))
    elif outcome is None and name in run.memory:
        with run.changed:
            run.learnt.setdefault(name, None)


def _queried(run: Run, progress: Progress, connection: Any) -> None:
    """Run the query, look at what the account may see, and give the answer."""
    try:
        with _stage(run, progress, "query") as until:
            if run.look is not None:
                # The server needs a moment to answer the break of a query, within the time of all.
                taken = run.look(connection, progress.target.query, min(until, run.until - BREAK_WITHIN))
                _answer(run, progress, {"state": "up", "taken": taken})
                return
            rows = _oracle_session.count_rows(connection, progress.target.query, until)
            done: dict[str, Any] = {"rows": rows}
    except _oracle_session.Gone:
        raise Failed(Outcome("ORA-03113", "dropped")) from None
    except _oracle_session.TooSlow as slow:
        if run.look is not None:
            raise Failed(Outcome("oracle.slow", "unfinished")) from None
        done = {"rows": slow.rows, "unfinished": True}
    with run.changed:
        progress.answer.update(done)
    _now_doing(run, progress, _FACTS)
    until = min(run.until, progress.since + run.stage_timeout)
    facts = _oracle_session.facts(connection, progress.target, until)
    _answer(run, progress, {"state": "up", "facts": facts})
