# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""oracle.privileges, without a server: rights that an account lacks, has too many of, or that nothing tries."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.oracle import check_privileges

from .answers import answer, found


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        ([], ["SELECT and UPDATE: none of the target's query and statements tries it"]),
        (["SELECT"], ["UPDATE: none of the target's query and statements tries it"]),
        (["SELECT", "UPDATE"], None),
    ],
)
def test_rights_that_no_statement_tries_are_named(tried, said):
    (told,) = found(answer(facts={"tried": tried}), check=check_privileges.judge)
    assert (told.status, told.evidence.get("not_asked")) == ("ok", said)
