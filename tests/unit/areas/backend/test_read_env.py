# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access rights of .env, read."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.backend import read_env
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, NeedsUser


def test_an_env_that_is_no_file_or_out_of_sight(tmp_path, monkeypatch):
    with pytest.raises(CannotRead):
        read_env.read_env_file(str(tmp_path))

    def refuse(_path):
        raise PermissionError(13, "no")

    monkeypatch.setattr(read_env.os, "stat", refuse)
    with pytest.raises(NeedsUser):
        read_env.read_env_file("/x/.env")
