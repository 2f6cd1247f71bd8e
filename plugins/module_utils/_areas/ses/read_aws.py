# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries to Amazon SES, IAM, STS and CloudWatch, all at the same time and within one time limit. They only read, and send no mail.

Clients are made one after the other, since that keeps one processor busy; the queries of finished clients wait for the network meanwhile.
A thread that hangs is left behind and ends with the child process that the source runs in (see ``_core/children.py``). Durations are seconds
unless a name ends in ``_ms``; ``until`` is a moment of ``time.monotonic``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from ..._core.errors import WrongQuestion
from .aws_actions import ACTIONS, BEYOND, MOST_IDENTITIES, NO_IDENTITY, SENDING, SERVICES, above, identity_arns, principal, user_of
from .aws_errors import failure, plain
from .aws_session import Access, load, resolved_key, session_of
from .facts import Answer, AwsFacts

LARGEST_PAGE = 1000
CONNECT_WITHIN = 3.0
READ_WITHIN = 4.0
ATTEMPTS = 3  # botocore's standard mode waits longer before each, with jitter
REPUTATION_HOURS = 48


def _ignore_region(_region: str) -> None:
    """Do nothing."""


def _ignore_identity(_name: str, _answer: Answer) -> None:
    """Do nothing."""


@dataclass
class Run:
    """What the threads of one reading share; ``changed`` guards ``clients``, ``answers``, ``names`` and ``offsets``."""

    region: str
    endpoints: dict[str, str]
    access: Access
    sender: Access
    until: float
    exceptions: Any
    on_identity: Callable[[str, Answer], None] = _ignore_identity
    clients: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    offsets: list[float] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    names: list[str] | None = None
    names_left: str = ""
    over: bool = False

    def _wait_for(self, there: Callable[[], bool]) -> None:
        self.changed.wait_for(there, timeout=max(0.0, self.until - time.monotonic()))

    def client(self, name: str) -> Any:
        """Wait for a client; raises the exception that its making ended with, or TimeoutError."""
        with self.changed:
            self._wait_for(lambda: name in self.clients)
            made = self.clients.get(name)
        if made is None:
            raise TimeoutError
        if isinstance(made, Exception):
            raise made
        return made

    def set_names(self, names: list[str], left: str) -> None:
        """Publish the names of the identities to the threads that wait for them."""
        with self.changed:
            self.names, self.names_left = names, left
            self.changed.notify_all()

    def known_names(self) -> list[str]:
        """Wait for the names of the identities; none where SES does not list them."""
        with self.changed:
            self._wait_for(lambda: self.names is not None)
            return list(self.names or [])

    def answer(self, name: str) -> Answer:
        """Wait for the answer to another query."""
        with self.changed:
            self._wait_for(lambda: name in self.answers)
            return self.answers.get(name) or {"state": "late", "action": ""}

    def keep(self, name: str, answer: Answer) -> None:
        """Keep an answer, unless the reading has ended."""
        with self.changed:
            if not self.over:
                self.answers[name] = answer
                self.changed.notify_all()


def query_aws(
    access: Access,
    sender: Access,
    region: str,
    endpoints: dict[str, str],
    identities: Sequence[str],
    iam_user: str,
    until: float,
    on_region: Callable[[str], None] = _ignore_region,
    on_identity: Callable[[str, Answer], None] = _ignore_identity,
) -> AwsFacts:
    """Make all queries and return their answers.

    access: the key that signs the queries. sender: the key that sends mail, empty where it is the same.
    endpoints: URLs by service, for private endpoints.
    identities: names, none for those that SES lists.
    on_region: called with the region as soon as it is known.
    on_identity: called with the name and the answer of each identity as soon as it arrives, in the thread of the query.
    Raises DriverMissing, and WrongQuestion where there is no region or no key.
    """
    library = load()
    run = Run(region, endpoints, access, sender, until, library.exceptions, on_identity)
    session = session_of(library, access)
    run.region = region or session.get_config_variable("region") or ""
    if not run.region:
        raise WrongQuestion(
            "region", region, "is not set, and neither the .env nor the profile has one", "set region, such as ap-southeast-1"
        )
    on_region(run.region)
    signing_id = resolved_key(session, access, library.exceptions)
    key_id = sender.key_id or access.key_id or signing_id
    threads = [_start(chain) for chain in _chains(run, identities, iam_user, key_id)]
    _make_clients(run, session, library.config)
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
        "asking_key_id": signing_id,
    }


def _make_clients(run: Run, session: Any, config: Any) -> None:
    """Make each client; the threads that wait for one continue at once."""
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
    """Compare the clock with the Date header of a response, also of an error."""
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


def _start(chain: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=chain, daemon=True)
    thread.start()
    return thread


def _chains(run: Run, identities: Sequence[str], iam_user: str, key_id: str) -> list[Callable[[], object]]:
    """Return the queries as functions that each run in a thread; within a chain, each query needs the answer before it."""

    def sender() -> None:
        if run.sender.key_id:
            _query(run, "sender", "sender", "get_caller_identity")

    def simulated() -> None:
        resources = identity_arns(_arn(run), run.region, run.known_names())
        _simulate(run, "simulated", SENDING, **({"ResourceArns": resources} if resources else {}))

    return [
        lambda: _query(run, "caller", "sts", "get_caller_identity"),
        sender,
        lambda: _query_iam(run, iam_user, key_id),
        simulated,
        lambda: _simulate(run, "rights", BEYOND),
        lambda: _query(run, "account", "sesv2", "get_account"),
        lambda: _query_names(run, identities),
        lambda: _query(run, "quota", "ses", "get_send_quota"),
        lambda: _query(run, "statistics", "ses", "get_send_statistics"),
        lambda: _query_reputation(run, datetime.now(timezone.utc)),
    ]


def _query_names(run: Run, identities: Sequence[str]) -> None:
    """Query the list of identities where none is given, then each identity."""
    chosen, left = list(dict.fromkeys(identities)), ""
    if not chosen:
        listed = _query(run, "identity_list", "sesv2", "list_email_identities", PageSize=LARGEST_PAGE).get("data") or {}
        found = [entry["IdentityName"] for entry in listed.get("EmailIdentities", [])]
        # Domains first: they cover their addresses.
        chosen = sorted(found, key=lambda name: "@" in name)[:MOST_IDENTITIES]
        more = len(found) - len(chosen)
        left = f"{more} or more" if listed.get("NextToken") else str(more or "")
    run.set_names(chosen, left)
    queue = iter(chosen)
    threads = [_start(lambda: _query_identities(run, queue)) for _one in range(min(len(chosen), MOST_IDENTITIES))]
    for thread in threads:
        thread.join(max(0.0, run.until - time.monotonic()))


def _query_iam(run: Run, iam_user: str, key_id: str) -> None:
    """Query the last use of the sending key, then the keys of its user."""
    used: Answer = {"state": "late", "action": ""}
    if key_id:
        used = _query(run, "last_used", "iam", "get_access_key_last_used", AccessKeyId=key_id)
    name = iam_user or (used.get("data") or {}).get("UserName") or user_of(_arn(run))
    if name:
        _query(run, "keys", "iam", "list_access_keys", UserName=name)
    else:
        # Only users have keys that age.
        _leave_out(run, "keys", needless=bool(_arn(run)))


def _query_reputation(run: Run, now: datetime) -> None:
    queries = [_metric(name, f"Reputation.{name}Rate") for name in ("Bounce", "Complaint")]
    begin = now - timedelta(hours=REPUTATION_HOURS)
    _query(run, "reputation", "cloudwatch", "get_metric_data", MetricDataQueries=queries, StartTime=begin, EndTime=now)


def _metric(label: str, name: str) -> dict[str, Any]:
    metric = {"Namespace": "AWS/SES", "MetricName": name}
    return {"Id": label.lower(), "Label": label, "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Average"}, "ReturnData": True}


def _arn(run: Run) -> str:
    """Wait for the ARN of the owner of the sending key."""
    answer = run.answer("sender" if run.sender.key_id else "caller")
    return str((answer.get("data") or {}).get("Arn") or "")


def _simulate(run: Run, name: str, actions: Sequence[str], **more: Any) -> None:
    """Query whether the policies of the sending key's owner allow actions; without ResourceArns, on all resources (``*``)."""
    arn = principal(_arn(run))
    if arn:
        _query(run, name, "iam", "simulate_principal_policy", PolicySourceArn=arn, ActionNames=list(actions), **more)
    else:
        # The root of an account may do everything; the policies of a federated user cannot be simulated.
        _leave_out(run, name, needless=_arn(run).endswith(":root"))


def _query_identities(run: Run, names: Iterator[str]) -> None:
    """Query one identity after the other until none is left; several threads share the names."""
    while True:
        with run.changed:
            name = next(names, None)
        if name is None or run.over:
            return
        _query_identity(run, name)


def _query_identity(run: Run, name: str) -> None:
    """Query an identity; where SES does not have it, the domains above it, whose verification covers it (``through``)."""
    for one in (name, *above(name)):
        answer = _answer(run, "identity", "sesv2", "get_email_identity", EmailIdentity=one)
        if answer.get("code") not in NO_IDENTITY:
            answer["through"] = "" if one == name else one
            break
    run.keep(f"identity {name}", answer)
    run.on_identity(name, answer)


def _query(run: Run, name: str, client: str, operation: str, **arguments: Any) -> Answer:
    """Make one query, keep its answer and return it; never raises."""
    answer = _answer(run, name, client, operation, **arguments)
    run.keep(name, answer)
    return answer


def _answer(run: Run, name: str, client: str, operation: str, **arguments: Any) -> Answer:
    """Make one query and return its answer; never raises."""
    started = time.monotonic()
    answer: Answer = {"state": "ok", "action": ACTIONS[name]}
    try:
        data = getattr(run.client(client), operation)(**arguments)
        data.pop("ResponseMetadata", None)
        answer["data"] = plain(data)
    except Exception as error:
        failed = failure(run.exceptions, (*run.access.secrets, *run.sender.secrets), error)
        answer = {"state": failed["state"], "action": ACTIONS[name], "code": failed["code"], "said": failed["said"]}
    answer["ms"] = round((time.monotonic() - started) * 1000, 1)
    return answer


def _leave_out(run: Run, name: str, *, needless: bool) -> None:
    """Keep the answer of a query that is not made: needless, or skipped because the owner of the key is unknown or does not fit it."""
    said = "" if needless else f"about {_arn(run) or 'a key whose owner is unknown'}"
    run.keep(name, {"action": ACTIONS[name], "ms": 0.0, "state": "needless" if needless else "skipped", "code": "", "said": said})
