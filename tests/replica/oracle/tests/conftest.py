"""A server in a process of its own, and ways to connect to it."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..control import Control

CHECKOUT = Path(__file__).resolve().parents[4]
START_SECONDS = 15


@dataclass
class Running:
    """A running server, its ports, its control and the passwords of its accounts."""

    folder: Path
    process: subprocess.Popen
    ports: dict
    control: Control
    passwords: dict

    def connect(self, user="TANK", password=None, **options):
        oracledb = pytest.importorskip("oracledb")
        given = {"host": "127.0.0.1", "port": self.ports["port"], "tcp_connect_timeout": 5, **options}
        if "service_name" not in given and "sid" not in given:
            given["service_name"] = "ORCLPDB1"
        return oracledb.connect(user=user, password=password or self.passwords[user.upper()], **given)

    @contextlib.contextmanager
    def fault(self, kind, **options):
        self.control.set_fault(kind, **options)
        try:
            yield
        finally:
            self.control.clear_faults()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()


def start_server(folder, *options):
    """Start a server; its first line names the ports."""
    argv = [sys.executable, "-m", "tests.replica.oracle", "serve", "--data", str(folder), *options]
    process = subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else ""
    if not line:
        process.kill()
        raise AssertionError(f"the server did not start: rc {process.wait(5)}")
    control = Control(Path(folder))
    return Running(Path(folder), process, json.loads(line), control, control.passwords())


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = start_server(tmp_path_factory.mktemp("oracle"))
    yield running
    running.stop()


@pytest.fixture
def connection(server):
    with server.connect() as made:
        yield made


@pytest.fixture
def owner(server):
    """A connection of the schema's owner, who may create tables."""
    with server.connect("CUST") as made:
        yield made


@pytest.fixture(autouse=True)
def no_faults_left(request):
    """A test that fails leaves no fault to the next."""
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").control.clear_faults()


def eventually(question, seconds=3.0):
    """True when `question()` becomes true within `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if question():
            return True
        time.sleep(0.02)
    return False
