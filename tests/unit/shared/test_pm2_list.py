# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PM2's list of processes, from a stand-in that speaks the daemon's framing, and from what speaks something else."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.children import call
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, RemediationError, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list, pm2_rpc
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list as _pm2_list

from ..areas.pm2 import helpers as h


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "pm2"
    folder.mkdir()
    return str(folder)


def answering(entries, version="7.0.4"):
    values = {"getVersion": version, "getMonitorData": entries}
    return lambda method, _arguments: h.frame({"args": [values[method]]})


@pytest.mark.parametrize("version", h.VERSIONS)
def test_the_list_of_a_daemon(home, version):
    recorded = h.transcript(version)
    with h.daemon(home, answering(recorded["list"], recorded["pm2"])):
        value = pm2_list.read_list(home)
    assert (value["state"], value["version"]) == ("up", recorded["pm2"])
    assert value["daemon"] == {"pid": os.getpid(), "uid": os.geteuid(), "frozen": False}
    assert {process["name"] for process in value["processes"]} == {entry["name"] for entry in recorded["list"]}
    assert h.PLANTED not in json.dumps(value)


def test_no_socket_is_stopped_and_none_is_made(home):
    assert pm2_list.read_list(home)["state"] == "stopped"
    assert os.listdir(home) == []


def test_a_socket_left_behind_is_killed(home):
    left = socket.socket(socket.AF_UNIX)
    left.bind(os.path.join(home, "rpc.sock"))
    left.close()
    assert pm2_list.read_list(home)["state"] == "killed"


def test_a_daemon_that_does_not_answer_is_hung_within_its_time(home):
    with h.daemon(home, lambda *_: None):
        started = time.monotonic()
        value = pm2_list.read_list(home, answer_within=0.3)
        assert time.monotonic() - started < 1.5
    assert value["state"] == "hung"
    assert value["daemon"]["pid"] == os.getpid()


GARBAGE = {
    "nothing": b"",
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "other version": b"\x22\x00\x00\x00\x01x",
    "no part": b"\x10",
    "cut head": b"\x12\x00\x00",
    "cut payload": b"\x12\x00\x00\x00\x20j:{}",
    "huge": b"\x12\xff\xff\xff\xffj:",
    "truncated JSON": pm2_rpc.pack(b'j:{"args":[[{"name":', b"s:1"),
    "not JSON": pm2_rpc.pack(b"j:hello", b"s:1"),
    "deep JSON": pm2_rpc.pack(b"j:" + b"[" * 100000, b"s:1"),
    "a string": pm2_rpc.pack(b"s:hello", b"s:1"),
    "a number": pm2_rpc.pack(b"j:7", b"s:1"),
    "an error": pm2_rpc.pack(b'j:{"error":"no DB_PASS=planted-secret here"}', b"s:1"),
    "no list": pm2_rpc.pack(b'j:{"args":[{"a":1}]}', b"s:1"),
    "no values": pm2_rpc.pack(b'j:{"args":[]}', b"s:1"),
    "bad utf-8": pm2_rpc.pack(b'j:{"args":["\xff\xfe"]}', b"s:1"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_not_pm2_is_a_typed_error(home, name):
    with h.daemon(home, lambda *_: GARBAGE[name]), pytest.raises(CannotRead) as caught:
        pm2_list.read_list(home, answer_within=1.0)
    assert h.PLANTED not in caught.value.message


def test_random_bytes_never_surprise(home):
    chance = random.Random(4)
    good = h.frame({"args": [[h.entry()]]})
    for _round in range(150):
        data = bytearray(good)
        for _change in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with h.daemon(home, lambda *_, sent=bytes(data): sent), contextlib.suppress(RemediationError):
            pm2_list.read_list(home, answer_within=0.5)
        os.unlink(os.path.join(home, "rpc.sock"))


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"pm2_env": None, "monit": []},
        {"name": ["x"], "pid": "7x", "pm_id": None, "pm2_env": {"status": {"a": 1}, "pm_uptime": "soon", "created_at": None, "uid": {}}},
        {"pid": 10**400, "pm2_env": {"restart_time": 1e400, "pm_uptime": float("nan")}},
        {
            "pm2_env": {"exec_mode": 4, "exit_code": "1", "autorestart": None, "max_memory_restart": "20M"},
            "monit": {"cpu": "x", "memory": None},
        },
    ],
)
def test_strange_entries_become_plain_fields(entry):
    (process,) = pm2_list.processes([entry, 3, None])
    json.dumps(process)
    assert process["pid"] == 0


def test_a_stale_pid_is_not_taken_for_a_running_process():
    (process,) = pm2_list.processes([h.entry(status="waiting restart", pid=1)])
    assert (process["pid"], process["uid"]) == (0, None)


@pytest.mark.parametrize(
    ("given", "problem"), [("/no/such/home", "does not exist"), ("/etc/hostname", "is not a directory"), ("a\0b", "does not exist")]
)
def test_a_wrong_home_is_the_callers_fault(given, problem):
    with pytest.raises(WrongQuestion, match=problem) as caught:
        pm2_list.owner(given)
    assert "pm2_home" in caught.value.message
    assert "/home/<user>/.pm2" in caught.value.message


def test_an_unknown_user_is_the_callers_fault(home):
    with pytest.raises(WrongQuestion, match="user: 'nobody-here'"):
        pm2_list.owner(home, user="nobody-here", answer_within=5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_socket_names_the_owner_before_the_folder_does(home):
    os.chown(home, 65534, 65534)
    assert pm2_list.owner(home) == 65534
    left = socket.socket(socket.AF_UNIX)
    left.bind(os.path.join(home, "rpc.sock"))
    left.close()
    assert pm2_list.owner(home) == 0
    assert pm2_list.owner(home, user="nobody") == 65534
    assert pm2_list.reader(home, user="nobody") == 0


def test_without_a_socket_the_reader_is_the_user_who_was_given(home):
    assert pm2_list.reader(home, user="nobody") == 65534


def ill(folder, text, *, age=0.0, started=None, **more):
    path = folder / "backend-error.log"
    path.write_text(text)
    now = time.time()
    os.utime(path, (now - age, now - age))
    (process,) = pm2_list.processes([h.entry(status="errored", started=started or now, pm_err_log_path=str(path), **more)])
    pm2_list.add_reasons([process])
    return process["log_line"]


def test_the_last_word_of_this_run_is_taken(tmp_path):
    assert ill(tmp_path, "Error: boom\n    at x (y.js:1:2)\n") == "Error: boom"


def test_a_word_of_last_week_is_not(tmp_path):
    assert ill(tmp_path, "Error: listen EADDRINUSE: address already in use :::3000\n", age=7 * 86400) == ""


def test_the_out_log_helps_where_the_error_log_is_empty(tmp_path):
    out = tmp_path / "out.log"
    out.write_text("Cannot find module '/opt/app/dist/main.js'\n")
    assert "Cannot find module" in ill(tmp_path, "", pm_out_log_path=str(out))


def old_python():
    """Return a Python 3.9 that runs (a shim of pyenv may not), None where there is none."""
    candidates = [shutil.which("python3.9"), *sorted(Path("~/.pyenv/versions").expanduser().glob("3.9.*/bin/python3.9"))]
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


OLD_PYTHON = old_python()


READ_WITH_OLD = """
import json, sys
from ansible_collections.ops.remediation.plugins.module_utils._actions.pm2_control import control as _pm2_control
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import area as _pm2_area
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list
print(json.dumps(pm2_list.read_list(sys.argv[1], answer_within=0.3)))
"""


@pytest.mark.skipif(OLD_PYTHON is None, reason="no Python 3.9, the oldest of a host, is on this machine")
@pytest.mark.parametrize(("answer", "state"), [(lambda *_: None, "hung"), (answering([h.entry()]), "up"), (lambda *_: b"\x12", "cut")])
def test_the_oldest_python_of_a_host_sees_the_same(home, tmp_path, answer, state):
    (tmp_path / "root/ansible_collections/ops").mkdir(parents=True)
    (tmp_path / "root/ansible_collections/ops/remediation").symlink_to(Path(pm2_list.__file__).resolve().parents[3])
    with h.daemon(home, answer):
        ended = subprocess.run(
            [OLD_PYTHON, "-c", READ_WITH_OLD, home],
            env={"PYTHONPATH": str(tmp_path / "root"), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    if state == "cut":
        assert "CannotRead" in ended.stderr
    else:
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["state"] == state


def test_hostile_texts_and_numbers_are_made_harmless():
    entry = h.entry("work\x1b[31mer\ud800\n\u202e" + "x" * 5000, pid=10**400, pm_uptime=10**400, restart_time=-(10**400))
    (process,) = pm2_list.processes([entry])
    assert len(process["name"]) <= 200
    assert process["name"].startswith("worker?")
    assert process["name"].isprintable()
    json.dumps(process).encode()
    process["name"].encode("utf-8")
    assert (process["started_at"], process["restarts"]) == (0.0, 0)


@pytest.mark.parametrize("given", [-1, 0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(home, given):
    with pytest.raises(WrongQuestion, match="answer_within"):
        pm2_list.read_list(home, answer_within=given)


def test_ordinary_output_is_no_reason(tmp_path):
    out = tmp_path / "out.log"
    out.write_text("12 mails sent\n")
    assert ill(tmp_path, "", pm_out_log_path=str(out)) == ""


@pytest.mark.parametrize(("mode", "is_open"), [(0o777, True), (0o755, False)])
def test_an_open_socket_is_told(home, monkeypatch, mode, is_open):
    monkeypatch.setattr(pm2_list, "reachable_by_others", lambda _path: True)
    with h.daemon(home, answering([h.entry()])):
        os.chmod(os.path.join(home, "rpc.sock"), mode)
        assert pm2_list.read_list(home)["socket"]["open"] is is_open


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_that_reads_roots_daemon_names_whom_the_home_serves(home):
    os.chown(home, 65534, 65534)
    with h.daemon(home, answering([h.entry()])):
        assert pm2_list.read_list(home)["user"] == "nobody"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_a_denied_socket_names_its_owner(home):
    with h.daemon(home, answering([])):
        os.chmod(os.path.join(home, "rpc.sock"), 0o700)
        for folder in (Path(home), *Path(home).parents):
            if not folder.stat().st_mode & 0o001:
                folder.chmod(0o711)
        value = call(lambda: pm2_list.read_list(home), 5.0, user=lambda: 65534).get()
    assert (value["state"], value["keeper"]) == ("denied", "root")
    assert "belongs to root" in value["problem"]


@pytest.mark.parametrize(
    "given",
    [[{"nam": "x"}], [{"name": "x", "instances": 0}], [{"name": "x", "exec_mode": "forc"}], [3], ["a", "a"], [{"name": "x", "port": 1}]],
)
def test_a_wrong_list_of_processes_is_refused(given):
    with pytest.raises(WrongQuestion, match="processes"):
        _pm2_list.wanted({"processes": given})
