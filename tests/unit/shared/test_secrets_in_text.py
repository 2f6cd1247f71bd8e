# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in text, and what only looks like one."""

from __future__ import annotations

import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import secrets_in_text
from hypothesis import given
from hypothesis import strategies as st

from ..areas.web.helpers import QUICK

SECRETS = {
    'a="AKIAIOSFODNN7EXAMPLE"': "AWS access key",
    'AWS_SECRET_KEY:"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"': "AWS secret key",
    "SES_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "AWS secret key",
    "ORACLE_PASS=tiger123\n": "database password",
    "export LOGSDB_PASS=tiger123": "database password",
    'dbPassword: "s3cr3t!"': "database password",
    "postgres://tank:pw1@db/x": "database address with a password",
    "-----BEGIN RSA PRIVATE KEY-----": "private key",
}


NONE = (
    'password:"Password"',
    "DB_PASS=${X}",
    "DB_PASSWORD: process.env.DB_PASSWORD",
    'pg_pass=""',
    'dbPassword:"Database password"',
    "dbPassword: string\n",
    "postgres://tank:${password}@db/x",
    "-----BEGIN PUBLIC KEY-----",
    "__SECRET_INTERNALS_DO_NOT_USE_OR_YOU_WILL_BE_FIRED",
    'type:"password",name:"password"',
)


@pytest.mark.parametrize(("text", "kind"), SECRETS.items())
def test_a_secret_is_told_by_its_kind(text, kind):
    assert secrets_in_text.kinds_of_secrets(b"x;" * 999 + b"\n" + text.encode()) == [kind]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_secret(text):
    assert secrets_in_text.kinds_of_secrets(text.encode()) == []


@QUICK
@given(st.binary(max_size=3000))
def test_any_bytes_are_looked_through(data):
    secrets_in_text.kinds_of_secrets(data)


def test_large_files_are_looked_through_in_bounded_time():
    for piece in (b"://", b"pass", b"akia", b"db_pass=", b"postgres://a", b"A"):
        started = time.process_time()
        secrets_in_text.kinds_of_secrets(piece * (4_000_000 // len(piece)))
        assert time.process_time() - started < 5, piece
