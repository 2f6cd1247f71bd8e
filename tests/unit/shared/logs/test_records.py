# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of several lines, errors that are logged twice, groups of unknown ones, and the times of all of them."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import dates, records

from . import helpers as h
from .helpers import EVENING


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
    group = h.collect(h.nest("Oracle connection failed"), clock=dates.Clock("mdy", 0.0), modified=EVENING - 9 * 3600.0)["worker_oracle"]
    assert group.last == EVENING - 9 * 3600


def test_variables_on_the_lines_behind_are_read():
    groups = h.collect(
        'Error: Config validation error: FILE_ROOT_PATH: "FILE_ROOT_PATH" is required\n',
        read_on=lambda offset: 'LOGSDB_PASS: "LOGSDB_PASS" is required',
    )
    assert groups["backend_env"].details == {"FILE_ROOT_PATH": 1, "LOGSDB_PASS": 1}


def test_unknown_errors_are_grouped_by_shape():
    groups = h.collect(*[h.nest(f"Job {number} has no owner '{number}'") for number in range(9)], h.nest("Queue is full"))
    assert {group.name for group in groups.values()} == {"unknown"}
    assert sorted(group.count for group in groups.values()) == [1, 9]


def test_shapes_are_bounded():
    words = ["".join(chr(97 + int(digit)) for digit in f"{number:05}") for number in range(400)]
    groups = h.collect(*[h.nest(f"{word} broke") for word in words])
    assert len(groups) <= records.MAX_SHAPES + 1
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
