# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""redis.ping: what is concluded from what a server answered."""

from __future__ import annotations

import re

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.redis import check_ping
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue

PLACE = "192.0.2.1:6379"
DEFAULTS = {name: spec.get("default") for name, spec in check_ping.PARAMETERS.items()}
WORDS = {"redis_version": "7.0.15", "role": "master", "maxmemory_policy": "noeviction", "rdb_last_bgsave_status": "ok"}
NUMBERS = {"used_memory": 10, "maxmemory": 1000, "rdb_changes_since_last_save": 3, "aof_enabled": 0}
HANGUL = re.compile("[가-힣]")


def judged(words=None, numbers=None, parameters=None, **facts):
    """Return the findings for what the source read."""
    read = {"place": PLACE, "state": "up", "reason": "", "said": "", "save_age": 100, "not_asked": [], **facts}
    read.update(words={**WORDS, **(words or {})}, numbers={**NUMBERS, **(numbers or {})})
    given = {**DEFAULTS, "host": "192.0.2.1", **(parameters or {})}
    return check_ping.judge(Asked(given, now=0.0, outcomes={"redis.server": Outcome(read)}))


def codes(*arguments, **facts):
    return [finding.code for finding in judged(*arguments, **facts)]


def texts(finding):
    rendered = catalogue.render({"host": "tank-app", **finding.as_dict()})
    assert all(HANGUL.search(rendered["ko"][part]) for part in ("title", "cause", "next"))
    return rendered["en"]


def test_well():
    (finding,) = judged()
    assert (finding.code, finding.subject, finding.value, finding.threshold, finding.unit) == ("", PLACE, 1.0, 80, "%")
    (finding,) = judged(numbers={"maxmemory": 0})
    assert (finding.code, finding.value) == ("", None)


@pytest.mark.parametrize("state", ["no_answer", "refused", "loading"])
def test_states_in_which_nothing_else_is_judged(state):
    assert codes({"role": "slave"}, {"used_memory": 990}, state=state) == [f"redis.{state}"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("name", "cannot be resolved"),
        ("refused", "Nothing listens on"),
        ("timeout", "does not accept a connection within 5.0 s"),
        ("denied", "firewall of this host"),
        ("unreachable", "no route"),
        ("silent", "sends nothing within 5.0 s"),
        ("closed", "closes the connection"),
        ("tls", "No TLS connection"),
        ("too_many", "maxclients"),
        ("BUSY", "script"),
        ("MASTERDOWN", "lost its master"),
        ("error", "with an error (ERR what)"),
    ],
)
def test_why_there_is_no_answer(reason, words):
    (finding,) = judged(state="no_answer", reason=reason, said="ERR what" if reason == "error" else "")
    assert (finding.status, finding.evidence["reason"]) == ("critical", reason)
    assert words in texts(finding)["cause"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("WRONGPASS", "wrong for monitor"),
        ("NOAUTH", "none is given"),
        ("NOPERM", "monitor may not run PING"),
        ("DENIED", "protected mode"),
        ("NOT_NEEDED", "asks for none"),
        ("ERR", "does not know"),
    ],
)
def test_why_a_login_is_refused(reason, words):
    (finding,) = judged(parameters={"user": "monitor"}, state="refused", reason=reason)
    told = texts(finding)
    assert words in told["cause"]
    assert reason in told["title"]


def test_loading_says_how_long():
    (finding,) = judged(numbers={"loading_eta_seconds": 0}, state="loading")
    assert "in about 0 s" in texts(finding)["cause"]
    assert "in about" not in texts(judged(state="loading")[0])["cause"]


def test_a_replica_where_writes_go():
    (finding,) = judged({"role": "slave", "master_link_status": "down"})
    assert finding.code == "redis.read_only"
    assert "link to its master is down" in texts(finding)["cause"]
    assert codes({"role": "slave"}, parameters={"writable": False}) == [""]


@pytest.mark.parametrize(
    ("used", "code", "threshold"), [(799, "", 80), (800, "redis.memory_80", 80), (949, "redis.memory_80", 80), (950, "redis.memory_95", 95)]
)
def test_memory(used, code, threshold):
    (finding,) = judged(numbers={"used_memory": used})
    assert (finding.code, finding.value, finding.threshold) == (code, used / 10, threshold)


def test_limits_of_memory_are_parameters():
    assert codes(numbers={"used_memory": 700}, parameters={"memory_warning": 70}) == ["redis.memory_80"]
    assert codes(numbers={"used_memory": 700}, parameters={"memory_critical": 70}) == ["redis.memory_95"]


@pytest.mark.parametrize(
    ("policy", "title", "cause"),
    [
        ("noeviction", "writes fail soon", "refuses all writes"),
        ("volatile-lru", "evict keys (volatile-lru)", "that have an expiry"),
        ("allkeys-lfu", "evict keys (allkeys-lfu)", "without an expiry"),
    ],
)
def test_what_a_full_memory_means_depends_on_the_policy(policy, title, cause):
    (finding,) = judged({"maxmemory_policy": policy}, {"used_memory": 960})
    told = texts(finding)
    assert title in told["title"]
    assert cause in told["cause"]


@pytest.mark.parametrize(
    ("words", "numbers", "state", "how"),
    [
        ({"rdb_last_bgsave_status": "err"}, {}, "up", "snapshot"),
        ({"rdb_last_bgsave_status": "err"}, {}, "misconf", "snapshot"),
        ({}, {}, "misconf", "snapshot"),
        ({"aof_last_write_status": "err"}, {"aof_enabled": 1}, "up", "log"),
        ({"aof_last_write_status": "err"}, {"aof_enabled": 1}, "misconf", "log"),
    ],
)
def test_saves_that_failed(words, numbers, state, how):
    (finding,) = judged(words, numbers, state=state)
    assert (finding.code, finding.evidence["how"], finding.evidence["refuses"]) == ("redis.save_failed", how, state == "misconf")
    assert ("refuses writes" in texts(finding)["title"]) == (state == "misconf")


def test_a_log_that_is_off_has_no_state():
    assert codes({"aof_last_write_status": "err"}) == [""]


@pytest.mark.parametrize(
    ("limit", "age", "changes", "code"),
    [
        (0, 10**6, 3, ""),
        (3600, 3600, 3, ""),
        (3600, 3601, 3, "redis.save_failed"),
        (3600, 3601, 0, ""),
        (3600, None, 3, ""),
    ],
)
def test_the_age_of_the_last_save(limit, age, changes, code):
    (finding,) = judged(numbers={"rdb_changes_since_last_save": changes}, parameters={"save_age_warning": limit}, save_age=age)
    assert finding.code == code
    if code:
        assert (finding.value, finding.threshold) == (3601, 3600)
        assert "has not saved its data for 3601 s" in texts(finding)["title"]


def test_several_faults_at_once():
    assert codes({"role": "slave", "rdb_last_bgsave_status": "err"}, {"used_memory": 900}) == [
        "redis.read_only",
        "redis.memory_80",
        "redis.save_failed",
    ]


def test_what_the_account_may_not_see_is_no_fault():
    nothing = {"words": {}, "numbers": {}, "not_asked": ["INFO memory: NOPERM"]}
    read = {"place": PLACE, "state": "up", "reason": "", "said": "", "save_age": None, **nothing}
    (finding,) = check_ping.judge(Asked(DEFAULTS, now=0.0, outcomes={"redis.server": Outcome(read)}))
    assert (finding.status, finding.evidence["not_asked"]) == ("ok", ["INFO memory: NOPERM"])


def test_what_cannot_be_read_is_raised():
    outcome = Outcome(error=CannotRead("192.0.2.1:6379 does not speak the protocol of Redis"))
    with pytest.raises(CannotRead):
        check_ping.judge(Asked(DEFAULTS, now=0.0, outcomes={"redis.server": outcome}))
