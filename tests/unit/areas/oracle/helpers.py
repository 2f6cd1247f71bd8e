# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replica of an Oracle server, and processes that ask it with two releases of the driver."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(CHECKOUT))

from tests.replica.oracle.tests.conftest import Running, start_server  # noqa: E402 - found through the line above

COLLECTIONS = CHECKOUT / ".cache" / "collections"
OLDER = "3.4.2"
STAGE_TIMEOUT = 5.0  # far more than anything takes here; tests of silence give less
LONGEST_ANSWER = 60


def older_driver() -> str:
    """Return the folder with an older release of the driver; it is installed there once."""
    folder = CHECKOUT / ".cache" / f"oracledb-{OLDER}"
    if not (folder / "oracledb" / "__init__.py").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--target", str(folder), f"oracledb=={OLDER}"], check=True, timeout=180, capture_output=True)
    return str(folder)


@dataclass
class Asker:
    """One process that asks; see oracle_asker.py."""

    process: subprocess.Popen

    @classmethod
    def start(cls, driver: str = "") -> Asker:
        argv = [sys.executable, str(Path(__file__).with_name("oracle_asker.py")), str(COLLECTIONS), driver]
        return cls(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))

    def ask(self, *targets: dict, state_dir: Any = "", slow_names: float = 0.0, **options: Any) -> Answer:
        options = {"timeout": 20.0, "stage_timeout": STAGE_TIMEOUT, "slow_login": 20.0, **options, "targets": list(targets)}
        request = {"options": options, "state_dir": str(state_dir), "slow_names": slow_names}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        ready, _unused, _unused = select.select([self.process.stdout], [], [], LONGEST_ANSWER)
        assert ready, "no answer"
        return Answer(**json.loads(self.process.stdout.readline()))

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@dataclass
class Answer:
    """What was found."""

    findings: list[dict]
    targets: list[dict]
    wrong: list[str]
    warnings: list[str]
    seconds: float
    descriptors: int
    children: list[str]
    driver: str

    def about(self, name: str = "db", check: str = "oracle.connect") -> dict:
        """The first finding about a target."""
        return next(finding for finding in self.findings if (finding["check"], finding["subject"]) == (check, name))

    def codes(self, check: str = "oracle.connect") -> dict[str, str]:
        """The code of the first finding about each target."""
        return {finding["subject"]: finding["code"] for finding in reversed(self.findings) if finding["check"] == check}


@dataclass
class Place:
    """A running replica and the targets on it."""

    server: Running

    def target(self, name: str = "db", user: str = "TANK_MON", **more: Any) -> dict:
        made = {"name": name, "host": "127.0.0.1", "port": self.server.ports["port"], "service": "ORCLPDB1", "user": user}
        made["password"] = self.server.passwords.get(user, "")
        made.update(more)
        if made.get("sid") or made.get("dsn"):
            made.pop("service", None)
        if made.get("dsn"):
            made.pop("host", None)
        return {key: value for key, value in made.items() if value is not None}

    def tried(self, user: str) -> list[str]:
        """How the logins of a user ended."""
        return [attempt["outcome"] for attempt in self.server.control.logins(user=user)]


@contextlib.contextmanager
def stranger(words: bytes, *, at_once: bool) -> Iterator[int]:
    """A server of another kind at a port: it speaks at once, or after it was spoken to, and is silent then."""
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listening.accept()
                held.append(connection)
                if not at_once:
                    connection.recv(1000)
                if words:
                    connection.sendall(words)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)
        for connection in held:
            connection.close()


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port that answers no SYN packet, as behind a firewall: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _number in range(16):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(listening.getsockname())
            except TimeoutError:
                yield listening.getsockname()[1]
                return
        raise AssertionError("the queue does not fill up")


def start_replica(folder: Path) -> Place:
    """Start a replica; the caller stops its server."""
    return Place(start_server(folder))
