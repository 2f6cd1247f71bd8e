# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that sends given bytes at a given pace, and questions with given answers."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress

from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked

NOW = 1795219200.0
INDEX = (
    '<!doctype html><html><head><script type="module" crossorigin src="/assets/index-abcd1234.js"></script>'
    '<link rel="stylesheet" href="/assets/index-abcd1234.css"></head><body><div id="root"></div></body></html>'
)


def http(body=b"", status="200 OK", content_type="text/html", **headers):
    """Return the bytes of an answer."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def server(answers, pause=0.0, piece=1 << 20, hang=False):
    """Serve raw bytes: a dictionary path -> bytes, or bytes for every path; yields the address.

    pause: seconds between pieces. hang: the connection stays open after the last byte.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    kept = []

    def talk(connection):
        with suppress(OSError, IndexError):
            request = connection.recv(65536)
            path = request.decode("latin-1").split(" ")[1]
            data = answers if isinstance(answers, bytes) else answers.get(path, http(INDEX))
            for at in range(0, len(data), piece):
                connection.sendall(data[at : at + piece])
                time.sleep(pause)
            if not hang:
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def serve():
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            kept.append(connection)
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in kept:
            connection.close()


def asked(specification, remembered=None, parameters=None, now=NOW, **sources):
    """Ask with values; web_page is the source web.page, an exception is raised on reading."""
    given = {name: spec.get("default") for name, spec in specification.items()}
    given.update(parameters or {})
    outcomes = {}
    for name, value in sources.items():
        outcomes[name.replace("_", ".", 1)] = Outcome(error=value) if isinstance(value, Exception) else Outcome(value)
    return Asked(given, now, outcomes, {"nginx.state": remembered})
