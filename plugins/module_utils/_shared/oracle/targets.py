# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of an Oracle target, and the target made of them.

A target is given by host and port with a service or a SID, or by ``dsn``: an Easy Connect string, a connect descriptor, or
an alias of a tnsnames.ora in ``config_dir``. Passwords are references that are followed where the check runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..._core.errors import RemediationError, WrongQuestion
from ..._core.masking import passwords_in_logins
from ..._core.references import LOGIN_OPTIONS, read_secret

DEFAULT_QUERY = "SELECT 1 FROM DUAL"
DEFAULT_PORT = 1521
MODES = ("default", "sysdba", "sysoper", "sysbackup", "sysdg", "syskm", "sysrac")
MOST_TARGETS = 50
MOST_STATEMENTS = 20

_READS = re.compile(r"\s*(?:SELECT|WITH)\b", re.I)
_LOCKS = re.compile(r"\bFOR\s+UPDATE\b", re.I)
_IS_PARSED_ONLY = re.compile(r"\s*(?:SELECT|WITH|UPDATE|INSERT|DELETE|MERGE)\b", re.I)
TARGET_OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True, "description": "Name of this target in findings, such as customer-db."},
    "host": {"type": "str", "description": "Host of the listener, as the host that runs the check reaches it."},
    "port": {"type": "int", "default": DEFAULT_PORT, "description": "Port of the listener."},
    "protocol": {"type": "str", "default": "tcp", "choices": ["tcp", "tcps"], "description": "V(tcps) is TLS from the first byte."},
    "service": {"type": "str", "description": "Name of the service. One of service, sid and dsn is needed."},
    "sid": {"type": "str", "description": "SID of the instance."},
    "dsn": {
        "type": "str",
        "description": "Instead of host and service: an Easy Connect string, a connect descriptor, or an alias. Never with a password in it.",
    },
    "config_dir": {"type": "path", "description": "Folder with the tnsnames.ora that knows the alias in dsn, by default TNS_ADMIN."},
    "user": {"type": "str", "required": True, "description": "The account."},
    "password_from": {
        "type": "dict",
        "options": LOGIN_OPTIONS,
        "no_log": False,  # a reference, no secret
        "description": "Where the host that runs the check finds its password: {file: ...}, or {env_file: ..., key: ORACLE_PASS}.",
    },
    "mode": {"type": "str", "default": "default", "choices": list(MODES), "description": "Administrative mode of the login."},
    "query": {
        "type": "str",
        "default": DEFAULT_QUERY,
        "description": "A query whose rows are counted, 30000 at most, such as a target query of Tank.",
    },
    "statements": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "Statements that the account must be able to run, with binds as in Tank's queries. They are parsed and never run.",
    },
    "wallet_location": {"type": "path", "description": "Folder with the ewallet.pem that a TLS connection needs."},
    "wallet_password_from": {
        "type": "dict",
        "options": LOGIN_OPTIONS,
        "no_log": False,
        "description": "Where the password of ewallet.pem is found.",
    },
    "match_certificate": {
        "type": "bool",
        "default": True,
        "description": "Whether the name in the server's certificate must be the host's.",
    },
}
# Only a module takes these, never a check: the values stay in its own process.
HANDED_OPTIONS: dict[str, dict[str, Any]] = {
    "password": {"type": "str", "no_log": True, "description": "The password itself, for use from a checker with a vault."},
    "wallet_password": {"type": "str", "no_log": True, "description": "The password of ewallet.pem itself."},
}
TARGET_RULES: dict[str, Any] = {
    "mutually_exclusive": [("service", "sid", "dsn"), ("host", "dsn")],
    "required_one_of": [("service", "sid", "dsn"), ("host", "dsn")],
}
HANDED_RULES: dict[str, Any] = {
    "mutually_exclusive": [
        *TARGET_RULES["mutually_exclusive"],
        ("password", "password_from"),
        ("wallet_password", "wallet_password_from"),
    ],
    "required_one_of": TARGET_RULES["required_one_of"],
}


@dataclass(frozen=True)
class Target:
    """One database and account. A representation never shows the secrets.

    ``problem``: why it cannot be used, such as a reference to a file that does not exist or belongs to another user.
    """

    name: str
    user: str
    host: str = ""
    port: int = DEFAULT_PORT
    protocol: str = "tcp"
    service: str = ""
    sid: str = ""
    dsn: str = ""
    config_dir: str = ""
    mode: str = "default"
    query: str = DEFAULT_QUERY
    statements: tuple[str, ...] = ()
    wallet_location: str = ""
    match_certificate: bool = True
    password: str = field(default="", repr=False)
    wallet_password: str = field(default="", repr=False)
    problem: RemediationError | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """Host and port, as the check of outbound connections names them; the dsn where there is one."""
        return self.dsn or f"{self.host}:{self.port}"

    @property
    def database(self) -> str:
        """The service or SID; "" where the dsn has it."""
        return self.service or self.sid

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not appear in any text."""
        return tuple(secret for secret in (self.password, self.wallet_password) if secret)


def make_targets(given: Iterable[Mapping[str, Any]]) -> list[Target]:
    """Return the targets of validated options, their references followed.

    Raises WrongQuestion for wrong options. A reference that cannot be followed is the target's own ``problem``.
    """
    listed = list(given)
    if not listed or len(listed) > MOST_TARGETS:
        raise WrongQuestion("targets", f"{len(listed)} targets", "cannot be asked", f"give 1 to {MOST_TARGETS} of them")
    names = [str(options["name"]) for options in listed]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise WrongQuestion("targets.name", doubled[0], "stands there twice", "give each target a name of its own")
    return [_target(options) for options in listed]


def _target(options: Mapping[str, Any]) -> Target:
    name = options["name"]
    _must_be_askable(name, options)
    kept = {key: options[key] for key in ("user", "port", "protocol", "mode", "query", "match_certificate") if options.get(key) is not None}
    kept.update({key: options.get(key) or "" for key in ("host", "service", "sid", "dsn", "config_dir", "wallet_location")})
    try:
        kept["password"] = _secret(options, "password")
        kept["wallet_password"] = _secret(options, "wallet_password")
        if not kept["password"]:
            raise WrongQuestion(f"targets[{name}].password_from", None, "gives no password", "say where it is found")
    except RemediationError as error:
        kept["problem"] = error
    return Target(name=name, statements=tuple(options.get("statements") or ()), **kept)


def _secret(options: Mapping[str, Any], option: str) -> str:
    try:
        return options.get(option) or read_secret(options.get(f"{option}_from"))
    except WrongQuestion as error:
        known = dict(error.details)
        # The masking would treat "password_from.file: '/path'" as a password.
        known["option"] = known["option"].replace("login", f"{option}_from of targets[{options['name']}]", 1).replace("].", "], ", 1)
        raise WrongQuestion.from_details(known) from None


def _must_be_askable(name: str, options: Mapping[str, Any]) -> None:
    where = f"targets[{name}]"
    if passwords_in_logins(options.get("dsn") or ""):
        raise WrongQuestion(f"{where}.dsn", "(hidden)", "holds a password", "take it out and give user and password_from")
    if not options.get("dsn") and not options.get("host"):
        raise WrongQuestion(f"{where}.host", options.get("host"), "names no host", "give the host of the listener, or a dsn")
    if not 0 < (options.get("port") or DEFAULT_PORT) < 65536:
        raise WrongQuestion(f"{where}.port", options.get("port"), "is no port", "give a number from 1 to 65535")
    query = options.get("query") or DEFAULT_QUERY
    if not _READS.match(query) or _LOCKS.search(query):
        raise WrongQuestion(f"{where}.query", query[:60], "is not a plain query", "give a SELECT that locks nothing")
    statements = options.get("statements") or ()
    if len(statements) > MOST_STATEMENTS:
        raise WrongQuestion(f"{where}.statements", len(statements), "are too many", f"give {MOST_STATEMENTS} at most")
    for statement in statements:
        # A database runs DDL as soon as it parses it.
        if not _IS_PARSED_ONLY.match(statement):
            raise WrongQuestion(
                f"{where}.statements", statement[:60], "is no query and no DML", "give a SELECT, UPDATE, INSERT, DELETE or MERGE"
            )
