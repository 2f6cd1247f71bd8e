# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""References to secrets, and texts without them."""

from __future__ import annotations

import os
import pwd

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.module_utils._core import references as _login
from ansible_collections.ops.remediation.plugins.module_utils._core.children import call
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import NeedsUser, RemediationError, WrongQuestion

PLANTED = "planted-7a1"


@pytest.mark.parametrize("reference", [None, {}, {"file": None, "env_file": None, "key": None}])
def test_no_reference_is_no_password(reference):
    assert _login.read_secret(reference) == ""


@pytest.mark.parametrize("text", [PLANTED, PLANTED + "\n", PLANTED + "\r\n"])
def test_a_file_of_its_own(tmp_path, text):
    (tmp_path / "login").write_bytes(text.encode())
    assert _login.read_secret({"file": str(tmp_path / "login")}) == PLANTED


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("LOGSDB_PASS=planted-7a1", PLANTED),
        ("export LOGSDB_PASS = planted-7a1", PLANTED),
        ("LOGSDB_PASS='planted-7a1' # of the monitor", PLANTED),
        ('LOGSDB_PASS="with # and = inside"', "with # and = inside"),
        ("LOGSDB_PASS=planted-7a1 # of the monitor", PLANTED),
        ("LOGSDB_PASS=a#b=c", "a#b=c"),
        ("LOGSDB_PASS=old\nLOGSDB_PASS=new", "new"),
    ],
)
def test_a_variable_of_an_env_file(tmp_path, line, value):
    (tmp_path / ".env").write_text(f"# LogsDB\nLOGSDB_PASSWORD_OLD=x\n{line}\nPORT=3000\n")
    assert _login.read_secret({"env_file": str(tmp_path / ".env"), "key": "LOGSDB_PASS"}) == value


@pytest.mark.parametrize(
    "reference",
    [
        {"file": "/nope"},
        {"file": "/tmp"},
        {"file": "/dev/null"},
        {"env_file": "/etc/hostname"},
        {"key": "LOGSDB_PASS"},
        {"file": "/nope", "key": "LOGSDB_PASS"},
        {"env_file": "/etc/hostname", "key": "LOGSDB_PASS"},
        {"file": "/dev/zero"},
    ],
)
def test_a_reference_that_leads_nowhere_says_which(reference):
    with pytest.raises(WrongQuestion) as caught:
        _login.read_secret(reference)
    assert caught.value.details["option"].startswith("login")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_file_of_another_user_names_that_user(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "login").write_text(PLANTED)
    (tmp_path / "login").chmod(0o600)
    nobody = pwd.getpwnam("nobody").pw_uid
    outcome = call(lambda: _login.read_secret({"file": str(tmp_path / "login")}), 5, user=lambda: nobody)
    assert isinstance(outcome.error, NeedsUser)
    assert "belongs to root and the run is nobody" in outcome.error.message


@pytest.mark.parametrize("secret", ["p@ss:w/rd", "with space", "quote'and\"", "back\\slash", "비밀번호"])
def test_a_secret_is_taken_out_however_it_is_spelt(secret):
    for spelling in (secret, _login.quote(secret, safe=""), _login.quote_plus(secret), repr(secret), secret.encode().hex()):
        assert spelling.strip("'\"") not in _login.scrub(f"dsn={spelling} end", secret)


def test_no_secret_takes_nothing_out():
    assert _login.scrub("text", "") == "text"


def test_a_fingerprint_tells_credentials_apart():
    assert _login.fingerprint("00", "u", "p") == _login.fingerprint("00", "u", "p")
    assert len({_login.fingerprint(salt, *parts) for salt, parts in (("00", ("u", "p")), ("01", ("u", "p")), ("00", ("up", "")))}) == 3


def test_a_reference_is_no_secret_and_a_password_is_refused():
    given = {"database": "logs", "host": "db", "user": "monitor"}
    reference = {"file": "/etc/tank/logsdb"}
    _registry.parse([{"check": "logsdb.reach", "params": {**given, "login": reference}}], ArgumentSpecValidator)
    for wrong in ({"password": PLANTED}, {"login": PLANTED}, {"login": {"password": PLANTED}}, {"host": f"postgresql://u:{PLANTED}@db"}):
        with pytest.raises(RemediationError) as caught:
            _registry.parse([{"check": "logsdb.reach", "params": {**given, **wrong}}], ArgumentSpecValidator)
        assert PLANTED not in caught.value.message
