"""The runtime has the drivers, belongs to root, and the daily check uses it from the host itself."""

from __future__ import annotations

import json

from conftest import daily_check, facts

RUNTIME = "/opt/ops-remediation/runtime"
PYTHON = f"{RUNTIME}/bin/python"


def test_the_drivers_are_there_for_every_user(app):
    assert app.run(f"su tankmail -s /bin/sh -c '{PYTHON} -c \"import oracledb, boto3\"'").rc == 0


def test_nobody_but_root_may_change_it(app):
    assert app.run(f"find {RUNTIME} ! -user root -o -perm /022 ! -type l").stdout == ""


def test_the_daily_check_asks_oracle_from_the_host_with_the_application_s_own_login(tmp_path):
    oracle = facts()["oracle"]
    target = {
        "name": "customers",
        "host": oracle["host"],
        "port": oracle["port"],
        "service": oracle["service"],
        "user": oracle["user"],
        "password_from": {"env_file": facts()["env_file"], "key": "ORACLE_PASS"},
    }
    extra = {"stack_check_python": PYTHON, "stack_oracle_targets": [target]}
    code, record = daily_check(tmp_path, "-e", json.dumps(extra))
    asked = [finding for finding in record["findings"] if finding["check"] == "oracle.connect"]
    assert [(finding["subject"], finding["status"], finding["asked_from"]) for finding in asked] == [("customers", "ok", "tank-app")]
    assert code == 0
