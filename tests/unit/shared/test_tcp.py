# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connecting by TCP: real sockets, and each way in which a connection fails."""

from __future__ import annotations

import errno
import socket
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import tcp


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def silent(server):
    """A port whose queue is full: the kernel drops what comes next."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        held = []
        for _number in range(4):
            extra = socket.socket()
            extra.setblocking(False)
            extra.connect_ex(full.getsockname())
            held.append(extra)
        yield full.getsockname()[1]
        for extra in held:
            extra.close()


def soon(seconds=2.0):
    return time.monotonic() + seconds


def failure(host, port, until=None):
    with pytest.raises(tcp.NotConnected) as raised:
        tcp.connect(host, port, soon() if until is None else until)
    return raised.value


def test_a_connection_and_the_address_that_accepted_it(server):
    connection, address = tcp.connect("127.0.0.1", server.getsockname()[1], soon())
    with connection:
        assert (address, connection.getpeername()) == ("127.0.0.1", server.getsockname())
        assert 0 < connection.gettimeout() <= 2


def test_a_refused_connection_names_the_address_and_keeps_the_systems_words():
    found = failure("127.0.0.1", 1)
    assert (found.state, found.address, found.detail) == ("refused", "127.0.0.1", "Connection refused")
    assert (found.errno, str(found)) == (errno.ECONNREFUSED, "[Errno 111] Connection refused")


def test_a_dropped_connection_ends_in_time(silent):
    began = time.monotonic()
    found = failure("127.0.0.1", silent, soon(0.3))
    assert (found.state, found.detail, found.address) == ("timeout", "", "127.0.0.1")
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("host", ["no.such.invalid", "a" * 64 + ".example", "..", "a\0b"])
def test_a_name_that_cannot_be_resolved(monkeypatch, host):
    def refuse(*_arguments, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if host == "no.such.invalid":
        monkeypatch.setattr(tcp.socket, "getaddrinfo", refuse)
    found = failure(host, 1)
    assert (found.state, found.address) == ("name", "")
    assert found.detail


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (OSError(errno.ECONNREFUSED, "refused"), "refused"),
        (OSError(errno.ETIMEDOUT, "timed out"), "timeout"),
        (socket.timeout("timed out"), "timeout"),
        (OSError(errno.EACCES, "denied"), "denied"),
        (OSError(errno.EPERM, "denied"), "denied"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "unreachable"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable"),
    ],
)
def test_states(monkeypatch, error, state):
    class Refusing(socket.socket):
        def connect(self, _address):
            raise error

    monkeypatch.setattr(tcp.socket, "socket", Refusing)
    assert failure("127.0.0.1", 1).state == state


def test_without_time_nothing_is_tried(monkeypatch):
    monkeypatch.setattr(tcp, "resolve", lambda *_arguments: pytest.fail("a name was resolved"))
    assert failure("127.0.0.1", 1, time.monotonic()).state == "timeout"


def test_a_dead_address_leaves_time_for_the_next(silent, server):
    addresses = [tcp.Address(socket.AF_INET, ("127.0.0.1", port)) for port in (silent, server.getsockname()[1])]
    began = time.monotonic()
    connection, address = tcp.connect_to(addresses, soon(0.6))
    connection.close()
    assert address == addresses[1]
    assert time.monotonic() - began < 1.5


def test_the_last_failure_counts(silent):
    addresses = [tcp.Address(socket.AF_INET, ("127.0.0.1", port)) for port in (silent, 1)]
    with pytest.raises(tcp.NotConnected) as raised:
        tcp.connect_to(addresses, soon(0.4))
    assert raised.value.state == "refused"
    with pytest.raises(tcp.NotConnected) as raised:
        tcp.connect_to(addresses, soon(0.4), first_failure=True)
    assert (raised.value.state, raised.value.address) == ("timeout", "127.0.0.1")


def test_the_cause_is_the_systems_error():
    assert isinstance(failure("127.0.0.1", 1).__cause__, ConnectionRefusedError)


def test_a_family_that_the_kernel_lacks_leaves_the_next(server):
    lacking = 99999  # no such family, as AF_INET6 is none where the kernel was started without it
    port = server.getsockname()[1]
    connection, address = tcp.connect_to([tcp.Address(lacking, ("::1", port)), tcp.Address(socket.AF_INET, ("127.0.0.1", port))], soon())
    connection.close()
    assert address.place == f"127.0.0.1:{port}"
    with pytest.raises(tcp.NotConnected) as raised:
        tcp.connect_to([tcp.Address(lacking, ("::1", port))], soon())
    assert raised.value.state == "unreachable"


def test_addresses_are_few_and_each_once(monkeypatch):
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{number // 2}", 1)) for number in range(20)]
    monkeypatch.setattr(tcp.socket, "getaddrinfo", lambda *_arguments, **_options: rows)
    assert [address.text for address in tcp.resolve("x", 1)] == ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert len(tcp.resolve("x", 1, 16)) == 10
