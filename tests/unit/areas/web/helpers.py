# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that sends given bytes at a given pace, and questions with given answers."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

from ansible_collections.ops.remediation.plugins.module_utils._areas.web import read_build
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue
from hypothesis import settings

QUICK = settings(max_examples=150, deadline=2000)
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


def make_certificate(folder):
    """Make a self-signed certificate of ten days in a folder: site.crt and site.key."""
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "10",
        "-subj",
        "/CN=localhost",
    ]
    argv += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(folder / "site.key"), "-out", str(folder / "site.crt")]
    subprocess.run(argv, check=True, capture_output=True)


@contextmanager
def tls_server(folder):
    """Serve a page with the certificate of a folder; yields the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "site.crt", folder / "site.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(1000)
                    secure.sendall(http("hello"))
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def asked(specification, remembered=None, parameters=None, now=NOW, **sources):
    """Ask with values; web_page is the source web.page, an exception is raised on reading."""
    given = {name: spec.get("default") for name, spec in specification.items()}
    given.update(parameters or {})
    outcomes = {}
    for name, value in sources.items():
        outcomes[name.replace("_", ".", 1)] = Outcome(error=value) if isinstance(value, Exception) else Outcome(value)
    return Asked(given, now, outcomes, {"nginx.state": remembered})


URL = "http://tank.example.com/"


NO_BUILD = read_build.read_build(None)


def texts_read_well(findings):
    for finding in findings:
        if finding.code:
            for parts in faults_catalogue.render({**finding.as_dict(), "host": "tank-web"}).values():
                assert all(part and "None" not in part and "ndefined" not in part for part in parts.values()), parts
    return findings


def page(status=200, **more):
    seen = {
        "url": URL,
        "final_url": URL,
        "waited": 5.0,
        "size": 400,
        "status": status,
        "content_type": "text/html",
        "problem": "",
        "detail": "",
        "ms": 1.0,
    }
    seen.update(headers={}, ids=["root"], scripts=1, assets=[asset()], unasked=[], elsewhere=0, secrets=[], digest="p", whole=True)
    return {**seen, **more}


def asset(path="/assets/a.js", **more):
    return {
        "path": path,
        "kind": "script",
        "size": 9,
        "wrong_type": False,
        "status": 200,
        "content_type": "text/javascript",
        "problem": "",
        "whole": True,
        **more,
    }


def build(**more):
    found = {**NO_BUILD, "given": True, "path": "/opt/app/frontend/build", "present": True, "files": 3}
    return {**found, "index": {"present": True, "size": 9, "mode": "0644"}, **more}


def ask(check, parameters, seen=None, built=None, **more):
    sources = {"web_page": page() if seen is None else seen, "web_build": NO_BUILD if built is None else built, **more}
    return texts_read_well(check(asked(parameters, parameters={"url": URL}, **sources)))


GONE = {"present": False, "size": 0, "mode": ""}
