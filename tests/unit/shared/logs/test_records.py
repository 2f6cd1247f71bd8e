# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates of any locale, errors of several lines, errors that are logged twice, shapes of unknown ones."""

from __future__ import annotations

import calendar

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import nas_states
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import records as t
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs.signatures import (
    LITERALS,
    SIGNATURES,
    extended_regex,
    matching,
    variables,
)

from . import helpers as h

EVENING = calendar.timegm((2026, 11, 21, 19, 16, 12))


@pytest.mark.parametrize(
    "text",
    [
        "11/21/2026, 7:16:12 PM",
        "21/11/2026 19:16:12",
        "21/11/2026, 19:16:12",
        "21.11.2026, 19:16:12",
        "2026-11-21T19:16:12",
        "2026-11-21 19:16:12.345",
        "2026/11/21 19:16:12",
        "2026. 11. 21. 오후 7:16:12",
        "21/11/2026, 7:16:12 p. m.",
        "11/21/2026, 7:16:12\u202fPM",
    ],
)
def test_dates_of_many_locales_are_one_moment(text):
    found = t.naive(text)
    meant, zone = found[0], found[1]
    assert EVENING in meant.values()
    assert next(iter(meant.values())) == EVENING
    assert zone == ""


@pytest.mark.parametrize("text", ["2026-11-21T10:16:12Z", "2026-11-21T19:16:12+09:00", "2026-11-21 19:16:12 +0900"])
def test_a_zone_that_is_written_counts(text):
    assert t.Clock(offset=3600.0).moment(text) == EVENING - 9 * 3600


@pytest.mark.parametrize("text", ["", "13/32/2026 19:16:12", "2026-11-21", "1/2/3 4:5", "99/99/9999 99:99:99"])
def test_what_is_no_date_has_no_moment(text):
    assert t.Clock().moment(text) is None


def test_an_ambiguous_date_is_read_as_the_files_own_time_says():
    modified = float(calendar.timegm((2026, 3, 4, 10, 0, 30)))
    assert t.clock_of("[Nest] 1  - 04/03/2026, 19:00:12     LOG [A] x\n", modified) == t.Clock("dmy", -9 * 3600.0)
    assert t.clock_of("[Nest] 1  - 03/04/2026, 7:00:12 PM     LOG [A] x\n", modified) == t.Clock("mdy", -9 * 3600.0)
    assert t.clock_of("[Nest] 1  - 03/04/2026, 19:00:12     LOG [A] x\n", modified) == t.Clock("mdy", -9 * 3600.0)


def test_a_file_that_ends_without_a_date_tells_no_zone():
    assert t.clock_of(h.nest("x") + "Error: something\n    at main.js:1:1\n", EVENING - 9 * 3600.0) is None


def test_colours_level_pid_and_context_are_understood():
    groups = h.collect(h.nest("Oracle connection failed: NJS-503: no listener"))
    group = groups["worker_oracle"]
    assert (group.count, group.pid, group.exact) == (1, 4711, True)
    assert group.last == EVENING - 9 * 3600
    assert group.causes == {"ORA-12541": 1}
    assert group.sample == "Oracle connection failed: NJS-503: no listener"


@pytest.mark.parametrize("level", ["LOG", "WARN", "DEBUG", "VERBOSE"])
def test_what_is_no_error_does_not_count(level):
    assert h.collect(h.nest("Oracle connection failed: will try again. Error: x", level=level)) == {}


def test_the_stack_of_a_message_is_the_same_error():
    groups = h.collect(
        h.nest("SES send error: Throttling: Maximum sending rate exceeded."),
        "Error: Throttling: Maximum sending rate exceeded.\n",
        "    at throwDefaultError (/app/node_modules/@smithy/x.js:388:20) Error: \n",
    )
    assert h.counts(groups) == {"worker_ses": 1}
    assert groups["worker_ses|ses.throttled"].causes == {"ses.throttled": 1}
    assert groups["worker_ses|ses.throttled"].details == {"Throttling": 1}


def test_the_cause_behind_a_short_message_belongs_to_it():
    groups = h.collect(h.nest("SES send error"), "Error: Daily message quota exceeded.\n")
    assert h.counts(groups) == {"worker_ses": 1}
    assert groups["worker_ses|ses.quota_exhausted"].causes == {"ses.quota_exhausted": 1}


def test_a_message_of_two_lines_and_its_stack_are_one_error():
    groups = h.collect(
        h.nest("Oracle connection failed: NJS-503: no listener\nconnect ECONNREFUSED 10.0.0.1:1521").replace("\x1b[39m\n", "\n"),
        "Error: NJS-503: no listener\n",
        "    at x (y.js:1:1)\n",
    )
    assert h.counts(groups) == {"worker_oracle": 1}
    assert groups["worker_oracle"].causes == {"ORA-12541": 1}


def test_a_crash_right_behind_a_message_is_another_error():
    groups = h.collect(h.nest("File not found: A1.pdf (NOT_FOUND: x)"), "Error: holidays.json is damaged\n")
    assert h.counts(groups) == {"worker_file": 1, "unknown": 1}


def test_the_same_error_told_by_a_handler_counts_once_and_by_the_same_part_twice():
    message = "Oracle connection failed: ORA-01017: invalid username/password"
    assert h.counts(h.collect(h.nest(message), h.nest(message, context="ExceptionsHandler"))) == {"worker_oracle": 1}
    assert h.counts(h.collect(h.nest(message), h.nest(message))) == {"worker_oracle": 2}
    later = h.nest(message, date="11/21/2026, 7:16:30 PM", context="ExceptionsHandler")
    assert h.counts(h.collect(h.nest(message), later)) == {"worker_oracle": 2}


def test_a_refused_configuration_is_logged_bare_and_by_nest_and_counts_once_a_start():
    bare = 'Error: Config validation error: PORT: "PORT" must be a number\n'
    lines = []
    for second, pid in ((13, 1), (15, 2), (16, 3)):
        lines += [bare, h.nest(bare.strip(), f"11/21/2026, 7:10:{second} PM", context="ExceptionHandler", pid=pid)]
    groups = h.collect(*lines)
    assert h.counts(groups) == {"backend_env": 3}
    assert groups["backend_env"].pid == 3
    assert groups["backend_env"].details == {"PORT": 3}


def test_bare_errors_one_after_the_other_all_count():
    line = "Error: Cannot find module 'reflect-metadata'\n"
    groups = h.collect(*[line] * 16)
    assert groups["backend_module"].count == 16
    assert groups["backend_module"].details == {"reflect-metadata": 16}


def test_an_undated_error_at_the_end_is_as_old_as_the_file():
    group = h.collect("Error: Cannot find module 'a'\n", modified=5000.0)["backend_module"]
    assert (group.last, group.after, group.exact) == (5000.0, 5000.0, True)


@pytest.mark.parametrize(
    ("behind", "exact"),
    [
        ("    at Module._resolve (node:internal:1:1)\n    at f (a.js:1:1) {\n  code: 'X'\n}\n\nNode.js v20.20.2\n", True),
        ("Require stack:\n- /opt/app/worker.js\n    at f (a.js:1:1)\n", True),
        # What the next process writes moves the file's time on, and says nothing about the error.
        ("    at f (a.js:1:1)\n(node:17) Warning: NodeVersionSupportWarning: update\n", False),
        ("    at f (a.js:1:1)\nlistening\n", False),
    ],
)
def test_an_undated_error_is_as_old_as_the_file_only_where_nothing_follows_it(behind, exact):
    lines = [f"{line}\n" for line in f"Error: Cannot find module 'a'\n{behind}".splitlines()]
    group = h.collect(*lines, modified=5000.0, since=4000.0)["backend_module"]
    assert (group.last, group.after, group.exact) == (5000.0, 5000.0 if exact else 4000.0, exact)


def test_an_undated_error_further_up_has_bounds_and_says_so():
    groups = h.collect("Error: Cannot find module 'a'\n", "Error: another one\n", modified=5000.0, since=None)
    group = groups["backend_module"]
    assert (group.last, group.after, group.exact) == (5000.0, None, False)
    groups = h.collect("Error: Cannot find module 'a'\n", "Error: another one\n", modified=5000.0, since=4000.0)
    assert groups["backend_module"].after == 4000.0


def test_an_undated_error_is_not_later_than_the_next_date():
    group = h.collect("Error: Cannot find module 'a'\n", h.nest("Oracle connection failed"))["backend_module"]
    assert group.last == EVENING - 9 * 3600
    assert not group.exact


def test_a_date_later_than_the_file_tells_a_wrong_zone_and_is_not_used():
    group = h.collect(h.nest("Oracle connection failed"), clock=t.Clock("mdy", 0.0), modified=EVENING - 9 * 3600.0)["worker_oracle"]
    assert group.last == EVENING - 9 * 3600


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


def test_variables_on_the_lines_behind_are_read():
    groups = h.collect(
        'Error: Config validation error: FILE_ROOT_PATH: "FILE_ROOT_PATH" is required\n',
        read_on=lambda offset: 'LOGSDB_PASS: "LOGSDB_PASS" is required',
    )
    assert groups["backend_env"].details == {"FILE_ROOT_PATH": 1, "LOGSDB_PASS": 1}


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


def test_equal_errors_have_equal_shapes():
    one = t.shape("Cannot read properties of undefined (reading 'html') for run 21588 of hong@test.com in /opt/a/b.js at 10.0.0.1:80")
    other = t.shape("Cannot read properties of undefined (reading 'name') for run 7 of kim@example.org in /srv/c.js at 10.0.0.2:443")
    assert one == other
    assert "hong" not in one
    assert one != t.shape("Cannot write properties of undefined")


def test_unknown_errors_are_grouped_by_shape():
    groups = h.collect(*[h.nest(f"Job {number} has no owner '{number}'") for number in range(9)], h.nest("Queue is full"))
    assert {group.name for group in groups.values()} == {"unknown"}
    assert sorted(group.count for group in groups.values()) == [1, 9]


def test_shapes_are_bounded():
    words = ["".join(chr(97 + int(digit)) for digit in f"{number:05}") for number in range(400)]
    groups = h.collect(*[h.nest(f"{word} broke") for word in words])
    assert len(groups) <= t.MAX_SHAPES + 1
    assert sum(group.count for group in groups.values()) == 400


def test_nothing_personal_and_no_secret_is_kept():
    groups = h.collect(
        h.nest("SES send error: InvalidParameter: bad address (hong.gildong@test.com) password=topsecret"),
        h.nest("File not found: BAC04V403R_MERSTAT_GID_20001024_20170120_1.xls (NOT_FOUND: x)"),
    )
    text = str([group.as_dict() for group in groups.values()])
    for secret in ("hong", "topsecret"):
        assert secret not in text
    assert "20001024" not in str(groups["worker_file"].details)


def test_json_and_stamped_and_nginx_lines():
    json_line = '{"level":"error","time":"2026-11-21T10:16:12Z","pid":7,"msg":"Oracle connection failed: x"}\n'
    assert h.collect(json_line)["worker_oracle"].last == EVENING - 9 * 3600
    stamped = "2026-11-21T10:16:12Z: Error: Cannot find module 'x'\n"
    assert h.collect(stamped)["backend_module"].last == EVENING - 9 * 3600
    nginx = "2026/11/21 19:16:12 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream\n"
    assert h.collect(nginx)["nginx_502"].last == EVENING - 9 * 3600
