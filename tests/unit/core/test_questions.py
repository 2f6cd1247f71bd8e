# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry, and asking: validation, shared sources, deadlines, memories."""

from __future__ import annotations

import os
import time

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS as _CATALOGUE
from ansible_collections.ops.remediation.plugins.module_utils._core import asking as _ask
from ansible_collections.ops.remediation.plugins.module_utils._core.check import Check
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import ok, reporter
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Source
from ansible_collections.ops.remediation.plugins.module_utils._core.state import State

fault = reporter(_CATALOGUE)


PATH = {
    "path": {"type": "path", "required": True, "description": "what to read"},
    "limit": {"type": "int", "default": 3, "description": "how many"},
}


def counted(path):
    """Leave a mark for every reading."""
    with open(path, "a", encoding="ascii") as file:
        file.write("x")
    return {"size": os.path.getsize(path)}


COUNTED = Source("test.counted", counted, ("path",), remember=lambda value, former: value["size"])
NOT_WAITED_FOR_S = 30  # what takes a minute was not waited for, also on a busy machine
HANGS = Source("test.hangs", lambda path: time.sleep(60), ("path",))
CRASHES = Source("test.crashes", lambda path: 1 / 0, ("path",))


def unreadable(path):
    raise CannotRead(f"{path}: not a list")


UNREADABLE = Source("test.unreadable", unreadable, ("path",))


def check(name, *sources, function=None):
    def read_all(asked):
        values = {source.name: asked.read(source.name) for source in sources}
        return [
            ok(f"host.{name}", evidence={"values": values, "before": asked.remembered(COUNTED.name), "limit": asked.parameters["limit"]})
        ]

    return Check(f"host.{name}", "Is it?", function or read_all, sources, PATH)


@pytest.fixture
def registry(monkeypatch):
    def raise_wrong(asked):
        raise WrongQuestion("path", asked.parameters["path"], "does not exist", "give one that does")

    def crash(asked):
        raise KeyError("surprise")

    checks = [
        check("first", COUNTED),
        check("second", COUNTED),
        check("hangs", HANGS),
        check("crashing_source", CRASHES),
        check("unreadable", UNREADABLE),
        check("crash", function=crash),
        check("silent", function=lambda asked: []),
        check("wrong", COUNTED, function=raise_wrong),
        check("fault", function=lambda asked: [fault("pm2.stopped", "host.fault", "worker", evidence={"mail": "hong@test.com"})]),
    ]
    monkeypatch.setattr(_registry, "REGISTERED", {"host": lambda: tuple(checks)})


def parse(*entries):
    return _registry.parse(entries, ArgumentSpecValidator)


def ask(tmp_path, *entries, read_only=False, **options):
    return _ask.ask(parse(*entries), asked_from="tank-app", state=State(str(tmp_path / "state"), read_only=read_only), **options)


def entry(name, tmp_path, **more):
    return {"check": f"host.{name}", "params": {"path": str(tmp_path / "file")}, **more}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"check": "host.frist"}, r"checks\[0\].check: 'host.frist' is not a check of this collection; did you mean host.first\?"),
        ({"check": "zzz"}, r"checks\[0\].check: 'zzz' is not a check .*; known checks: host.crash"),
        ({"check": None}, r"checks\[0\].check: None is not a check"),
        ({"check": ["host.first"]}, r"checks\[0\].check: \['host.first'\] is not a check"),
        (
            {"check": "host.first"},
            r"checks\[0\].params: 'host.first' has wrong parameters \(missing required arguments: path\); it takes path \(path, required\), limit",
        ),
        ({"check": "host.first", "params": {"path": "/x", "limit": "many"}}, r"wrong parameters \(.*limit.*int"),
        ({"check": "host.first", "params": {"path": "/x", "lmit": 3}}, r"wrong parameters \(.*lmit"),
        (
            {"check": "host.first", "params": {"path": "/x"}, "deadline": "soon"},
            r"checks\[0\].deadline: 'soon' is not a usable time; give seconds",
        ),
        ({"check": "host.first", "params": {"path": "/x"}, "deadline": 0}, r"deadline: 0 is not a usable time"),
        ({"check": "host.first", "params": {"path": "/x"}, "deadline": float("nan")}, r"deadline: nan is not a usable time"),
        (
            {"check": "host.first", "params": {"path": "/x"}, "deadline": 1e9},
            r"is not a usable time; give seconds, more than 0, at most 600",
        ),
    ],
)
def test_a_wrong_question_gets_one_line(registry, given, message):
    with pytest.raises(WrongQuestion, match=message) as caught:
        parse(given)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "params",
    [
        {"path": "/x", "oracle_pass": "planted"},
        {"path": "/x", "AWS_SECRET_KEY": "planted"},
        {"path": "/x", "token": "planted"},
        {"path": "postgres://tank:planted@db/logs"},
        {"path": "/x", "limit": {"deep": ["http://u:planted@h/"]}},
        {"path": "http://u:planted/w@h/"},
        {"path": "http://u:pl@planted/w@h/"},
        {"path": "redis://:planted@h/"},
        {"path": "/x", "limit": [{"dsn": "scott/planted@db"}]},
        {"path": "/x", "limit": [{"host": "scott/planted@db"}]},
        {"path": "/x", "limit": {"dsn": "(DESCRIPTION=(ADDRESS=(HOST=h))(CONNECT_DATA=(PASSWORD=planted)))"}},
    ],
)
def test_a_secret_is_refused_and_not_repeated(registry, params):
    with pytest.raises(WrongQuestion, match="looks like a secret") as caught:
        parse({"check": "host.first", "params": params})
    assert "planted" not in str(caught.value) + repr(caught.value.as_dict())


@pytest.mark.parametrize("path", ["http://127.0.0.1:3000/@app/x", "nas-01:/mti/report@2026", "https://h/a:b@c", "/batch/a:b/@c"])
def test_an_address_without_a_password_is_not_refused(registry, path):
    assert parse({"check": "host.first", "params": {"path": path}})[0].parameters["path"].endswith(path)


def test_what_the_validator_repeats_is_masked(registry):
    with pytest.raises(WrongQuestion, match="wrong parameters") as caught:
        parse({"check": "host.first", "params": {"path": "/x", "limit": "DB_PASS=planted"}})
    assert "planted" not in str(caught.value)


def test_what_was_given_is_masked_in_every_message():
    error = WrongQuestion("url", "http://u:planted/w@h/", "is not an address", "correct it")
    assert error.message == "url: 'http://u:********@h/' is not an address; correct it"
    assert "planted" not in repr(error.as_dict())


@pytest.mark.parametrize(
    ("identifier", "parameters", "message"),
    [
        ("host.x", {"db_password": {"type": "str", "description": "no"}}, "is a secret"),
        ("host.x", {"login": {"type": "str", "no_log": True, "description": "no"}}, "is a secret"),
        ("host.x", {"path": {"type": "str"}}, "has no description"),
    ],
)
def test_the_registry_refuses_a_check_that_breaks_its_rules(identifier, parameters, message):
    with pytest.raises(ValueError, match=message):
        Check(identifier, "Is it?", lambda asked: [], (), parameters)


def test_the_registry_refuses_a_source_whose_parameters_the_check_has_not():
    with pytest.raises(ValueError, match=r"wants parameters that the check has not: .'path'."):
        Check("host.x", "Is it?", lambda asked: [], (COUNTED,), {})


def test_a_shared_source_is_read_once(registry, tmp_path):
    answer = ask(tmp_path, entry("first", tmp_path), entry("second", tmp_path))
    assert (tmp_path / "file").read_text() == "x"
    assert [finding["check"] for finding in answer.findings] == ["host.first", "host.second"]


def test_other_parameters_are_another_reading(registry, tmp_path):
    other = {"check": "host.second", "params": {"path": str(tmp_path / "other")}}
    ask(tmp_path, entry("first", tmp_path), other)
    assert (tmp_path / "file").read_text() == (tmp_path / "other").read_text() == "x"


def test_a_limit_does_not_make_another_reading_and_the_widest_counts(registry, tmp_path, monkeypatch):
    source = Source("test.limited", lambda path, limit: {"limit": limit}, ("path", "limit"), limits=("limit",))

    def limited(name):
        return Check(f"host.{name}", "Is it?", lambda asked: [ok(f"host.{name}", evidence=asked.read("test.limited"))], (source,), PATH)

    monkeypatch.setattr(_registry, "REGISTERED", {"host": lambda: (limited("a"), limited("b"))})
    entries = [{"check": f"host.{name}", "params": {"path": "/x", "limit": limit}} for name, limit in (("a", 2), ("b", 7))]
    assert [finding["evidence"]["limit"] for finding in ask(tmp_path, *entries).findings] == [7, 7]


def test_what_a_source_remembers_is_there_the_next_time(registry, tmp_path):
    before = [ask(tmp_path, entry("first", tmp_path)).findings[0]["evidence"]["before"] for _round in range(3)]
    assert before == [None, 1, 2]
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in (tmp_path / "state").iterdir())


def test_a_source_that_has_nothing_to_remember_leaves_what_was_kept(monkeypatch, tmp_path):
    once = Source("test.once", counted, ("path",), remember=lambda value, former: value["size"] if value["size"] == 1 else None)

    def look(asked):
        return [ok("host.once", evidence={"read": asked.read(once.name), "before": asked.remembered(once.name)})]

    monkeypatch.setattr(_registry, "REGISTERED", {"host": lambda: (Check("host.once", "Is it?", look, (once,), PATH),)})
    rounds = [ask(tmp_path, entry("once", tmp_path)).findings[0]["evidence"] for _round in range(3)]
    assert [(one["read"]["size"], one["before"]) for one in rounds] == [(1, None), (2, 1), (3, 1)]


def test_check_mode_keeps_nothing(registry, tmp_path):
    ask(tmp_path, entry("first", tmp_path), read_only=True)
    assert not (tmp_path / "state").exists()


def test_a_damaged_memory_is_no_memory(registry, tmp_path):
    ask(tmp_path, entry("first", tmp_path))
    next((tmp_path / "state").glob("*.json")).write_text("{ not json")
    assert ask(tmp_path, entry("first", tmp_path)).findings[0]["evidence"]["before"] is None


def test_one_sick_source_harms_only_its_own_checks(registry, tmp_path):
    started = time.monotonic()
    names = ("crashing_source", "unreadable", "crash", "silent", "first")
    answer = ask(tmp_path, entry("hangs", tmp_path, deadline=1), *(entry(name, tmp_path, deadline=60) for name in names))
    assert time.monotonic() - started < NOT_WAITED_FOR_S
    found = {finding["check"]: finding for finding in answer.findings}
    assert {check: finding["code"] for check, finding in found.items()} == {
        "host.hangs": "run.check_timeout",
        "host.crashing_source": "run.check_crashed",
        "host.unreadable": "run.check_unknown",
        "host.crash": "run.check_crashed",
        "host.silent": "run.check_crashed",
        "host.first": "",
    }
    assert {finding["status"] for finding in answer.findings} == {"unknown", "ok"}
    assert found["host.hangs"]["evidence"]["reason"] == "no answer within 1 s"
    assert found["host.unreadable"]["evidence"]["reason"].endswith("not a list")
    assert "KeyError: 'surprise' at test_questions.py" in found["host.crash"]["evidence"]["reason"]
    assert answer.wrong == []


def test_a_wrong_question_found_on_the_host_keeps_the_other_findings(registry, tmp_path):
    answer = ask(tmp_path, entry("wrong", tmp_path), entry("first", tmp_path))
    assert len(answer.wrong) == 1
    assert answer.wrong[0].endswith("does not exist; give one that does")
    assert {finding["check"]: finding["status"] for finding in answer.findings} == {"host.wrong": "unknown", "host.first": "ok"}


def test_a_finding_has_the_published_form(registry, tmp_path):
    finding = ask(tmp_path, entry("fault", tmp_path), now=1_800_000_000).findings[0]
    assert finding == {
        "check": "host.fault",
        "area": "host",
        "code": "pm2.stopped",
        "subject": "worker",
        "status": "critical",
        "severity": "P1",
        "asked_from": "tank-app",
        "evidence": {"mail": "h***@test.com"},
        "value": None,
        "threshold": None,
        "unit": "",
        "remedies": ["pm2.start"],
        "checked_at": "2027-01-15T08:00:00Z",
        "duration_ms": 0,
    }


def test_a_state_folder_that_cannot_be_written_is_named(registry, tmp_path):
    (tmp_path / "state").write_text("a file")
    answer = ask(tmp_path, entry("first", tmp_path))
    assert answer.findings[0]["status"] == "ok"
    assert "state_dir: " in answer.wrong[0]


def test_a_full_disk_does_not_cost_the_findings(registry, tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    answer = ask(tmp_path, entry("first", tmp_path))
    assert answer.findings[0]["status"] == "ok"
    assert answer.wrong == []
    assert "No space left on device" in answer.warnings[0]
