# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys and settings in .env that a reference names. They are read on the host and stay in the child process (manual 1 section 7)."""

from __future__ import annotations

from collections.abc import Mapping

from ..._core.errors import WrongQuestion
from ..._core.references import read_secret
from .aws_session import Access

# The names in .env that the builds of the product use.
KEYS = {
    "access_key": ("AWS_ACCESS_KEY", "SES_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    "secret_key": ("AWS_SECRET_KEY", "SES_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
    "session_token": ("AWS_SESSION_TOKEN",),
    "region": ("AWS_REGION", "SES_REGION"),
    "parallel": ("MAX_PARALLEL",),
}
Reference = Mapping[str, str]  # env_file, and by the names of KEYS the variables in it


def access_of(option: str, reference: Reference | None, profile: str | None = None) -> Access:
    """Return the key that a reference names; an empty one where AWS's default locations have it.

    option: the name of the parameter, for errors. Raises NeedsUser or WrongQuestion for a file that cannot be read or holds no key.
    """
    if not reference or not reference.get("env_file"):
        return Access(profile=profile or "")
    place = f"{option}, env_file"  # not option.env_file: masks hide what follows such a name
    try:
        key, secret, token = (value_of(reference, name) for name in ("access_key", "secret_key", "session_token"))
    except WrongQuestion as error:
        remedy = "name the .env that holds the key, as seen where the check runs"
        raise WrongQuestion(place, error.details["given"], error.details["problem"], remedy) from error
    for name, value in (("access_key", key), ("secret_key", secret)):
        if not value:
            names = reference.get(name) or " or ".join(KEYS[name][:2])
            raise WrongQuestion(place, reference["env_file"], f"holds no {names}", f"set {name} to the name that holds it")
    return Access(key, secret, token)


def value_of(reference: Reference | None, name: str) -> str:
    """Return a value in .env, "" for none. Raises NeedsUser or WrongQuestion for a file that cannot be read."""
    if not reference or not reference.get("env_file"):
        return ""
    variables = (reference[name],) if reference.get(name) else KEYS[name]
    for variable in variables:
        try:
            return read_secret({"env_file": reference["env_file"], "key": variable})
        except WrongQuestion as error:
            if error.details["option"] != "login.key":
                raise
    return ""
