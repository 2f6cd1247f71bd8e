# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""References to secrets, followed where the check runs; the secret itself is never a parameter and never in a message."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from .children import user_name
from .errors import NeedsUser, WrongQuestion
from .masking import HIDDEN

LOGIN_OPTIONS: dict[str, dict[str, Any]] = {
    "file": {"type": "path", "description": "A file that holds the password and nothing else."},
    "env_file": {"type": "path", "description": "A file of NAME=value lines, such as config/.env."},
    "key": {"type": "str", "no_log": False, "description": "The name in that file whose value is the password, such as LOGSDB_PASS."},
}
MAX_SECRET = 4096  # bytes of a password file
MAX_ENV_FILE = 1024 * 1024
_ROUNDS = 200_000
_REMEDY = "give {file: ...}, or {env_file: ..., key: ...}"


def read_secret(login: Mapping[str, Any] | None) -> str:
    """Return the password that ``{file}`` or ``{env_file, key}`` refers to, "" for no reference at all.

    Raises WrongQuestion for a reference that is incomplete, leads to nothing or to an empty value, and NeedsUser for
    a file that only another user may read.
    """
    given = {name: value for name, value in (login or {}).items() if value}
    if not given:
        return ""
    if set(given) == {"file"}:
        text = _content("login.file", given["file"], MAX_SECRET).rstrip("\r\n")
        if not text:
            raise WrongQuestion("login.file", given["file"], "is empty", "put the password into it")
        return text
    if set(given) == {"env_file", "key"}:
        return _value(given["env_file"], given["key"])
    raise WrongQuestion("login", sorted(given), "is no whole reference", _REMEDY)


def _value(path: str, key: str) -> str:
    found = ""
    for line in _content("login.env_file", path, MAX_ENV_FILE).splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.strip().removeprefix("export ").strip() == key:
            found = _unquoted(value.strip())
    if not found:
        raise WrongQuestion("login.key", key, f"has no value in {path}", "give the name of a variable in that file")
    return found


def _unquoted(value: str) -> str:
    """Return a value as dotenv reads it: quotes go, a comment behind an unquoted value goes."""
    match = re.match(r"""^(["'`])(.*)\1\s*(?:#.*)?$""", value)
    return match.group(2) if match else re.split(r"\s+#", value, maxsplit=1)[0].strip()


def _content(option: str, path: str, limit: int) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        keeper = keeper_of(path)
        raise NeedsUser(keeper, f"{path} belongs to {keeper} and the run is {user_name(os.geteuid())}") from error
    except (OSError, ValueError) as error:
        raise WrongQuestion(option, path, "cannot be read where the check runs", _REMEDY) from error
    try:
        data = os.read(descriptor, limit + 1)
    except OSError as error:
        raise WrongQuestion(option, path, "cannot be read as a file", _REMEDY) from error
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise WrongQuestion(option, path, f"has more than {limit} bytes", _REMEDY)
    return data.decode("utf-8", "replace")


def keeper_of(path: str) -> str:
    """Return the owner of a path, or of the nearest folder above it that can be seen."""
    while True:
        try:
            return user_name(os.stat(path).st_uid)
        except PermissionError:
            path = os.path.dirname(path) or "/"
        except OSError:
            return "root"


def scrub(text: str, secret: str) -> str:
    """Return a text without a secret, however it is spelt there: drivers put whole connection strings into errors."""
    if not secret:
        return text
    spellings = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], secret.encode().hex()}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, HIDDEN)
    return text


def fingerprint(salt: str, *parts: str) -> str:
    """Return what tells one set of credentials from another and does not give the password away. salt: hexadecimal."""
    return hashlib.pbkdf2_hmac("sha256", "\0".join(parts).encode(), bytes.fromhex(salt), _ROUNDS).hex()
