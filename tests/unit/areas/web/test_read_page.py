# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a page with its files over real sockets, and malformed pages."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.web import read_page
from ansible_collections.ops.remediation.plugins.module_utils._shared import http_client
from hypothesis import given
from hypothesis import strategies as st

from . import helpers as h
from .helpers import QUICK


def page(**paths):
    answers = {"/": h.http(h.INDEX)}
    answers["/assets/index-abcd1234.js"] = h.http("let a=1", content_type="application/javascript")
    answers["/assets/index-abcd1234.css"] = h.http("a{}", content_type="text/css")
    answers.update({f"/{path.lstrip('/')}": data for path, data in paths.items()})
    with h.server(answers) as url:
        return read_page.read_page(url)


def test_a_whole_page():
    seen = page()
    assert [(asset["path"], asset["kind"], asset["wrong_type"]) for asset in seen["assets"]] == [
        ("/assets/index-abcd1234.js", "script", False),
        ("/assets/index-abcd1234.css", "stylesheet", False),
    ]
    assert (seen["ids"], seen["scripts"], seen["unasked"], seen["secrets"]) == (["root"], 1, [], [])


def test_the_fallback_to_the_page_is_seen():
    seen = page(**{"assets/index-abcd1234.js": h.http(h.INDEX)})
    assert seen["assets"][0]["wrong_type"] is True


def test_files_that_scripts_and_style_sheets_name_for_later():
    script = (
        'const d=["assets/run-Ab12_-cd.js","/assets/run-Ab12_-cd.css"];import("./jobs-12345678.js");import{a}from"./vendor-87654321.js"'
    )
    seen = page(
        **{
            "assets/index-abcd1234.js": h.http(script, content_type="text/javascript"),
            "assets/index-abcd1234.css": h.http("@font-face{src:url(/assets/font-abcdefgh.woff2)}", content_type="text/css"),
        }
    )
    assert {asset["path"] for asset in seen["assets"] if asset["kind"] == "loaded later"} == {
        "/assets/run-Ab12_-cd.js",
        "/assets/run-Ab12_-cd.css",
        "/assets/jobs-12345678.js",
        "/assets/vendor-87654321.js",
        "/assets/font-abcdefgh.woff2",
    }


def test_other_sites_are_counted_and_not_asked():
    seen = page(**{"/": h.http('<div id="root"></div><script src="https://cdn.example.com/x.js"></script>')})
    assert (seen["elsewhere"], seen["assets"]) == (1, [])


def test_a_page_with_thousands_of_files_ends():
    many = "".join(f'<script src="/a{number}.js"></script>' for number in range(5000))
    seen = page(**{"/": h.http(f'<div id="root"></div>{many}')})
    assert len(seen["assets"]) <= read_page.MAX_ASSETS


def test_a_secret_in_a_served_script_is_named_and_not_quoted():
    seen = page(**{"assets/index-abcd1234.js": h.http('x={AWS:"AKIAIOSFODNN7EXAMPLE"}', content_type="text/javascript")})
    assert seen["secrets"] == [{"file": "/assets/index-abcd1234.js", "kind": "AWS access key"}]
    assert "AKIAIOSF" not in json.dumps(seen)


@pytest.mark.parametrize(
    "text",
    ["", "<", "<!", "<![", "<!doctype", "<![CDATA[", "<!-- <script src=x>", "<a" * 1000, "<script src=", "\x00", "<![foo", "</" * 9999],
)
def test_malformed_pages(text):
    assert read_page.parse_page(text)["references"] == [] or "script" in text


@QUICK
@given(st.text(alphabet=st.sampled_from("<>!-[]/\"'= abscriptlnkhrefd&;#x\n"), max_size=400))
def test_any_page_is_parsed(text):
    known = read_page.parse_page(text)
    assert len(known["references"]) <= read_page.MAX_ASSETS


def test_a_huge_malformed_page_is_parsed_in_bounded_time():
    for piece in ("<a ", "<!--", "<script>", "<![CDATA[", "</a", '<a b="'):
        started = time.process_time()
        read_page.parse_page(piece * 500_000)
        assert time.process_time() - started < 20, piece


@QUICK
@given(st.binary(max_size=2000))
def test_any_script_is_looked_through(body):
    answer = http_client.Answer("http://x/assets/a.js", 200, {"content-type": "text/javascript"}, body)
    assert len(read_page.named_later(answer, "http://x/")) <= read_page.MAX_ASSETS
