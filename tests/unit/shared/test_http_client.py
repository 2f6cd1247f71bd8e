# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading over HTTP: real sockets, slow and broken servers, pages, certificates, secrets; and nonsense of all kinds."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.backend import check_health
from ansible_collections.ops.remediation.plugins.module_utils._areas.web import read_build, read_certificates, read_page
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import certificates as _certificate
from ansible_collections.ops.remediation.plugins.module_utils._shared import health as _health
from ansible_collections.ops.remediation.plugins.module_utils._shared import http_client as _web
from ansible_collections.ops.remediation.plugins.module_utils._shared import secrets_in_text as _secrets_in_files
from hypothesis import given, settings
from hypothesis import strategies as st

from ..areas.web import helpers as h

QUICK = settings(max_examples=150, deadline=2000)

# --- one request


def test_an_answer():
    with h.server(h.http("hello", content_type="text/plain; charset=utf-8", X_Frame_Options="DENY")) as url:
        answer = _web.get(url)
    assert (answer.status, answer.body, answer.type, answer.problem, answer.whole) == (200, b"hello", "text/plain", "", True)
    assert answer.headers["x-frame-options"] == "DENY"


def test_the_environments_proxy_is_not_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with h.server(h.http("hello")) as url:
        assert _web.get(url).status == 200


@pytest.mark.parametrize(
    ("data", "pause", "hang"),
    [
        (b"", 0, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100, 0.05, True),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Drip: 1\r\n" * 90, 0.05, True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.05, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", 0, True),
    ],
    ids=["nothing", "body", "headers", "continue", "stops"],
)
def test_a_server_that_drips_or_hangs_is_cut_off(data, pause, hang):
    started = time.monotonic()
    with h.server(data, pause=pause, piece=1, hang=hang) as url:
        answer = _web.get(url, within=0.5)
    assert answer.problem == "silent"
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab", "closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "nonsense"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n", "nonsense"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100000 + b"\r\n\r\n", "nonsense"),
    ],
)
def test_broken_answers(data, problem):
    with h.server(data) as url:
        assert _web.get(url, within=2).problem == problem


def test_nothing_listens():
    with h.server(b"") as url:
        pass
    assert _web.get(url, within=1).problem == "refused"


def test_a_long_body_is_cut():
    with h.server(h.http(b"x" * 100_000)) as url:
        answer = _web.get(url, max_body=1000)
    assert (len(answer.body), answer.whole, answer.problem) == (1000, False, "")


def test_redirects_are_followed_a_little():
    there = {"/": h.http(status="302 Found", Location="/a"), "/a": h.http("here")}
    with h.server(there) as url:
        assert _web.get(url).body == b"here"
    with h.server(h.http(status="302 Found", Location="/")) as url:
        assert _web.get(url).problem == "nonsense"
    with h.server(h.http(status="302 Found", Location="file:///etc/passwd")) as url:
        assert _web.get(url).problem == "nonsense"


def test_a_health_check_that_is_sent_elsewhere_is_an_answer(monkeypatch):
    with h.server(h.http("moved", status="301 Moved Permanently", Location="/v1/health")) as url:
        said = _health.read_health(url)
    assert (said["status"], said["problem"], said["times"]) == (301, "", [])
    parameters = {name: spec.get("default") for name, spec in check_health.PARAMETERS.items()}
    (found,) = check_health.judge(h.asked(check_health.PARAMETERS, parameters=parameters, backend_health=said))
    assert (found.code, found.evidence["problem"], found.evidence["status"]) == ("backend.wrong_body", "status", 301)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://x/",
        "http://",
        "http://a:b@c/",
        "http://a b/",
        "http://x:99999/",
        "http://x:y/",
        "http://[::1/",
        None,
        7,
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(WrongQuestion) as raised:
        _web.split(url)
    assert "a:b" not in str(raised.value)


@QUICK
@given(st.text(max_size=200))
def test_any_text_is_an_address_or_refused(text):
    for url in (text, f"http://{text}", f"http://host/{text}"):
        try:
            scheme, host, port, target = _web.split(url)
        except WrongQuestion:
            continue
        assert scheme in ("http", "https") and host and 0 <= port < 65536
        assert not set(target) & set("\r\n \x00")
        target.encode("ascii")


class Fed:
    """A socket that has already received everything."""

    def __init__(self, data):
        self.data = data

    def settimeout(self, _seconds):
        pass

    def recv_into(self, buffer):
        piece = self.data[: len(buffer)]
        buffer[: len(piece)] = piece
        self.data = self.data[len(piece) :]
        return len(piece)


@QUICK
@given(
    st.binary(max_size=400),
    st.sampled_from(
        [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.0 502 x\r\nContent-Length: "]
    ),
)
def test_any_answer_is_read_or_is_a_problem(data, begin):
    answer = _web.Answer("http://x/")
    try:
        _web._receive(Fed(begin + data), answer, time.monotonic() + 5, 1000)
    except (OSError, ValueError, _web.http.client.HTTPException) as error:
        assert _web.problem_of(error) in ("closed", "nonsense", "silent", "unreachable")
    assert len(answer.body) <= 1000


# --- health


def health(body, status="200 OK", **more):
    with h.server(h.http(body, status, "application/json")) as url:
        return _health.read_health(url, **more)


def test_a_health_answer():
    said = health('{"status":"ok"}', requests=3)
    assert (said["status"], said["said"], said["json"], len(said["times"])) == (200, "ok", True, 3)


@pytest.mark.parametrize(
    ("body", "said", "is_json"),
    [
        ("[]", "", True),
        ("{}", "", True),
        ('{"status": {"a": 1}}', "", True),
        ("", "", False),
        ("<html>", "", False),
        ("[" * 100000, "", False),
    ],
)
def test_other_health_answers(body, said, is_json):
    found = health(body)
    assert (found["said"], found["json"]) == (said, is_json)
    assert len(found["sample"]) <= 120


def test_a_health_answer_is_masked():
    assert "tiger" not in json.dumps(health('{"status":"error","password":"tiger"}'))


@QUICK
@given(st.binary(max_size=300))
def test_any_health_body(body):
    found = _health._body(body)
    assert len(found["said"]) <= 60


# --- pages


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
        started = time.monotonic()
        read_page.parse_page(piece * 500_000)
        assert time.monotonic() - started < 20, piece


@QUICK
@given(st.binary(max_size=2000))
def test_any_script_is_looked_through(body):
    answer = _web.Answer("http://x/assets/a.js", 200, {"content-type": "text/javascript"}, body)
    assert len(read_page.named_later(answer, "http://x/")) <= read_page.MAX_ASSETS


# --- the folder of the build


def test_a_build(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(h.INDEX)
    (tmp_path / "assets" / "a.js.map").write_text('{"sourcesContent":["const dbPassword = \'tiger-1234\'"]}')
    (tmp_path / "link").symlink_to("/etc/passwd")
    found = read_build.read_build(str(tmp_path))
    assert (found["present"], found["index"]["present"], found["files"]) == (True, True, 2)
    assert found["secrets"] == [{"file": "assets/a.js.map", "kind": "database password"}]
    assert "tiger" not in json.dumps(found)


def test_what_is_too_long_is_said_to_be_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(read_build, "MAX_BODY", 100)
    (tmp_path / "a.js").write_text("x" * 100)
    assert read_build.read_build(str(tmp_path))["unread"] == 0
    (tmp_path / "b.js").write_text("x" * 101)
    assert read_build.read_build(str(tmp_path))["unread"] == 1
    with h.server({"/": h.http("x" * 101)}) as url:
        assert _web.summary(_web.get(url, max_body=100))["whole"] is False
        assert _web.summary(_web.get(url, max_body=101))["whole"] is True


def test_no_build(tmp_path):
    assert read_build.read_build(None)["given"] is False
    found = read_build.read_build(str(tmp_path / "none"))
    assert (found["given"], found["present"], found["index"]["present"], found["files"]) == (True, False, False, 0)


def test_a_closed_file_is_named(tmp_path):
    (tmp_path / "index.html").write_text("x")
    (tmp_path / "index.html").chmod(0o600)
    closed = read_build.read_build(str(tmp_path))["closed"]
    assert closed is not None
    assert str(tmp_path / "index.html").startswith(closed["path"])


# --- secrets

SECRETS = {
    'a="AKIAIOSFODNN7EXAMPLE"': "AWS access key",
    'AWS_SECRET_KEY:"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"': "AWS secret key",
    "SES_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "AWS secret key",
    "ORACLE_PASS=tiger123\n": "database password",
    "export LOGSDB_PASS=tiger123": "database password",
    'dbPassword: "s3cr3t!"': "database password",
    "postgres://tank:pw1@db/x": "database address with a password",
    "-----BEGIN RSA PRIVATE KEY-----": "private key",
}
NONE = (
    'password:"Password"',
    "DB_PASS=${X}",
    "DB_PASSWORD: process.env.DB_PASSWORD",
    'pg_pass=""',
    'dbPassword:"Database password"',
    "dbPassword: string\n",
    "postgres://tank:${password}@db/x",
    "-----BEGIN PUBLIC KEY-----",
    "__SECRET_INTERNALS_DO_NOT_USE_OR_YOU_WILL_BE_FIRED",
    'type:"password",name:"password"',
)


@pytest.mark.parametrize(("text", "kind"), SECRETS.items())
def test_a_secret_is_told_by_its_kind(text, kind):
    assert _secrets_in_files.kinds_of_secrets(b"x;" * 999 + b"\n" + text.encode()) == [kind]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_secret(text):
    assert _secrets_in_files.kinds_of_secrets(text.encode()) == []


@QUICK
@given(st.binary(max_size=3000))
def test_any_bytes_are_looked_through(data):
    _secrets_in_files.kinds_of_secrets(data)


def test_large_files_are_looked_through_in_bounded_time():
    for piece in (b"://", b"pass", b"akia", b"db_pass=", b"postgres://a", b"A"):
        started = time.monotonic()
        _secrets_in_files.kinds_of_secrets(piece * (4_000_000 // len(piece)))
        assert time.monotonic() - started < 5, piece


# --- certificates


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
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
    return folder


@pytest.fixture
def tls(site):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site / "site.crt", site / "site.key")
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
                    secure.sendall(h.http("hello"))
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_the_dates_of_a_certificate(site):
    before, after = _certificate.validity_of_file(str(site / "site.crt"))
    assert after - before == 10 * 86400
    assert abs(before - time.time()) < 120


def test_a_certificate_that_nobody_trusts_is_read_and_said_so(tls, site):
    (entry,) = read_certificates.read_certificates(url=tls)
    assert (entry["problem"], entry["trusted"], entry["distrust"]) == ("", False, "self-signed certificate")
    (entry,) = read_certificates.read_certificates(url=tls, ca_file=str(site / "site.crt"))
    assert (entry["trusted"], entry["distrust"]) == (True, "")
    assert _web.get(tls).body == b"hello"


def test_certificates_that_cannot_be_read(tmp_path):
    (tmp_path / "x").write_text("nonsense")
    files, live = read_certificates.read_certificates(certificate_files=[str(tmp_path / "none"), str(tmp_path / "x")]), None
    assert all(entry["problem"] for entry in files), files
    with h.server(h.http("plain")) as url:
        (live,) = read_certificates.read_certificates(url=url.replace("http", "https"), timeout=2)
    assert "presents no certificate" in live["problem"]
    assert read_certificates.read_certificates(url="http://127.0.0.1:1/") == []
    with pytest.raises(WrongQuestion):
        read_certificates._trust("127.0.0.1", 1, 1, None, str(tmp_path / "none"))


def test_the_first_end_of_a_chain_counts(site, tmp_path):
    chain = tmp_path / "chain.pem"
    chain.write_bytes((site / "site.crt").read_bytes() * 3)
    assert _certificate.validity_of_file(str(chain)) == _certificate.validity_of_file(str(site / "site.crt"))


def test_dates_of_both_centuries():
    assert _certificate._time(b"\x17\x0d491231235959Z", 0)[0] == 2524607999
    assert _certificate._time(b"\x17\x0d500101000000Z", 0)[0] == -631152000
    assert _certificate._time(b"\x18\x0f99991231235959Z", 0)[0] == 253402300799


@QUICK
@given(st.binary(max_size=300), st.integers(0, 600), st.integers(0, 255))
def test_any_bytes_are_a_certificate_or_none(site, data, place, value):
    whole = bytearray(ssl.PEM_cert_to_DER_cert((site / "site.crt").read_text()))
    whole[place % len(whole)] = value
    for der in (data, bytes(whole), bytes(whole[:place])):
        try:
            before, after = _certificate.validity(der)
        except CannotRead:
            continue
        assert isinstance(before, int) and isinstance(after, int)
