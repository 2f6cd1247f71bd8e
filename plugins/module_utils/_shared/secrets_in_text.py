# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the kinds of secrets in the text of a file; the secret itself is never returned.

Made for what is served to browsers (product facts: .env values never get into the frontend build). So the names are those of Tank's .env and
similar ones; a field "password" of a login form is not a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypedDict

# A placeholder is not a value.
_REAL = rb"(?![\$<{*%]|process\.|import\.meta|xxx|your|change|example|undefined|null)"
_NAME = rb"[\"']?\s{0,3}[:=]\s{0,3}"
_DB_NAME = rb"(?:oracle|logsdb|db|database|pg|postgres|mysql|mariadb|redis)_?(?:pass(?:word|wd)?|pwd)"
_AWS_NAME = rb"(?:aws|ses|smtp)_?(?:secret(?:_?access)?_?key|pass(?:word)?)|secret_?access_?key"

_QUOTED = rb"[\"'`]" + _REAL + rb"[^\"'`\s]{4,100}[\"'`]"
_BARE = _REAL + rb"[A-Za-z0-9!@#%^&*_+=/.~-]{6,100}(?=\s|$)"
_SCHEMES = rb"postgres(?:ql)?|mysql|mariadb|oracle|mongodb(?:\+srv)?|redis|amqps?"

# kind -> (words, lower case, one of which must be near; the pattern). Searching for the words first is forty times faster.
_KINDS: dict[str, tuple[tuple[bytes, ...], re.Pattern[bytes]]] = {
    "AWS access key": ((b"akia", b"asia"), re.compile(rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])")),
    "AWS secret key": (
        (b"secret", b"pass"),
        re.compile(rb"(?i)(?:" + _AWS_NAME + rb")" + _NAME + rb"[\"'`]?" + _REAL + rb"[A-Za-z0-9/+=]{30,60}(?![A-Za-z0-9/+=])"),
    ),
    "database password": (
        (b"pass", b"pwd"),
        # In a script as a quoted value; bare only as a line of an .env file.
        re.compile(rb"(?im)(?<![A-Za-z])" + _DB_NAME + _NAME + _QUOTED + rb"|^(?:export )?" + _DB_NAME + rb"=" + _BARE),
    ),
    "database address with a password": (
        (b"://",),
        re.compile(rb"(?i)\b(?:" + _SCHEMES + rb")://[^\s:/@\"'`]{1,60}:" + _REAL + rb"[^\s@/\"'`]{2,100}@"),
    ),
    "private key": ((b"private key-----",), re.compile(rb"-----BEGIN (?:[A-Z]{2,12} )?PRIVATE KEY-----")),
}
_BEFORE, _AFTER, _MOST = 64, 256, 5000  # bytes around a word that are searched; places of a word that are searched


class SecretFound(TypedDict):
    """A file that holds a secret, and the kind of the secret."""

    file: str
    kind: str


def kinds_of_secrets(data: bytes) -> list[str]:
    """Return the kinds of secrets in a text, in a fixed order."""
    lowered = data.lower()
    return [kind for kind, (words, pattern) in _KINDS.items() if _is_there(data, lowered, words, pattern)]


def _is_there(data: bytes, lowered: bytes, words: tuple[bytes, ...], pattern: re.Pattern[bytes]) -> bool:
    return any(pattern.search(data, max(0, at - _BEFORE), at + _AFTER) for word in words for at in _places(lowered, word))


def _places(data: bytes, word: bytes) -> Iterator[int]:
    """Yield the positions of a word, at most ``_MOST``."""
    at = -1
    for _number in range(_MOST):
        at = data.find(word, at + 1)
        if at < 0:
            return
        yield at
