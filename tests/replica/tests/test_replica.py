"""The replica as its users see it: the command, the processes, the answers. Uses an instance of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ..oracle.client import Control
from ..paths import CHECKOUT, SOURCES, Paths
from ..processes import ORACLE, belonging_to
from ..system import wait_until
from ..web import body_of

pytestmark = pytest.mark.integration

NAME = "replica-test"
PATHS = Paths.of(NAME)
ORACLE_CONTROL = Control(PATHS.oracle)


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
    assert {part["name"] for part in answer["parts"]} >= {"logsdb", "oracle", "nginx", "pm2", "backend", "worker", "attachments"}
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
        *(facts["oracle"][name] for name in ("password_file", "monitor_password_file", "variables_file")),
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


def test_backend_and_worker_ask_oracle():
    pids = {str(entry["pid"]) for entry in listed()}
    wait_until(lambda: {login["process"] for login in ORACLE_CONTROL.status()["sessions"]} >= pids, 30, "not both have asked Oracle")
    last = "AUTO_ID = 1 AND CUST_ID = 'GID_20001017'"
    ORACLE_CONTROL.sql(f"UPDATE TARGET SET NEXT_DUE_AT = SYSDATE, SENT_YN = 'N' WHERE {last}")  # noqa: S608
    marked = f"SELECT COUNT(*) FROM TARGET WHERE {last} AND SENT_YN = 'Y' AND NEXT_DUE_AT > SENT_AT"  # noqa: S608
    wait_until(lambda: ORACLE_CONTROL.sql(marked)["rows"] == [[1]], 20, "the customer is not marked in Oracle")


def test_the_connect_test_of_the_backend():
    connection = HTTPConnection("127.0.0.1", status()["facts"]["ports"]["backend"], timeout=20)
    connection.request("POST", "/api/dbio/connect-test")
    assert json.load(connection.getresponse())["ok"] is True


def test_the_password_of_oracle_is_in_env_and_in_the_checkers_file():
    facts = json.loads(PATHS.facts_file.read_text())
    password = ORACLE_CONTROL.passwords()["TANK"]
    assert f"ORACLE_PASS={password}" in PATHS.env_file.read_text().splitlines()
    assert Path(facts["oracle"]["password_file"]).read_text() == password
    assert password not in PATHS.facts_file.read_text()


def test_up_repairs_a_lost_oracle():
    (server,) = belonging_to(PATHS.instance, frozenset({ORACLE}))
    os.kill(server, signal.SIGKILL)
    assert not status()["healthy"]
    must("up")
    assert status()["healthy"]
    assert belonging_to(PATHS.instance, frozenset({ORACLE})) != [server]


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


def test_up_keeps_faults_when_it_is_told_to_and_heals_otherwise():
    must("fault", "set", "pm2.stopped")
    kept = must("up", "--keep-faults").splitlines()
    assert kept[-1] == "faults set: pm2.stopped. They are left as they are; `make replica-heal` clears them"
    assert status()["faults"] == ["pm2.stopped"]
    assert "stopped" in {entry["pm2_env"]["status"] for entry in listed()}
    must("up")
    assert status()["healthy"]
    assert status()["faults"] == []


def test_a_fault_is_set_on_a_replica_that_was_down():
    must("down")
    must("fault", "set", "pm2.stopped")
    assert status()["faults"] == ["pm2.stopped"]
    must("fault", "clear")
    assert status()["healthy"]


def test_no_process_uses_the_checkout_or_its_packages():
    """The account of the servers may not be able to enter it, and it may be removed while they run."""
    pids = belonging_to(PATHS.instance)
    assert len(pids) >= 8
    assert {pid: used for pid in pids if (used := uses(pid, CHECKOUT) or uses(pid, Path(sys.prefix)))} == {}


def uses(pid: int, folder: Path) -> str:
    """The first of a process's open files, mappings, arguments and variables that lies in a folder, "" for none."""
    if folder in (Path("/usr"), Path("/usr/local")):
        return ""  # these packages are the distribution's
    process = Path(f"/proc/{pid}")
    names = [os.readlink(link) for link in (process / "exe", process / "cwd", *process.glob("fd/*")) if link.is_symlink()]
    names += [line.split(maxsplit=5)[-1] for line in (process / "maps").read_text().splitlines()]
    for file in ("cmdline", "environ"):
        names += (process / file).read_bytes().decode(errors="replace").replace("=", "\0").replace(":", "\0").split("\0")
    return next((name for name in names if Path(name).is_relative_to(folder)), "")


def test_a_fault_of_oracle_is_in_the_workers_log_and_clears():
    must("fault", "set", "ORA-28000")
    assert "ORA-28000: the account is locked" in must("logs", "worker")
    assert not status()["healthy"]
    must("fault", "clear", "ORA-28000")
    assert ORACLE_CONTROL.status()["accounts"]["TANK"] == "OPEN"
    assert status()["healthy"]


def test_a_wrong_target_is_told_to_the_checker_too():
    file = Path(status()["facts"]["oracle"]["variables_file"])
    right = json.loads(file.read_text())
    must("fault", "set", "ORA-12505")
    assert {target.get("sid") for target in json.loads(file.read_text())["stack_oracle_targets"]} == {"ORCX"}
    must("fault", "clear", "ORA-12505")
    assert json.loads(file.read_text()) == right


def test_clear_without_a_code_heals_whatever_is_broken():
    ORACLE_CONTROL.account("TANK", status="EXPIRED")
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
