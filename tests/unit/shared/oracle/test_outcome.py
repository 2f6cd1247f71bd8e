# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What errors of the driver and of sockets mean."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from ansible_collections.ops.remediation.plugins.module_utils._shared import tcp
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import outcome as _oracle_outcome


class _Said:
    def __init__(self, full_code, text=""):
        self.full_code = full_code
        self.text = text or full_code

    def __str__(self):
        return self.text


@pytest.mark.parametrize("number", sorted(_oracle_outcome._KNOWN))
def test_every_known_number_leads_into_the_catalogue(number):
    for stage in ("login", "query"):
        outcome = _oracle_outcome.explain(Exception(_Said(number)), stage)
        assert outcome.code in FAULTS
        assert outcome.driver_code == number
        assert outcome.reason


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "ORA-12541", "refused"),
        (OSError(errno.ETIMEDOUT, "x"), "ORA-12170", "timeout"),
        (OSError(errno.EHOSTUNREACH, "x"), "ORA-12170", "no_route"),
        (OSError(errno.ENETUNREACH, "x"), "ORA-12170", "no_route"),
        (OSError(errno.ECONNRESET, "x"), "ORA-12537", "closed"),
        (TimeoutError("timed out"), "ORA-12170", "timeout"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "oracle.name_unknown", "unknown"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "oracle.name_unknown", "no_dns"),
        (ssl.SSLError("x"), "ORA-12537", "tls"),
        (ssl.SSLCertVerificationError("x"), "ORA-12537", "certificate"),
        (OSError(errno.EMFILE, "x"), "", ""),
        (ValueError("x"), "", ""),
    ],
)
def test_errors_of_the_network(error, code, reason):
    outcome = _oracle_outcome.explain(error, "login")
    assert (outcome.code, outcome.reason) == (code, reason)


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("name", socket.gaierror(socket.EAI_NONAME, "x")),
        ("name", socket.gaierror(socket.EAI_AGAIN, "x")),
        ("timeout", socket.timeout("timed out")),
        ("timeout", OSError(errno.ETIMEDOUT, "x")),
        ("refused", OSError(errno.ECONNREFUSED, "x")),
        ("denied", OSError(errno.EACCES, "x")),
        ("unreachable", OSError(errno.EHOSTUNREACH, "x")),
        ("unreachable", OSError(errno.EMFILE, "x")),
    ],
)
def test_a_failure_to_connect_means_what_the_systems_error_means(state, error):
    assert _oracle_outcome.explain(tcp.NotConnected(state, error), "tcp") == _oracle_outcome.explain(error, "tcp")


def test_a_text_that_no_name_can_be_is_an_unknown_name():
    outcome = _oracle_outcome.explain(tcp.NotConnected("name", UnicodeError("label too long")), "name")
    assert (outcome.code, outcome.reason, outcome.driver_code) == ("oracle.name_unknown", "unknown", "gaierror")


def test_the_inner_error_counts():
    outer = Exception(_Said("DPY-6005"))
    outer.__cause__ = Exception(_Said("DPY-6000", "DPY-6000: Listener refused connection. (Similar to ORA-12520)"))
    outcome = _oracle_outcome.explain(outer, "login")
    assert (outcome.code, outcome.driver_code, outcome.more, outcome.ended) == (
        "ORA-12518",
        "DPY-6000",
        {"number": "ORA-12520"},
        "listener",
    )
    assert _oracle_outcome.explain(Exception(_Said("DPY-6005")), "login").code == ""


def test_what_a_driver_said_has_no_random_id_and_no_secret():
    error = Exception(_Said("DPY-9999", "DPY-9999: no (CONNECTION_ID=abc/def==). pw is s3cret p%40ss\nHelp: x"))
    assert _oracle_outcome.said(error, ("s3cret", "p@ss")) == "DPY-9999: no. pw is ******** ********"
