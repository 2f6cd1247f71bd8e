# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets show no secret."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import targets as _oracle_targets


def test_a_target_shows_no_secret():
    made = _oracle_targets.make_targets(
        [{"name": "db", "host": "h", "service": "s", "user": "u", "password": "hunter2", "wallet_password": "w8"}]
    )
    assert "hunter2" not in repr(made)
    assert "w8" not in repr(made)
    assert made[0].secrets == ("hunter2", "w8")
