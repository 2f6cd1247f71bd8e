"""What the scenarios' tests share: the hosts of the replica, the newest run record, the replica's command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import testinfra

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tests.replica.paths import Paths  # noqa: E402 - found through the line above


def facts() -> dict[str, Any]:
    """Return what the replica says of itself."""
    return json.loads(Paths.of(os.environ["TANK_REPLICA_NAME"]).facts_file.read_text(encoding="utf-8"))


def _host(name: str) -> Any:
    return testinfra.get_host(f"{facts()['engine']}://{facts()['hosts'][name]['container']}")


@pytest.fixture
def app() -> Any:
    """The applications' host."""
    return _host("app")


@pytest.fixture
def web() -> Any:
    """Nginx's host."""
    return _host("web")


@pytest.fixture
def logsdb() -> Any:
    """The database's host."""
    return _host("logsdb")


@pytest.fixture
def hosts(app: Any, web: Any, logsdb: Any) -> dict[str, Any]:
    """All hosts by their inventory names."""
    return {"tank-app": app, "tank-web": web, "tank-logsdb": logsdb}


@pytest.fixture
def record() -> dict[str, Any]:
    """The newest run record of this scenario."""
    path = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "remediation/runs/latest/record.json"
    return json.loads(path.read_text(encoding="utf-8"))


def _notes() -> Path:
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "before.json"


def note(what: Any) -> None:
    """Keep how something was before a scenario's first step; it must go through JSON as it is."""
    _notes().write_text(json.dumps(what), encoding="utf-8")


def noted() -> Any:
    """Return what a scenario's test_before.py has kept."""
    return json.loads(_notes().read_text(encoding="utf-8"))


def applications(app: Any) -> dict[str, list[int]]:
    """Return pid and number of restarts of backend and worker, as PM2 tells them."""
    listed = app.run("su tankmail -s /bin/sh -c 'PM2_HOME=/home/tankmail/.pm2 pm2 jlist'").stdout
    processes = json.loads(listed[listed.index("[{") :])
    told = {process["name"]: [process["pid"], process["pm2_env"]["restart_time"]] for process in processes}
    assert all(told[name][0] for name in ("backend", "worker")), listed
    return {name: told[name] for name in ("backend", "worker")}


def not_well(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Return host and code of every finding that is not ok."""
    return sorted((finding["host"], finding["code"]) for finding in record["findings"] if finding["status"] != "ok")


def daily_check(home: Path, *arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
    """Run the daily check, with further variables of the environment; its exit code and run record."""
    command = ["ansible-playbook", "playbooks/daily_check.yml", "-i", "inventories/replica", "-e", f"remediation_home={home}", *arguments]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), **variables}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    record = home / "runs/latest/record.json"
    assert record.exists(), done.stdout + done.stderr
    return done.returncode, json.loads(record.read_text(encoding="utf-8"))
