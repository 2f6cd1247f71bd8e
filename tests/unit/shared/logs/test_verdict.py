# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an error of a log still counts."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs.verdict import is_over

NOW, DAY = 1_000_000.0, 86400.0


def group(name="worker_oracle", last=NOW - 60, **more):
    return {"name": name, "count": 1, "first": last, "last": last, "after": last, "exact": True, "pid": 0, **more}


def running(since, *, pid=7, created=None, status="online", restarts=1):
    created_at = (since if created is None else created) * 1000
    return [{"pid": pid, "status": status, "started_at": since, "created_at": created_at, "restarts": restarts}]


@pytest.mark.parametrize(
    ("about", "entries", "over"),
    [
        pytest.param(group(), running(NOW - 7200), False, id="the process has run since before the error"),
        pytest.param(group(), running(NOW - 30), True, id="restarted on purpose after the error"),
        pytest.param(group(last=NOW - 8 * DAY), running(NOW - 9 * DAY), True, id="a week-old error is not today's"),
        pytest.param(group("backend_env", NOW - 8 * DAY), running(NOW - 9 * DAY), False, id="no new line is no proof that it starts now"),
        pytest.param(group("backend_env"), running(NOW - 61, status="errored"), False, id="PM2 gave up"),
        pytest.param(group("backend_env", NOW - 5), running(NOW - 1, created=NOW - 7200), False, id="restarted by PM2, too young to tell"),
        pytest.param(group("backend_env", NOW - 120), running(NOW - 110, created=NOW - 7200), True, id="restarted by PM2, and runs"),
        pytest.param(
            group("backend_env", NOW - 50, first=NOW - 50 - 9 * 60, count=10),
            running(NOW - 45, created=NOW - 7200),
            False,
            id="a slow loop: it must run for longer than between its errors",
        ),
        pytest.param(group("backend_env", NOW - 5), running(NOW - 1, created=0.0), False, id="PM2 counts unstable restarts"),
        pytest.param(group("backend_module", NOW - 50), running(NOW - 51), False, id="online without a working application"),
        pytest.param(group(last=NOW - 30, pid=7), running(NOW - 30.4, pid=7), False, id="of the process that runs"),
        pytest.param(group(last=NOW - 30, pid=6), running(NOW - 29.6, pid=7), True, id="of the run before, within one second"),
        pytest.param(
            group("backend_module", NOW - 50, after=None, exact=False),
            running(NOW - 4000),
            True,
            id="of any age, and the process runs well",
        ),
        pytest.param(
            group("backend_module", NOW - 50, after=None, exact=False),
            running(NOW - 4000, status="errored"),
            False,
            id="of any age, and the process does not run",
        ),
        pytest.param(
            group("backend_module", NOW - 50, after=NOW - 3000, exact=False), running(NOW - 4000), False, id="certainly after the start"
        ),
        pytest.param(group("backend_env"), running(NOW - 1, created=NOW - 7200, restarts=0), True, id="brought back with its old birthday"),
        pytest.param(group(), [], False, id="a file of its own"),
        pytest.param(group(last=NOW - 2 * DAY), [], True, id="a file of its own, quiet for long"),
        pytest.param(group(last=None), running(NOW - 10), True, id="without any time"),
        pytest.param(
            group(),
            running(NOW - 7200) + running(NOW - 30, created=NOW - 7200),
            False,
            id="one instance was restarted by PM2, another goes on",
        ),
    ],
)
def test_when_an_error_is_over(about, entries, over):
    assert is_over(about, entries, NOW, DAY) is over
