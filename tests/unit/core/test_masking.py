# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret and no personal data leaves a host."""

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.masking import is_secret_name, mask, mask_all, passwords_in_logins
from hypothesis import given
from hypothesis import strategies as st

SECRET = "Tr0ub4dor-planted"


@pytest.mark.parametrize(
    "text",
    [
        f"ORACLE_PASS={SECRET}",
        f"DB_PASS: '{SECRET}'",
        f'{{"password": "{SECRET}", "user": "tank"}}',
        f"connect failed: postgres://tank:{SECRET}@127.0.0.1:5432/logs",
        f"SES_SECRET_KEY = {SECRET} ",
        f"Authorization: Bearer {SECRET}",
        f"api-key={SECRET}&x=1",
        "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "credentials AKIAIOSFODNN7EXAMPLE were used",
        "got wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY back",
        "got [wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY] back",
        "/var/log/tank.log:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "/var/log/x-wJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY",
        "posted to https://hooks.example.com/services/wJalrXUtn/B00000000/bPxRfiCYEXAMPLEKEY",
        "-----BEGIN RSA PRIVATE KEY-----\nplanted\n-----END RSA PRIVATE KEY-----",
        f"redis://:{SECRET}@cache:6379 refused",
        f"NJS-503 tank/{SECRET}@tankdb:1521/ORCL",
        f"connect string 'tank/{SECRET}@//192.0.2.5:1521/ORCL'",
        f"postgres://u:p@ss@{SECRET}@h/db",
        f"postgres://u:pa/{SECRET}@h/db",
        f"password is {SECRET}",
        f'Login failed: password "{SECRET}"',
        f"password=abc,{SECRET}",
        f"password=a){SECRET}",
        f"ENCRYPTION_KEY={SECRET}",
        f"SIGNING_KEY: {SECRET}",
        f'{{"password":"a\\"{SECRET}"}}',
        f"Authorization: Digest {SECRET}",
        f"Cookie: a=b; sid={SECRET}",
        f"Bearer {SECRET}",
        f"--password {SECRET}",
        f"PGPASSWORD {SECRET}",
        f"비밀번호={SECRET}",
        f"ALTER USER tank IDENTIFIED BY {SECRET}",
        f"pass\x1b[0mword=\x1b[1m{SECRET}",
        "ghp_plantedplantedplanted0123456789",
        "token eyJhbGciOiJIUzI1NiJ9.cGxhbnRlZA.c2ln was refused",
    ],
)
def test_secrets_are_hidden(text):
    masked = mask(text)
    assert "********" in masked
    for part in (SECRET, "planted", "wJalr", "IOSFODNN7", "cGxhbnRlZA"):
        assert part not in masked


@pytest.mark.parametrize(
    "path",
    [
        "/mnt/nas-01/batch/report/AC/statement/20261122/BAC04V403R_MERSTAT_GID_20001024_1.xls",
        "(/var/lib/tank-replica/att/batch/report/AC/statement/20261122/BAC04V403R_1.pdf)",
        "'/data.disk/batch/report/AC/statement/20261122/BAC04V403Rabcdefghijk'",
        "mounted nas-01:/mti/report-new/AC/statement/monthly/20261122/BAC04V403R_1.xls",
        "//nas-01/mti/report_new/AC/statement/monthly/20261122/BAC04V403R_1.xls",
        "s3://tank-reports-prod/statement/AC/monthly/portfolio/20261122/BAC04V403R_1.xls",
    ],
)
def test_a_path_stays_readable(path):
    assert mask(path) == path


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("hong@test.com", "h***@test.com"),
        ("to <kim.cs@mail.example.co.kr> failed", "to <k***@mail.example.co.kr> failed"),
        ("\x1b[31mERROR\x1b[39m boom\r", "ERROR boom"),
        ("홍길동@test.com", "홍***@test.com"),
        ("\u202eabc\x9b31m\u200bdef", "abcdef"),
        ("ORA-01017: invalid username/password; logon denied", "ORA-01017: invalid username/password; logon denied"),
        ("password authentication failed for user", "password authentication failed for user"),
        ("at /opt/node_modules/express@4.18.2/lib/a.js", "at /opt/node_modules/express@4.18.2/lib/a.js"),
        ("no secret here", "no secret here"),
        ('Config validation error: "ORACLE_HOST" is required', 'Config validation error: "ORACLE_HOST" is required'),
        ("Cannot find module '/opt/tank-mail-app/backend/dist/main.js'", "Cannot find module '/opt/tank-mail-app/backend/dist/main.js'"),
    ],
)
def test_what_people_need_stays_readable(text, masked):
    assert mask(text) == masked


def test_long_text_is_cut_and_says_so():
    assert mask("x " * 500, limit=50) == "x " * 24 + "x…"


def test_a_nest_is_masked_all_through():
    assert mask_all({"a": ["x@y.kr", 3, None, {"b": "pass=planted"}], "n": 1.5}) == {
        "a": ["x***@y.kr", 3, None, {"b": "pass=********"}],
        "n": 1.5,
    }


def test_what_a_secrets_name_holds_is_hidden_whole():
    assert mask_all({"oracle_pass": "x y z", "password_file": "/etc/p", "key_age": "3"}) == {
        "oracle_pass": "********",
        "password_file": "/etc/p",
        "key_age": "3",
    }


@pytest.mark.parametrize("name", ["password", "oracle_pass", "AWS_SECRET_KEY", "apiKey", "token", "credentials", "SES_ACCESS_KEY", "key"])
def test_secret_names(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["pm2_home", "user", "processes", "env_file", "unit_dir", "window", "keep", "paths"])
def test_other_names(name):
    assert not is_secret_name(name)


@given(st.text(max_size=300), st.from_regex(r"[A-Za-z0-9]{12,30}", fullmatch=True))
def test_a_labelled_secret_never_comes_through(noise, secret):
    assert secret not in mask(f"password={secret} " + re.sub(re.escape(secret), "", noise))


def test_masking_is_fast_on_hostile_text():
    started = time.process_time()
    for text in (
        "a" * 100_000,
        "pass" * 20_000,
        "x@" * 50_000,
        "-----BEGIN PRIVATE KEY-----" * 3000,
        "://a:" * 20_000,
        "http://a:" * 9_000,
        'password="' * 8_000,
        "a/b" * 26_000,
    ):
        mask(text, limit=20_000)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("dsn", "secrets"),
    [
        ("db1:1521/ORCLPDB1", []),
        ("tcps://db1:2484/ORCLPDB1?wallet_location=/etc/wallet", []),
        ("TANKDB", []),
        ("tank/hunter2@db1/x", ["hunter2"]),
        ("tank/hunter2@TANKDB", ["hunter2"]),
        ("(DESCRIPTION=(ADDRESS=(HOST=h))(SECURITY=(TOKEN_AUTH=OCI_TOKEN)))", []),
        ("(DESCRIPTION=(ADDRESS=(HOST=h))(CONNECT_DATA=(PASSWORD = abc)))", ["abc"]),
        ("db1/x?wallet_password=hunter2", ["hunter2"]),
        ("(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=h)(PORT=1))(CONNECT_DATA=(SERVICE_NAME=a@b)))", []),
    ],
)
def test_secrets_in_a_dsn(dsn, secrets):
    assert passwords_in_logins(dsn) == secrets
