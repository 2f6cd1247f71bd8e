# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings of Oracle targets, made up for tests of the checks."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._areas.oracle import check_connect, check_privileges
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked

DEFAULTS = {name: spec.get("default") for name, spec in {**check_connect.PARAMETERS, **check_privileges.PARAMETERS}.items()}


def answer(**more):
    facts = {"not_asked": [], "warned": False, "expires_s": None, "roles": [], "too_much": [], "sessions": None, "lacking": []}
    facts.update(more.pop("facts", {}))
    known = {
        "name": "db",
        "place": "db1:1521",
        "database": "ORCLPDB1",
        "user": "tank",
        "mode": "default",
        "state": "up",
        "stage": "query",
        "ms": 30.4,
    }
    return {**known, "times": {"login": 20.0, "query": 2.0}, "rows": 1, "version": "19.21.0.0.0", "facts": facts, **more}


def found(*answers, check=check_connect.judge, **parameters):
    facts = {"driver": "python-oracledb 26.1.0 (thin)", "targets": list(answers), "learnt": {}, "forgotten": False}
    return check(Asked({**DEFAULTS, **parameters}, now=0.0, outcomes={"oracle.targets": Outcome(facts)}))
