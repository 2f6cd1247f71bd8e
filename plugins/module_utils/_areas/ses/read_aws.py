# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon SES, IAM, STS and CloudWatch, asked at the same time within a given time; reads only, and sends no mail.

What is asked goes through one session of botocore, the library below boto3: boto3 itself would add half as long an import again for
resources and transfers that nobody uses here. Clients are made one after the other, since that is work for one processor, and the
questions of those that are made wait for the network meanwhile. A thread that hangs is left behind and ends with the child that all
of this runs in (see ``_process``). Durations are seconds unless a name ends in ``_ms``; moments are of ``time.monotonic``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from ..._core.errors import WrongQuestion
from .aws_actions import ACTIONS, BEYOND, MOST_IDENTITIES, NO_IDENTITY, SENDING, SERVICES, above, identity_arns, principal, user_of
from .aws_errors import failure, plain
from .aws_session import Access, load, resolved_key, session_of

LARGEST_PAGE = 1000
CONNECT_WITHIN = 3.0
READ_WITHIN = 4.0
ATTEMPTS = 3  # botocore's standard mode waits longer each time, with jitter
REPUTATION_HOURS = 48


@dataclass
class Run:
    """What the threads of one reading share; ``changed`` guards ``clients`` and ``answers``."""

    region: str
    endpoints: Mapping[str, str]
    access: Access
    sender: Access
    until: float
    clients: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    offsets: list[float] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    errors: Any = None
    names: list[str] | None = None
    names_left: str = ""
    on_identity: Callable[[str, Mapping[str, Any]], None] = lambda _name, _answer: None
    over: bool = False

    def client(self, name: str) -> Any:
        """Wait for a client; the exception that its making ended with is raised here."""
        with self.changed:
            self.changed.wait_for(lambda: name in self.clients, timeout=max(0.0, self.until - time.monotonic()))
            made = self.clients.get(name)
        if made is None:
            raise TimeoutError
        if isinstance(made, Exception):
            raise made
        return made

    def tell_names(self, names: list[str], left: str) -> None:
        with self.changed:
            self.names, self.names_left = names, left
            self.changed.notify_all()

    def known_names(self) -> list[str]:
        """Wait for the names of the identities; none where SES does not list them."""
        with self.changed:
            self.changed.wait_for(lambda: self.names is not None, timeout=max(0.0, self.until - time.monotonic()))
            return list(self.names or [])

    def answer(self, name: str) -> dict[str, Any]:
        """Wait for the answer to another question."""
        with self.changed:
            self.changed.wait_for(lambda: name in self.answers, timeout=max(0.0, self.until - time.monotonic()))
            return self.answers.get(name, {"state": "late"})


def ask(
    access: Access,
    sender: Access,
    region: str,
    endpoints: Mapping[str, str],
    identities: Sequence[str],
    iam_user: str,
    until: float,
    on_region: Callable[[str], None] = lambda _region: None,
    on_identity: Callable[[str, Mapping[str, Any]], None] = lambda _name, _answer: None,
) -> dict[str, Any]:
    """Ask everything; returns ``answers`` by question, ``names`` of the identities, ``offset_s``, ``key_id`` and ``asking_key_id``.

    access: what to ask with; sender: the key that sends mail (``key_id``), the same or another. endpoints: URLs by service, for tests
    and private endpoints. identities: names, none for those that SES lists; ``names_left`` says how many of these were not asked about,
    "" for none. on_region: called with the region as soon as it is known. on_identity: called with each identity's name and answer as
    soon as it is there, in the thread that asked; a service that hangs costs it nothing.
    An answer: ``state`` (ok, denied, key, expired, secret, clock, throttled, server, unreachable, failed, late; skipped, where what the
    question needs is not known; needless, where there is nothing to ask), ``action``, ``ms``, and ``data``, or ``code`` and ``said``;
    ``through`` names the domain that an identity's answer is about. offset_s: how far this clock is ahead of AWS's, None when no answer
    has told.
    Raises DriverMissing, and WrongQuestion where there is no region or no key.
    """
    botocore_session, config, exceptions = load()
    run = Run(region, endpoints, access, sender, until, errors=exceptions, on_identity=on_identity)
    session = session_of(botocore_session, access, exceptions)
    run.region = region or session.get_config_variable("region") or ""
    if not run.region:
        raise WrongQuestion(
            "region", region, "is not given, and neither the .env nor the profile has one", "give region, such as ap-southeast-1"
        )
    on_region(run.region)
    resolved = resolved_key(session, access, exceptions)
    own = sender if sender.key_id else access
    key_id = own.key_id or resolved
    threads = [_start(chain) for chain in _chains(run, identities, iam_user, key_id)]
    _make_clients(run, session, config)
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    with run.changed:
        run.over = True
        answers = dict(run.answers)
        names, left = list(run.names or []), run.names_left
        offsets = sorted(run.offsets)
    return {
        "region": run.region,
        "answers": answers,
        "names": names,
        "names_left": left,
        "offset_s": round(offsets[len(offsets) // 2], 1) if offsets else None,
        "key_id": key_id,
        "asking_key_id": resolved,
    }


def _make_clients(run: Run, session: Any, config: Any) -> None:
    """Make each client; the threads that wait for it go on at once."""
    options = config.Config(
        connect_timeout=CONNECT_WITHIN,
        read_timeout=READ_WITHIN,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=MOST_IDENTITIES,
        parameter_validation=False,
    )
    wanted = [("sender", "sts", run.sender)] if run.sender.key_id else []
    wanted += [(service, service, run.access) for service in SERVICES]
    for name, service, access in wanted:
        made: Any
        try:
            made = session.create_client(
                service,
                region_name=run.region,
                endpoint_url=run.endpoints.get(service) or None,
                config=options,
                **access.arguments(),
            )
            made.meta.events.register("needs-retry", lambda response=None, **_more: _note_time(run, response))
        except Exception as error:
            made = error
        with run.changed:
            run.clients[name] = made
            run.changed.notify_all()


def _note_time(run: Run, response: Any) -> None:
    """Compare the clock with the Date of an answer; also of one that refuses."""
    if response is None:
        return
    stamp = getattr(response[0], "headers", {}).get("Date")
    if stamp:
        try:
            offset = (datetime.now(timezone.utc) - parsedate_to_datetime(stamp)).total_seconds()
        except (TypeError, ValueError):
            return
        with run.changed:
            run.offsets.append(offset)


def _start(chain: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=chain, daemon=True)
    thread.start()
    return thread


def _chains(run: Run, identities: Sequence[str], iam_user: str, key_id: str) -> list[Callable[[], None]]:
    """Return the questions; those of one chain need the answers before them."""
    now = datetime.now(timezone.utc)

    def reputation() -> None:
        queries = [_metric(name, f"Reputation.{name}Rate") for name in ("Bounce", "Complaint")]
        begin = now - timedelta(hours=REPUTATION_HOURS)
        _ask(run, "reputation", "cloudwatch", "get_metric_data", MetricDataQueries=queries, StartTime=begin, EndTime=now)

    def named() -> None:
        chosen, left = list(dict.fromkeys(identities)), ""
        if not chosen:
            listed = _ask(run, "identity_list", "sesv2", "list_email_identities", PageSize=LARGEST_PAGE).get("data") or {}
            found = [entry["IdentityName"] for entry in listed.get("EmailIdentities", [])]
            # Domains first: they cover their addresses.
            chosen = sorted(found, key=lambda name: "@" in name)[:MOST_IDENTITIES]
            more = len(found) - len(chosen)
            left = f"{more} or more" if listed.get("NextToken") else str(more or "")
        run.tell_names(chosen, left)
        queue = iter(chosen)
        threads = [_start(lambda: _ask_identities(run, queue)) for _one in range(min(len(chosen), MOST_IDENTITIES))]
        for thread in threads:
            thread.join(max(0.0, run.until - time.monotonic()))

    def caller() -> None:
        _ask(run, "caller", "sts", "get_caller_identity")

    def sender() -> None:
        if run.sender.key_id:
            _ask(run, "sender", "sender", "get_caller_identity")

    def iam() -> None:
        used = _ask(run, "last_used", "iam", "get_access_key_last_used", AccessKeyId=key_id) if key_id else {}
        name = iam_user or (used.get("data") or {}).get("UserName") or user_of(_arn(run))
        if name:
            _ask(run, "keys", "iam", "list_access_keys", UserName=name)
        else:
            # Only users have keys that grow old.
            _leave_out(run, "keys", needless=bool(_arn(run)))

    def simulated() -> None:
        resources = identity_arns(_arn(run), run.region, run.known_names())
        _simulate(run, "simulated", SENDING, **({"ResourceArns": resources} if resources else {}))

    def rights() -> None:
        _simulate(run, "rights", BEYOND)

    return [
        caller,
        sender,
        iam,
        simulated,
        rights,
        lambda: _ask(run, "account", "sesv2", "get_account") and None,
        named,
        lambda: _ask(run, "quota", "ses", "get_send_quota") and None,
        lambda: _ask(run, "statistics", "ses", "get_send_statistics") and None,
        reputation,
    ]


def _metric(label: str, name: str) -> dict[str, Any]:
    metric = {"Namespace": "AWS/SES", "MetricName": name}
    return {"Id": label.lower(), "Label": label, "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Average"}, "ReturnData": True}


def _arn(run: Run) -> str:
    """Return the ARN of who sends."""
    answer = run.answer("sender" if run.sender.key_id else "caller")
    return str((answer.get("data") or {}).get("Arn") or "")


def _simulate(run: Run, question: str, actions: Sequence[str], **more: Any) -> None:
    """Ask whether the policies of who sends allow actions; without ResourceArns, on everything (``*``)."""
    arn = principal(_arn(run))
    if arn:
        _ask(run, question, "iam", "simulate_principal_policy", PolicySourceArn=arn, ActionNames=list(actions), **more)
    else:
        # The root of an account may do everything; a federated user has policies that cannot be simulated.
        _leave_out(run, question, needless=_arn(run).endswith(":root"))


def _ask_identities(run: Run, names: Iterator[str]) -> None:
    """Ask about one after the other until none is left; the body of several threads."""
    while True:
        with run.changed:
            name = next(names, None)
        if name is None or run.over:
            return
        _ask_identity(run, name)


def _ask_identity(run: Run, name: str) -> None:
    """Ask about an identity; where SES has none of that name, about the domains above it, whose verification covers it (``through``)."""
    answer: dict[str, Any] = {}
    for one in (name, *above(name)):
        answer = _answer(run, "identity", "sesv2", "get_email_identity", EmailIdentity=one)
        if answer.get("code") not in NO_IDENTITY:
            answer["through"] = "" if one == name else one
            break
    _keep(run, f"identity {name}", answer)
    run.on_identity(name, answer)


def _ask(run: Run, question: str, client: str, operation: str, **arguments: Any) -> dict[str, Any]:
    """Ask one question and keep its answer; never raises."""
    answer = _answer(run, question, client, operation, **arguments)
    _keep(run, question, answer)
    return answer


def _keep(run: Run, key: str, answer: dict[str, Any]) -> None:
    with run.changed:
        if not run.over:
            run.answers[key] = answer
            run.changed.notify_all()


def _answer(run: Run, question: str, client: str, operation: str, **arguments: Any) -> dict[str, Any]:
    """Return the answer to one question; never raises."""
    started = time.monotonic()
    try:
        data = getattr(run.client(client), operation)(**arguments)
        data.pop("ResponseMetadata", None)
        told: dict[str, Any] = {"state": "ok", "data": plain(data)}
    except Exception as error:
        told = failure(run.errors, (*run.access.secrets, *run.sender.secrets), error)
    return {"action": ACTIONS[question], "ms": round((time.monotonic() - started) * 1000, 1), **told}


def _leave_out(run: Run, question: str, *, needless: bool) -> None:
    """Say that a question was not asked: because there is nothing to ask, or because whom it is about is not known or not fit for it."""
    said = "" if needless else f"about {_arn(run) or 'a key whose owner nobody told'}"
    _keep(run, question, {"action": ACTIONS[question], "ms": 0.0, "state": "needless" if needless else "skipped", "code": "", "said": said})
