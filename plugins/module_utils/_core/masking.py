# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hide personal data and secrets in any text before it leaves a host.

Masks follow the product's rules (tank-product-facts, LogsDB): ``hong@test.com`` becomes ``h***@test.com``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

HIDDEN = "********"

_WORDS = r"pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|api[_-]?key|access[_-]?key|[_-]key|비밀번호|암호|패스워드"
_QUOTED = r"\\?\"(?:\\.|[^\"\\]){0,400}\"|'(?:\\.|''|[^'\\]){0,400}'"
# What stands in front of a piece of a path: /var/lib/tank-, nas-01:/mti/report-, //nas-01/mti-, s3://reports-; no other address.
_BEFORE = 400  # characters that are looked at
_IN_A_PATH = re.compile(r"(?:^|[\s\"'=,;()\[\]{}<>|])(?:(?:[\w.-]{1,100}:)?/(?!/)|s3://|//)[^\s\"'=,;:()\[\]{}<>|]*\Z")
_LOGIN_IN_DSN = re.compile(r"^[^@()]*/(?P<secret>[^@()]+)@")
_SECRET_IN_DSN = re.compile(r"(?:password|passwd|pwd)\w*\s*=\s*(?P<secret>[^()&\s]+)", re.I)


def _unless_a_path(match: re.Match[str]) -> str:
    """Hide what looks like a key, unless it is folders within a path: these are long, mixed and have slashes too."""
    before = match.string[max(0, match.start() - _BEFORE) : match.start()]
    return match.group() if "/" in match.group() and _IN_A_PATH.search(before) else HIDDEN


_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.S), HIDDEN),
    # Whole headers: what follows the scheme, and every cookie.
    (re.compile(r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)\b([\"']?\s{0,3}[:=]\s{0,3}|\s)[^\r\n]+", re.I), rf"\1\2{HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}", re.I), rf"\1 {HIDDEN}"),
    (re.compile(r"\b(?:AKIA|ASIA|AIDA|AROA)[A-Z0-9]{12,}"), HIDDEN),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|xox[abprs]-|glpat-|sk-)[A-Za-z0-9_-]{10,}"), HIDDEN),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]+)?"), HIDDEN),
    # scheme://user:password@host, also where the password holds / or @
    (re.compile(r"([a-z][a-z0-9+.-]{1,20}://[^/\s:@]{0,100}):[^\s\"'<>]{1,200}@", re.I), rf"\1:{HIDDEN}@"),
    # Oracle's user/password@database; foo/bar@1.2.3 is a package
    (re.compile(r"(?<![\w/.@])([A-Za-z][\w$#]{0,30})/[^\s/@\"']{1,64}@(?=//|[A-Za-z_]|\d+\.\d+\.\d+\.\d)"), rf"\1/{HIDDEN}@"),
    # name = value, "name": "value", name: value
    (
        re.compile(rf"((?:{_WORDS})[\w.-]{{0,20}}\\?[\"']?\s{{0,3}}[=:]\s{{0,3}})(?:{_QUOTED}|[^\s\"']+)", re.I),
        rf"\1{HIDDEN}",
    ),
    # "password hunter2", "--password hunter2", "password is hunter2": a word with a digit in it, so that plain sentences stay
    (
        re.compile(
            rf"((?:{_WORDS})[\"']?(?:,|\s+(?:is|was|to))?\s{{0,3}}[\s,])(?=[^\s\"']{{0,60}}\d)(?:{_QUOTED}|[^\s\"']{{6,200}})", re.I
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"((?:{_WORDS})\s{{1,3}})(?:{_QUOTED})", re.I), rf"\1{HIDDEN}"),
    (re.compile(rf"\b(identified\s+by\s+)(?:{_QUOTED}|\S+)", re.I), rf"\1{HIDDEN}"),
    # Keys of AWS and passwords of SES: 40 to 64 letters of base64, mixed
    (
        re.compile(
            r"(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]{0,63}[0-9+/])(?=[A-Za-z0-9/+]{0,63}[A-Z])(?=[A-Za-z0-9/+]{0,63}[a-z])(?!/)"
            r"[A-Za-z0-9+/]{40,64}(?![A-Za-z0-9/+])"
        ),
        _unless_a_path,
    ),
    (re.compile(r"(?<![\w.%+-])(\w)[\w.%+-]{0,64}@([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,6}\.[A-Za-z]{2,20})"), r"\1***@\2"),
)
# An address with a password in it, also one with / or @ as they are typed; a port is no password (http://127.0.0.1:3000/@app).
_PASSWORD_IN_URL = re.compile(r"://[^/\s:]{0,100}:(?P<secret>(?!\d{1,5}(?:[/?#]|$))[^\s\"'<>]{1,200})@")
_SECRET_NAME = re.compile(rf"(?:{_WORDS}|authorization|cookie|^key$)", re.I)
_REFERENCE_NAME = re.compile(r"[_-](?:file|path|name|age|days|id|source)$", re.I)
_OPERATING_SYSTEM_COMMAND = re.compile(r"\x1b\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)?")
_CONTROLS = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def is_secret_name(name: str) -> bool:
    """Whether a name (of an option, a variable) says that its value is a secret; ``credentials_from`` says where to find one."""
    return bool(_SECRET_NAME.search(name)) and not name.endswith("_from")


def passwords_in_urls(text: str) -> list[str]:
    """Return the passwords that stand in the addresses within a text: ``pw`` of ``scheme://user:pw@host``."""
    return [match.group("secret") for match in _PASSWORD_IN_URL.finditer(text)]


def passwords_in_logins(place: str) -> list[str]:
    """Return the passwords that stand in the name of a database: ``tiger`` of ``scott/tiger@db``, those of a connect descriptor."""
    return [match.group("secret") for pattern in (_LOGIN_IN_DSN, _SECRET_IN_DSN) for match in pattern.finditer(place or "")]


def strip_ansi(text: str) -> str:
    """Remove colours, control characters and marks that turn the writing round (tabs and newlines stay)."""
    return _CONTROLS.sub("", _OPERATING_SYSTEM_COMMAND.sub("", text))


def mask(text: str, limit: int = 400) -> str:
    """Return a text without colours, secrets and personal data, at most ``limit`` characters long."""
    text = strip_ansi(text[: limit * 4])
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def mask_all(value: Any) -> Any:
    """Mask every text in a nest of dictionaries and lists; what a secret's name holds is hidden whole."""
    if isinstance(value, str):
        return mask(value, limit=2000)
    if isinstance(value, dict):
        return {str(key): HIDDEN if _names_a_secret(key, item) else mask_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_all(item) for item in value]
    return value


def _names_a_secret(key: Any, value: Any) -> bool:
    return isinstance(key, str) and isinstance(value, str) and value != "" and is_secret_name(key) and not _REFERENCE_NAME.search(key)
