# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The applications of a release under PM2: what its list, a health check and a log have to say until a release is believed."""

from __future__ import annotations

import http.server
import os
import shlex
import threading

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import nginx as _release_nginx
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import pm2 as release_pm2
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.layout import FOLDER, LINK, Place
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.pm2 import Pm2Applications, Settings
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome, user_name
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import ActionFailed, TooSlow, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list, pm2_rpc

from ...areas.pm2.helpers import entry

APP = "/opt/tank-mail-app"
URL = "http://127.0.0.1:3000/api/health"


class Host(Pm2Applications):
    """PM2's list and the health check as functions of a clock that only waiting moves."""

    def __init__(self, listed, unhealthy=lambda _now: "", **settings):
        self.now = 0.0
        self._listed, self._health = listed, unhealthy
        given = {"pm2_home": "/home/tank/.pm2", "health_url": URL, "settle": 30.0, "health_timeout": 60.0, **settings}
        super().__init__(Settings(**given), lambda: self.now, self._wait_for)
        self._uid = os.geteuid()

    def _wait_for(self, seconds):
        self.now += max(seconds, 0.01)

    def listed(self):
        return [{**one, "cwd": one.get("cwd", APP)} for one in self._listed(self.now)]

    def _unhealthy(self):
        return self._health(self.now)


def process(name="worker", pid=100, status="online", **more):
    script = f"{APP}/{name}/dist/{'main' if name == 'backend' else name}.js"
    one = pm2_list.processes([entry(name, 1, status, pid=pid, pm_exec_path=script)])[0]
    return {**one, **more}


def both(worker, backend=100):
    return [process("backend", backend), worker]


def test_two_processes_that_live_on_are_believed_after_the_whole_time():
    host = Host(lambda _now: both(process()))
    host.watch(APP, ("backend", "worker"))
    assert 30 <= host.now < 31


def test_a_worker_that_crashes_after_20_s_is_found_although_pm2_starts_it_again():
    host = Host(lambda now: both(process(pid=100 if now < 20 else 200)))
    with pytest.raises(ActionFailed, match=r"worker ended and was started again by PM2 within 30 s"):
        host.watch(APP, ("backend", "worker"))
    assert 20 <= host.now < 21


def test_another_process_of_the_installation_must_live_on_as_well_where_it_was_started():
    def listed(now):
        return [*both(process()), {**process("extra", 100 if now < 5 else 200), "script": f"{APP}/extra/index.js"}]

    Host(listed).watch(APP, ("backend", "worker"))
    Host(listed).watch(APP, ("backend", "worker"), ["gone"])
    with pytest.raises(ActionFailed, match="backend or worker or extra ended"):
        Host(listed).watch(APP, ("backend", "worker"), ["extra"])


def test_a_worker_that_is_errored_is_told_with_its_log_line():
    host = Host(lambda now: both(process() if now < 3 else process(pid=0, status="errored", log_line="Error: planted")))
    with pytest.raises(ActionFailed, match=r"worker did not stay up for 30 s \(errored\): Error: planted"):
        host.watch(APP, ("backend", "worker"))


def test_the_last_words_of_a_process_may_be_written_a_moment_after_its_end():
    def late(now):
        return both(process(pid=0, status="errored", log_line="Error: planted" if now >= 3.4 else "") if now >= 3 else process())

    host = Host(late)
    with pytest.raises(ActionFailed, match=r"\(errored\): Error: planted"):
        host.watch(APP, ("backend", "worker"))
    host = Host(lambda now: late(now + 3))
    with pytest.raises(ActionFailed, match="gave up: Error: planted"):
        host._wait(APP, "worker", lambda: "it is silent", 90)


def test_nothing_that_runs_is_no_success():
    host = Host(lambda _now: both(process(pid=0, status="stopped")))
    with pytest.raises(ActionFailed, match="worker did not stay up"):
        host.watch(APP, ("backend", "worker"))


def test_a_health_check_that_fails_for_good_is_found_and_a_single_miss_is_not():
    Host(lambda _now: both(process()), lambda now: "slow" if 4 < now < 4.6 else "").watch(APP, ("backend", "worker"))
    host = Host(lambda _now: both(process()), lambda now: "no answer" if now > 5 else "")
    with pytest.raises(ActionFailed, match="backend became unhealthy: no answer"):
        host.watch(APP, ("backend", "worker"))
    assert host.now < 10


def test_a_hung_health_check_ends_the_wait_in_time():
    host = Host(lambda _now: both(process()))
    with pytest.raises(ActionFailed, match="backend runs, but it hangs after 60 s"):
        host._wait(APP, "backend", lambda: "it hangs", 60)
    assert 60 <= host.now < 61


ENDS = {
    "errored": (lambda _now: process(pid=0, status="errored", log_line="why"), "worker does not start, PM2 gave up: why"),
    "exit": (lambda _now: process(pid=0, status="stopped", exit_code=3), "worker ended by itself with exit code 3"),
    "loop": (lambda now: process(pid=int(now * 100) + 1), "worker ends again and again after its start"),
    "gone": (lambda _now: process("other"), "worker is no longer in PM2's list"),
}


@pytest.mark.parametrize("name", ENDS)
def test_waiting_ends_early_when_it_is_of_no_use(name):
    found, words = ENDS[name]
    host = Host(lambda now: both(found(now)))
    with pytest.raises(ActionFailed, match=words):
        host._wait(APP, "worker", lambda: "it is silent", 90)
    assert host.now < 5


def test_a_worker_works_when_its_log_has_a_new_line_that_says_so(tmp_path):
    log = tmp_path / "out.log"
    log.write_text("메일 Scheduler created\n")
    host = Host(lambda _now: [process(out_log=str(log))])
    ends = host._log_ends(APP, "worker")
    assert "has no line with" in host._silent(APP, "worker", ends)
    with log.open("a") as file:
        file.write("메일 발송 대기\n")
    assert "has no line with" in host._silent(APP, "worker", ends)
    with log.open("a") as file:
        file.write("Processing job 7\n")
    assert host._silent(APP, "worker", ends) == ""
    log.write_text("Scheduler created\n")  # begun anew by a rotation
    assert host._silent(APP, "worker", ends) == ""
    assert Host(lambda _now: [process(out_log="/dev/null")])._silent(APP, "worker", {}) == ""
    assert Host(lambda _now: [process(pid=0, status="errored")])._silent(APP, "worker", {}) == "worker is not online"


@pytest.mark.parametrize(("slow", "good"), [(1, True), (2, True), (3, False)])
@pytest.mark.parametrize("how", ["hung", "late"])
def test_one_slow_answer_of_pm2_is_not_taken_for_an_end(monkeypatch, slow, good, how):
    hung = {
        "late": Outcome(error=TooSlow("no answer within 13 s")),
        "hung": Outcome({"state": pm2_rpc.HUNG, "problem": "it hangs", "processes": []}),
    }
    answers = [hung[how]] * slow + [Outcome({"state": pm2_rpc.UP, "processes": both(process())})] * 5
    monkeypatch.setattr(release_pm2, "call", lambda *_arguments, **_options: answers.pop(0))
    host = Pm2Applications(Settings(pm2_home="/home/tank/.pm2"))
    host._uid = os.geteuid()
    if good:
        assert [one["name"] for one in host.listed()] == ["backend", "worker"]
    else:
        with pytest.raises((ActionFailed, TooSlow)):
            host.listed()


def test_a_daemon_that_is_away_is_not_asked_again(monkeypatch):
    asked = []

    def call(*_arguments, **_options):
        asked.append(1)
        return Outcome({"state": pm2_rpc.STOPPED, "problem": "no PM2 daemon runs", "processes": []})

    monkeypatch.setattr(release_pm2, "call", call)
    host = Pm2Applications(Settings(pm2_home="/home/tank/.pm2"))
    host._uid = os.geteuid()
    with pytest.raises(ActionFailed, match="no PM2 daemon runs"):
        host.listed()
    assert asked == [1]


def test_what_is_ill_at_this_moment():
    parts = ("backend", "worker")
    assert Host(lambda _now: both(process())).ill(APP, parts) == ""
    assert Host(lambda _now: both(process(pid=0, status="errored"))).ill(APP, parts) == "worker is not online"
    assert Host(lambda _now: both(process()), lambda now: "slow" if now < 0.4 else "").ill(APP, parts) == ""
    assert Host(lambda _now: both(process()), lambda _now: "it answers 500").ill(APP, parts) == "it answers 500"
    assert Host(lambda _now: both(process()), lambda _now: "it answers 500").ill(APP, ("worker",)) == ""


# --- before anything is touched


def problems(found, layout=FOLDER, app=APP, releases="/opt"):
    host = Host(lambda _now: found)
    return [one.details["reason"] for one in host.problems(Place(app, layout, releases, app), ("backend", "worker"))]


def test_processes_that_run_from_elsewhere_are_refused():
    assert problems(both(process())) == []
    assert problems([process("backend", script="/srv/old/backend/dist/main.js"), process()]) == ["script"]


def test_a_process_that_is_pinned_to_one_release_is_refused():
    found = [{**one, "script": one["script"].replace(APP, "/srv/current"), "cwd": "/srv/releases/20261121"} for one in both(process())]
    assert problems(found, LINK, "/srv/current", "/srv/releases") == ["script", "script"]
    assert problems([{**one, "cwd": "/srv/current"} for one in found], LINK, "/srv/current", "/srv/releases") == []


@pytest.mark.parametrize("layout", [FOLDER, LINK])
def test_the_way_back_to_the_right_place_is_told_for_pm2s_own_user(layout):
    app = APP if layout == FOLDER else "/srv/my current"
    script = f"{app}/backend/dist/main.js" if layout == LINK else "/srv/old/backend/dist/main.js"
    found = [{**process("backend", script=script), "cwd": "/srv/releases/20261121"}]
    host = Host(lambda _now: [*found, {**process(), "script": f"{app}/worker/dist/worker.js", "cwd": app}])
    (refused,) = host.problems(Place(app, layout, "/srv/releases", app), ("backend", "worker"))
    user = user_name(host.uid)
    pm2 = f"{'sudo' if user == 'root' else f'sudo -u {user}'} env -C / PM2_HOME={shlex.quote(host.settings.pm2_home)} pm2"
    wanted = shlex.quote(f"{app}/backend/dist/main.js")
    commands = f"{pm2} delete backend; {pm2} start {wanted} --name backend --cwd {shlex.quote(app)}; {pm2} save"
    assert refused.details["again"] == commands
    assert f"start it from there first ({commands}; not while a mail run is open)" in refused.message


def test_a_daemon_that_does_not_answer_is_refused_with_its_remedy():
    def away(_now):
        raise ActionFailed("no PM2 daemon runs: nothing listens on rpc.sock")

    (refused,) = Host(away).problems(Place(APP, FOLDER, "/opt", APP), ("backend", "worker"))
    assert refused.message.startswith("PM2 cannot be used: no PM2 daemon runs")
    assert "pm2_control with state=resurrected" in refused.message


def test_other_applications_of_the_same_pm2_are_left_alone():
    other = {**process("reporter"), "script": "/srv/reporter/index.js"}
    beside = {**process("extra"), "script": f"{APP}/extra/index.js"}
    assert [one["name"] for one in Host(lambda _now: [*both(process()), other, beside]).ours(APP)] == ["backend", "worker", "extra"]


def test_the_backend_stops_last(monkeypatch):
    stopped = []
    monkeypatch.setattr(release_pm2, "control", lambda request, check_mode: stopped.append((request.name, request.state)))
    extra = {**process("extra"), "script": f"{APP}/extra/index.js"}
    Host(lambda _now: [*both(process()), extra]).stop(APP)
    assert stopped == [("extra", "stopped"), ("worker", "stopped"), ("backend", "stopped")]


def test_a_process_that_does_not_stop_does_not_keep_the_others_from_it(monkeypatch):
    told = []

    def control(request, check_mode):
        told.append(request.name)
        if request.name == "worker":
            raise ActionFailed("not finished within the deadline of 60 s")

    monkeypatch.setattr(release_pm2, "control", control)
    with pytest.raises(ActionFailed, match=r"^worker: not finished within the deadline of 60 s$"):
        Host(lambda _now: both(process())).stop(APP)
    assert told == ["worker", "backend"]


@pytest.mark.parametrize(("since", "state"), [(0.0, "started"), (1000.0, "started"), (3000.0, "restarted")])
def test_a_process_from_before_the_release_came_there_is_started_anew(monkeypatch, since, state):
    asked, moment = [], [2000.0]

    def control(request, check_mode):
        asked.append(request.state)
        moment[0] = 4000.0 if request.state == "restarted" else moment[0]

    monkeypatch.setattr(release_pm2, "control", control)
    host = Host(lambda _now: both(process(started_at=moment[0]), backend=100))
    host.start(APP, "worker", since)
    host.start_others(APP, ["worker"], since)
    assert asked == [state, "started"]


def test_a_process_that_cannot_be_started_anew_is_no_success(monkeypatch):
    monkeypatch.setattr(release_pm2, "control", lambda request, check_mode: None)
    with pytest.raises(ActionFailed, match="worker could not be restarted"):
        Host(lambda _now: both(process(started_at=2000.0))).start(APP, "worker", 3000.0)


# --- nginx


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"good": True, "denied": False, "parsed": True, "message": "", "file": "", "line": 0}, ""),
        ({"good": False, "denied": True, "parsed": True, "message": "no right", "file": "", "line": 0}, ""),
        (
            {"good": False, "denied": False, "parsed": False, "message": 'unknown directive "x"', "file": "/etc/nginx/a.conf", "line": 3},
            'unknown directive "x" in /etc/nginx/a.conf:3',
        ),
    ],
)
def test_nginx_says_why_it_would_not_take_its_configuration(monkeypatch, answer, problem):
    monkeypatch.setattr(_release_nginx, "call", lambda function, _deadline, **_options: Outcome(answer))
    assert _release_nginx.Nginx(conf="/etc/nginx/nginx.conf").problem() == problem


def test_nginx_that_cannot_be_asked_is_a_problem():
    nginx = _release_nginx.Nginx(executable="/nope/nginx")
    assert "is not a program on this host" in nginx.problem()
    with pytest.raises(WrongQuestion):
        nginx.reload()


def test_a_reload_is_one_only_with_new_workers(monkeypatch):
    masters = iter([{"pid": 4711, "workers": [{"pid": 1}]}, {"pid": 4711, "workers": [{"pid": 1}]}, {"pid": 4711, "workers": [{"pid": 2}]}])
    told = []
    monkeypatch.setattr(_release_nginx.Nginx, "_master", lambda self: next(masters))
    monkeypatch.setattr(os, "kill", lambda pid, number: told.append(pid))
    assert _release_nginx.Nginx().reload() is True
    assert told == [4711]
    monkeypatch.setattr(_release_nginx, "RELOADED_WITHIN", 0.0)
    monkeypatch.setattr(_release_nginx.Nginx, "_master", lambda self: {"pid": 4711, "workers": [{"pid": 1}]})
    with pytest.raises(ActionFailed, match="has no new workers"):
        _release_nginx.Nginx().reload()
    monkeypatch.setattr(_release_nginx.Nginx, "_master", lambda self: None)
    assert _release_nginx.Nginx().reload() is False


@pytest.mark.parametrize(("code", "said"), [(200, ""), (304, ""), (403, "it answers 403"), (None, "no answer")])
def test_whether_the_page_is_served(monkeypatch, code, said):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_arguments):
            """Say nothing."""

    monkeypatch.setattr(_release_nginx, "PAGE_WITHIN", 1.0)
    monkeypatch.setattr(_release_nginx, "PAGE_TRY", 0.9)
    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        if code:
            thread.start()
        else:
            server.server_close()
        found = _release_nginx.Nginx(page_url=url).served()
        if code:
            server.shutdown()
    assert found == "" if not said else said in found
    assert _release_nginx.Nginx().served() is None
