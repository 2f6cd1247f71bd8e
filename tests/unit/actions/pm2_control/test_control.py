# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans, refusals and proofs of pm2_control; real PM2 is driven by the integration target of the same name."""

from __future__ import annotations

import http.server
import json
import os
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.module_utils._actions.pm2_control import control as _pm2_control
from ansible_collections.ops.remediation.plugins.module_utils._actions.pm2_control import dumps as _pm2_saved
from ansible_collections.ops.remediation.plugins.module_utils._actions.pm2_control import orphans
from ansible_collections.ops.remediation.plugins.module_utils._actions.pm2_control import request as _pm2_request
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import ActionFailed, RemediationError, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import health as _pm2_health
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list
from ansible_collections.ops.remediation.plugins.modules import pm2_control

from ...areas.pm2 import helpers as h

NOT_WAITED_FOR_S = 30  # what takes a minute was not waited for, also on a busy machine


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "pm2"
    folder.mkdir()
    program = tmp_path / "pm2-program"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return str(folder)


class Daemon:
    """A stand-in that keeps a list, and does what it is told."""

    def __init__(self, entries):
        self.entries = entries
        self.told = []

    def __call__(self, method, arguments):
        if method == "getVersion":
            return h.frame({"args": ["7.0.4"]})
        if method != "getMonitorData":
            self.told.append((method, arguments[0]))
            number = arguments[0]["id"] if isinstance(arguments[0], dict) else arguments[0]
            for entry in [entry for entry in self.entries if entry["pm_id"] == number]:
                self.change(method, entry)
        return h.frame({"args": [self.entries]})

    def change(self, method, entry):
        if method == "deleteProcessId":
            self.entries.remove(entry)
        else:
            stopped = method == "stopProcessId"
            entry["pm2_env"]["status"] = "stopped" if stopped else "online"
            entry["pm2_env"]["pm_uptime"] = time.time() * 1000
            entry["pid"] = 0 if stopped else os.getpid()


def running(name="backend", pm_id=0, **more):
    return h.entry(name, pm_id, pid=os.getpid(), started=time.time() - 100, **more)


def ask(home, state, check_mode=False, **options):
    given = {"wait_stable": 0.2, "deadline": 60, "pm2_executable": os.path.join(os.path.dirname(home), "pm2-program"), **options}
    return _pm2_control.control(_pm2_request.Request(pm2_home=home, state=state, **given), check_mode=check_mode)


# --- plans


@pytest.mark.parametrize(
    ("state", "entry", "actions"),
    [
        ("started", running(), []),
        ("started", h.entry(status="stopped"), ["start backend (0)"]),
        ("started", h.entry(status="errored"), ["start backend (0)"]),
        ("stopped", running(), ["stop backend (0)"]),
        ("stopped", h.entry(status="stopped"), []),
        ("restarted", running(), ["restart backend (0)"]),
        ("reloaded", running(), ["reload backend (0)"]),
        ("absent", running(), ["delete backend (0)"]),
    ],
)
def test_check_mode_says_what_would_be_done_and_does_nothing(home, state, entry, actions):
    daemon = Daemon([entry])
    with h.daemon(home, daemon):
        result = ask(home, state, check_mode=True, name="backend")
    assert (result.actions, result.changed) == (actions, bool(actions))
    assert daemon.told == []
    assert (result.diff()["before"] == result.diff()["after"]) is not bool(actions)


@pytest.mark.parametrize(
    ("state", "entry", "told"),
    [
        ("started", h.entry(status="stopped"), [("restartProcessId", {"id": 0, "env": {}})]),
        ("started", h.entry(status="waiting restart"), [("stopProcessId", 0), ("restartProcessId", {"id": 0, "env": {}})]),
        ("restarted", running(), [("restartProcessId", {"id": 0, "env": {}})]),
        ("stopped", running(), [("stopProcessId", 0)]),
        ("absent", running(), [("deleteProcessId", 0)]),
    ],
)
def test_what_is_known_goes_through_the_socket_and_a_second_time_changes_nothing(home, state, entry, told):
    daemon = Daemon([json.loads(json.dumps(entry)), running("worker", 1)])
    with h.daemon(home, daemon):
        first = ask(home, state, name="backend")
        assert daemon.told == told
        assert first.changed is True
        second = ask(home, state, name="backend")
    assert second.changed is (state == "restarted")
    assert {process["name"] for process in second.processes} <= {"backend"}
    assert h.PLANTED not in json.dumps([first.as_dict(), second.as_dict(), first.diff()])


def test_all_means_every_application_but_no_module_of_pm2(home):
    daemon = Daemon([running(), running("worker", 1), running("pm2-logrotate", 2, pmx_module=True)])
    with h.daemon(home, daemon):
        ask(home, "stopped", name="all")
        assert ask(home, "stopped", name="all").changed is False
    assert daemon.told == [("stopProcessId", 0), ("stopProcessId", 1)]


def test_without_a_daemon_nothing_is_started_to_find_out(home):
    planned = ask(home, "started", check_mode=True, name="worker", script="/bin/true", instances=2, exec_mode="cluster")
    assert planned.changed is True
    assert len(planned.after) == 2
    assert ask(home, "stopped", name="worker").changed is False
    assert ask(home, "absent", name="all").changed is False
    assert os.listdir(home) == []


# --- refusals


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"state": "stopped"}, "name: '' is needed"),
        ({"state": "started", "name": "x", "script": "/bin/true", "ecosystem": "/x.json"}, "together with ecosystem"),
        ({"state": "started", "name": "all", "script": "/bin/true"}, "give the name that the process gets"),
        ({"state": "started", "name": "x", "script": "main.js"}, "not an absolute path"),
        ({"state": "started", "name": "x", "ecosystem": "/x.js"}, "name it *.config.js"),
        ({"state": "started", "name": "x", "instances": 0}, "give 1 or more"),
        ({"state": "restarted", "name": "x", "update_env": True}, "give env_file or ecosystem"),
        ({"state": "restarted", "name": "x", "wait_stable": 20, "deadline": 10}, "longer than wait_stable"),
        ({"state": "restarted", "name": "x", "health_url": "file:///etc/passwd"}, "health_url"),
        ({"state": "restarted", "name": "x", "health_url": "http://"}, "health_url"),
        ({"state": "restarted", "name": "x", "health_url": "localhost:3000"}, "health_url"),
        ({"state": "restarted", "name": "x", "wait_stable": -1}, "wait_stable"),
        ({"state": "restarted", "name": "x", "wait_stable": float("nan")}, "wait_stable"),
        ({"state": "restarted", "name": "x", "health_timeout": float("inf")}, "health_timeout"),
        ({"state": "restarted", "name": "x", "deadline": float("inf")}, "deadline"),
        ({"state": "restarted", "name": "x", "deadline": 0, "wait_stable": 0}, "deadline"),
        ({"state": "started", "name": "x", "script": "/no/such.js"}, "script: '/no/such.js' does not exist"),
        ({"state": "started", "name": "x", "script": "/bin/true", "pm2_executable": "/no/pm2"}, "path_prefix"),
    ],
)
def test_a_wrong_question_names_the_option_and_the_way_out(home, options, told):
    with pytest.raises(WrongQuestion) as caught:
        ask(home, **options)
    assert told in caught.value.message
    assert caught.value.details["partial"].changed is False


def test_an_unknown_name_names_the_close_one(home):
    with h.daemon(home, Daemon([running()])), pytest.raises(WrongQuestion, match="did you mean backend"):
        ask(home, "restarted", name="bakend")


@pytest.mark.parametrize("state", ["started", "restarted", "reloaded"])
def test_a_daemon_that_is_gone_is_named_with_the_remedy(home, state):
    with pytest.raises(ActionFailed, match="state=resurrected"):
        ask(home, state, name="backend")


def test_a_hung_daemon_is_named_within_its_time(home):
    started = time.monotonic()
    with h.daemon(home, lambda *_: None), pytest.raises(ActionFailed, match="kill -CONT or kill -9"):
        ask(home, "restarted", name="backend", answer_within=0.3)
    assert time.monotonic() - started < NOT_WAITED_FOR_S


def test_an_empty_list_is_not_saved_over_a_good_dump(home):
    with open(os.path.join(home, "dump.pm2"), "w", encoding="utf-8") as file:
        json.dump([{"name": "worker", "pm_exec_path": "/x.js", "status": "online"}], file)
    with h.daemon(home, Daemon([])), pytest.raises(ActionFailed, match="saving would forget worker"):
        ask(home, "saved")


@pytest.mark.parametrize("content", [None, "", "{", "[]", "[3]"])
def test_nothing_to_resurrect(home, content):
    if content is not None:
        with open(os.path.join(home, "dump.pm2"), "w", encoding="utf-8") as file:
            file.write(content)
    with pytest.raises(ActionFailed, match="nothing to resurrect"):
        ask(home, "resurrected")


def test_a_process_that_gives_up_is_a_failure_with_its_reason(home, tmp_path):
    log = tmp_path / "error.log"
    log.write_text("Error: Config validation error: DB_PASS=planted-secret is wrong\n")
    entry = running(status="stopped", pm_err_log_path=str(log))

    class Dying(Daemon):
        def change(self, method, entry):
            entry["pm2_env"].update(status="errored", pm_uptime=time.time() * 1000)

    with h.daemon(home, Dying([entry])), pytest.raises(ActionFailed, match="PM2 gave up: Error: Config validation error") as caught:
        ask(home, "started", name="backend")
    partial = caught.value.details["partial"]
    assert (partial.changed, partial.actions, partial.processes[0]["status"]) == (True, ["start backend (0)"], "errored")
    assert h.PLANTED not in caught.value.message


def test_what_a_process_said_last_may_be_written_after_pm2_knows_of_its_end(home, tmp_path):
    log = tmp_path / "error.log"

    class Dying(Daemon):
        def change(self, method, entry):
            entry["pm2_env"].update(status="errored", pm_uptime=time.time() * 1000)
            threading.Timer(0.4, log.write_text, ["Error: Config validation error\n"]).start()

    entry = running(status="stopped", pm_err_log_path=str(log))
    with h.daemon(home, Dying([entry])), pytest.raises(ActionFailed, match="PM2 gave up: Error: Config validation error"):
        ask(home, "started", name="backend")


def test_a_command_that_fails_gives_its_own_words_masked(home, tmp_path):
    program = tmp_path / "pm2-program"
    program.write_text("#!/bin/sh\nprintf '\\033[31m[PM2][ERROR] no way, DB_PASS=planted-secret\\n' >&2\nexit 1\n")
    with h.daemon(home, Daemon([running()])), pytest.raises(ActionFailed, match=r"pm2 reload failed: \[PM2\]\[ERROR\] no way") as caught:
        ask(home, "reloaded", name="backend")
    assert h.PLANTED not in caught.value.message


def test_a_command_that_hangs_is_killed_at_the_deadline(home, tmp_path):
    (tmp_path / "pm2-program").write_text("#!/bin/sh\nsleep 60\n")
    started = time.monotonic()
    with h.daemon(home, Daemon([running()])), pytest.raises(ActionFailed, match="deadline"):
        ask(home, "reloaded", name="backend", deadline=1.0)
    assert time.monotonic() - started < NOT_WAITED_FOR_S


def test_node_that_is_not_found_is_told(home, tmp_path):
    (tmp_path / "pm2-program").write_text("#!/usr/bin/env no-such-node\n")
    with h.daemon(home, Daemon([running()])), pytest.raises(ActionFailed, match="path_prefix"):
        ask(home, "reloaded", name="backend")


def test_the_environment_of_a_command_is_its_own(home, tmp_path, monkeypatch):
    monkeypatch.setenv("ANSIBLE_TOKEN", h.PLANTED)
    seen = tmp_path / "seen"
    (tmp_path / "pm2-program").write_text(f"#!/bin/sh\nenv > {seen}\numask >> {seen}\nexit 1\n")
    with h.daemon(home, Daemon([running()])), pytest.raises(ActionFailed):
        ask(home, "reloaded", name="backend", path_prefix=["/opt/node/bin"])
    lines = seen.read_text().splitlines()
    names = {line.split("=")[0] for line in lines[:-1]}
    assert names <= {"PATH", "HOME", "USER", "LOGNAME", "LC_ALL", "PM2_HOME", "PWD", "OLDPWD", "SHLVL", "_"}
    assert any(line.startswith("PATH=/opt/node/bin:") for line in lines)
    assert lines[-1] == "0022"


# --- parts


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("A=b", {"A": "b"}),
        ("export A='b c' ", {"A": "b c"}),
        ('A="x=y"', {"A": "x=y"}),
        ("# A=b", {}),
        ("A=", {"A": ""}),
        ("not a line", {}),
        ("1A=b", {}),
    ],
)
def test_lines_of_an_env_file(tmp_path, line, wanted):
    (tmp_path / "env").write_text(line + "\n")
    assert _pm2_request.read_env_file(str(tmp_path / "env")) == wanted


def test_the_description_of_a_first_start_is_for_its_owner_only(home):
    path = _pm2_request.write_ecosystem(_pm2_request.Request(pm2_home=home, state="started", name="worker", script="/opt/app/worker.js"))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, encoding="utf-8") as file:
        assert json.load(file)["apps"][0] == {
            "name": "worker",
            "script": "/opt/app/worker.js",
            "cwd": "/opt/app",
            "args": [],
            "exec_mode": "fork",
        }


def test_what_is_saved_is_compared_without_what_changes_by_itself():
    one = {"name": "a", "pm_exec_path": "/a.js", "env": {"DB_PASS": "x", "unique_id": "1"}, "restart_time": 3, "status": "online"}
    same = {**one, "env": {"DB_PASS": "x", "unique_id": "2"}, "restart_time": 9, "status": "stopped"}
    other = {**one, "env": {"DB_PASS": "y"}}
    module = {"name": "m", "pmx_module": True}
    assert _pm2_saved.fingerprint([one]) == _pm2_saved.fingerprint([same, module])
    assert _pm2_saved.fingerprint([one]) != _pm2_saved.fingerprint([other])
    assert _pm2_saved.fingerprint([one]) != _pm2_saved.fingerprint([one, one])


@pytest.mark.parametrize("stubborn", [False, True])
def test_orphans_are_found_and_ended(home, stubborn):
    os.mkdir(os.path.join(home, "pids"))
    path = os.path.join(home, "pids", "worker-3.pid")
    script = "trap '' INT; " if stubborn else ""
    environment = {"PATH": os.environ["PATH"], "pm_pid_path": path, "name": "worker"}
    with subprocess.Popen(["sh", "-c", f"{script}while :; do sleep 0.1; done"], env=environment, start_new_session=True) as orphan:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(orphan.pid))
        time.sleep(0.2)
        try:
            listed = pm2_list.read_list(home)
            assert [(one["name"], one["pid"]) for one in listed["orphans"]] == [("worker", orphan.pid)]
            assert orphans.end_orphans(home, 0.5) == []
        finally:
            orphan.kill()


def test_a_reused_pid_is_no_orphan(home):
    os.mkdir(os.path.join(home, "pids"))
    with open(os.path.join(home, "pids", "worker-3.pid"), "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    assert pm2_list.read_list(home)["orphans"] == []


PAGES = {
    "/ok": (200, '{"status": "ok"}', ""),
    "/upper": (200, '{"status": "OK"}', ""),
    "/text": (200, "fine", ""),
    "/list": (204, "", ""),
    "/sick": (200, '{"status": "error"}', "its status is error"),
    "/down": (503, "{}", "it answers 503"),
    "/moved": (302, "", "it answers 302"),
}


@pytest.mark.parametrize("page", PAGES)
def test_health(page):
    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            code, body, _said = PAGES[self.path]
            self.send_response(code)
            self.send_header("Location", "/ok")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments):
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert _pm2_health.health(f"http://127.0.0.1:{server.server_port}{page}") == PAGES[page][2]


def test_health_without_an_answer():
    assert "no answer" in _pm2_health.health("http://127.0.0.1:9/")
    assert "no answer" in _pm2_health.health("nonsense")


# --- the module


def module(capsys, **options):
    with (
        patch_module_args({"_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False, **options}),
        pytest.raises(SystemExit) as ended,
    ):
        pm2_control.main()
    return ended.value.code, json.loads(capsys.readouterr().out)


def test_the_module_returns_stable_keys(home, capsys):
    with h.daemon(home, Daemon([running()])):
        code, answer = module(capsys, name="backend", pm2_home=home, _ansible_diff=True, _ansible_check_mode=True, state="restarted")
    assert code == 0
    assert answer["changed"] is True
    assert answer["actions"] == ["restart backend (0)"]
    assert set(answer["processes"][0]) == {"name", "pm_id", "pid", "status", "restarts", "uptime_ms", "exec_mode"}
    assert "pid new" in answer["diff"]["after"]
    assert h.PLANTED not in json.dumps(answer["processes"])


def test_the_module_fails_with_one_line_and_what_was_done(home, capsys):
    code, answer = module(capsys, name="backend", pm2_home=home, state="restarted")
    assert code == 1
    assert "\n" not in answer["msg"]
    assert (answer["changed"], answer["actions"], answer["processes"]) == (False, [], [])


def test_every_error_of_the_way_carries_what_was_done(home):
    with pytest.raises(RemediationError) as caught:
        ask(home + "-none", "started", name="x")
    assert isinstance(caught.value.details["partial"], _pm2_control.Result)


def test_a_reload_stops_at_the_first_instance_that_does_not_live(home, tmp_path):
    calls = tmp_path / "calls"
    (tmp_path / "pm2-program").write_text(f'#!/bin/sh\necho "$*" >> {calls}\n')
    entries = [running(pm_id=0, exec_mode="cluster_mode"), running(pm_id=1, exec_mode="cluster_mode")]

    class Dying(Daemon):
        def __call__(self, method, arguments):
            if calls.exists():
                self.entries[0]["pm2_env"]["status"] = "errored"
            return super().__call__(method, arguments)

    with h.daemon(home, Dying(entries)), pytest.raises(ActionFailed, match=r"not reloaded and still running: backend \(1\)") as caught:
        ask(home, "reloaded", name="backend")
    assert calls.read_text() == "reload 0\n"
    assert caught.value.details["partial"].actions == ["reload backend (0)"]


def test_a_reload_goes_through_all_instances_that_live(home, tmp_path):
    calls = tmp_path / "calls"
    (tmp_path / "pm2-program").write_text(f'#!/bin/sh\necho "$*" >> {calls}\n')
    entries = [running(pm_id=0, exec_mode="cluster_mode"), running(pm_id=1, exec_mode="cluster_mode")]
    with h.daemon(home, Daemon(entries)):
        assert ask(home, "reloaded", name="backend").actions == ["reload backend (0)", "reload backend (1)"]
    assert calls.read_text() == "reload 0\nreload 1\n"


def test_another_reload_in_progress_is_waited_for(home, tmp_path):
    calls = tmp_path / "calls"
    script = (
        f'echo "$*" >> {calls}; if [ "$(wc -l < {calls})" -lt 3 ]; then echo "Reload already in progress, please try again" >&2; exit 1; fi'
    )
    (tmp_path / "pm2-program").write_text(f"#!/bin/sh\n{script}\n")
    with h.daemon(home, Daemon([running()])):
        assert ask(home, "reloaded", name="backend").changed is True
    assert len(calls.read_text().splitlines()) == 3


# --- dumps that are no plain files, and states that are saved


def put_dump(home, *entries, name="dump.pm2", mode=0o600):
    path = os.path.join(home, name)
    with open(path, "w", encoding="utf-8") as file:
        json.dump([entry["pm2_env"] for entry in entries], file)
    os.chmod(path, mode)
    return path


@pytest.mark.parametrize("name", ["dump.pm2", "dump.pm2.bak"])
@pytest.mark.parametrize("state", ["saved", "resurrected"])
@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_nothing_is_written_through_a_link_or_into_a_pipe(home, tmp_path, name, state, check_mode, kind):
    target = tmp_path / "target"
    target.write_text("[]")
    target.chmod(0o644)
    path = os.path.join(home, name)
    if kind == "link":
        os.symlink(target, path)
    else:
        os.mkfifo(path)
    with h.daemon(home, Daemon([running()])), pytest.raises(ActionFailed, match=f"rm {path}") as caught:
        ask(home, state, check_mode=check_mode)
    assert "chown" not in caught.value.message
    assert "chmod" not in caught.value.message
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_a_save_mends_what_is_saved_as_stopped_although_it_runs(home):
    entry = running()
    put_dump(home, {"pm2_env": {**entry["pm2_env"], "status": "stopped"}})
    with h.daemon(home, Daemon([entry])):
        assert ask(home, "saved", check_mode=True).actions == ["save backend"]
        put_dump(home, entry)
        assert ask(home, "saved", check_mode=True).actions == []


def test_the_mode_of_a_dump_is_set_and_looked_at(home):
    entry = running()
    path = put_dump(home, entry, mode=0o644)
    with h.daemon(home, Daemon([entry])):
        assert ask(home, "saved").actions == [f"set mode 0600 on {path}"]
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert ask(home, "saved").changed is False


def test_a_mode_that_cannot_be_set_is_a_failure(home, monkeypatch):
    entry = running()
    put_dump(home, entry, mode=0o644)
    monkeypatch.setattr(_pm2_saved, "tighten_dumps", lambda _home: None)
    with h.daemon(home, Daemon([entry])), pytest.raises(ActionFailed, match="can still be read by others"):
        ask(home, "saved")


def test_instances_that_are_missing_are_brought_back(home, tmp_path):
    calls = tmp_path / "calls"
    daemon = Daemon([running()])
    (tmp_path / "pm2-program").write_text(f'#!/bin/sh\necho "$*" >> {calls}\n')
    put_dump(home, running(), running())

    class Scaling(Daemon):
        def __call__(self, method, arguments):
            if calls.exists() and len(self.entries) == 1:
                self.entries.append(running(pm_id=1))
            return super().__call__(method, arguments)

    with h.daemon(home, Scaling(daemon.entries)):
        assert ask(home, "resurrected").actions == ["scale backend to 2"]
        assert ask(home, "resurrected").changed is False
    assert calls.read_text() == "scale backend 2\n"


# --- whose daemon


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("state", ["saved", "restarted", "resurrected"])
@pytest.mark.parametrize("user", [None, "nobody", "root"])
def test_a_daemon_of_root_in_anothers_home_is_refused(home, state, user):
    with h.daemon(home, Daemon([running()])):
        os.chown(home, 65534, 65534)
        with pytest.raises(ActionFailed, match="a PM2 daemon of root runs in the PM2_HOME of nobody"):
            ask(home, state, name="backend", user=user)
    assert os.listdir(home) == ["rpc.sock"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_daemon_of_somebody_else_needs_its_user_to_be_given(home):
    with h.daemon(home, Daemon([running()])):
        os.chown(os.path.join(home, "rpc.sock"), 65534, 65534)
        with pytest.raises(WrongQuestion, match="give nobody"):
            ask(home, "restarted", name="backend")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_leaves_nothing_in_anothers_home(home):
    os.chown(home, 65534, 65534)
    with pytest.raises(WrongQuestion, match="would leave files of root"):
        ask(home, "started", name="x", script="/bin/true", user="root")


# --- variables that would change pm2 itself


@pytest.mark.parametrize("name", ["PM2_HOME", "PATH", "HOME", "NODE_OPTIONS", "LD_PRELOAD", "path"])
@pytest.mark.parametrize(("state", "more"), [("restarted", {"update_env": True}), ("started", {"script": "/bin/true"})])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_variable_of_pm2s_own_is_refused_before_anything_is_done(home, tmp_path, name, state, more, check_mode):
    (tmp_path / "env").write_text(f"DB_PASS={h.PLANTED}\n{name}=/other\n")
    daemon = Daemon([running()] if state == "restarted" else [])
    with h.daemon(home, daemon), pytest.raises(WrongQuestion, match=f"sets {name}") as caught:
        ask(home, state, check_mode=check_mode, name="backend", env_file=str(tmp_path / "env"), **more)
    assert daemon.told == []
    assert h.PLANTED not in caught.value.message


def test_a_launch_that_never_ends_is_started_anew_and_a_young_one_is_left(home):
    old = h.entry(status="launching", pid=os.getpid(), started=time.time() - 100)
    young = h.entry(status="launching", pid=os.getpid(), started=time.time() - 1)
    for entry, actions in ((old, ["start backend (0)"]), (young, [])):
        with h.daemon(home, Daemon([entry])):
            assert ask(home, "started", check_mode=True, name="backend").actions == actions
        os.unlink(os.path.join(home, "rpc.sock"))


def test_an_orphan_of_a_home_behind_a_link_is_found(home):
    os.mkdir(os.path.join(home, "pids"))
    path = os.path.join(home, "pids", "worker-3.pid")
    link = f"{home}-link"
    os.symlink(home, link)
    with subprocess.Popen(["sleep", "30"], env={"PATH": os.environ["PATH"], "pm_pid_path": path, "name": "worker"}) as orphan:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(orphan.pid))
        # The kernel fills in the environment a moment after the new program has taken over.
        while not Path(f"/proc/{orphan.pid}/environ").read_bytes():
            time.sleep(0.01)
        try:
            assert [one["pid"] for one in pm2_list.read_list(link)["orphans"]] == [orphan.pid]
        finally:
            orphan.kill()
