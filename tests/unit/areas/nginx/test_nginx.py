# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx: its configuration files, the copy that is tested, its error log, and what is concluded."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import threading
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import (
    check_config,
    check_loaded,
    check_restarts,
    check_running,
    error_log,
    layout,
    read_state,
    read_status,
    read_test,
)
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import configuration as _nginx_conf
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, WrongQuestion
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue
from hypothesis import given, settings
from hypothesis import strategies as st

from ..web import helpers as h

QUICK = settings(max_examples=150, deadline=2000)
PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(not PROGRAM, reason="nginx is not installed here")

# --- configuration files


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_conf", ".conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return _nginx_conf.read_tree(str(folder / "nginx.conf"))


def test_words_blocks_quotes_and_comments():
    text = '# pid x;\npid "/run/a b.pid"; http { log_format m \'{"a": "$b"}\'; server { listen 80; if ($x) { return 1; } } } worker_processes 1;'
    found = [(one.name, one.argument(), one.blocks, one.opens) for one in _nginx_conf.directives(text)]
    assert found == [
        ("pid", "/run/a b.pid", (), False),
        ("http", "", (), True),
        ("log_format", "m", ("http",), False),
        ("server", "", ("http",), True),
        ("listen", "80", ("http", "server"), False),
        ("if", "($x)", ("http", "server"), True),
        ("return", "1", ("http", "server", "if"), False),
        ("worker_processes", "1", (), False),
    ]


def test_variables_escapes_and_other_languages():
    text = "set $a ${b}c; set $d a\\;b; content_by_lua_block { local x = { 1, 2 } } pid p;"
    assert [(one.name, one.argument(2) or one.argument()) for one in _nginx_conf.directives(text)] == [
        ("set", "${b}c"),
        ("set", "a\\;b"),
        ("content_by_lua_block", ""),
        ("pid", "p"),
    ]


@QUICK
@given(st.text(alphabet=st.sampled_from("ab ;{}\"'#\\$\n"), max_size=300))
def test_any_text_is_read_as_a_configuration(text):
    assert len(list(_nginx_conf.directives(text))) <= len(text)


def test_a_large_configuration_is_read_in_bounded_time():
    for piece in ("a b;", "{", '"', "a{", "\\", "${", "# x\n", "a "):
        started = time.monotonic()
        list(_nginx_conf.directives(piece * 20_000))
        assert time.monotonic() - started < 5, piece


@pytest.mark.parametrize(
    ("listen", "found"),
    [
        ("80", [("", 80)]),
        ("*:80", [("", 80)]),
        ("0.0.0.0:8080", [("", 8080)]),
        ("127.0.0.1:80", [("127.0.0.1", 80)]),
        ("127.0.0.1", [("127.0.0.1", 80)]),
        ("localhost:81", [("127.0.0.1", 81)]),
        ("[::]:80", [("::", 80)]),
        ("[2001:db8::1]:443", [("2001:db8::1", 443)]),
        ("8000-8002", [("", 8000), ("", 8001), ("", 8002)]),
        ("unix:/run/x.sock", []),
    ],
)
def test_where_a_server_listens(tmp_path, listen, found):
    assert _nginx_conf.listens(write(tmp_path, nginx_conf=f"http {{ server {{ listen {listen} ssl; }} }}")) == found


def test_includes_are_read_in_their_blocks(tmp_path):
    tree = write(
        tmp_path,
        nginx_conf="pid a; include missing.conf; http { include sites/*.conf; include nginx.conf; }",
        sites__a_conf="server { listen 81; error_log here; }",
        sites__b_conf="server { listen 82; }",
    )
    assert _nginx_conf.listens(tree) == [("", 81), ("", 82)]
    assert list(tree.unreadable) == [str(tmp_path / "missing.conf")]
    assert _nginx_conf.error_log(tree) == ("", "error")
    assert tree.value("pid") == "a"


# --- the copy and the test

CONF = """\
pid {place}/run/nginx.pid;
error_log {place}/logs/error.log notice;
events {{ }}
http {{
    access_log {place}/logs/access.log;
    proxy_cache_path {place}/cache keys_zone=a:1m;
    include sites/*.conf;
    server {{
        listen 127.0.0.1:{port} default_server reuseport;
        listen [::1]:{port} ipv6only=on;
        listen unix:{place}/site.sock;
        location / {{ proxy_pass http://127.0.0.1:1; }}
    }}
}}
"""


def tree_hash(folder):
    digest = hashlib.sha256()
    for place, folders, names in sorted(os.walk(folder)):
        for name in sorted([*folders, *names]):
            path = os.path.join(place, name)
            about = os.lstat(path)
            digest.update(f"{path} {about.st_mode} {about.st_size} {about.st_mtime_ns} {about.st_uid}\n".encode())
    return digest.hexdigest()


@pytest.fixture
def place(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "sites").mkdir()
    (tmp_path / "nginx.conf").write_text(CONF.format(place=tmp_path, port=port))
    (tmp_path / "sites" / "a.conf").write_text(f"server {{\n    listen 127.0.0.1:{port};\n    server_name a;\n}}\n")
    return tmp_path, port


def run_test(folder):
    return read_test.read_test(executable=PROGRAM, conf=str(folder / "nginx.conf"), prefix=str(folder))


@needs_nginx
def test_a_test_writes_nothing_and_opens_no_port(place):
    folder, port = place
    before, seen, stop = tree_hash(folder), [], threading.Event()

    def knock():
        while not stop.is_set():
            with socket.socket() as probe:
                seen.append(probe.connect_ex(("127.0.0.1", port)))

    thread = threading.Thread(target=knock)
    thread.start()
    found = [run_test(folder) for _number in range(5)]
    stop.set()
    thread.join()
    assert all(one["good"] for one in found), found
    assert tree_hash(folder) == before
    assert set(seen) == {111}


@needs_nginx
def test_reading_the_state_writes_nothing(place):
    folder, port = place
    before = tree_hash(folder)
    state = read_state.read_state(executable=PROGRAM, conf=str(folder / "nginx.conf"), prefix=str(folder))
    assert tree_hash(folder) == before
    assert state["master"] is None
    assert [(entry["port"], entry["held"]) for entry in state["ports"]] == [(port, ""), (port, "")]
    assert state["log"]["present"] is False


@needs_nginx
def test_a_mistake_in_an_included_file_is_named_by_its_own_path(place):
    folder, _port = place
    (folder / "sites" / "a.conf").write_text("server {\n    lisen 80;\n}\n")
    found = run_test(folder)
    assert (found["good"], found["file"], found["line"]) == (False, str(folder / "sites" / "a.conf"), 2)
    assert 'unknown directive "lisen"' in found["message"]
    (folder / "sites" / "a.conf").write_text("server {\n    listen 80;\n")
    found = run_test(folder)
    assert (found["good"], found["file"]) == (False, str(folder / "sites" / "a.conf"))
    assert "ops-nginx" not in found["message"]


@needs_nginx
@pytest.mark.parametrize(
    "text", ["", "}", "events {", 'pid "', "http { include /no/such; }\nevents { }", "events {} http { server { listen 80; listen 80; } }"]
)
def test_configurations_that_nginx_refuses(tmp_path, text):
    (tmp_path / "nginx.conf").write_text(text)
    found = run_test(tmp_path)
    assert found["good"] is False
    assert found["message"]


@needs_nginx
def test_nothing_is_left_of_the_copy(place, tmp_path_factory, monkeypatch):
    temporary = tmp_path_factory.mktemp("t")
    monkeypatch.setattr(read_test.tempfile, "tempdir", str(temporary))
    run_test(place[0])
    assert os.listdir(temporary) == []


@needs_nginx
def test_who_holds_a_port(place):
    folder, port = place
    with socket.create_server(("127.0.0.1", port)):
        state = read_state.read_state(executable=PROGRAM, conf=str(folder / "nginx.conf"), prefix=str(folder))
    held = {entry["address"]: entry for entry in state["ports"]}["127.0.0.1"]
    assert (held["held"], held["holder"]["pid"], held["holder"]["uid"]) == ("other", os.getpid(), os.geteuid())
    assert "python" in held["holder"]["program"] or "pytest" in held["holder"]["program"]


def test_what_is_not_there():
    with pytest.raises(WrongQuestion):
        layout.layout("/no/such/nginx", None, None)
    if PROGRAM:
        with pytest.raises(WrongQuestion):
            layout.layout(PROGRAM, "/no/such/nginx.conf", None)


@pytest.mark.parametrize(
    ("stderr", "code", "good", "line"),
    [
        ("nginx: the configuration file /x syntax is ok\nnginx: configuration file /x test is successful\n", 0, True, 0),
        ('nginx: [emerg] unknown directive "a" in /t/0.conf:12\nnginx: configuration file /t/0.conf test failed\n', 1, False, 12),
        ('2026/11/21 10:00:00 [emerg] 7#7: host not found in upstream "b" in /t/0.conf:3\n', 1, False, 3),
        ("Segmentation fault", -11, False, 0),
        ("", 1, False, 0),
    ],
)
def test_answers_of_nginx(stderr, code, good, line):
    found = read_test.verdict(code, stderr, {"/t/0.conf": "/etc/nginx/nginx.conf"}, "/t")
    assert (found["good"], found["line"]) == (good, line)
    assert "/t/" not in found["message"] + found["file"]
    assert found["message"] or good


@QUICK
@given(st.text(max_size=300), st.sampled_from([0, 1, None]))
def test_any_answer_of_nginx(text, code):
    for said in (text, f"nginx: [emerg] {text} in /a:1", f"nginx: [emerg] a in /a:{text}"):
        found = read_test.verdict(code, said, {}, "/t")
        assert len(found["message"]) <= 300


# --- error.log


def line(second, level, text, pid=7):
    return f"{time.strftime('%Y/%m/%d %H:%M:%S', time.gmtime(second))} [{level}] {pid}#{pid}: {text}\n"


def events(text, modified, start=0):
    return error_log.log_events(text.encode(), start, 1, modified)


@pytest.mark.parametrize("zone", [0, 9 * 3600, -5 * 3600, 5.5 * 3600])
def test_the_logs_clock_is_told_from_when_it_was_written(zone):
    text = line(h.NOW - 60 + zone, "error", "*3 connect() failed (111: Connection refused) while connecting to upstream") + line(
        h.NOW + zone, "emerg", 'unknown directive "x" in /c:1'
    )
    refused, emerg = events(text, h.NOW + 1)
    assert (refused["kind"], refused["time"]) == ("502", h.NOW - 60)
    assert (emerg["kind"], emerg["time"], emerg["text"]) == ("emerg", h.NOW, 'unknown directive "x" in /c:1')


@pytest.mark.parametrize(
    ("level", "text", "kind"),
    [
        ("error", "*1 upstream timed out (110: Connection timed out) while reading response header from upstream", "504"),
        ("error", "*1 recv() failed (104: Connection reset by peer) while reading response header from upstream", "502"),
        ("error", "*1 upstream prematurely closed connection while reading response header", "502"),
        ("error", "*1 no live upstreams while connecting to upstream", "502"),
        ("alert", "worker process 12 exited on signal 11 (core dumped)", "worker_died"),
        ("notice", "worker process 12 exited with code 0", ""),
        ("notice", "signal 3 (SIGQUIT) received from 1, shutting down", "told_to_end"),
        ("notice", "signal 15 (SIGTERM) received from 1, exiting", "told_to_end"),
        ("notice", "start worker processes", "started"),
        ("notice", "start worker process 5", ""),
        ("notice", "reconfiguring", "reloaded"),
        ("emerg", "bind() to 0.0.0.0:80 failed (98: Address already in use)", "emerg"),
        ("error", '*1 open() "/x" failed (2: No such file or directory)', ""),
    ],
)
def test_what_a_line_means(level, text, kind):
    assert [event["kind"] for event in events(line(h.NOW, level, text), h.NOW)] == ([kind] if kind else [])


@QUICK
@given(st.binary(max_size=500), st.floats(0, 4e9))
def test_any_log_is_read(data, modified):
    prefix = b"2026/11/21 10:00:00 [emerg] 7#7: "
    for text in (data, prefix + data, b"9999/99/99 99:99:99 [emerg] 7#7: x\n" + data):
        error_log.log_events(text, 0, 1, modified)


def test_a_huge_log_is_read_from_its_end_and_with_the_one_before(tmp_path):
    path = tmp_path / "error.log"
    path.write_text(line(h.NOW, "emerg", "x") * 50_000)
    (tmp_path / "error.log.1").write_text(line(h.NOW, "emerg", "y"))
    log = error_log.read_log(str(path))
    assert len(log["events"]) == error_log.MAX_EVENTS
    assert log["size"] == path.stat().st_size
    assert error_log.read_log("stderr")["readable"] is False
    assert error_log.read_log(str(tmp_path))["readable"] is False


# --- stub_status

STATUS = "Active connections: 2 \nserver accepts handled requests\n 10 10 31 \nReading: 0 Writing: 1 Waiting: 1 \n"


def test_figures():
    assert read_status.parse_status(STATUS)["requests"] == 31
    with h.server(h.http(STATUS)) as url:
        assert read_status.read_status(url)["active"] == 2
    assert read_status.read_status(None) == {}
    with h.server(h.http("no", "404 Not Found")) as url, pytest.raises(CannotRead):
        read_status.read_status(url)


@QUICK
@given(st.text(max_size=100))
def test_any_page_of_figures(text):
    for page in (text, f"Active connections: {text}", STATUS.replace("31", text)):
        try:
            read_status.parse_status(page)
        except CannotRead:
            continue


# --- what is concluded


def state(master="up", events=(), level="notice", **more):
    workers = [{"pid": 8, "state": "S", "started": h.NOW - 1000, "leaving": False}]
    running = {"pid": 7, "ticks": 500, "started": h.NOW - 5000, "state": "S", "uid": 0, "named": True, "workers": workers}
    found = {
        "conf": "/etc/nginx/nginx.conf",
        "prefix": "/etc/nginx",
        "program": "/usr/sbin/nginx",
        "version": "1.22.1",
        "pid_file": "/run/nginx.pid",
        "read_at": h.NOW,
        "booted": h.NOW - 100_000,
        "systemd": True,
        "master": running if master == "up" else master,
        "files": 1,
        "newest": {"path": "/etc/nginx/nginx.conf", "modified": h.NOW - 6000},
        "unreadable": {},
        "ports": [],
        "log": {
            "level": level,
            "path": "/var/log/nginx/error.log",
            "present": True,
            "readable": True,
            "inode": 1,
            "size": 100,
            "events": list(events),
        },
    }
    return {**found, **more}


def event(kind, second=h.NOW - 100, pid=7, at=10, inode=1, **more):
    return {"kind": kind, "time": second, "pid": pid, "at": at, "inode": inode, "text": "unknown directive", **more}


GOOD = {
    "conf": "/etc/nginx/nginx.conf",
    "good": True,
    "denied": False,
    "parsed": True,
    "message": "",
    "file": "",
    "line": 0,
    "warnings": [],
}


def ask(check, value, remembered=None, test=None):
    found = check(
        h.asked(
            check_running.PARAMETERS,
            remembered=remembered,
            nginx_state=value,
            nginx_test=GOOD if test is None else test,
            nginx_status=CannotRead("x"),
        )
    )
    for one in found:
        if one.code:
            for parts in faults_catalogue.render({**one.as_dict(), "host": "tank-web"}).values():
                assert all(part and "None" not in part and "ndefined" not in part for part in parts.values()), parts
    return found


def test_running():
    (found,) = ask(check_running.judge, state(events=[event("502"), event("502"), event("504")]))
    assert (found.status, found.evidence["gateway_errors"]) == ("ok", {"502": 2, "504": 1})
    memory = {"log": {"inode": 1, "size": 11}}
    (found,) = ask(check_running.judge, state(events=[event("502"), event("502", at=11)]), memory)
    assert found.evidence["gateway_errors"]["502"] == 1


@pytest.mark.parametrize(
    ("mark", "inodes", "count"),
    [((1, 50), (1, 1), 1), ((1, 500), (1, 1), 2), ((2, 50), (2, 1), 1), ((3, 50), (2, 1), 1), (("x", None), (1, 1), 2)],
    ids=["since", "emptied", "rotated", "rotated twice", "damaged"],
)
def test_what_is_new_in_the_log(mark, inodes, count):
    seen = [event("502", at=10, inode=inodes[0]), event("502", at=90, inode=inodes[1])]
    (found,) = ask(check_running.judge, state(events=seen), {"log": {"inode": mark[0], "size": mark[1]}})
    if mark == (2, 50):
        assert found.evidence["gateway_errors"]["502"] == 1
    else:
        assert found.evidence["gateway_errors"]["502"] == count


def test_stopped():
    (found,) = ask(check_running.judge, state(None, [event("started"), event("told_to_end", h.NOW - 60), event("emerg", h.NOW - 5)]))
    assert (found.code, found.evidence["how"], found.evidence["log_line"]) == ("nginx.stopped", "told", "unknown directive")
    (found,) = ask(check_running.judge, state(None, [event("told_to_end"), event("started"), event("emerg", h.NOW - 90_000)]))
    assert (found.evidence["how"], "log_line" in found.evidence) == ("unknown", False)
    for check in (check_restarts.judge, check_loaded.judge):
        (blocked,) = ask(check, state(None))
        assert (blocked.status, blocked.evidence["blocked_by"]) == ("unknown", "nginx.stopped")


def port(held, address="127.0.0.1", pid=9, here=True):
    holder = {"uid": 5, "user": "tank", "pid": pid, "program": "node" if pid else ""}
    return {"address": address, "port": 80, "here": here, "held": held, "holder": holder if held == "other" else None}


BAD = {**GOOD, "good": False, "message": "unknown directive", "file": "/etc/nginx/a.conf", "line": 3}


@pytest.mark.parametrize(
    ("test", "ports", "codes"),
    [
        (GOOD, [port("ours"), port("")], [""]),
        (BAD, [], ["nginx.config_invalid"]),
        (GOOD, [port("other", address="")], ["nginx.port_conflict"]),
        (GOOD, [port("other", pid=0)], ["nginx.port_conflict"]),
        (BAD, [port("other")], ["nginx.port_conflict", "nginx.config_invalid"]),
        (GOOD, [port("", here=False)], ["nginx.config_invalid"]),
        ({**BAD, "denied": True}, [], [""]),
        ({**BAD, "denied": True, "parsed": False}, [], ["run.check_unknown"]),
    ],
)
def test_config(test, ports, codes):
    for master in ("up", None):
        found = ask(check_config.judge, state(master, ports=ports), test=test)
        assert [one.code for one in found] == codes
    if ports and ports[0]["holder"] and not ports[0]["holder"]["pid"]:
        assert found[0].evidence["not_asked"]


MEMORY = {"at": h.NOW - 9000, "master": {"pid": 3, "ticks": 100}, "log": {"inode": 1, "size": 0}}


@pytest.mark.parametrize(
    ("events", "memory", "level", "how"),
    [
        ([], None, "notice", None),
        ([], {**MEMORY, "master": {"pid": 7, "ticks": 500}}, "notice", None),
        ([], {**MEMORY, "master": None}, "notice", None),
        ([], MEMORY, "notice", "killed"),
        ([], MEMORY, "error", "unknown"),
        ([event("told_to_end", pid=3)], MEMORY, "notice", None),
        ([event("told_to_end", pid=3)], MEMORY, "error", None),
        ([event("started", pid=3), event("started")], None, "notice", "killed"),
        ([event("started", pid=3), event("told_to_end", pid=3), event("started")], None, "notice", None),
        ([event("started", pid=3, second=h.NOW - 90_000), event("started")], None, "notice", None),
        ([event("told_to_end", pid=3), event("started", pid=5)], MEMORY, "notice", "killed"),
        ([], {**MEMORY, "at": h.NOW - 200_000}, "notice", None),
        ([], {"at": "x", "master": []}, "notice", None),
    ],
)
def test_restarts(events, memory, level, how):
    (found,) = ask(check_restarts.judge, state(events=events, level=level), memory)
    assert found.evidence.get("how") == how
    assert found.severity == ("P3" if how else "")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ({"present": False, "inode": 0, "size": 0}, "it does not exist"),
        ({"present": False, "readable": False, "problem": "Permission denied"}, "Permission denied"),
    ],
)
def test_a_log_that_tells_nothing_is_named_and_proves_nothing(log, said):
    dark = state()
    dark["log"].update(log)
    for check in (check_running.judge, check_restarts.judge, check_loaded.judge):
        (found,) = ask(check, dark)
        assert found.status == "ok"
        assert said in found.evidence["not_asked"][0]
        assert "gateway_errors" not in found.evidence
    (found,) = ask(check_restarts.judge, dark, MEMORY)
    assert (found.code, found.evidence["how"]) == ("nginx.restarted", "unknown")
    texts = faults_catalogue.render({**found.as_dict(), "host": "tank-web"})
    assert said in texts["en"]["cause"]
    assert said in texts["ko"]["cause"]
    assert "notice" not in texts["en"]["next"]


def test_a_stopped_nginx_without_a_log_is_stopped():
    dark = state(master=None)
    dark["log"].update(present=False)
    (found,) = ask(check_running.judge, dark)
    assert (found.code, "not_asked" in found.evidence) == ("nginx.stopped", False)


def test_workers_that_died():
    (found,) = ask(check_restarts.judge, state(events=[event("worker_died"), event("worker_died")]))
    assert (found.code, found.subject, found.value) == ("nginx.restarted", "worker", 2)


@pytest.mark.parametrize(
    ("events", "modified", "reason"),
    [
        ([], -6000, None),
        ([], -1000, None),
        ([], -500, "changed"),
        ([event("emerg")], -6000, "reload_failed"),
        ([event("emerg")], -500, "reload_failed"),
        ([event("emerg", pid=99)], -6000, None),
        ([event("emerg", h.NOW - 2000)], -6000, None),
        ([event("emerg"), event("started")], -6000, None),
        ([event("started"), event("emerg")], -6000, "reload_failed"),
        ([event("emerg", None)], -6000, "reload_failed"),
    ],
)
def test_loaded(events, modified, reason):
    (found,) = ask(check_loaded.judge, state(events=events, newest={"path": "/etc/nginx/a.conf", "modified": h.NOW + modified}))
    assert found.evidence.get("reason") == reason
    assert found.code == ("nginx.old_config" if reason else "")


def test_a_log_that_may_not_be_read_is_named():
    value = state()
    value["log"] = {**value["log"], "readable": False, "problem": "Permission denied"}
    for check in (check_running.judge, check_restarts.judge, check_loaded.judge):
        (found,) = ask(check, value)
        assert found.status == "ok"
        assert "Permission denied" in found.evidence["not_asked"][0]


def test_what_is_remembered():
    assert read_state.remember_state(state()) == {"at": h.NOW, "master": {"pid": 7, "ticks": 500}, "log": {"inode": 1, "size": 100}}
    assert read_state.remember_state(state(None))["master"] is None
