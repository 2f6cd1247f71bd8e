# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx.running: running, stopped, and what the log shows."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import (
    check_loaded,
    check_restarts,
    check_running,
)
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from ..web import helpers as h
from .helpers import MEMORY, ask, event, state


def test_running():
    (found,) = ask(check_running.judge, state(events=[event("502"), event("502"), event("504")]))
    assert (found.status, found.evidence["gateway_errors"]) == ("ok", {"502": 2, "504": 1})
    memory = {"log": {"inode": 1, "size": 11}}
    (found,) = ask(check_running.judge, state(events=[event("502"), event("502", at=11)]), memory)
    assert found.evidence["gateway_errors"]["502"] == 1


@pytest.mark.parametrize(
    ("mark", "inodes", "count"),
    [((1, 50), (1, 1), 1), ((1, 500), (1, 1), 2), ((2, 50), (2, 1), 1), ((3, 50), (2, 1), 1), (("x", None), (1, 1), 2)],
    ids=["since", "emptied", "rotated", "rotated twice", "damaged"],
)
def test_what_is_new_in_the_log(mark, inodes, count):
    seen = [event("502", at=10, inode=inodes[0]), event("502", at=90, inode=inodes[1])]
    (found,) = ask(check_running.judge, state(events=seen), {"log": {"inode": mark[0], "size": mark[1]}})
    if mark == (2, 50):
        assert found.evidence["gateway_errors"]["502"] == 1
    else:
        assert found.evidence["gateway_errors"]["502"] == count


def test_stopped():
    (found,) = ask(check_running.judge, state(None, [event("started"), event("told_to_end", h.NOW - 60), event("emerg", h.NOW - 5)]))
    assert (found.code, found.evidence["how"], found.evidence["log_line"]) == ("nginx.stopped", "told", "unknown directive")
    (found,) = ask(check_running.judge, state(None, [event("told_to_end"), event("started"), event("emerg", h.NOW - 90_000)]))
    assert (found.evidence["how"], "log_line" in found.evidence) == ("unknown", False)
    for check in (check_restarts.judge, check_loaded.judge):
        (blocked,) = ask(check, state(None))
        assert (blocked.status, blocked.evidence["blocked_by"]) == ("unknown", "nginx.stopped")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ({"present": False, "inode": 0, "size": 0}, "it does not exist"),
        ({"present": False, "readable": False, "problem": "Permission denied"}, "Permission denied"),
    ],
)
def test_a_log_that_tells_nothing_is_named_and_proves_nothing(log, said):
    dark = state()
    dark["log"].update(log)
    for check in (check_running.judge, check_restarts.judge, check_loaded.judge):
        (found,) = ask(check, dark)
        assert found.status == "ok"
        assert said in found.evidence["not_asked"][0]
        assert "gateway_errors" not in found.evidence
    (found,) = ask(check_restarts.judge, dark, MEMORY)
    assert (found.code, found.evidence["how"]) == ("nginx.restarted", "unknown")
    texts = faults_catalogue.render({**found.as_dict(), "host": "tank-web"})
    assert said in texts["en"]["cause"]
    assert said in texts["ko"]["cause"]
    assert "notice" not in texts["en"]["next"]


def test_a_stopped_nginx_without_a_log_is_stopped():
    dark = state(master=None)
    dark["log"].update(present=False)
    (found,) = ask(check_running.judge, dark)
    assert (found.code, "not_asked" in found.evidence) == ("nginx.stopped", False)


def test_a_log_that_may_not_be_read_is_named():
    value = state()
    value["log"] = {**value["log"], "readable": False, "problem": "Permission denied"}
    for check in (check_running.judge, check_restarts.judge, check_loaded.judge):
        (found,) = ask(check, value)
        assert found.status == "ok"
        assert "Permission denied" in found.evidence["not_asked"][0]
