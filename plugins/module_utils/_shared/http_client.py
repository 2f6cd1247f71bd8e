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

import contextlib
import errno
import hashlib
import http.client
import io
import json
import os
import re
import socket
import ssl
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from .._core.children import user_name
from .._core.errors import RemediationError, WrongQuestion
from .._core.masking import mask
from .certificates import validity, validity_of_file
from .secrets_in_text import kinds_of_secrets

TIMEOUT = 5.0  # seconds for one answer
ALL_WITHIN = 8.0  # seconds for all requests of one reading, below the usual deadline of 10
MAX_BODY = 8 * 1024 * 1024
MAX_PAGE = 256 * 1024  # of an index.html; html.parser slows down on large nonsense
MAX_SHORT = 64 * 1024  # of an answer of an API
MAX_REDIRECTS = 3
MAX_ASSETS = 80
MAX_BUILD_FILES = 2000
MAX_BUILD_BYTES = 48 * 1024 * 1024
HEALTH_WITHIN = 4.0  # seconds for all requests of a health check that answers
REFUSED, SILENT, CLOSED, UNREACHABLE, NAME, TLS, NONSENSE = "refused", "silent", "closed", "unreachable", "name", "tls", "nonsense"

_URL_REMEDY = "give an address such as https://tank.example.com/ without user and password"
_KEPT_HEADERS = ("content-type", "server", "x-powered-by", "x-frame-options", "x-content-type-options", "content-security-policy")
_FILE_TYPES = {
    ".js": ("javascript", "ecmascript"),
    ".mjs": ("javascript", "ecmascript"),
    ".css": ("text/css",),
}
# What Vite writes into scripts and style sheets: names with a hash, loaded later.
_LATER = re.compile(rb"""["'(](/?(?:[\w.-]{1,60}/){0,4}[\w.-]{1,100}-[\w-]{8}\.(?:js|mjs|css|woff2?|png|svg|jpe?g|webp|gif|ico))["')]""")
_NEIGHBOUR = re.compile(rb"""(?:import\(|from|import)\s?["'](\./[\w.-]{1,120}\.m?js)["']""")


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
        with _connected(scheme, host, port, end, address) as connection:
            _send(connection, host, port if port != {"http": 80, "https": 443}[scheme] else None, target, end)
            _receive(connection, answer, end, max_body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        answer.problem, answer.detail = _problem(error), mask(str(error) or type(error).__name__, limit=160)
    return answer


def _connected(scheme: str, host: str, port: int, end: float, address: str | None, context: ssl.SSLContext | None = None) -> socket.socket:
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
    answer.headers = {name: response.getheader(name, "")[:2000] for name in (*_KEPT_HEADERS, "location") if response.getheader(name)}
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


def _problem(error: Exception) -> str:
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


def read_health(url: str, timeout: float | None = None, requests: int | None = None) -> dict[str, Any]:
    """Ask a health API a few times, one request after the other, until one fails.

    Returns ``status content_type problem detail`` of the last answer, ``json`` (whether it is JSON), ``said`` (its
    ``status`` member), ``sample`` (its beginning, masked), ``times`` (ms of each good answer), ``waited`` (seconds).
    """
    within = timeout or TIMEOUT
    stop = time.monotonic() + HEALTH_WITHIN
    times: list[float] = []
    while True:
        answer = get(url, within=within, max_body=MAX_SHORT, redirects=0)
        if answer.problem or not 200 <= answer.status < 300:
            break
        times.append(answer.ms)
        if len(times) >= (requests or 1) or time.monotonic() >= stop:
            break
    return {"url": url, "times": times, "waited": within, **_short(answer), **_health_body(answer.body)}


def _health_body(body: bytes) -> dict[str, Any]:
    text = body.decode("utf-8", "replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {"json": False, "said": "", "sample": mask(text, limit=120)}
    status = said.get("status") if isinstance(said, dict) else None
    return {"json": True, "said": str(status)[:60] if isinstance(status, (str, bool, int)) else "", "sample": mask(text, limit=120)}


def _short(answer: Answer) -> dict[str, Any]:
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


def read_paths(
    url: str, paths: Sequence[str] | None = None, address: str | None = None, timeout: float | None = None
) -> list[dict[str, Any]]:
    """Ask for paths of a site, such as /api/health through nginx; one entry each, in the order given.

    An entry has ``path url status content_type problem detail ms waited``.
    """
    end = time.monotonic() + ALL_WITHIN
    found = []
    for path in paths or []:
        target = urljoin(url, path)
        within = max(0.5, min(timeout or TIMEOUT, end - time.monotonic()))
        answer = get(target, within=within, address=address, max_body=MAX_SHORT)
        found.append({"path": path, "url": target, "waited": round(within, 1), **_short(answer)})
    return found


# --- source web.page


class _Page(HTMLParser):
    """What a page names and whether it can show anything: element ids, scripts, the files that it loads."""

    LOADED = ("modulepreload", "stylesheet", "icon", "shortcut icon", "apple-touch-icon", "manifest", "preload")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.ids: set[str] = set()
        self.references: list[tuple[str, str]] = []
        self.scripts = 0
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if values.get("id") and len(self.ids) < 1000:
            self.ids.add(values["id"])
        if tag == "base" and not self.base:
            self.base = values.get("href", "")
        elif tag == "script":
            self.scripts += 1
            self._add("script", values.get("src", ""))
        elif tag == "link" and values.get("rel", "").strip().lower() in self.LOADED:
            self._add(values["rel"].strip().lower(), values.get("href", ""))

    def _add(self, kind: str, reference: str) -> None:
        if reference.strip() and not reference.startswith(("data:", "#")) and len(self.references) < 2 * MAX_ASSETS:
            self.references.append((kind, reference.strip()))


def parse_page(text: str) -> dict[str, Any]:
    """Return ``ids scripts base references`` of a page; whatever the text is, nothing is raised."""
    page = _Page()
    # Older versions of the parser give up on malformed declarations; what was read until there counts. It is never closed:
    # what a page leaves open at its end loads nothing, and before the mend of CVE-2025-6069 many such beginnings take minutes.
    with contextlib.suppress(AssertionError, NotImplementedError, ValueError):
        page.feed(text[:MAX_PAGE])
    return {"ids": sorted(page.ids), "scripts": page.scripts, "base": page.base, "references": page.references}


def read_page(url: str, address: str | None = None, timeout: float | None = None) -> dict[str, Any]:
    """Ask for a page and for every file of the same site that it loads, also those that its scripts name for later.

    Returns the page's ``status content_type problem detail ms size whole headers ids scripts``; ``assets``: a list of
    ``path kind status content_type size whole problem wrong_type`` (whole: not cut at MAX_BODY); ``unasked``: files left for lack of time; ``elsewhere``:
    number of files on other sites (not asked); ``secrets``: ``file`` and ``kind`` of each secret found in what was
    served, never the secret.
    """
    end = time.monotonic() + ALL_WITHIN
    within = timeout or TIMEOUT
    answer = get(url, within=within, address=address)
    page: dict[str, Any] = {"url": url, "final_url": answer.url, "waited": within, "size": len(answer.body), **_short(answer)}
    page["headers"] = {name: value[:300] for name, value in answer.headers.items() if name in _KEPT_HEADERS}
    known = parse_page(answer.body.decode("utf-8", "replace") if answer.status == 200 else "")
    page.update(ids=known["ids"][:50], scripts=known["scripts"], assets=[], unasked=[], elsewhere=0)
    page["secrets"] = [{"file": urlsplit(answer.url).path or "/", "kind": kind} for kind in kinds_of_secrets(answer.body)]
    if answer.status == 200 and not answer.problem:
        _read_assets(page, known, end, within, address)
    return page


def _read_assets(page: dict[str, Any], known: Mapping[str, Any], end: float, within: float, address: str | None) -> None:
    base = urljoin(page["final_url"], known["base"])
    site = urlsplit(page["final_url"])
    waiting = [(kind, urljoin(base, reference)) for kind, reference in known["references"]]
    seen: set[str] = set()
    while waiting:
        kind, target = waiting.pop(0)
        parts = urlsplit(target)
        if target in seen or parts.scheme not in ("http", "https"):
            continue
        seen.add(target)
        if (parts.scheme, parts.netloc) != (site.scheme, site.netloc):
            page["elsewhere"] += 1
        elif len(page["assets"]) >= MAX_ASSETS or time.monotonic() >= end:
            page["unasked"].append(parts.path)
        else:
            answer = get(target, within=min(within, max(0.2, end - time.monotonic())), address=address)
            page["assets"].append(_asset(kind, parts.path, answer))
            page["secrets"] += [{"file": parts.path, "kind": kind_} for kind_ in kinds_of_secrets(answer.body)]
            waiting += [("loaded later", later) for later in named_later(answer, base) if later not in seen]


def _asset(kind: str, path: str, answer: Answer) -> dict[str, Any]:
    return {"path": path, "kind": kind, "size": len(answer.body), "wrong_type": _wrong_type(path, kind, answer.type), **_short(answer)}


def _wrong_type(path: str, kind: str, content_type: str) -> bool:
    """Whether a browser would refuse a file: a fallback to index.html, or a script that is not served as one."""
    allowed = _FILE_TYPES.get(os.path.splitext(path)[1].lower())
    if allowed:
        return not any(word in content_type for word in allowed)
    if kind == "script":
        return "html" in content_type
    return content_type == "text/html"


def named_later(answer: Answer, base: str) -> list[str]:
    """Return the addresses that a script or a style sheet names as build files."""
    if not any(word in answer.type for word in ("javascript", "css")):
        return []
    found = []
    for match in _LATER.finditer(answer.body):
        name = match.group(1).decode("ascii", "replace")
        # In a style sheet a name is relative to it, in Vite's lists of a script to the page.
        found.append(urljoin(answer.url if "css" in answer.type or name.startswith(".") else base, name))
    found += [urljoin(answer.url, match.group(1).decode("ascii", "replace")) for match in _NEIGHBOUR.finditer(answer.body)]
    return list(dict.fromkeys(found))[:MAX_ASSETS]


# --- source web.build


def read_build(build_dir: str | None = None) -> dict[str, Any]:
    """Look at the folder of the built page: is index.html there, who may read it, which files hold secrets.

    Returns ``given`` (whether a folder was), ``present``, ``index`` (``present size mode``), ``closed``: the first folder or
    file on the way that others may not enter or read, with ``mode`` and ``owner``; ``files`` looked at; ``unread``: files left
    for their number, size (or a part of them) or rights; ``secrets``: ``file`` and ``kind``.
    """
    found: dict[str, Any] = {"given": bool(build_dir), "path": build_dir or "", "present": False, "files": 0, "unread": 0, "secrets": []}
    found.update(index={"present": False, "size": 0, "mode": ""}, closed=None)
    if not build_dir:
        return found
    index = os.path.join(build_dir, "index.html")
    found["present"] = os.path.isdir(build_dir)
    found["closed"] = _closed(index)
    try:
        about = os.stat(index)
        found["index"] = {"present": stat.S_ISREG(about.st_mode), "size": about.st_size, "mode": f"{about.st_mode & 0o7777:04o}"}
    except OSError:
        pass
    _scan_build(build_dir, found)
    return found


def _closed(path: str) -> dict[str, str] | None:
    """Return the first part of a path that others may not enter (folders) or read (the file itself)."""
    parts = path.strip("/").split("/")
    for number in range(1, len(parts) + 1):
        part = "/" + "/".join(parts[:number])
        try:
            about = os.stat(part)
        except OSError:
            return None
        needed = 0o001 if stat.S_ISDIR(about.st_mode) else 0o004
        if not about.st_mode & needed:
            return {"path": part, "mode": f"{about.st_mode & 0o7777:04o}", "owner": user_name(about.st_uid)}
    return None


def _scan_build(build_dir: str, found: dict[str, Any]) -> None:
    left = MAX_BUILD_BYTES
    for path in _files_below(build_dir):
        if found["files"] >= MAX_BUILD_FILES or left <= 0:
            found["unread"] += 1
            continue
        try:
            with open(path, "rb") as file:
                data = file.read(min(left, MAX_BODY))
                found["unread"] += bool(file.read(1))
        except OSError:
            found["unread"] += 1
            continue
        left -= len(data)
        found["files"] += 1
        name = os.path.relpath(path, build_dir)
        found["secrets"] += [{"file": name, "kind": kind} for kind in kinds_of_secrets(data)][: max(0, 20 - len(found["secrets"]))]


def _files_below(folder: str) -> Iterator[str]:
    for place, _folders, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


# --- source web.certificate


def read_certificates(
    url: str | None = None,
    address: str | None = None,
    certificate_files: Sequence[str] | None = None,
    ca_file: str | None = None,
    timeout: float | None = None,
) -> list[dict[str, Any]]:
    """Return the validity of the certificate that a site presents, and of certificate files.

    An entry: ``subject`` (host:port or path), ``live``, ``not_before not_after`` (epoch seconds), ``problem``
    ("" or why it could not be read), ``refused`` (nothing listens there), and for a live one ``trusted`` with ``distrust`` (what a
    browser would say).
    """
    found = []
    if url and split(url)[0] == "https":
        found.append(_live_certificate(url, address, ca_file, timeout or TIMEOUT))
    files = ({"subject": path, "live": False, "trusted": None, "distrust": "", **_file_validity(path)} for path in certificate_files or [])
    return [*found, *files]


def _file_validity(path: str) -> dict[str, Any]:
    try:
        before, after = validity_of_file(path)
    except RemediationError as error:
        return {"not_before": None, "not_after": None, "problem": error.message}
    return {"not_before": before, "not_after": after, "problem": ""}


def _live_certificate(url: str, address: str | None, ca_file: str | None, within: float) -> dict[str, Any]:
    scheme, host, port, _target = split(url)
    entry: dict[str, Any] = {"subject": f"{host}:{port}", "live": True, "not_before": None, "not_after": None, "problem": ""}
    entry.update(trusted=None, distrust="")
    try:
        with _connected(scheme, host, port, time.monotonic() + within, address) as connection:
            presented = connection.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        entry["not_before"], entry["not_after"] = validity(presented or b"")
    except (OSError, ValueError) as error:
        entry["problem"] = f"{host}:{port} presents no certificate: {mask(str(error), limit=120)}"
        entry["refused"] = _problem(error) == REFUSED
        return entry
    except RemediationError as error:
        entry["problem"] = error.message
        return entry
    entry["trusted"], entry["distrust"] = _trust(scheme, host, port, within, address, ca_file)
    return entry


def _trust(scheme: str, host: str, port: int, within: float, address: str | None, ca_file: str | None) -> tuple[bool | None, str]:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise WrongQuestion(
            "ca_file", ca_file, f"cannot be read ({error.strerror or error})", "give a file with CA certificates"
        ) from error
    try:
        with _connected(scheme, host, port, time.monotonic() + within, address, context):
            return True, ""
    except ssl.SSLCertVerificationError as error:
        return False, error.verify_message
    except (OSError, ValueError) as error:
        return None, mask(str(error), limit=120)
