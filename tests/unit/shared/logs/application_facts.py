# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of the source log.applications, and the checks of backend and worker over them."""

from __future__ import annotations

import re

from ansible_collections.ops.remediation.plugins.module_utils._areas.backend import check_log as backend_log
from ansible_collections.ops.remediation.plugins.module_utils._areas.worker import check_log as worker_log
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

NOW = 1_795_260_000.0
LOG = "/home/tankmail/.pm2/logs/backend-error.log"
OUT = "/home/tankmail/.pm2/logs/backend-out.log"


def group(name, *, count=3, last=NOW - 5, **more):
    known = {"name": name, "count": count, "first": last - 20, "last": last, "after": last, "exact": True, "pid": 0, "sample": "said this"}
    return {**known, "path": LOG, "details": {}, "causes": {}, **more}


def about(*groups, status="errored", started=NOW - 10, files=None, **more):
    entry = {"pid": 7, "status": status, "started_at": started, "created_at": (NOW - 7200) * 1000, "restarts": 3}
    file = {"path": LOG, "problem": "", "read": 10, "skipped": 0, "behind": False, "lost": False}
    return {
        "entries": [entry],
        "groups": {one["name"]: one for one in groups},
        "files": files or [file],
        "outputs": [OUT],
        "unlogged": False,
        **more,
    }


def asked(spec, listed, state="up", ports=None, **more):
    answer = {"state": state, "problem": "" if state == "up" else f"the daemon is {state}", "user": "tankmail", "processes": listed}
    outcomes = {"log.applications": Outcome(value=answer), "log.ports": ports if isinstance(ports, Outcome) else Outcome(value=ports or {})}
    parameters = {name: entry.get("default") for name, entry in spec.items()}
    return Asked({**parameters, "pm2_home": "/home/tankmail/.pm2", "processes": ["backend"], **more}, NOW, outcomes)


def backend(listed, **more):
    return backend_log.judge(asked(backend_log.PARAMETERS, listed, **more))


def worker(listed, **more):
    return worker_log.judge(asked(worker_log.PARAMETERS, listed, **more))


def words(finding):
    texts = faults_catalogue.render({"host": "tank-app", **finding.as_dict()})
    for text in (*texts["en"].values(), *texts["ko"].values()):
        assert text
        assert not re.search(r"None|undefined|\{\{|\{%|  | \.$", text), text
    return " ".join(texts["en"].values())
