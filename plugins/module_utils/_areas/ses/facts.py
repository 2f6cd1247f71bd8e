# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of what the source ses.facts returns, as its reader makes them and the checks use them."""

from __future__ import annotations

from typing import Any, TypedDict

from ..._shared.dns import DnsAnswer


class _Answered(TypedDict):
    state: str
    action: str


class Answer(_Answered, total=False):
    """What AWS answered to one query.

    state: ok, denied, key, expired, secret, clock, throttled, server, unreachable, failed or late; skipped, where what the query needs is
    not known; needless, where there is nothing to query.
    action: the IAM action that the query needs. ms: milliseconds that it took.
    data: the answer of AWS as boto3 documents it, with times in epoch seconds; only with the state ok.
    code and said: AWS's error code and message, masked; with every other state.
    through: the domain that the answer about an identity belongs to, "" for the identity itself.
    """

    ms: float
    data: Any
    code: str
    said: str
    through: str


class Port(TypedDict):
    """The result of one TCP connection.

    place: ``host:port``. state: open, silent, refused or no_name. said: the error of the system. waited: seconds.
    """

    place: str
    state: str
    said: str
    waited: float


class ActiveKey(TypedDict):
    """The sending key as IAM lists it. status: Active or Inactive. created: epoch seconds. user: its IAM user."""

    status: str | None
    created: float | None
    user: str | None


class AwsFacts(TypedDict):
    """What AWS answered.

    answers: by query, such as ``account`` or ``identity example.com``; what came too late is missing.
    names: the identities that were queried. names_left: how many of those that SES lists were not, "" for none.
    offset_s: seconds that this clock is ahead of AWS's, None when no answer carried a time.
    key_id and asking_key_id: the key that sends and the key that signs the queries.
    """

    region: str
    answers: dict[str, Answer]
    names: list[str]
    names_left: str
    offset_s: float | None
    key_id: str
    asking_key_id: str


class Facts(AwsFacts):
    """What the source ses.facts returns. key_id and asking_key_id hold the last four characters only.

    asked_with: where the key comes from that signs the queries. env_file: the .env of the key that sends, "" for none.
    own_key: whether both are one key. active: None where IAM does not list the sending key.
    dns: by ``name type``. ports: by ``api`` and ``smtp``. parallel: the worker's MAX_PARALLEL, None where there is no .env.
    """

    asked_with: str
    active: ActiveKey | None
    dns: dict[str, DnsAnswer]
    ports: dict[str, Port]
    parallel: int | None
    env_file: str
    own_key: bool
