"""The replica as its users see it: the command, the processes, the answers. Uses an instance of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from ..paths import SOURCES, Paths
from ..processes import belonging_to
from ..system import wait_until
from ..web import body_of

pytestmark = pytest.mark.integration

NAME = "replica-test"
PATHS = Paths.of(NAME)


def replica(*arguments: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(SOURCES / "replica"), "--name", NAME, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)


def must(*arguments: str) -> str:
    done = replica(*arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def status() -> dict:
    return json.loads(replica("status", "--json").stdout)


@pytest.fixture(scope="module", autouse=True)
def instance():
    must("prepare")
    must("up")
    yield
    must("down", "--purge")
    assert belonging_to(PATHS.instance) == []
    assert not PATHS.instance.exists()


def test_status_tells_parts_and_facts():
    answer = status()
    assert answer["healthy"]
    assert {part["name"] for part in answer["parts"]} >= {"logsdb", "nginx", "pm2", "backend", "worker", "attachments"}
    written = json.loads(PATHS.facts_file.read_text())
    assert written.pop("started_at").endswith("Z")
    assert written == answer["facts"]
    assert "secret" not in PATHS.facts_file.read_text().lower()


def test_a_second_up_changes_nothing():
    before = sorted(belonging_to(PATHS.instance))
    begin = time.monotonic()
    must("up")
    assert time.monotonic() - begin < 5
    assert set(before) & set(belonging_to(PATHS.instance)) >= {process["pid"] for process in listed()}


def listed() -> list[dict]:
    """PM2's list, asked as an operator does."""
    facts = json.loads(PATHS.facts_file.read_text())
    path = ":".join([*facts["path_prefix"], os.environ["PATH"]])
    environment = {"PATH": path, "PM2_HOME": facts["pm2_home"], "HOME": facts["home"], "NO_COLOR": "1"}
    argv = [facts["pm2_executable"], "jlist", "-s"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=20, check=True)
    return json.loads(done.stdout)


def test_backend_and_worker_are_under_pm2():
    assert {entry["name"]: entry["pm2_env"]["status"] for entry in listed()} == {"backend": "online", "worker": "online"}


def test_saved_lists_and_secrets_are_private():
    facts = json.loads(PATHS.facts_file.read_text())
    private = [
        facts["env_file"],
        facts["logsdb"]["password_file"],
        *(f"{facts['pm2_home']}/{name}" for name in ("dump.pm2", "dump.pm2.bak")),
    ]
    assert {oct(os.stat(path).st_mode & 0o777) for path in private} == {"0o600"}


def test_the_page_is_served_with_its_assets_and_the_api_behind_it():
    web = status()["facts"]["web_url"]
    assets = re.findall(r'(?:src|href)="/(assets/[^"]+)"', body_of(web))
    assert len(assets) >= 2
    assert all(len(body_of(web + asset)) > 50 for asset in assets)
    assert body_of(web + "some/deep/link") == body_of(web) != ""
    assert json.loads(body_of(web + "api/health"))["status"] == "ok"


def test_the_worker_walks_jobs():
    web = status()["facts"]["web_url"]
    wait_until(lambda: json.loads(body_of(web + "api/jobs")).get("DONE", 0) > 0, 20, "no job done")
    newest = json.loads(body_of(web + "api/runs?limit=1"))[0]
    assert newest["status"] == "SUCCESS"
    assert newest["success_count"] == newest["total_target"] > 0


def test_up_repairs_a_lost_logsdb_and_the_worker_goes_on():
    worker = next(entry["pid"] for entry in listed() if entry["name"] == "worker")
    server = int((PATHS.pg / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(server, signal.SIGQUIT)
    wait_until(lambda: not status()["healthy"], 20, "still healthy without LogsDB")
    must("up")
    assert status()["healthy"]
    assert next(entry["pid"] for entry in listed() if entry["name"] == "worker") == worker


def test_a_fault_is_real_and_clears():
    must("fault", "set", "pm2.stopped")
    assert "stopped" in {entry["pm2_env"]["status"] for entry in listed()}
    assert status()["faults"] == ["pm2.stopped"]
    again = replica("fault", "set", "pm2.stopped")
    assert again.returncode == 1
    assert "set already" in again.stderr
    must("fault", "clear", "pm2.stopped")
    answer = status()
    assert answer["healthy"]
    assert answer["faults"] == []


def test_clear_without_a_code_heals_whatever_is_broken():
    must("fault", "set", "pm2.startup_missing")
    must("fault", "set", "pm2.dump_readable")
    must("fault", "set", "pm2.daemon_hung")
    must("fault", "clear")
    assert status()["healthy"]
    assert list(PATHS.unit_dir.glob("multi-user.target.wants/*.service"))


def test_an_unknown_fault_is_one_line():
    done = replica("fault", "set", "pm2.nonsense")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == ["replica: no fault 'pm2.nonsense'; see `replica fault list`"]


@pytest.mark.parametrize("seconds", [0.6, 2.0, 4.0])
def test_up_after_a_killed_up(seconds):
    must("down", "--purge")
    with subprocess.Popen(
        [sys.executable, str(SOURCES / "replica"), "--name", NAME, "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as killed:
        time.sleep(seconds)
        killed.kill()
    must("up")
    assert status()["healthy"]


def test_down_leaves_nothing_and_is_idempotent():
    must("down")
    assert belonging_to(PATHS.instance) == []
    assert not PATHS.facts_file.exists()
    must("down")
    assert not status()["healthy"]
    must("up")
