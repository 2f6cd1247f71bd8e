# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from ..._core.source import Source
from ..._shared.http_client import ALL_WITHIN, KEPT_HEADERS, TIMEOUT, Answer, get, summary
from ..._shared.secrets_in_text import kinds_of_secrets

MAX_PAGE = 256 * 1024  # of an index.html; html.parser slows down on large nonsense


MAX_ASSETS = 80


_FILE_TYPES = {
    ".js": ("javascript", "ecmascript"),
    ".mjs": ("javascript", "ecmascript"),
    ".css": ("text/css",),
}


# What Vite writes into scripts and style sheets: names with a hash, loaded later.
_LATER = re.compile(rb"""["'(](/?(?:[\w.-]{1,60}/){0,4}[\w.-]{1,100}-[\w-]{8}\.(?:js|mjs|css|woff2?|png|svg|jpe?g|webp|gif|ico))["')]""")


_NEIGHBOUR = re.compile(rb"""(?:import\(|from|import)\s?["'](\./[\w.-]{1,120}\.m?js)["']""")


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
    page: dict[str, Any] = {"url": url, "final_url": answer.url, "waited": within, "size": len(answer.body), **summary(answer)}
    page["headers"] = {name: value[:300] for name, value in answer.headers.items() if name in KEPT_HEADERS}
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
    return {"path": path, "kind": kind, "size": len(answer.body), "wrong_type": _wrong_type(path, kind, answer.type), **summary(answer)}


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


PAGE = Source("web.page", read_page, ("url", "address", "timeout"))
