# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The product's targets for queries, and kinds of statements."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import session as _oracle_session


@pytest.mark.parametrize(("rows", "seconds"), [(0, 1.0), (1000, 1.0), (1001, 3.0), (10_000, 3.0), (10_001, 8.0), (30_000, 8.0)])
def test_the_products_targets(rows, seconds):
    assert _oracle_session.product_target(rows) == seconds


@pytest.mark.parametrize(
    ("statements", "kinds"),
    [
        ([], []),
        (["update T set A = 1", "\n SELECT 1 FROM T"], ["SELECT", "UPDATE"]),
        (["WITH x AS (SELECT 1 FROM T) SELECT * FROM x", "MERGE INTO T USING S ON (1 = 1)"], ["SELECT", "UPDATE"]),
    ],
)
def test_kinds_of_statements(statements, kinds):
    assert _oracle_session._kinds(statements) == kinds
