"""What the server saw: as many logins as there were questions, and no failed one."""

from __future__ import annotations

import json
from pathlib import Path

import testinfra
from conftest import facts


def logins():
    host = testinfra.get_host(f"{facts()['engine']}://{facts()['hosts']['oracle']['container']}")
    return [json.loads(line) for line in host.file(facts()["oracle"]["login_log"]).content_string.splitlines()]


def test_no_login_failed():
    asked = [login for login in logins() if login.get("user") == "TANK_MON"]
    assert asked
    assert [login for login in asked if login["outcome"] != "OK"] == []


def test_no_secret_is_in_the_log_of_logins():
    words = [Path(facts()["oracle"][name]).read_text(encoding="utf-8").strip() for name in ("password_file", "monitor_password_file")]
    text = json.dumps(logins())
    assert [word for word in words if word in text] == []
