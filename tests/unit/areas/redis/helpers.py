# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Redis servers on free ports, and servers that say what a test wants."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAM = shutil.which("redis-server")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@contextlib.contextmanager
def redis(folder: Path, *lines: str) -> Iterator[int]:
    """A server with a configuration of its own; yields its port when it accepts connections."""
    folder.mkdir(parents=True, exist_ok=True)
    port, conf = free_port(), folder / "redis.conf"
    conf.write_text("\n".join([f"port {port}", "bind 127.0.0.1", f"dir {folder}", 'save ""', *lines]) + "\n", encoding="utf-8")
    process = subprocess.Popen([str(PROGRAM), str(conf)], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env={"PATH": os.defpath})
    try:
        while True:
            assert process.poll() is None, "redis-server ended at once"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        yield port
    finally:
        process.kill()
        process.wait()


def cli(port: int, *command: str) -> str:
    done = subprocess.run(["redis-cli", "-p", str(port), *command], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


@contextlib.contextmanager
def answering(*answers: bytes, closes: bool = True) -> Iterator[int]:
    """A server that sends one answer to each piece that it receives; then it closes, or says nothing more until the client goes."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _address = listener.accept()
            with connection:
                for answer in answers:
                    connection.recv(65536)
                    connection.sendall(answer)
                if not closes:
                    while connection.recv(65536):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(timeout=5)
