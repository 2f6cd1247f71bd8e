# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of known errors."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import nas_states
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs.signatures import (
    LITERALS,
    SIGNATURES,
    extended_regex,
    matching,
    variables,
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('Config validation error: "PORT" is required. "LOGSDB_HOST" is required', ["PORT", "LOGSDB_HOST"]),
        ('Config validation error: PORT: "PORT" must be a number\nLOGSDB_HOST: "LOGSDB_HOST" is required', ["PORT", "LOGSDB_HOST"]),
        ("Config validation error: \n- PORT: Invalid input: expected number\n- AWS_REGION: Required", ["PORT", "AWS_REGION"]),
        ("Config validation error: something else", []),
    ],
)
def test_the_variables_of_a_refused_configuration_are_named(text, names):
    assert variables(text) == names


@pytest.mark.parametrize(
    ("line", "name", "detail"),
    [
        ("Nest can't resolve dependencies of the HealthService (?). Please make sure", "backend_di", "HealthService"),
        ("Nest cannot create the JobsModule instance.", "backend_instance", "JobsModule"),
        ('Configuration key "LOG_THRESHOLD" does not exist', "backend_env_key", "LOG_THRESHOLD"),
        ("listen EADDRINUSE: address already in use 127.0.0.1:3000", "backend_port", "127.0.0.1:3000"),
        ("Cannot find package 'tank-metrics' imported from /app/main.js", "backend_module", "tank-metrics"),
        ("NJS-511: connection refused\nCause: ORA-12516: no handler", "oracle_refused", ""),
        ("NJS-503: x\nconnect ECONNREFUSED 10.0.0.1:1521", "oracle_nothing_listens", ""),
        ("NJS-518: x", "oracle_service", ""),
        ("NJS-519: x", "oracle_sid", ""),
        ("NJS-510: x", "oracle_timeout", ""),
        ("NJS-503: x\nconnect ETIMEDOUT 10.0.0.1:1521", "oracle_timeout", ""),
        ("NJS-503: x\nconnect EHOSTUNREACH 10.0.0.1:1521", "oracle_timeout", ""),
        ("NJS-521: connection to host db port 1521 received end-of-file on communication channel.", "oracle_dropped", ""),
        ("NJS-500: connection to Oracle Database was closed or broken", "oracle_lost", ""),
        ("NJS-138: connections to this database server version are not supported", "oracle_thick", ""),
        ("NJS-123: call timeout of 5000 ms exceeded", "oracle_slow", ""),
        ("ORA-01033: ORACLE initialization or shutdown in progress", "oracle_starting", ""),
        ("ORA-01034: ORACLE not available", "oracle_down", ""),
        ("NJS-040: x", "oracle_pool", ""),
        ("ORA-28000: the account is locked", "oracle_locked", ""),
        ("ORA-00600: internal error", "oracle_other", "ORA-00600"),
        ("User: arn:aws:iam::1:user/x is not authorized to perform: ses:SendEmail", "ses_denied", ""),
        ("Signature expired: 20261121T000000Z is now earlier than", "ses_clock", ""),
        ("MessageRejected: Email address is not verified.", "ses_identity", ""),
        ("SendingPausedException: x", "ses_paused", ""),
        ("Unknown system error -116: Unknown system error -116, open '/batch/a.pdf'", "nas_stale", ""),
        ("EACCES: permission denied, open '/batch/a.pdf'", "nas_permission", ""),
        ("LogsDB not available, next try in 3000 ms: connect ECONNREFUSED 127.0.0.1:5432", "logsdb_away", ""),
        ("bind() to 0.0.0.0:80 failed (98: Address already in use)", "nginx_port", "0.0.0.0:80"),
        ("connect() failed (111: Connection refused) while connecting to upstream", "nginx_502", ""),
        ("upstream timed out (110: Connection timed out)", "nginx_504", ""),
    ],
)
def test_signatures(line, name, detail):
    signature, found = matching(line)[0]
    assert (signature.name, found) == (name, detail)


@pytest.mark.parametrize("name", ["EIO", "ENOTCONN", "EHOSTDOWN", "EREMOTEIO"])
def test_a_sick_mount_has_one_code_in_the_log_and_on_the_mount(name):
    signature, _detail = matching(f"{name}: something, open '/batch/a.pdf'")[0]
    assert name in nas_states.STALE
    assert signature.code == nas_states.STATES["stale"]


def test_every_signature_is_found_by_the_first_pass():
    assert len({signature.name for signature in SIGNATURES}) == len(SIGNATURES)
    assert all(literal in LITERALS for signature in SIGNATURES for literal in signature.literals)
    assert len(extended_regex().split("\n")) == len(LITERALS)
