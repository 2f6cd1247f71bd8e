# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask over HTTP as a browser would: a health API, a page with all its assets, certificates.

Standard library only, no proxy from the environment, every answer bounded in bytes and in time as a whole: a server
that drips a byte a second is cut off. A broken React build hides (a missing asset is answered with index.html and
200), so every file that the page names is asked for. Times are seconds, sizes are bytes. Everything here runs in a
child with a deadline; a page is never returned, only what was found in it.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from .._core.errors import WrongQuestion
from .._core.masking import mask

TIMEOUT = 5.0  # seconds for one answer
ALL_WITHIN = 8.0  # seconds for all requests of one reading, below the usual deadline of 10
MAX_BODY = 8 * 1024 * 1024
MAX_SHORT = 64 * 1024  # of an answer of an API
MAX_REDIRECTS = 3
REFUSED, SILENT, CLOSED, UNREACHABLE, NAME, TLS, NONSENSE = "refused", "silent", "closed", "unreachable", "name", "tls", "nonsense"

_URL_REMEDY = "give an address such as https://tank.example.com/ without user and password"
KEPT_HEADERS = ("content-type", "server", "x-powered-by", "x-frame-options", "x-content-type-options", "content-security-policy")


END_OF_TIME = 253402300799  # the last second of the year 9999


def stamp(moment: Any) -> str | None:
    """Return a time (epoch seconds) as RFC 3339 in UTC, None when it is not known."""
    if not isinstance(moment, (int, float)) or not 0 < moment <= END_OF_TIME:
        return None
    return datetime.fromtimestamp(moment, tz=timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


# --- one request


@dataclass
class Answer:
    """What came back. problem: "" or one of the words above; status 0 where there is none; ms: until the last byte."""

    url: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = True
    problem: str = ""
    detail: str = ""
    ms: float = 0.0

    @property
    def type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").split(";", 1)[0].strip().lower()


class _Reader(io.RawIOBase):
    """Bytes of a socket until a moment (monotonic seconds): each wait gets only what is left of the time."""

    def __init__(self, connection: socket.socket, end: float) -> None:
        super().__init__()
        self._connection, self._end = connection, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._end))
        return self._connection.recv_into(buffer)


class _Wire:
    """As much of a socket as http.client needs to read an answer."""

    def __init__(self, connection: socket.socket, end: float) -> None:
        self._reader = io.BufferedReader(_Reader(connection, end))

    def makefile(self, *_arguments: Any, **_options: Any) -> io.BufferedReader:
        return self._reader


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def get(
    url: str, *, within: float = TIMEOUT, address: str | None = None, max_body: int = MAX_BODY, redirects: int = MAX_REDIRECTS
) -> Answer:
    """Ask for an address and return the answer, following redirects within the same time.

    within: seconds for everything. redirects: how many are followed; with 0 a redirect is an answer as any other.
    address: connect there instead of to the host of the address (its name is still sent). max_body: longer bodies are cut (``whole`` is
    then false). Certificates are not judged here.
    Never raises for what a server does; raises WrongQuestion for an address that is none.
    """
    started = time.monotonic()
    end = started + within
    answer = _get_once(url, end, address, max_body)
    followed = 0
    while redirects and answer.status in (301, 302, 303, 307, 308) and answer.headers.get("location"):
        if followed == redirects:
            answer.problem, answer.detail = NONSENSE, f"more than {redirects} redirects"
            break
        followed += 1
        target = urljoin(answer.url, answer.headers["location"])
        try:
            answer = _get_once(target, end, address if _same_host(target, answer.url) else None, max_body)
        except WrongQuestion:
            answer.problem, answer.detail = NONSENSE, "a redirect to what is no address of the web"
            break
    answer.ms = round((time.monotonic() - started) * 1000, 1)
    return answer


def split(url: Any) -> tuple[str, str, int, str]:
    """Return scheme, host, port and request target of an address; raises WrongQuestion for what is none."""
    try:
        parts = urlsplit(str(url))
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = (parts.hostname or "").encode("idna" if not (parts.hostname or "").isascii() else "ascii").decode()
    except ValueError as error:
        raise WrongQuestion("url", mask(str(url), limit=200), "is not an address of the web", _URL_REMEDY) from error
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\x00-\x1f\x7f]", host):
        raise WrongQuestion("url", mask(str(url), limit=200), "is not an address of the web", _URL_REMEDY)
    if parts.username or parts.password:
        raise WrongQuestion("url", "(hidden)", "holds a user or a password", _URL_REMEDY)
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{quote(parts.query, safe='/?%:@!$&()*+,;=~-._')}" if parts.query else ""
    )
    return parts.scheme, host, port, target


def _same_host(one: str, other: str) -> bool:
    return urlsplit(one).hostname == urlsplit(other).hostname


def _get_once(url: str, end: float, address: str | None, max_body: int) -> Answer:
    scheme, host, port, target = split(url)
    answer = Answer(url)
    try:
        with open_connection(scheme, host, port, end, address) as connection:
            _send(connection, host, port if port != {"http": 80, "https": 443}[scheme] else None, target, end)
            _receive(connection, answer, end, max_body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        answer.problem, answer.detail = problem_of(error), mask(str(error) or type(error).__name__, limit=160)
    return answer


def open_connection(
    scheme: str, host: str, port: int, end: float, address: str | None, context: ssl.SSLContext | None = None
) -> socket.socket:
    """Return a connection, with TLS where the scheme says so; the given context judges the certificate, none does not."""
    connection = socket.create_connection((address or host, port), timeout=_left(end))
    if scheme != "https":
        return connection
    try:
        connection.settimeout(_left(end))
        return (context or _any_certificate()).wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _any_certificate() -> ssl.SSLContext:
    """Accept what is presented: a page behind an expired certificate is still read, and web.certificate judges."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _send(connection: socket.socket, host: str, port: int | None, target: str, end: float) -> None:
    shown = f"[{host}]" if ":" in host else host
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {shown}{f':{port}' if port else ''}",
        "User-Agent: ops-remediation",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: close",
        "\r\n",
    )
    connection.settimeout(_left(end))
    connection.sendall("\r\n".join(lines).encode("latin-1"))


def _receive(connection: socket.socket, answer: Answer, end: float, max_body: int) -> None:
    response = http.client.HTTPResponse(_Wire(connection, end), method="GET")  # type: ignore[arg-type]
    response.begin()
    answer.status = response.status
    answer.headers = {name: response.getheader(name, "")[:2000] for name in (*KEPT_HEADERS, "location") if response.getheader(name)}
    body = bytearray()
    wanted = response.length
    while len(body) <= max_body:
        piece = response.read(65536)
        if not piece:
            break
        body += piece
    if wanted is not None and len(body) < min(wanted, max_body):
        raise http.client.IncompleteRead(b"", wanted - len(body))
    answer.whole = len(body) <= max_body
    answer.body = bytes(body[:max_body])


def problem_of(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return SILENT
    if isinstance(error, socket.gaierror):
        return NAME
    if isinstance(error, ssl.SSLError):
        return TLS
    if isinstance(error, (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead)):
        return CLOSED
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, OSError):
        return SILENT if error.errno == errno.ETIMEDOUT else UNREACHABLE
    return NONSENSE


# --- source backend.health


def summary(answer: Answer) -> dict[str, Any]:
    return {
        "status": answer.status,
        "content_type": answer.type[:80],
        "problem": answer.problem,
        "detail": answer.detail,
        "ms": answer.ms,
        "whole": answer.whole,
        "digest": hashlib.sha256(answer.body[:MAX_SHORT]).hexdigest()[:16],
    }


# --- source web.paths


# --- source web.page


# --- source web.build


# --- source web.certificate
