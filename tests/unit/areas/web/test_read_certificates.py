# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the certificates of sites, over real sockets, and of files."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.web import read_certificates
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import http_client

from . import helpers as h


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    h.make_certificate(folder)
    return folder


@pytest.fixture
def tls(site):
    with h.tls_server(site) as url:
        yield url


def test_a_certificate_that_nobody_trusts_is_read_and_said_so(tls, site):
    (entry,) = read_certificates.read_certificates(url=tls)
    assert (entry["problem"], entry["trusted"], entry["distrust"]) == ("", False, "self-signed certificate")
    (entry,) = read_certificates.read_certificates(url=tls, ca_file=str(site / "site.crt"))
    assert (entry["trusted"], entry["distrust"]) == (True, "")
    assert http_client.get(tls).body == b"hello"


def test_certificates_that_cannot_be_read(tmp_path):
    (tmp_path / "x").write_text("nonsense")
    files, live = read_certificates.read_certificates(certificate_files=[str(tmp_path / "none"), str(tmp_path / "x")]), None
    assert all(entry["problem"] for entry in files), files
    with h.server(h.http("plain")) as url:
        (live,) = read_certificates.read_certificates(url=url.replace("http", "https"), timeout=2)
    assert "presents no certificate" in live["problem"]
    assert read_certificates.read_certificates(url="http://127.0.0.1:1/") == []
    with pytest.raises(WrongQuestion):
        read_certificates._trust("127.0.0.1", 1, 1, None, str(tmp_path / "none"))
