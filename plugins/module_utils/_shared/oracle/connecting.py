# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of a target up to its login: name, tcp, listener, then the login itself, once for each account and password."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from ..._core.errors import Busy
from .. import tcp
from . import client, probe, refused
from .gates import Gate, passed, stuck
from .outcome import COUNTED, Outcome
from .probe import STRANGERS
from .progress import WAITS, Abandoned, Failed, NotTried, Progress, Run, begin, stage
from .targets import Target


def connected(run: Run, progress: Progress) -> Any:
    """Return the connection of a target. Raises Failed, NotTried, Abandoned, and the target's own problem."""
    target = progress.target
    if target.problem is not None:
        raise target.problem
    if run.driver.problem:
        more = {key: value for key, value in run.driver.problem.items() if key not in ("driver_code", "said")}
        said = {"said": run.driver.problem["said"], "client": more}
        raise Failed(Outcome("oracle.instant_client_missing", "not_loaded", run.driver.problem["driver_code"], said))
    with stage(run, progress, "name"):
        parameters = client.parameters(run.driver, target)
        places, protocol = client.places(parameters)
        if target.dsn and places:
            with run.changed:
                progress.answer["place"] = f"{places[0][0]}:{places[0][1]}"
        addresses = probe.resolve(places)
        # The driver tries the addresses one after the other; a dead one must leave time for the next.
        parameters.set(tcp_connect_timeout=run.stage_timeout / (len(addresses) + 1))
    if protocol != "tcp":
        with run.changed:
            progress.answer["protocol"] = protocol
    with stage(run, progress, "tcp") as until:
        connection, address = tcp.connect_to(addresses, until, first_failure=True)
    with run.changed:
        progress.answer["address"] = address.place
    with stage(run, progress, "listener") as until:
        peer, banner = probe.look_at(connection, tls=protocol == "tcps", until=until)
        if peer == probe.CLOSED and protocol == "tcp" and probe.speaks_tls(address, until):
            peer = probe.TLS
        _must_be_a_listener(run, peer, banner)
    gate = _pass_the_gate(run, progress, addresses)
    with progress.alone:
        return _login(run, progress, parameters, gate)


def _must_be_a_listener(run: Run, peer: str, banner: str) -> None:
    """Raise Failed for a peer that is none. One that closed may be a gateway that drops pings: the driver decides."""
    if peer in STRANGERS:
        raise Failed(Outcome("ORA-12537", "stranger", "", {"peer": peer, "banner": banner if peer != "tls" else ""}))
    if peer == probe.SILENT:
        raise Failed(Outcome("ORA-12170", "silent", "", {"waited": round(run.stage_timeout, 1)}))


def _login(run: Run, progress: Progress, parameters: Any, gate: Gate) -> Any:
    target = progress.target
    try:
        with stage(run, progress, "login"):
            connection = client.connect(run.driver, target, parameters)
    except Failed as failure:
        _note_where_it_ended(run, progress, failure.outcome.ended)
        _after_the_gate(run, progress, gate, failure.outcome)
        raise
    except Exception:
        stuck(run.changed, gate)
        raise
    _after_the_gate(run, progress, gate, None)
    with run.changed:
        if progress.over:  # the login was good, but too late
            with contextlib.suppress(Exception):
                connection.close()
            raise Abandoned
        progress.answer["version"] = str(getattr(connection, "version", "") or "")
    return connection


def _note_where_it_ended(run: Run, progress: Progress, name: str) -> None:
    """Name the stage that ended a login, where the listener ended it before the account was checked."""
    with run.changed:
        times = progress.answer["times"]
        if name != "login" and not progress.over and "login" in times:
            progress.answer["stage"] = name
            times[name] = round(times.get(name, 0.0) + times.pop("login"), 1)


def _pass_the_gate(run: Run, progress: Progress, addresses: Sequence[tcp.Address]) -> Gate:
    """Wait until this account may be tried; return its gate. Raises NotTried when its password was refused, now or in an earlier run."""
    begin(run, progress, WAITS)
    target = progress.target
    held = run.held.get(target.name, "")
    with run.changed:
        gate = progress.gate = run.gates.of(target, (address.place for address in addresses))
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
    if state == "free" and run.refusals.shared:
        _be_alone(run, progress, gate, addresses)
    return gate


def _be_alone(run: Run, progress: Progress, gate: Gate, addresses: Sequence[tcp.Address]) -> None:
    """Wait until no other run logs in to this account, then read what it learnt: this password may be refused by now.

    Raises NotTried for a refused password, Abandoned when the time is over. Raises Failed where the other run's login hung: that
    login may have counted as a wrong password, and the server does not answer.
    """
    target, began = progress.target, time.monotonic()
    account = " ".join((min((address.place for address in addresses), default=target.place), target.user.upper(), target.mode))
    try:
        hung = progress.alone.enter_context(run.refusals.alone(account, lambda: progress.over or time.monotonic() >= run.until))
    except Busy:
        raise Abandoned from None
    if hung:
        progress.alone.close()
        begin(run, progress, "login")
        with run.changed:
            gate.state, gate.by = "stuck", target.name
            run.changed.notify_all()
        raise Failed(Outcome("ORA-12170", "silent", "", {"waited": round(time.monotonic() - began, 1)}))
    with run.changed:
        held = refused.held_since(target, run.refusals.again())
        if not held:
            return
        gate.state, gate.verdict = "shut", Outcome("ORA-01017", "password")
        run.held[target.name] = held
        run.changed.notify_all()
    progress.alone.close()
    raise NotTried("held", Outcome("ORA-01017", "password"), held_since=held)


def _after_the_gate(run: Run, progress: Progress, gate: Gate, outcome: Outcome | None) -> None:
    """Let the other targets with this account know how the login ended."""
    with run.changed:
        if gate.state == "open" or (gate.state == "asking" and gate.by == progress.target.name):
            passed(gate, outcome)
            run.changed.notify_all()
    _learn(run, progress.target, outcome)


def _learn(run: Run, target: Target, outcome: Outcome | None) -> None:
    """Keep for other runs what a login showed about the password, before the lock of the account goes."""
    name = refused.account(target)
    if outcome is not None and outcome.code in COUNTED:
        with run.changed:
            known = run.learnt.get(name)
        if not known:
            refusal = refused.refusal(target)
            with run.changed:
                run.learnt[name] = refusal
            run.refusals.keep(lambda former: refused.remember({name: refusal}, former, run.refusals.forgotten))
    elif outcome is None and name in run.refusals.known:
        with run.changed:
            run.learnt.setdefault(name, None)
