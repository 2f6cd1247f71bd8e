# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a page as a browser does: the page, and every file of the same site that it loads.

A broken React build hides: a missing file is answered with index.html and 200. So each file is requested, and its type and size are kept.
The page itself is never returned, only what was found in it.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from html.parser import HTMLParser
from typing import TypedDict
from urllib.parse import urljoin, urlsplit

from ..._core.source import Source
from ..._shared.http_client import KEPT_HEADERS, TIMEOUT, Answer, AnswerFacts, get, summary
from ..._shared.secrets_in_text import SecretFound, kinds_of_secrets

ALL_WITHIN = 8.0  # seconds for all requests of one reading, below the usual deadline of 10
MAX_PAGE = 256 * 1024  # of an index.html; html.parser slows down on large malformed texts
MAX_ASSETS = 80
_FILE_TYPES = {
    ".js": ("javascript", "ecmascript"),
    ".mjs": ("javascript", "ecmascript"),
    ".css": ("text/css",),
}
# The names with a hash that Vite writes into scripts and style sheets; browsers load these files later.
_LATER = re.compile(rb"""["'(](/?(?:[\w.-]{1,60}/){0,4}[\w.-]{1,100}-[\w-]{8}\.(?:js|mjs|css|woff2?|png|svg|jpe?g|webp|gif|ico))["')]""")
_NEIGHBOUR = re.compile(rb"""(?:import\(|from|import)\s?["'](\./[\w.-]{1,120}\.m?js)["']""")


class Asset(AnswerFacts):
    """The answer to the request for a file that the page loads."""

    path: str
    kind: str  # how the page names it: script, stylesheet, "loaded later" ...
    size: int
    wrong_type: bool  # a browser refuses it


class PageFacts(AnswerFacts):
    """The answer to the request for a page, and what the page loads."""

    url: str
    final_url: str  # after redirects
    waited: float  # seconds, for one answer
    size: int
    headers: dict[str, str]
    ids: list[str]  # of its elements
    scripts: int
    assets: list[Asset]
    unasked: list[str]  # paths that were not requested for lack of time
    elsewhere: int  # files of other sites, which are not requested
    secrets: list[SecretFound]  # in what is served


class ParsedPage(TypedDict):
    """What a page names: element ids, number of scripts, its base address, (kind, address) of what it loads."""

    ids: list[str]
    scripts: int
    base: str
    references: list[tuple[str, str]]


class _Page(HTMLParser):
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


def parse_page(text: str) -> ParsedPage:
    """Return what a page names; never raises, whatever the text is."""
    page = _Page()
    # Older versions of the parser give up on malformed declarations; what was read until there counts. It is never closed: what a page
    # leaves open at its end loads nothing, and before the fix of CVE-2025-6069 many such beginnings take minutes.
    with contextlib.suppress(AssertionError, NotImplementedError, ValueError):
        page.feed(text[:MAX_PAGE])
    return {"ids": sorted(page.ids), "scripts": page.scripts, "base": page.base, "references": page.references}


def read_page(url: str, address: str | None = None, timeout: float | None = None) -> PageFacts:
    """Request a page and every file of the same site that it loads, also those that its scripts name for later.

    address: connect to this address instead of to the host of the url. timeout: seconds for one answer.
    """
    end = time.monotonic() + ALL_WITHIN
    within = timeout or TIMEOUT
    answer = get(url, within=within, address=address)
    known = parse_page(answer.body.decode("utf-8", "replace") if answer.status == 200 else "")
    page: PageFacts = {
        **summary(answer),
        "url": url,
        "final_url": answer.url,
        "waited": within,
        "size": len(answer.body),
        "headers": {name: value[:300] for name, value in answer.headers.items() if name in KEPT_HEADERS},
        "ids": known["ids"][:50],
        "scripts": known["scripts"],
        "assets": [],
        "unasked": [],
        "elsewhere": 0,
        "secrets": [{"file": urlsplit(answer.url).path or "/", "kind": kind} for kind in kinds_of_secrets(answer.body)],
    }
    if answer.status == 200 and not answer.problem:
        _read_assets(page, known, end, within, address)
    return page


def _read_assets(page: PageFacts, known: ParsedPage, end: float, within: float, address: str | None) -> None:
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
            page["secrets"] += [{"file": parts.path, "kind": found} for found in kinds_of_secrets(answer.body)]
            waiting += [("loaded later", later) for later in named_later(answer, base) if later not in seen]


def _asset(kind: str, path: str, answer: Answer) -> Asset:
    wrong_type = _wrong_type(path, kind, answer.type)
    return {**summary(answer), "path": path, "kind": kind, "size": len(answer.body), "wrong_type": wrong_type}


def _wrong_type(path: str, kind: str, content_type: str) -> bool:
    """Whether a browser refuses a file: index.html in its place, or a script that is not served as one."""
    allowed = _FILE_TYPES.get(os.path.splitext(path)[1].lower())
    if allowed:
        return not any(word in content_type for word in allowed)
    if kind == "script":
        return "html" in content_type
    return content_type == "text/html"


def named_later(answer: Answer, base: str) -> list[str]:
    """Return the addresses that a script or a style sheet names as files of the build."""
    if not any(word in answer.type for word in ("javascript", "css")):
        return []
    found = []
    for match in _LATER.finditer(answer.body):
        name = match.group(1).decode("ascii", "replace")
        # In a style sheet a name is relative to the style sheet, in Vite's lists of a script to the page.
        found.append(urljoin(answer.url if "css" in answer.type or name.startswith(".") else base, name))
    found += [urljoin(answer.url, match.group(1).decode("ascii", "replace")) for match in _NEIGHBOUR.finditer(answer.body)]
    return list(dict.fromkeys(found))[:MAX_ASSETS]


PAGE = Source("web.page", read_page, ("url", "address", "timeout"))
