# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validity of certificates in DER and PEM form, and any other bytes."""

from __future__ import annotations

import ssl
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from ansible_collections.ops.remediation.plugins.module_utils._shared import certificates
from hypothesis import given
from hypothesis import strategies as st

from ..areas.web import helpers as h
from ..areas.web.helpers import QUICK


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    h.make_certificate(folder)
    return folder


def test_the_dates_of_a_certificate(site):
    before, after = certificates.validity_of_file(str(site / "site.crt"))
    assert after - before == 10 * 86400
    assert abs(before - time.time()) < 120


def test_the_first_end_of_a_chain_counts(site, tmp_path):
    chain = tmp_path / "chain.pem"
    chain.write_bytes((site / "site.crt").read_bytes() * 3)
    assert certificates.validity_of_file(str(chain)) == certificates.validity_of_file(str(site / "site.crt"))


def test_dates_of_both_centuries():
    assert certificates._time(b"\x17\x0d491231235959Z", 0)[0] == 2524607999
    assert certificates._time(b"\x17\x0d500101000000Z", 0)[0] == -631152000
    assert certificates._time(b"\x18\x0f99991231235959Z", 0)[0] == 253402300799


@QUICK
@given(st.binary(max_size=300), st.integers(0, 600), st.integers(0, 255))
def test_any_bytes_are_a_certificate_or_none(site, data, place, value):
    whole = bytearray(ssl.PEM_cert_to_DER_cert((site / "site.crt").read_text()))
    whole[place % len(whole)] = value
    for der in (data, bytes(whole), bytes(whole[:place])):
        try:
            before, after = certificates.validity(der)
        except CannotRead:
            continue
        assert isinstance(before, int) and isinstance(after, int)
