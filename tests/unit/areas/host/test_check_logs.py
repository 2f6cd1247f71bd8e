# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.logs: exposed logs, and logs that nothing rotates."""

from __future__ import annotations

import pytest

from . import helpers as h
from .helpers import DAY, codes


@pytest.mark.parametrize(
    ("file", "folder", "code"),
    [
        ({}, {}, ""),
        ({"exposed": True, "mode": "0644"}, {}, "host.log_readable"),
        ({"size": 600 << 20}, {}, "host.log_not_rotated"),
        ({"size": 600 << 20, "ruled": True}, {}, "host.log_not_rotated"),
        ({"oldest": h.NOW - 40 * DAY}, {}, "host.log_not_rotated"),
        ({"oldest": None, "modified": h.NOW - 40 * DAY}, {}, "host.log_not_rotated"),
        ({"oldest": h.NOW - 40 * DAY, "size": 0}, {}, ""),
        ({"oldest": h.NOW - 40 * DAY, "ruled": True}, {}, ""),
        ({"oldest": h.NOW - 40 * DAY}, {"pm2": True, "pm2_rotates": True}, ""),
        ({"oldest": h.NOW - 40 * DAY}, {"pm2": True}, "host.log_not_rotated"),
    ],
)
def test_a_log(file, folder, code):
    (found,) = h.ask("host.logs", host_log_files=h.log_folders(h.log_file(**file), **folder))
    assert (found.code, found.subject) == (code, "/opt/app/logs")


def test_a_log_with_fresh_rotated_parts_is_rotated_by_something():
    files = (h.log_file(oldest=h.NOW - 40 * DAY), h.log_file("app.log.1", base="app.log", modified=h.NOW - DAY, oldest=None))
    assert codes(h.ask("host.logs", host_log_files=h.log_folders(*files))) == [""]


def test_folders_that_cannot_be_looked_into():
    (denied,) = h.ask("host.logs", host_log_files=h.log_folders(problem="denied"))
    assert (denied.status, len(denied.evidence["not_asked"])) == ("ok", 1)
    assert h.ask("host.logs", host_log_files=h.log_folders(problem="No such file or directory"))[0].status == "unknown"
    (none,) = h.ask("host.logs", host_log_files={"at": h.NOW, "folders": [], "pm2_rotates": False, "not_asked": []})
    assert (none.status, len(none.evidence["not_asked"])) == ("ok", 1)
