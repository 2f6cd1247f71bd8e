# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS: several servers, TCP after truncation, and forged answers."""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import dns as shared_dns

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(CHECKOUT))

from tests.replica.aws import dns_server  # noqa: E402 - found through the line above

REGION = "ap-southeast-1"


@pytest.fixture(scope="module")
def good_port():
    """Return the port of a server that has the records of example.com."""
    servers = dns_server.serve(dns_server.Zone(REGION), 0)
    yield servers[0].server_address[1]
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_silent_resolver_leaves_the_next(good_port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        where = shared_dns.servers([f"127.0.0.1:{silent.getsockname()[1]}", f"127.0.0.1:{good_port}"])
        answers = shared_dns.resolve([("example.com", "TXT")], where, time.monotonic() + 4)
        assert answers["example.com TXT"]["state"] == "ok"
        late = shared_dns.resolve([("example.com", "TXT")], where[:1], time.monotonic() + 0.3)
        assert late["example.com TXT"]["state"] == "late"


def test_a_server_that_fails_leaves_the_next_and_the_last_has_the_last_word(good_port):
    failing = dns_server.Zone(REGION)
    failing.mode = "refuse"
    servers = dns_server.serve(failing, 0)
    bad, good = (f"127.0.0.1:{port}" for port in (servers[0].server_address[1], good_port))
    try:
        for order, state in (([bad, good], "ok"), ([good, bad], "ok"), ([bad, bad], "failed")):
            started = time.monotonic()
            answers = shared_dns.resolve([("example.com", "TXT"), ("gone.example.com", "TXT")], shared_dns.servers(order), started + 4)
            assert answers["example.com TXT"]["state"] == state
            assert time.monotonic() - started < 0.9
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def test_asking_again_over_tcp_ends_in_time():
    """A server that truncates over UDP, accepts the TCP connection, and sends nothing."""
    import dns.flags
    import dns.message

    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(silent.getsockname())

        def truncate():
            data, sender = udp.recvfrom(4096)
            response = dns.message.make_response(dns.message.from_wire(data))
            response.flags |= dns.flags.TC
            udp.sendto(response.to_wire(), sender)

        thread = threading.Thread(target=truncate)
        thread.start()
        started = time.monotonic()
        answers = shared_dns.resolve([("example.com", "TXT")], [silent.getsockname()], started + 0.5)
        assert time.monotonic() - started < 0.8
        thread.join()
    assert answers["example.com TXT"]["state"] == "failed"


def test_a_closed_port_of_tcp_is_named():
    import dns.message

    query = dns.message.make_query("example.com", "TXT")
    found = shared_dns._over_tcp(query, ("127.0.0.1", 1), time.monotonic() + 1)
    assert found == {"state": "failed", "values": [], "said": "over TCP: ConnectionRefusedError"}


def test_a_forged_answer_is_not_taken():
    """The first answers are about another name, or are no DNS messages."""
    import dns.message

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
        liar.bind(("127.0.0.1", 0))

        def lie():
            data, sender = liar.recvfrom(4096)
            other = dns.message.make_response(dns.message.make_query("other.example", "TXT"))
            liar.sendto(other.to_wire(), sender)
            liar.sendto(b"\x00", sender)
            del data

        thread = threading.Thread(target=lie)
        thread.start()
        answers = shared_dns.resolve([("example.com", "TXT")], [("127.0.0.1", liar.getsockname()[1])], time.monotonic() + 0.5)
        thread.join()
    assert answers["example.com TXT"]["state"] == "late"
