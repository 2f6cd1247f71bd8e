# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line of a log that says why an application ended."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import last_words

STACK = "    at Object.<anonymous> (/opt/app/main.js:3:7)\n    at node:internal/main/run_main_module:28:49\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"/opt/app/main.js:3\n      throw new Error('boom');\n      ^\n\nError: boom\n{STACK}\nNode.js v20.20.2\n", "Error: boom"),
        (
            "Error: listen EADDRINUSE: address already in use :::3000\n"
            f"{STACK}  code: 'EADDRINUSE',\n  errno: -98,\n  port: 3000\n}}\n\nNode.js v20.20.2\n",
            "Error: listen EADDRINUSE: address already in use :::3000",
        ),
        (
            "\x1b[31m[Nest] 17  - \x1b[39m11/21/2026, 7:16:12 AM \x1b[31m  ERROR\x1b[39m [ExceptionHandler] "
            f'Error: Config validation error: "ORACLE_HOST" is required\n{STACK}',
            '[ExceptionHandler] Error: Config validation error: "ORACLE_HOST" is required',
        ),
        (
            f'Error: Config validation error:\n"ORACLE_HOST" is required\n"AWS_REGION" must be a string\n{STACK}',
            'Error: Config validation error: "ORACLE_HOST" is required; "AWS_REGION" must be a string',
        ),
        (
            "[Nest] 4  - 21/11/2026 07:16:40   ERROR [Worker] Oracle connection failed: NJS-511: connection refused\nCause: ORA-12516\nTypeError: later\n",
            "Cause: ORA-12516",
        ),
        (
            f"ORA-01017: old\n{STACK}\nNode.js v20.20.2\nTypeError: x is not a function\n{STACK}\nNode.js v20.20.2\n",
            "TypeError: x is not a function",
        ),
        (
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n",
            "JavaScript heap out of memory",
        ),
        (
            "Error: connect to oracle://tank:tiger@db:1521 failed for hong@test.com\n",
            "oracle://tank:********@db:1521 failed for h***@test.com",
        ),
        ("just words\n\n", "just words"),
        ("\n \n", ""),
    ],
)
def test_the_line_that_says_why(text, wanted):
    found = last_words.reason(text)
    assert found == wanted or (wanted and wanted in found), found


def test_dated_lines_of_an_earlier_run_are_passed_over():
    text = "2020-01-01T00:00:00: Error: listen EADDRINUSE: address already in use :::1\n2026-11-21T09:00:00Z: Error: new\n"
    assert last_words.reason(text, 1795219200.0) == "Error: new"


def test_a_known_signature_of_an_older_incident_does_not_win_over_what_happens_now():
    older = "[Nest] 101  - 11/21/2026, 7:16:12 PM   ERROR [Worker] Spool folder not usable: ENOENT: no such file, access '/opt/spool'"
    now = "Error: /opt/config/holidays.json is damaged: Unterminated string in JSON at position 21\n    at read (/opt/worker.js:10:5)"
    text = "\n".join([older, now, now, now, ""])
    assert last_words.reason(text) == "Error: /opt/config/holidays.json is damaged: Unterminated string in JSON at position 21"
