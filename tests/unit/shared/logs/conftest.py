# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log that the tests write to."""

from __future__ import annotations

import pytest


@pytest.fixture
def log(tmp_path):
    return tmp_path / "worker-error.log"
