# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Oracle through the daily check: every fault of the area made for real in one run, on listeners of their own."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import sys

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from conftest import CHECKOUT

sys.path.insert(0, str(CHECKOUT))

from tests.replica.oracle.tests.conftest import start_server

PLANTED = "Planted-7a1"


@pytest.fixture(scope="session")
def replica():
    """Stand in for the replica of the stack, which these tests do not need."""
    return {}


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    """Return running databases by what is wrong with them."""
    faults = {
        "well": None,
        "down": {"kind": "instance", "state": "down"},
        "starting": {"kind": "instance", "state": "starting"},
        "full": {"kind": "refuse", "code": 12516},
        "old": {"kind": "old_protocol"},
        "near": {"kind": "max_sessions", "limit": 1},
        "slow": {"kind": "slow_query", "seconds": 1.3, "match": "dual"},
        "dies": {"kind": "stage", "stage": "execute", "mode": "close"},
        "mute": {"kind": "stage", "stage": "auth1", "mode": "silent"},
    }
    with contextlib.ExitStack() as stack:
        running = {}
        for name, fault in faults.items():
            running[name] = start_server(tmp_path_factory.mktemp(name))
            stack.callback(running[name].stop)
            if fault:
                running[name].control.set_fault(**fault)
        account = running["well"].control.account
        soon = (datetime.datetime.now() + datetime.timedelta(days=5)).isoformat(" ", "seconds")
        account("LOCKED", password=PLANTED, status="LOCKED")
        account("EXPIRED", password=PLANTED, status="EXPIRED")
        account("GRACE", password=PLANTED, status="EXPIRED(GRACE)", expires_at=soon)
        account("MUCH", password=PLANTED, rights=["CREATE SESSION", "DROP ANY TABLE"])
        yield running


@pytest.fixture
def inventory(tmp_path, databases):
    """Return the path of an inventory with one host, whose databases are all of these, and what each must be found to have."""
    secrets = {}

    def password(text):
        path = tmp_path / f"password-{len(secrets)}"
        path.write_text(text)
        secrets[path] = text
        return {"file": str(path)}

    def target(name, database="well", user="TANK_MON", text=None, **more):
        known = databases[database]
        made = {"name": name, "host": "127.0.0.1", "port": known.ports["port"], "service": "ORCLPDB1", "user": user, **more}
        made["password_from"] = password(text or known.passwords.get(user, PLANTED))
        return {key: value for key, value in made.items() if value is not None}

    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    expected = {
        "well": ("", target("well")),
        "service": ("ORA-12514", target("service", service="NOSUCH")),
        "sid": ("ORA-12505", target("sid", service=None, sid="NOSUCH")),
        "full": ("ORA-12518", target("full", "full")),
        "closed": ("ORA-12541", target("closed", port=closed)),
        "mute": ("ORA-12170", target("mute", "mute")),
        "tls": ("ORA-12537", target("tls", port=databases["well"].ports["tcps_port"])),
        "name": ("oracle.name_unknown", target("name", host="nosuch.invalid")),
        "alias": ("oracle.tns_alias", target("alias", host=None, service=None, port=None, dsn="TANKDB")),
        "password": ("ORA-01017", target("password", user="TANK", text=PLANTED)),
        "password again": ("ORA-01017", target("password again", user="TANK", text=PLANTED)),
        "locked": ("ORA-28000", target("locked", user="LOCKED")),
        "expired": ("ORA-28001", target("expired", user="EXPIRED")),
        "sysdba": ("ORA-28009", target("sysdba", user="SYS")),
        "grace": ("ORA-28002", target("grace", user="GRACE")),
        "down": ("ORA-01034", target("down", "down")),
        "starting": ("ORA-01033", target("starting", "starting")),
        "dies": ("ORA-03113", target("dies", "dies")),
        "table": ("oracle.no_privilege", target("table", query="SELECT * FROM CUST.NOSUCH")),
        "old": ("oracle.needs_thick", target("old", "old")),
        "slow": ("oracle.slow", target("slow", "slow")),
        "near": ("oracle.pool_exhausted", target("near", "near")),
        "much": ("", target("much", user="MUCH")),
    }
    variables = {
        "ansible_connection": "local",
        "stack_areas": ["oracle"],
        "stack_site": "test",
        "stack_oracle_targets": [made for _code, made in expected.values()],
        "stack_oracle_stage_timeout": 2,
        "stack_checker_state_dir": str(tmp_path / "state"),
        "daily_check_extra": [
            {"check": "oracle.connect", "params": {"targets": [target("thick")], "lib_dir": "/nonexistent", "stage_timeout": 2}}
        ],
    }
    path = tmp_path / "inventory.json"
    path.write_text(json.dumps({"all": {"children": {"tank": {"hosts": {"tank-app": variables}}}}}))
    return path, {**{name: code for name, (code, _made) in expected.items()}, "thick": "oracle.instant_client_missing"}, secrets


def held_back(record):
    """Return the targets whose password was not tried, with the id of the finding that explains it."""
    return {one["subject"]: one["follows_from"] for one in record["findings"] if one["code"] == "run.credentials_held"}


def test_every_fault_is_found_in_one_run_and_a_password_tried_once(play, inventory, databases, tmp_path):
    path, expected, secrets = inventory
    first = play("-vvv", inventory=str(path))
    assert first.record, first.output[-3000:]
    found = {finding["subject"]: finding for finding in first.record["findings"] if finding["check"] == "oracle.connect"}
    assert {name: finding["code"] for name, finding in found.items()} == expected
    privileges = {finding["subject"]: finding["code"] for finding in first.record["findings"] if finding["check"] == "oracle.privileges"}
    assert (privileges["well"], privileges["much"]) == ("", "oracle.too_much_privilege")
    of_the_area = {code for code, fault in FAULTS.items() if fault.area == "oracle"}
    assert of_the_area <= {*expected.values(), *privileges.values()}
    for finding in found.values():
        if not finding["code"]:
            continue
        assert (finding["asked_from"], finding["follows_from"]) == ("localhost", "")
        for texts in finding["texts"].values():
            assert all(texts[part] for part in ("title", "cause", "next"))
            if finding["code"].startswith("ORA") and finding["code"] != "ORA-12518":
                assert texts["title"].startswith(finding["code"])
    assert first.code != 0

    second = play(inventory=str(path))
    held = next(one for one in second.record["findings"] if (one["check"], one["subject"]) == ("oracle.connect", "password"))
    assert (held["code"], "not tried again until they change" in held["texts"]["en"]["cause"]) == ("ORA-01017", True)
    assert [attempt["outcome"] for attempt in databases["well"].control.logins(user="TANK")] == ["ORA-01017"]
    assert held_back(first.record) == {}
    assert held_back(second.record)["password"] == held["id"]

    # The password is set right in the database, which only a person can tell.
    databases["well"].control.account("TANK", password=PLANTED)
    third = play("-e", "stack_oracle_forget_refused=true", inventory=str(path))
    cleared = [one["code"] for one in third.record["findings"] if (one["check"], one["subject"]) == ("oracle.connect", "password")]
    assert cleared == [""]

    texts = [first.output, second.output, json.dumps(first.record), json.dumps(second.record)]
    texts += [kept.read_text() for kept in (tmp_path / "state").glob("*.json")]
    assert not [secret for secret in secrets.values() if any(secret in text for text in texts)]


def test_hosts_that_share_a_checker_try_a_password_once(play, databases, tmp_path):
    """Their tasks run at the same time in forks of their own; slow logins make them meet."""
    (tmp_path / "wrong").write_text("wrong-for-all\n")
    server = databases["well"]
    server.control.account("SHARED", password=PLANTED)
    made = {"name": "db", "host": "127.0.0.1", "port": server.ports["port"], "service": "ORCLPDB1", "user": "SHARED"}
    variables = {
        "ansible_connection": "local",
        "stack_areas": ["oracle"],
        "stack_site": "test",
        "stack_oracle_targets": [{**made, "password_from": {"file": str(tmp_path / "wrong")}}],
        "stack_checker_state_dir": str(tmp_path / "state"),
    }
    path = tmp_path / "inventory.json"
    path.write_text(json.dumps({"all": {"children": {"tank": {"hosts": dict.fromkeys(("tank-a", "tank-b", "tank-c"), variables)}}}}))
    server.control.set_fault("stage", stage="auth1", mode="slow", seconds=1.0)
    try:
        run = play("-f", "3", inventory=str(path))
    finally:
        server.control.clear_faults()
    codes = [finding["code"] for finding in run.record["findings"] if finding["check"] == "oracle.connect"]
    assert sorted(codes) == ["ORA-01017"] * 3 + ["run.credentials_held"] * 2, codes
    assert [attempt["outcome"] for attempt in server.control.logins(user="SHARED")] == ["ORA-01017"]


def test_a_checker_without_the_driver(play, inventory, tmp_path):
    path, _expected, _secrets = inventory
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')  # without its packages
    bare.chmod(0o755)
    run = play("-e", json.dumps({"stack_checker": "tank-app", "ansible_python_interpreter": str(bare)}), inventory=str(path))
    assert {finding["code"] for finding in run.record["findings"]} == {"run.driver_missing"}, run.output[-2000:]
    finding = run.record["findings"][0]
    assert finding["asked_from"] == "tank-app"
    for texts in finding["texts"].values():
        assert "oracledb" in texts["cause"]
        assert "check_runtime" in texts["next"]
