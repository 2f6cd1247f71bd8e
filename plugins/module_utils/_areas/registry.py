# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table of areas: each with the function that returns its checks.

The imports stand in the functions, so that a run pays only for the areas that it asks; they are static, so that Ansible ships them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._core import questions
from .._core.check import Check
from .._core.questions import Question


def _pm2() -> tuple[Check, ...]:
    from .pm2.area import CHECKS

    return CHECKS


def _backend() -> tuple[Check, ...]:
    from .backend.area import CHECKS

    return CHECKS


def _worker() -> tuple[Check, ...]:
    from .worker.area import CHECKS

    return CHECKS


def _oracle() -> tuple[Check, ...]:
    from .oracle.area import CHECKS

    return CHECKS


def _nas() -> tuple[Check, ...]:
    from .nas.area import CHECKS

    return CHECKS


def _attachments() -> tuple[Check, ...]:
    from .attachments.area import CHECKS

    return CHECKS


def _ses() -> tuple[Check, ...]:
    from .ses.area import CHECKS

    return CHECKS


def _nginx() -> tuple[Check, ...]:
    from .nginx.area import CHECKS

    return CHECKS


def _web() -> tuple[Check, ...]:
    from .web.area import CHECKS

    return CHECKS


def _host() -> tuple[Check, ...]:
    from .host.area import CHECKS

    return CHECKS


def _logsdb() -> tuple[Check, ...]:
    from .logsdb.area import CHECKS

    return CHECKS


def _redis() -> tuple[Check, ...]:
    from .redis.area import CHECKS

    return CHECKS


REGISTERED: questions.Registry = {
    "pm2": _pm2,
    "backend": _backend,
    "worker": _worker,
    "oracle": _oracle,
    "nas": _nas,
    "attachments": _attachments,
    "ses": _ses,
    "nginx": _nginx,
    "web": _web,
    "host": _host,
    "logsdb": _logsdb,
    "redis": _redis,
}
# All that a finding may belong to: the areas that have checks, and the run itself.
AREAS = (*REGISTERED, "run")


def find(identifier: Any) -> Check | None:
    """Return the check with this id, or None."""
    return questions.find(identifier, REGISTERED)


def every() -> list[Check]:
    """Return all checks of all areas, for documentation and messages."""
    return questions.every(REGISTERED)


def parse(asked: Iterable[Mapping[str, Any]], validator: type) -> list[Question]:
    """Turn ``[{check, params, deadline}]`` into questions; see :func:`questions.parse`."""
    return questions.parse(asked, validator, REGISTERED)
