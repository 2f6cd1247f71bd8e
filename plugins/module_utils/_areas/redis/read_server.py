# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source redis.server: whether a Redis server answers and accepts the login, and what INFO reports. Sizes are bytes, times are seconds."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, TypedDict

from ..._core.errors import CannotRead, WrongQuestion
from ..._core.references import read_secret, scrub
from ..._core.source import Source
from ..._shared import tcp
from .resp import Conversation, Refusal

MOST_SAID = 200  # characters of the server's own words
# What is kept of INFO, by section.
WORDS = {
    "server": ("redis_version",),
    "memory": ("maxmemory_policy",),
    "persistence": ("rdb_last_bgsave_status", "aof_last_write_status"),
    "replication": ("role", "master_link_status"),
}
NUMBERS = {
    "server": ("server_time_usec",),
    "memory": ("used_memory", "maxmemory"),
    "persistence": ("loading", "loading_eta_seconds", "rdb_changes_since_last_save", "rdb_last_save_time", "aof_enabled"),
    "replication": (),
}
_WORD = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}")
# Errors that PING returns while the server lives, and the state that each means; any other one is "error".
_STATES = {
    "NOAUTH": "refused",
    "NOPERM": "refused",
    "DENIED": "refused",
    "LOADING": "loading",
    "MISCONF": "misconf",
    "MASTERDOWN": "no_answer",
}
_AUTH_CODES = ("WRONGPASS", "NOAUTH", "NOPERM", "DENIED")
# What AUTH replies in words of its own: Redis before version 6 has no codes for it.
_AUTH_WORDS = (("invalid password", "WRONGPASS"), ("without any password", "NOT_NEEDED"), ("no password is set", "NOT_NEEDED"))
_TOO_MANY = "max number of clients"


class Facts(TypedDict):
    """What the reader returns.

    state: ``up`` ``no_answer`` ``refused`` ``loading`` ``misconf`` (up, but it refuses writes). reason: of no_answer, those of
    :class:`tcp.NotConnected` and ``silent`` ``closed`` ``tls`` ``too_many`` ``MASTERDOWN`` ``BUSY`` ``error``; of refused, the code of
    the server, or ``NOT_NEEDED`` for a password that the server does not ask for. said: the system's or the server's words.
    words, numbers: of INFO, without what is missing. save_age: seconds since the last save. not_asked: sections that the account may not see.
    """

    place: str
    state: str
    reason: str
    said: str
    words: dict[str, str]
    numbers: dict[str, int]
    save_age: int | None
    not_asked: list[str]


def read_server(
    host: str,
    port: int,
    user: str | None = None,
    login: Mapping[str, Any] | None = None,
    tls: bool = False,
    ca_file: str | None = None,
    timeout: float = 5.0,
) -> Facts:
    """Return what a server answers over one connection, all within ``timeout`` seconds; see the check's PARAMETERS.

    Redis locks no account, however often a password is refused. So a refused one is tried again in each run, and nothing is kept of it.
    Raises CannotRead for what is no answer of Redis, and WrongQuestion or NeedsUser for parameters and references.
    """
    if not 0 < port < 65536:
        raise WrongQuestion("port", port, "is no port", "give a number from 1 to 65535")
    secret = read_secret(login)
    context = _context(ca_file) if tls else None
    until = time.monotonic() + timeout
    place = f"{host}:{port}"
    facts: Facts = {
        "place": place,
        "state": "up",
        "reason": "",
        "said": "",
        "words": {},
        "numbers": {},
        "save_age": None,
        "not_asked": [],
    }
    try:
        connection, _address = tcp.connect(host, port, until)
    except tcp.NotConnected as error:
        return {**facts, "state": "no_answer", "reason": error.state, "said": error.detail}
    with connection:
        try:
            if context is None:
                _talk(Conversation(connection, place, until), user, secret, facts)
            else:
                with context.wrap_socket(connection, server_hostname=host) as wrapped:
                    _talk(Conversation(wrapped, place, until), user, secret, facts)
        except socket.timeout:
            _is(facts, "no_answer", "silent")
        except ssl.SSLError as error:
            _is(facts, "no_answer", "tls", getattr(error, "verify_message", "") or error.reason or str(error))
        except EOFError:
            _is(facts, "no_answer", "closed")
        except OSError as error:
            _is(facts, "no_answer", "closed", error.strerror or str(error))
    return facts


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise WrongQuestion(
            "ca_file", ca_file, f"cannot be read ({error.strerror or error})", "give a file with CA certificates"
        ) from error


def _talk(server: Conversation, user: str | None, secret: str, facts: Facts) -> None:
    """Log in, ask for a sign of life and for INFO, and keep the answers in ``facts``."""
    if user or secret:
        try:
            server.ask("AUTH", *([user] if user else []), secret)
        except Refusal as refusal:
            # Its own words are not kept: a server that does not know AUTH repeats the beginning of the password.
            given = refusal.code if refusal.code in _AUTH_CODES else "ERR"
            known = next((code for words, code in _AUTH_WORDS if words in refusal.text), given)
            _is(facts, *(("no_answer", "too_many") if _TOO_MANY in refusal.text else ("refused", known)))
            return
    try:
        answer = server.ask("PING")
        if answer != "PONG":
            raise CannotRead(f"{facts['place']} answers PING with {_short(scrub(answer, secret))!r}: this is no Redis server")
    except Refusal as refusal:
        state = _STATES.get(refusal.code, "no_answer")
        known = refusal.code if refusal.code in (*_STATES, "BUSY") else "too_many" if _TOO_MANY in refusal.text else "error"
        _is(facts, state, known, scrub(refusal.text, secret))
    if facts["state"] in ("up", "loading", "misconf"):
        # One by one: Redis before version 7 takes no more than one section, and an account may be allowed to see some of them.
        for section in WORDS:
            try:
                _keep(server.ask("INFO", section), section, facts)
            except Refusal as refusal:
                facts["not_asked"].append(f"INFO {section}: {_short(scrub(refusal.code, secret))}")
        numbers = facts["numbers"]
        if numbers.get("loading"):
            facts["state"] = "loading"
        if numbers.get("rdb_last_save_time"):
            now = numbers["server_time_usec"] // 1_000_000 if numbers.get("server_time_usec") else int(time.time())
            facts["save_age"] = max(0, now - numbers["rdb_last_save_time"])


def _keep(text: str, section: str, facts: Facts) -> None:
    """Keep what is wanted of a section; raises CannotRead for a value that is none."""
    given = dict(line.strip().partition(":")[::2] for line in text.split("\n") if ":" in line)
    for names, form in ((WORDS[section], _WORD), (NUMBERS[section], _NUMBER)):
        for name in names:
            if name in given and not form.fullmatch(given[name]):
                raise CannotRead(f"{facts['place']}: INFO {section} has no usable {name}: {given[name][:40]!r}")
    facts["words"].update({name: given[name] for name in WORDS[section] if name in given})
    facts["numbers"].update({name: int(given[name]) for name in NUMBERS[section] if name in given})


def _is(facts: Facts, state: str, reason: str, said: str = "") -> None:
    facts["state"], facts["reason"], facts["said"] = state, reason, _short(said)


def _short(text: str) -> str:
    return " ".join(text.split())[:MOST_SAID]


SERVER = Source("redis.server", read_server, ("host", "port", "user", "login", "tls", "ca_file", "timeout"), limits=("timeout",))
