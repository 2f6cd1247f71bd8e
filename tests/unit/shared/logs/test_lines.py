# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single lines, and the shapes of unknown errors."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import dates, lines
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=300)
@given(st.text(max_size=300))
def test_no_line_breaks_what_understands_lines(text):
    start = lines.start_of(text)
    assert start is None or isinstance(start.message, str)
    dates.naive_times(text)
    dates.clock_of(text, 1e9)
    assert len(lines.shape(text)) <= 160


def test_equal_errors_have_equal_shapes():
    one = lines.shape("Cannot read properties of undefined (reading 'html') for run 21588 of hong@test.com in /opt/a/b.js at 10.0.0.1:80")
    other = lines.shape("Cannot read properties of undefined (reading 'name') for run 7 of kim@example.org in /srv/c.js at 10.0.0.2:443")
    assert one == other
    assert "hong" not in one
    assert one != lines.shape("Cannot write properties of undefined")
