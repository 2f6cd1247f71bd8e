# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of what is read of an Oracle target."""

from __future__ import annotations

from typing import Any, TypedDict


class SessionLimit(TypedDict):
    """A limit of the instance: ``processes`` or ``sessions``, and how much of it is used."""

    name: str
    used: int
    limit: int


class Lacking(TypedDict):
    """A statement that the account may not run."""

    statement: str
    driver_code: str


class AccountFacts(TypedDict, total=False):
    """What the account may see; None for what it may not.

    ``expires_s``: seconds until the password expires, None for never. ``warned``: the server announced that at the login.
    ``privileges``: how many there are. ``too_much``: rights that sending mail does not need. ``tried``: the kinds of Tank's own
    statements that were tried (SELECT, UPDATE, ...). ``not_asked``: what could not be read, and why.
    """

    not_asked: list[str]
    warned: bool
    expires_s: int | None
    privileges: int | None
    roles: list[str] | None
    too_much: list[str] | None
    sessions: list[SessionLimit] | None
    tried: list[str]
    lacking: list[Lacking]


class Answer(TypedDict, total=False):
    """What is known of one target; see :func:`reading.read_all`. Times of ``times`` and ``ms`` are milliseconds."""

    name: str
    place: str
    database: str
    user: str
    mode: str
    state: str
    stage: str
    times: dict[str, float]
    ms: float
    address: str
    protocol: str
    version: str
    code: str
    reason: str
    driver_code: str
    number: str
    said: str
    peer: str
    banner: str
    waited: float
    held_since: str
    refused_for: str
    client: dict[str, Any]
    error: dict[str, Any]
    rows: int
    unfinished: bool
    facts: AccountFacts
    taken: Any
    learnt: dict[str, Any]
