# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP client for checks: one GET request, bounded in time and in bytes as a whole.

Standard library only; no proxy of the environment is used. A server that sends a byte a second is cut off. Any certificate is accepted:
web.certificate is the check that judges them. Times are seconds, sizes are bytes.
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
from typing import Any, TypedDict
from urllib.parse import quote, urljoin, urlsplit

from .._core.errors import WrongQuestion
from .._core.masking import mask
from . import tcp

TIMEOUT = 5.0  # seconds for one answer
MAX_BODY = 8 * 1024 * 1024
MAX_SHORT = 64 * 1024  # of an answer of an API
MAX_REDIRECTS = 3
# Why there is no answer that can be used.
REFUSED, SILENT, CLOSED, UNREACHABLE, NAME, TLS, NONSENSE = "refused", "silent", "closed", "unreachable", "name", "tls", "nonsense"
_PROBLEMS: dict[tcp.State, str] = {
    "name": NAME,
    "timeout": SILENT,
    "refused": REFUSED,
    "denied": UNREACHABLE,
    "unreachable": UNREACHABLE,
}

_URL_REMEDY = "give an address such as https://tank.example.com/ without user and password"
KEPT_HEADERS = ("content-type", "server", "x-powered-by", "x-frame-options", "x-content-type-options", "content-security-policy")


@dataclass
class Answer:
    """The answer to a request.

    problem: "" or one of the words above. status: 0 when none was received. whole: false when the body was cut. ms: until the last byte.
    """

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


class AnswerFacts(TypedDict):
    """An answer without its body, as a source returns it."""

    status: int
    content_type: str
    problem: str
    detail: str
    ms: float
    whole: bool
    digest: str  # of the beginning of the body


class _Reader(io.RawIOBase):
    """Read a socket until a moment (monotonic seconds): each wait gets only the time that is left."""

    def __init__(self, connection: socket.socket, end: float) -> None:
        super().__init__()
        self._connection, self._end = connection, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._end))
        return self._connection.recv_into(buffer)


class _Wire:
    """The part of a socket that http.client needs to read an answer."""

    def __init__(self, connection: socket.socket, end: float) -> None:
        self._reader = io.BufferedReader(_Reader(connection, end))

    def makefile(self, *_arguments: Any, **_options: Any) -> io.BufferedIOBase:
        return self._reader


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def get(
    url: str,
    *,
    within: float = TIMEOUT,
    address: str | None = None,
    max_body: int = MAX_BODY,
    redirects: int = MAX_REDIRECTS,
) -> Answer:
    """Request an address and return the answer; redirects are followed within the same time.

    within: seconds for everything. address: connect to this address instead of to the host of the url; the host's name is still sent.
    max_body: a longer body is cut. redirects: how many are followed; with 0, a redirect is an answer like any other.
    Never raises for what a server does; raises WrongQuestion for a url that is not a web address.
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
    """Return scheme, host, port and request target of a web address; raises WrongQuestion for any other text."""
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
    scheme: str, host: str, port: int, end: float, address: str | None = None, context: ssl.SSLContext | None = None
) -> socket.socket:
    """Return a connection, with TLS where the scheme is https; raises OSError.

    end: monotonic seconds. address: connect there instead of to the host. context: judges the certificate; without it, any is accepted.
    """
    connection, _address = tcp.connect(address or host, port, end)
    if scheme != "https":
        return connection
    try:
        connection.settimeout(_left(end))
        return (context or _any_certificate()).wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _any_certificate() -> ssl.SSLContext:
    """Return a context that accepts any certificate: a page behind an expired one is still read, and web.certificate reports it."""
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
    response = http.client.HTTPResponse(_Wire(connection, end), method="GET")  # type: ignore[arg-type]  # it needs no more of a socket
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
    """Return the word for an error of a request."""
    if isinstance(error, tcp.NotConnected):
        return _PROBLEMS[error.state]
    if isinstance(error, socket.timeout):
        return SILENT
    if isinstance(error, ssl.SSLError):
        return TLS
    if isinstance(error, (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead)):
        return CLOSED
    if isinstance(error, OSError):
        return SILENT if error.errno == errno.ETIMEDOUT else UNREACHABLE
    return NONSENSE


def summary(answer: Answer) -> AnswerFacts:
    """Return the facts of an answer."""
    return {
        "status": answer.status,
        "content_type": answer.type[:80],
        "problem": answer.problem,
        "detail": answer.detail,
        "ms": answer.ms,
        "whole": answer.whole,
        "digest": hashlib.sha256(answer.body[:MAX_SHORT]).hexdigest()[:16],
    }
