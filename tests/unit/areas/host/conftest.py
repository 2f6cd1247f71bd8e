# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of cgroups."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import cgroups


@pytest.fixture
def groups(monkeypatch, tmp_path):
    monkeypatch.setattr(cgroups, "CGROUPS", str(tmp_path))

    def write(**files):
        for name, text in files.items():
            path = tmp_path.joinpath(*name.split("__"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(path.name.replace("_of_", ".")).write_text(text)

    return write
