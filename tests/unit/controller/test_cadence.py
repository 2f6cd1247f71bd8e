# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cadence is data that an inventory extends, tunes and switches off."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.module_utils._core.check import Check
from ansible_collections.ops.remediation.plugins.plugin_utils.run.cadence import WrongCadence, choose

CHECKS = [
    {"check": "pm2.daemon", "params": {"pm2_home": "/h", "user": None}},
    {"check": "pm2.saved", "params": {"pm2_home": "/h"}, "deadline": 5},
    {"check": "nginx.running", "params": {}},
]


def ids(**options):
    return [entry["check"] for entry in choose(CHECKS, options.pop("areas", ["pm2"]), **options)]


def test_only_the_areas_of_the_host():
    assert ids() == ["pm2.daemon", "pm2.saved"]
    assert ids(areas=["nginx"]) == ["nginx.running"]
    assert ids(areas=[]) == []


def test_a_null_parameter_stays_so_that_no_variable_fills_it():
    assert choose(CHECKS, ["pm2"])[0] == {"check": "pm2.daemon", "params": {"pm2_home": "/h", "user": None}}


def test_an_id_alone_is_a_check():
    assert choose(["pm2.daemon", "nginx.running"], ["pm2"], extra=["web.page"]) == [
        {"check": "pm2.daemon", "params": {}},
        {"check": "web.page", "params": {}},
    ]


def test_extra_off_and_tune():
    extra = [{"check": "web.page", "params": {"url": "http://x"}}]
    assert ids(extra=extra, off=["pm2.saved"]) == ["pm2.daemon", "web.page"]
    tuned = choose(CHECKS, ["pm2"], tune={"pm2.saved": {"params": {"user": "tankmail"}, "deadline": 2}})
    assert tuned[1] == {"check": "pm2.saved", "params": {"pm2_home": "/h", "user": "tankmail"}, "deadline": 2}
    assert choose(CHECKS, ["pm2"], tune={"pm2.saved": {"params": {"pm2_home": None}, "deadline": None}})[1] == {
        "check": "pm2.saved",
        "params": {"pm2_home": None},
    }


def test_the_list_itself_is_not_changed():
    choose(CHECKS, ["pm2"], tune={"pm2.daemon": {"params": {"user": "x"}}})
    assert CHECKS[0]["params"] == {"pm2_home": "/h", "user": None}


@pytest.fixture
def oracle(monkeypatch):
    """Register checks that need a driver beside those that need none, and one that only a checker asks."""
    with_driver = (Check("oracle.connect", "Is it?", lambda asked: [], (), {}, driver="oracledb"),)
    mail = (Check("ses.quota", "Is it?", lambda asked: [], (), {}, driver="boto3"),)
    registered = {"oracle": lambda: with_driver, "ses": lambda: mail}
    monkeypatch.setattr(_registry, "REGISTERED", {**_registry.REGISTERED, **registered})
    return [*CHECKS, {"check": "oracle.connect"}, {"check": "ses.quota"}, {"check": "logsdb.reach"}]


@pytest.mark.parametrize(
    ("by", "runtime", "expected"),
    [
        ("host", True, ["pm2.daemon", "pm2.saved", "oracle.connect", "ses.quota"]),
        ("host", False, ["pm2.daemon", "pm2.saved"]),
        ("checker", True, ["logsdb.reach"]),
        ("checker", False, ["oracle.connect", "ses.quota", "logsdb.reach"]),
    ],
)
def test_what_needs_a_driver_goes_where_the_driver_is(oracle, by, runtime, expected):
    chosen = choose(oracle, ["pm2", "oracle", "ses", "logsdb"], by=by, runtime=runtime)
    assert [entry["check"] for entry in chosen] == expected


def test_an_unknown_check_stays_with_the_host():
    extra = [{"check": "pm2.demon"}]
    assert choose([], [], extra=extra, by="host") == [{"check": "pm2.demon", "params": {}}]
    assert choose([], [], extra=extra, by="checker") == []


@pytest.mark.parametrize("strange", [{"driver": "cx_Oracle"}, {"driver": "oracledb", "runs_on": "checker"}])
def test_a_driver_that_nobody_brings_is_refused(strange):
    with pytest.raises(ValueError, match=r"oracle\.connect: driver"):
        Check("oracle.connect", "Is it?", lambda asked: [], (), {}, **strange)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"off": ["pm2.save"]}, "daily_check_off: 'pm2.save' is not in this list of checks; did you mean pm2.saved?"),
        ({"tune": {"zzz": {}}}, "daily_check_tune: 'zzz' is not in this list of checks; it has pm2.daemon, pm2.saved, nginx.running"),
        ({"tune": {"pm2.saved": {"parms": {}}}}, "daily_check_tune: pm2.saved has parms; only params and deadline can be tuned"),
        ({"tune": {"pm2.saved": 3}}, "daily_check_tune: pm2.saved has 3; write {params: {...}, deadline: <seconds>}"),
        ({"extra": [3]}, "daily_check_extra: 3 is not a check; write its id, or {check: <id>, params: {...}, deadline: <seconds>}"),
    ],
)
def test_a_slip_in_the_inventory_gets_one_line(options, message):
    with pytest.raises(WrongCadence) as caught:
        choose(CHECKS, ["pm2"], name="daily_check", **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("area", "hint"),
    [("pm", "did you mean pm2?"), ("templates", "there are pm2, backend,"), ("run", "there are pm2, backend,")],
)
def test_an_area_without_checks_is_refused(area, hint):
    with pytest.raises(WrongCadence) as caught:
        choose(CHECKS, [area])
    assert str(caught.value).startswith(f"stack_areas: {area!r} is not an area that has checks; {hint}")
