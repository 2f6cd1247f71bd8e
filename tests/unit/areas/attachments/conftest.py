# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of attachments."""

from __future__ import annotations

import pytest

from . import helpers as h


@pytest.fixture
def folder(tmp_path):
    """A folder of one day with all files, whole."""
    path = tmp_path / "statement" / "20261121"
    path.mkdir(parents=True)
    for name in h.NAMES:
        h.put(path, name)
    return path
