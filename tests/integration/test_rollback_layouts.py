# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and rollbacks in the other layouts: a web server that has the page alone, releases behind a link, several hosts."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="PM2 runs as another user")
ROLLBACK, BACKUP = "playbooks/emergency_rollback.yml", "playbooks/release_backup.yml"
BACKEND = """
const http = require('http');
http.createServer((_request, answer) => answer.end(JSON.stringify({status: 'ok', version: '%(version)s'}))).listen(%(port)s, '127.0.0.1');
"""
WORKER = "console.log('Scheduler created');\nsetInterval(() => {}, 1000);\n"


@pytest.fixture
def folder():
    """Return an empty folder that every user can read."""
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def page(tree: Path, version: str) -> Path:
    """Lay out the page of a release."""
    build = tree / "frontend/build"
    (build / "assets").mkdir(parents=True)
    (build / "index.html").write_text(f'<p>{version}<script src="/assets/app-{version}.js"></script>')
    (build / f"assets/app-{version}.js").write_text("x")
    return tree


def get(port: int, path: str = "/") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


def inventory(folder: Path, hosts: dict[str, dict]) -> str:
    """Write an inventory of hosts that are this machine; returns its path."""
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "emergency_rollback_daily_check": False,
        "emergency_rollback_settle": 1,
    }
    states = {name: {"stack_state_dir": str(folder / f"state-{name}"), **variables} for name, variables in hosts.items()}
    path = folder / "inventory.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": states, "vars": shared}}, sort_keys=False), encoding="utf-8")
    return str(path)


@pytest.fixture
def roll(play):
    """Return a function that rolls the hosts of an inventory back; more arguments come last."""

    def run(where: str, to: str, *arguments: str):
        return play("-e", "remediation_hosts=all", "-e", f"emergency_rollback_to={to}", *arguments, playbook=ROLLBACK, inventory=where)

    return run


# --- the page alone


@pytest.fixture
def nginx(replica, folder):
    """Serve the page of an installation in the folder; returns (its port, what the host's variables say of it)."""
    conf, port = folder / "nginx.conf", free_port()
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf.write_text(
        f"user root; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; root {folder}/current/frontend/build; }} }}\n"
    )
    command = [replica["nginx"]["executable"], "-p", str(folder), "-c", str(conf)]
    subprocess.run(command, check=True, timeout=30)
    yield (
        port,
        {
            "stack_nginx_executable": command[0],
            "stack_nginx_conf": str(conf),
            "stack_nginx_prefix": str(folder),
            "stack_nginx_pid_file": f"{folder}/nginx.pid",
        },
    )
    subprocess.run([*command, "-s", "quit"], check=False, timeout=30)


@pytest.mark.parametrize("layout", ["folder", "link"])
def test_a_web_server_that_has_the_page_alone(play, roll, folder, nginx, layout):
    port, variables = nginx
    app = folder / "current"
    if layout == "link":
        page(folder / "releases/20261120", "A")
        page(folder / "releases/20261121", "B")
        app.symlink_to("releases/20261121")
    else:
        page(app, "A")
    hosts = {
        "web-1": {
            "stack_areas": ["nginx"],
            "stack_app_dir": str(app),
            "stack_release_parts": ["frontend"],
            "stack_web_build_dir": str(app / "frontend/build"),
            **variables,
        }
    }
    where = inventory(folder, hosts)
    made = play(playbook=BACKUP, inventory=where)
    assert made.code == 0, made.output
    if layout == "folder":
        shutil.rmtree(app)
        page(app, "B")
    assert "<p>B<" in get(port)
    run = roll(where, "latest")
    assert run.code == 0, run.output
    assert ("<p>A<" in get(port), get(port, "/assets/app-A.js")) == (True, "x")
    again = roll(where, "latest")
    assert (again.code, "changed=0" in again.output) == (0, True), again.output
    back = "20261121" if layout == "link" else next(folder.glob("current-aside-*")).name[-14:]
    forth = roll(where, back)
    assert forth.code == 0, forth.output
    assert "<p>B<" in get(port)


def test_a_page_that_is_served_from_elsewhere_is_refused(roll, folder, nginx):
    port, variables = nginx
    page(folder / "current", "A")
    page(folder / "tank", "B")
    page(folder / "tank-backup-202611200930", "C")
    host = {"stack_areas": ["nginx"], "stack_app_dir": str(folder / "tank"), "stack_release_parts": ["frontend"], **variables}
    host["stack_web_build_dir"] = str(folder / "current/frontend/build")
    run = roll(inventory(folder, {"web-1": host}), "latest")
    assert run.code == 2, run.output
    refused = next(finding for finding in run.record["findings"] if finding["code"] == "run.rollback_refused")
    assert refused["subject"] == "page_elsewhere"
    assert "stack_release_parts" in refused["texts"]["ko"]["next"]
    assert "<p>A<" in get(port)


# --- behind a link


@pytest.fixture
def linked(replica, folder):
    """Run applications of this test under PM2 from releases behind a link; returns (the folder, its port, the host's variables)."""
    port = free_port()
    for name, version in (("20261120", "A"), ("20261121", "B")):
        tree = page(folder / "releases" / name, version)
        for part, script, text in (("backend", "main.js", BACKEND % {"version": version, "port": port}), ("worker", "worker.js", WORKER)):
            (tree / part / "dist").mkdir(parents=True)
            (tree / part / "dist" / script).write_text(text)
        (tree / "config").mkdir()
        (tree / "config/.env").write_text(f"PORT={port}\n")
        (tree / "config/.env").chmod(0o600)
    (folder / "current").symlink_to("releases/20261121")
    subprocess.run(["chown", "-R", f"{replica['user']}:", str(folder / "releases")], check=True)

    def pm2(*arguments: str) -> None:
        path = os.pathsep.join([*replica["path_prefix"], "/usr/bin", "/bin"])
        environment = {"PATH": path, "HOME": replica["home"], "PM2_HOME": replica["pm2_home"]}
        command = [replica["pm2_executable"], *arguments]
        subprocess.run(command, env=environment, user=replica["user"], cwd="/", check=True, capture_output=True, timeout=60)

    for part, script in (("backend", "main.js"), ("worker", "worker.js")):
        pm2("start", f"{folder}/current/{part}/dist/{script}", "--name", f"linked-{part}")
    give_up = time.monotonic() + 20
    while True:
        try:
            get(port)
            break
        except OSError:
            assert time.monotonic() < give_up, "the applications of this test did not start"
            time.sleep(0.1)
    yield (
        folder,
        port,
        {
            "stack_areas": ["pm2", "backend", "worker"],
            "stack_app_dir": f"{folder}/current",
            "stack_pm2_home": replica["pm2_home"],
            "stack_pm2_user": replica["user"],
            "stack_backend_process": "linked-backend",
            "stack_worker_process": "linked-worker",
            "stack_health_url": f"http://127.0.0.1:{port}/health",
            "emergency_rollback_override": ["open_run"],
            "emergency_rollback_path_prefix": replica["path_prefix"],
            "emergency_rollback_pm2_executable": replica["pm2_executable"],
        },
    )
    pm2("delete", "linked-backend", "linked-worker")


def test_releases_behind_a_link_with_real_processes(play, roll, linked):
    folder, port, host = linked
    where = inventory(folder, {"app-1": host})
    written = play(playbook=BACKUP, inventory=where)
    assert written.code == 0, written.output
    assert json.loads((folder / "releases/20261121.manifest.json").read_text())["files"].keys() >= {"backend/dist/main.js"}
    (folder / "current/config/.env").write_text(f"PORT={port}\nEDITED=1\n")
    run = roll(where, "latest")
    assert run.code == 0, run.output
    assert (json.loads(get(port))["version"], os.readlink(folder / "current")) == ("A", "releases/20261120")
    again = roll(where, "latest")
    assert (again.code, "changed=0" in again.output) == (0, True), again.output
    # What was edited while it ran is no damage; a release that does not start is undone.
    back = roll(where, "20261121")
    assert back.code == 0, back.output
    assert json.loads(get(port))["version"] == "B"
    (folder / "releases/20261120/worker/dist/worker.js").write_text("process.exit(7)\n")
    broken = roll(where, "20261120", "-e", "emergency_rollback_worker_timeout=15")
    assert broken.code == 2, broken.output
    assert "run.rollback_undone" in {finding["code"] for finding in broken.record["findings"]}, broken.output
    assert (json.loads(get(port))["version"], os.readlink(folder / "current")) == ("B", "releases/20261121")


# --- several hosts


@pytest.fixture
def sites(folder):
    """Return the folder of two installations with a backup each, their variables, and those of a host that has none."""
    hosts = {}
    for name in ("seoul", "busan"):
        page(folder / name / "app", "B")
        page(folder / name / "app-backup-202611200930", "A")
        hosts[name] = {"stack_areas": [], "stack_app_dir": str(folder / name / "app"), "stack_release_parts": ["frontend"]}
    return folder, {**hosts, "logsdb": {"stack_areas": []}}


def versions(folder: Path) -> list[str]:
    return [(folder / name / "app/frontend/build/index.html").read_text()[3:4] for name in ("seoul", "busan")]


def test_several_hosts_go_one_after_the_other_and_one_without_a_release_is_told(roll, sites):
    folder, hosts = sites
    run = roll(inventory(folder, hosts), "latest")
    assert run.code == 0, run.output
    assert versions(folder) == ["A", "A"]
    assert "stack_app_dir is not set for this host, so it has no release" in run.output
    assert {host["host"]: host["state"] for host in run.record["hosts"]} == {
        "seoul": "asked",
        "busan": "asked",
        "logsdb": "nothing_to_check",
    }


def test_where_one_host_refuses_none_is_touched(roll, sites):
    folder, hosts = sites
    (folder / "busan/app-backup-202611200930/frontend/build/index.html").unlink()
    run = roll(inventory(folder, hosts), "202611200930")
    assert run.code == 2, run.output
    assert versions(folder) == ["B", "B"]
    assert "busan cannot be rolled back, so no host was changed" in run.output
    assert not (folder / "state-seoul").exists()


def test_the_first_failure_spares_the_hosts_after_it(roll, sites):
    """Another run is at work in Seoul, which only one that would change something finds out."""
    folder, hosts = sites
    app = hosts["seoul"]["stack_app_dir"]
    state = folder / "state-seoul"
    state.mkdir()
    with open(state / f"release-app-{hashlib.sha256(app.encode()).hexdigest()[:8]}.jsonl.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = roll(inventory(folder, hosts), "202611200930")
    assert run.code == 2, run.output
    assert "another rollback or backup of this installation is running" in run.output
    assert versions(folder) == ["B", "B"]
    assert {host["host"]: host["state"] for host in run.record["hosts"]}["busan"] == "not_asked"


def test_hosts_without_releases_and_misspelt_variables_are_refused(roll, sites):
    folder, hosts = sites
    nobody = roll(inventory(folder, hosts), "latest", "-e", "remediation_hosts=logsdb")
    assert nobody.code == 2, nobody.output
    assert "stack_app_dir: it is set for none of logsdb" in nobody.output
    misspelt = roll(str(folder / "inventory.yml"), "latest", "-e", "emergency_rollback_evn=keep")
    assert misspelt.code == 2, misspelt.output
    assert "did you mean emergency_rollback_env? Nothing was changed" in misspelt.output
    assert versions(folder) == ["B", "B"]
