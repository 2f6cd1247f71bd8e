# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of stub_status."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import read_status
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from hypothesis import given
from hypothesis import strategies as st

from ..web import helpers as h
from .helpers import QUICK

STATUS = "Active connections: 2 \nserver accepts handled requests\n 10 10 31 \nReading: 0 Writing: 1 Waiting: 1 \n"


def test_figures():
    assert read_status.parse_status(STATUS)["requests"] == 31
    with h.server(h.http(STATUS)) as url:
        assert read_status.read_status(url)["active"] == 2
    assert read_status.read_status(None) == {}
    with h.server(h.http("no", "404 Not Found")) as url, pytest.raises(CannotRead):
        read_status.read_status(url)


@QUICK
@given(st.text(max_size=100))
def test_any_page_of_figures(text):
    for page in (text, f"Active connections: {text}", STATUS.replace("31", text)):
        try:
            read_status.parse_status(page)
        except CannotRead:
            continue
