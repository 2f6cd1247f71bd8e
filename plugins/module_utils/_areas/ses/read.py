# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source ses.facts: AWS, DNS and the ports, read at the same time and within one time limit.

Manual 1 section 7, manual 2 section 8, product facts (sending). ``until`` is a moment of ``time.monotonic``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..._core.errors import RemediationError, WrongQuestion
from ..._core.source import Source
from ..._shared import dns
from ..._shared.dns import DnsAnswer
from . import spf
from .aws_session import Access
from .credentials import Reference, access_of, value_of
from .facts import ActiveKey, Answer, AwsFacts, Facts, Port
from .identity_records import wanted_records
from .read_aws import query_aws
from .read_ports import places, reach

DEFAULT_PARALLEL = 10
RESERVE = 0.4  # seconds of the time limit that are kept for returning the answer


@dataclass
class _Network:
    """What the threads read beside AWS. resolvers: address and port. problems: errors that a thread raised."""

    resolvers: Sequence[tuple[str, int]]
    until: float
    ports: dict[str, Port] = field(default_factory=dict)
    dns: dict[str, DnsAnswer] = field(default_factory=dict)
    problems: list[RemediationError] = field(default_factory=list)


def read(
    region: str | None = None,
    credentials_from: Reference | None = None,
    sender_from: Reference | None = None,
    profile: str | None = None,
    endpoint_urls: Mapping[str, str] | None = None,
    identities: Sequence[str] | None = None,
    resolver: Sequence[str] | None = None,
    smtp_endpoint: str | None = None,
    iam_user: str | None = None,
    timeout: float = 9.0,
) -> Facts:
    """Return all facts about sending within ``timeout`` seconds; what came too late is missing.

    Raises DriverMissing, NeedsUser, and WrongQuestion for credentials, a region, an endpoint or a resolver that cannot be used.
    """
    until = time.monotonic() + max(1.0, timeout) - RESERVE
    endpoints = {name: url for name, url in (endpoint_urls or {}).items() if url}
    _must_be_urls(endpoints)
    access = access_of("credentials_from", credentials_from, profile)
    sender = access_of("sender_from", sender_from) if sender_from else Access()
    chosen = region or value_of(sender_from or credentials_from, "region") or value_of(credentials_from, "region")
    network = _Network(dns.servers(resolver), until)
    early: list[threading.Thread] = []

    def on_region(found: str) -> None:
        wanted = places(found, endpoints, smtp_endpoint)
        early.append(threading.Thread(target=_read_ports, args=(wanted, network), daemon=True))
        early[0].start()

    def on_identity(name: str, answer: Answer) -> None:
        wanted = wanted_records(name, answer)
        _read_dns(wanted, network)
        for domain in [domain for domain, kind in wanted if kind == "TXT" and not domain.startswith("_dmarc.")]:
            _follow_spf(domain, network)

    facts = query_aws(access, sender, chosen or "", endpoints, identities or [], iam_user or "", until, on_region, on_identity)
    for problem in network.problems:
        raise problem
    for thread in early:
        thread.join(max(0.0, until - time.monotonic()))
    env = sender_from or credentials_from or {}
    active = _active_key(facts)
    if "keys" in facts["answers"]:
        facts["answers"]["keys"].pop("data", None)  # key ids do not leave the child process
    return {
        "region": facts["region"],
        "answers": facts["answers"],
        "names": facts["names"],
        "names_left": facts["names_left"],
        "offset_s": facts["offset_s"],
        "key_id": facts["key_id"][-4:],
        "asking_key_id": facts["asking_key_id"][-4:],
        "asked_with": (credentials_from or {}).get("env_file") or (f"the profile {profile}" if profile else ""),
        "active": active,
        "dns": dict(network.dns),
        "ports": dict(network.ports),
        "parallel": _number(value_of(env, "parallel")) or (DEFAULT_PARALLEL if env.get("env_file") else None),
        "env_file": env.get("env_file") or "",
        "own_key": not sender.key_id,
    }


FACTS = Source(
    "ses.facts",
    read,
    (
        "region",
        "credentials_from",
        "sender_from",
        "profile",
        "endpoint_urls",
        "identities",
        "resolver",
        "smtp_endpoint",
        "iam_user",
        "timeout",
    ),
    limits=("timeout",),
)


def _active_key(facts: AwsFacts) -> ActiveKey | None:
    """Return the sending key in the list of its user's keys, None where IAM did not return it."""
    answer = facts["answers"].get("keys")
    for entry in ((answer.get("data") if answer else None) or {}).get("AccessKeyMetadata", []):
        if entry.get("AccessKeyId") == facts["key_id"]:
            return {"status": entry.get("Status"), "created": entry.get("CreateDate"), "user": entry.get("UserName")}
    return None


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() and int(text) > 0 else None


def _must_be_urls(endpoints: Mapping[str, str]) -> None:
    for name, url in endpoints.items():
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise WrongQuestion(f"endpoint_urls.{name}", url, "is not the URL of an endpoint", "set http(s)://host[:port]")


def _read_ports(wanted: Mapping[str, tuple[str, int]], network: _Network) -> None:
    """Connect to the ports at the same time; runs in a thread."""
    threads = [
        threading.Thread(target=reach, args=(role, *place, network.until, network.ports), daemon=True) for role, place in wanted.items()
    ]
    for thread in threads:
        thread.start()
    _read_dns([], network)  # imports dnspython meanwhile
    for thread in threads:
        thread.join(max(0.0, network.until - time.monotonic()))


def _read_dns(records: Sequence[tuple[str, str]], network: _Network) -> None:
    """Resolve records and keep the answers; keeps errors too, since this runs in a thread."""
    try:
        network.dns.update(dns.resolve(records, network.resolvers, network.until))
    except RemediationError as error:
        network.problems.append(error)


def _follow_spf(name: str, network: _Network) -> None:
    """Resolve the records that an SPF record includes, level by level, up to the number at which a receiver stops."""
    level, resolved = [name], 0
    while True:
        answers = [network.dns.get(f"{one} TXT") for one in level]
        level = [other for answer in answers if answer for other in spf.others_in(answer["values"]) if f"{other} TXT" not in network.dns]
        level = list(dict.fromkeys(level))[: spf.MOST_LOOKUPS - resolved]
        if not level or network.problems:
            return
        resolved += len(level)
        _read_dns([(other, "TXT") for other in level], network)
