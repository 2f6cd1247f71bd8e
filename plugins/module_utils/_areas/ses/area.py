# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area ses: its source and its checks (manual 1 section 7, manual 2 section 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding
from ..._core.source import Asked, Source
from . import answers as _ses_told
from . import check_account, check_quota, check_reach, check_reputation
from . import check_identities as _ses_identities
from . import check_key as _ses_key
from . import parameters as _ses_options
from . import read as _ses

FACTS = Source(_ses_told.FACTS, _ses.read, _ses.PARAMETERS, limits=_ses.LIMITS)


def _of_aws(identifier: str, question: str, function: Callable[[Asked], list[Finding]], parameters: Mapping[str, Any]) -> Check:
    """Return a check of the one reading that asks AWS."""
    return Check(identifier, question, function, (FACTS,), parameters, driver="boto3")


CHECKS = (
    _of_aws("ses.reach", "Can the API and SMTP of SES be reached?", check_reach.reach, _ses_options.READING_PARAMETERS),
    _of_aws("ses.key", "Is the key taken, may it send and no more, and is it young enough?", _ses_key.key, _ses_options.KEY_PARAMETERS),
    _of_aws("ses.account", "Does AWS let this account send?", check_account.account, _ses_options.READING_PARAMETERS),
    _of_aws(
        "ses.quota",
        "How much of quota and send rate is used, and when does the quota run out?",
        check_quota.quota,
        _ses_options.QUOTA_PARAMETERS,
    ),
    _of_aws(
        "ses.reputation",
        "Are bounces, complaints and rejects low, and not rising?",
        check_reputation.reputation,
        _ses_options.REPUTATION_PARAMETERS,
    ),
    _of_aws(
        "ses.identities",
        "Are the identities verified, and does DNS have their records?",
        _ses_identities.identities,
        _ses_options.READING_PARAMETERS,
    ),
)
