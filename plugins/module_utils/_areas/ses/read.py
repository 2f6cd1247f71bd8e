# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reading of everything about SES: AWS, DNS and the ports, at the same time and within one limit.

Manual 1 section 7, manual 2 section 8, product facts (sending). Secrets are read on the host, by reference, and stay in the child.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..._core.errors import RemediationError, WrongQuestion
from ..._core.references import read_secret
from ..._shared import dns as _ses_dns
from . import read_aws as _ses_ask
from . import spf as _ses_spf
from .aws_session import Access
from .identity_records import wanted_records

PARAMETERS = (
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
)
LIMITS = ("timeout",)
# Names in .env, by the product's builds.
KEYS = {
    "access_key": ("AWS_ACCESS_KEY", "SES_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    "secret_key": ("AWS_SECRET_KEY", "SES_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
    "session_token": ("AWS_SESSION_TOKEN",),
    "region": ("AWS_REGION", "SES_REGION"),
    "parallel": ("MAX_PARALLEL",),
}
DEFAULT_PARALLEL = 10
REACH_WITHIN = 3.0
LEAVE = 0.4  # seconds of the whole that are kept for putting the answer together


def read(
    region: str | None = None,
    credentials_from: Mapping[str, Any] | None = None,
    sender_from: Mapping[str, Any] | None = None,
    profile: str | None = None,
    endpoint_urls: Mapping[str, str] | None = None,
    identities: Sequence[str] | None = None,
    resolver: Sequence[str] | None = None,
    smtp_endpoint: str | None = None,
    iam_user: str | None = None,
    timeout: float = 9.0,
) -> dict[str, Any]:
    """Return the answer of ``_ses_ask.ask``, with the keys' last letters only, and what else was read about sending.

    env_file, asked_with: where the key that sends and that to ask with are from. active: status and age of the first. dns: answers of
    ``_ses_dns`` by ``name type``. ports: ``api`` and ``smtp`` to {place (host:port), state, waited, said}. parallel: the worker's, by .env.
    Raises DriverMissing, NeedsUser, and WrongQuestion for credentials, a region or a resolver that lead nowhere.
    """
    until = time.monotonic() + max(1.0, timeout) - LEAVE
    endpoints = {name: url for name, url in (endpoint_urls or {}).items() if url}
    _must_be_urls(endpoints)
    access = _access("credentials_from", credentials_from, profile)
    sender = _access("sender_from", sender_from) if sender_from else Access()
    chosen = region or _named(sender_from or credentials_from, "region") or _named(credentials_from, "region")
    where = _ses_dns.servers(resolver)
    watch: dict[str, Any] = {"ports": {}, "dns": {}, "problems": []}
    early: list[threading.Thread] = []

    def on_region(found: str) -> None:
        places = _places(found, endpoints, smtp_endpoint)
        early.append(threading.Thread(target=_look_around, args=(places, where, until, watch), daemon=True))
        early[0].start()

    def on_identity(name: str, answer: Mapping[str, Any]) -> None:
        wanted = wanted_records(name, answer)
        _ask_dns(wanted, where, until, watch)
        for text in [domain for domain, kind in wanted if kind == "TXT" and not domain.startswith("_dmarc.")]:
            _follow_spf(text, where, until, watch)

    facts = _ses_ask.ask(access, sender, chosen or "", endpoints, identities or [], iam_user or "", until, on_region, on_identity)
    for problem in watch["problems"]:
        raise problem
    for thread in early:
        thread.join(max(0.0, until - time.monotonic()))
    env = sender_from or credentials_from
    active = _status_of_key(facts)
    facts["answers"].get("keys", {}).pop("data", None)  # ids of keys stay here
    return {
        **facts,
        "key_id": facts["key_id"][-4:],
        "asking_key_id": facts["asking_key_id"][-4:],
        "asked_with": (credentials_from or {}).get("env_file") or (f"the profile {profile}" if profile else ""),
        "active": active,
        "dns": dict(watch["dns"]),
        "ports": dict(watch["ports"]),
        "parallel": _number(_named(env, "parallel")) or (DEFAULT_PARALLEL if (env or {}).get("env_file") else None),
        "env_file": (env or {}).get("env_file") or "",
        "own_key": not sender.key_id,
    }


def _status_of_key(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the entry of the sending key in its user's list: ``status`` and ``created``; None where it was not told or is not there."""
    told = facts["answers"].get("keys") or {}
    for entry in (told.get("data") or {}).get("AccessKeyMetadata", []):
        if entry.get("AccessKeyId") == facts["key_id"]:
            return {"status": entry.get("Status"), "created": entry.get("CreateDate"), "user": entry.get("UserName")}
    return None


# --- credentials


def _access(name: str, reference: Mapping[str, Any] | None, profile: str | None = None) -> Access:
    """Return the key that a reference leads to; an empty one for what AWS's own places give. name: of the option, for errors."""
    if not reference or not reference.get("env_file"):
        return Access(profile=profile or "")
    place = f"{name}, env_file"  # not name.env_file: masks hide what follows such a name
    try:
        key, secret, token = (_named(reference, what) for what in ("access_key", "secret_key", "session_token"))
    except WrongQuestion as error:
        remedy = "name the .env that holds the key, as seen where the check runs"
        raise WrongQuestion(place, error.details["given"], error.details["problem"], remedy) from error
    for option, value in (("access_key", key), ("secret_key", secret)):
        if not value:
            names = reference.get(option) or " or ".join(KEYS[option][:2])
            raise WrongQuestion(place, reference["env_file"], f"holds no {names}", f"say by {option} which name holds it")
    return Access(key, secret, token)


def _named(reference: Mapping[str, Any] | None, what: str) -> str:
    """Return the value in .env that is meant, "" for none; raises NeedsUser or WrongQuestion for a file that cannot be read."""
    if not reference or not reference.get("env_file"):
        return ""
    names = (reference[what],) if reference.get(what) else KEYS[what]
    for name in names:
        try:
            return read_secret({"env_file": reference["env_file"], "key": name})
        except WrongQuestion as error:
            if error.details["option"] != "login.key":
                raise
    return ""


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() and int(text) > 0 else None


def _must_be_urls(endpoints: Mapping[str, str]) -> None:
    for name, url in endpoints.items():
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise WrongQuestion(f"endpoint_urls.{name}", url, "is no address of an endpoint", "give http(s)://host[:port]")


# --- DNS and ports


def _follow_spf(name: str, where: Sequence[tuple[str, int]], until: float, watch: dict[str, Any]) -> None:
    """Ask for what an SPF record takes in, level by level, until nothing more is named or a receiver would give up, too."""
    level, asked = [name], 0
    while True:
        told = [watch["dns"].get(f"{one} TXT") for one in level]
        level = [other for answer in told if answer for other in _ses_spf.others_in(answer["values"]) if f"{other} TXT" not in watch["dns"]]
        level = list(dict.fromkeys(level))[: _ses_spf.MOST_LOOKUPS - asked]
        if not level or watch["problems"]:
            return
        asked += len(level)
        _ask_dns([(other, "TXT") for other in level], where, until, watch)


def _ask_dns(questions: Sequence[tuple[str, str]], where: Sequence[tuple[str, int]], until: float, watch: dict[str, Any]) -> None:
    """Ask DNS and keep the answers; what goes wrong is kept, too, for this is the work of a thread."""
    try:
        watch["dns"].update(_ses_dns.ask(questions, where, until))
    except RemediationError as error:
        watch["problems"].append(error)


def _places(region: str, endpoints: Mapping[str, str], smtp_endpoint: str | None) -> dict[str, tuple[str, int]]:
    """Return what must be reachable: ``api`` at 443 (or the given endpoint), and ``smtp`` at 587 unless it is switched off ("-")."""
    parts = urlsplit(endpoints.get("ses") or f"https://email.{region}.amazonaws.com")
    found = {"api": (str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80))}
    smtp = smtp_endpoint or f"email-smtp.{region}.amazonaws.com:587"
    if smtp != "-":
        host, _colon, port = smtp.rpartition(":")
        if not host or not port.isdigit():
            raise WrongQuestion("smtp_endpoint", smtp, "is not host:port", "give host:port, or - to leave SMTP out")
        found["smtp"] = (host.strip("[]"), int(port))
    return found


def _look_around(places: Mapping[str, tuple[str, int]], where: Sequence[tuple[str, int]], until: float, watch: dict[str, Any]) -> None:
    """Look at the ports; the body of a thread."""
    threads = [threading.Thread(target=_reach, args=(role, *place, until, watch["ports"]), daemon=True) for role, place in places.items()]
    for thread in threads:
        thread.start()
    _ask_dns([], where, until, watch)  # loads the library meanwhile
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _reach(role: str, host: str, port: int, until: float, ports: dict[str, Any]) -> None:
    """Connect by TCP, to the first address that answers."""
    place, started = f"{host}:{port}", time.monotonic()
    end = min(until, started + REACH_WITHIN)
    ports[role] = {"place": place, "state": "silent", "said": "", "waited": REACH_WITHIN}
    try:
        addresses = list(dict.fromkeys(info[4] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except OSError as error:
        said = str(error.strerror or error)
        ports[role] = {"place": place, "state": "no_name", "said": said, "waited": round(time.monotonic() - started, 1)}
        return
    said = ""
    for address in addresses:
        said = _connect(address, end)
        if not said:
            ports[role] = {"place": place, "state": "open", "said": "", "waited": round(time.monotonic() - started, 2)}
            return
        if time.monotonic() >= end:
            break
    state = "silent" if said == "timed out" else "refused"
    ports[role] = {"place": place, "state": state, "said": said, "waited": round(time.monotonic() - started, 1)}


def _connect(address: tuple[Any, ...], end: float) -> str:
    """Return why a connection cannot be made, "" when it can."""
    family = socket.AF_INET6 if ":" in str(address[0]) else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as one, selectors.DefaultSelector() as selector:
        one.setblocking(False)
        code = one.connect_ex(address)
        selector.register(one, selectors.EVENT_WRITE)
        if code and not selector.select(max(0.0, end - time.monotonic())):
            return "timed out"
        code = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return os.strerror(code) if code else ""
