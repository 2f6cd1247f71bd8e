# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of the area pm2."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue


@pytest.mark.parametrize("code", [code for code in FAULTS if code.startswith("pm2.")])
def test_texts_survive_missing_evidence(code):
    bare = {"code": code, "subject": "worker", "host": "tank-app", "evidence": {}, "value": 7, "threshold": 5, "unit": "x"}
    for language, parts in faults_catalogue.render(bare).items():
        assert all(parts.values()), (language, parts)
        assert "None" not in str(parts)
