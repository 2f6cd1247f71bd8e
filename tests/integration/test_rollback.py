# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emergency rollback through ansible-playbook, with PM2, nginx and the applications themselves; killed at five of its steps."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import CHECKOUT, INSTANCE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="renaming the installation needs root")
PLAYBOOK = "playbooks/emergency_rollback.yml"
QUICK = {
    "remediation_hosts": "tank-app",
    "stack_areas": ["pm2", "backend", "worker"],
    "emergency_rollback_settle": 1,
    "emergency_rollback_daily_check": False,
    "emergency_rollback_override": ["open_run"],
}
WHOLE = {
    "stack_areas": ["pm2", "backend", "worker", "logsdb", "nginx"],
    "emergency_rollback_daily_check": True,
    "emergency_rollback_override": [],
    "emergency_rollback_drain": 60,
}
LEFT_OUT = ("logs", "export")
MORNING, EVENING = "202611200930", "202611201830"


def digest(tree: Path) -> str:
    """Return one hash of the names and contents in a release, without what a running application writes."""
    found = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        within = path.relative_to(tree)
        if path.is_file() and not path.is_symlink() and not set(within.parts) & set(LEFT_OUT) and ".env.before-" not in path.name:
            found.update(f"{within}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return found.hexdigest()


@dataclass
class Site:
    """The installation on the replica, and two releases with contents of their own."""

    facts: dict
    digests: dict[str, str]

    @property
    def app(self) -> Path:
        return Path(self.facts["app_dir"])

    @property
    def parent(self) -> Path:
        return self.app.parent

    def trees(self) -> dict[str, Path]:
        """Return where each release is: by the digest of what lies there."""
        now = {digest(path): path for path in self.parent.iterdir() if path.is_dir() and (path / "backend/dist").is_dir()}
        return {name: now[known] for name, known in self.digests.items() if known in now}

    def version(self) -> str:
        """Return which release is in place."""
        return next((name for name, path in self.trees().items() if path == self.app), "")

    def other(self) -> tuple[str, str]:
        """Return name and id of a release that is not in place."""
        return next((name, path.name.rsplit("-", 1)[1]) for name, path in sorted(self.trees().items()) if path != self.app)

    def journal(self) -> str:
        path = next(Path(self.facts["state_dirs"][0]).glob("release-tank-mail-app-*.jsonl"), None)
        return path.read_text(encoding="utf-8") if path else ""

    def works(self) -> bool:
        """Whether the backend is healthy and both processes run from what is in place."""
        try:
            with urllib.request.urlopen(self.facts["health_url"], timeout=3) as answer:  # noqa: S310 - an address of the replica
                return json.load(answer)["status"] == "ok" and self.running() == {"backend", "worker"}
        except OSError:
            return False

    def running(self) -> set[str]:
        return {name for name, (_pid, status) in self.processes().items() if status == "online"}

    def processes(self) -> dict[str, tuple[int, str]]:
        from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list

        return {one["name"]: (one["pid"], one["status"]) for one in pm2_list.read_list(self.facts["pm2_home"])["processes"]}


@pytest.fixture(scope="module")
def site(replica):
    """Make a release B beside the one that is delivered; afterwards everything is as it was."""
    app = Path(replica["app_dir"])
    backup = app.with_name(f"{app.name}-backup-{MORNING}")
    subprocess.run(["cp", "-a", app, backup], check=True)
    with (backup / "backend/dist/main.js").open("a") as script:
        script.write("\n// release B\n")
    made = Site(replica, {"A": digest(app), "B": digest(backup)})
    before = made.app.stat().st_ino
    yield made
    if made.app.stat().st_ino != before:
        subprocess.run([replica["pm2_executable"], "stop", "all"], env=_operator(replica), user=replica["user"], check=False, timeout=60)
        here = next(path for path in made.parent.iterdir() if path.stat().st_ino == before)
        made.app.rename(made.parent / "gone")
        here.rename(made.app)
        subprocess.run([replica["pm2_executable"], "restart", "all"], env=_operator(replica), user=replica["user"], check=False, timeout=60)
    for path in made.parent.iterdir():
        if path != made.app:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in Path(replica["state_dirs"][0]).glob("release-*"):
        path.unlink()


def _operator(replica: dict) -> dict[str, str]:
    path = os.pathsep.join([*replica["path_prefix"], "/usr/bin", "/bin"])
    return {"PATH": path, "HOME": replica["home"], "PM2_HOME": replica["pm2_home"]}


@pytest.fixture
def roll(play, site):
    """Return a function that rolls back; more variables override."""

    def run(*arguments: str, **variables):
        known = {f"stack_nginx_{name}": site.facts["nginx"][name] for name in ("executable", "conf", "prefix")}
        return play("-e", json.dumps({**known, **QUICK, **variables}), *arguments, playbook=PLAYBOOK)

    return run


def test_without_hosts_or_target_nothing_happens(play, roll, site):
    before = site.processes()
    nobody = play(playbook=PLAYBOOK)
    assert nobody.code != 0
    assert "remediation_hosts: no host is named, and a rollback has no default hosts" in nobody.output
    without = roll()
    assert without.code == 2, without.output
    assert "no release is named; name one of the candidates with -e emergency_rollback_to=<id> or latest" in without.output
    assert f"{MORNING} (2026-11-20 09:30, backup, " in without.output
    found = next(one for one in without.record["findings"] if one["code"] == "run.rollback_refused")
    assert MORNING in found["texts"]["ko"]["next"]
    assert (site.processes(), site.version()) == (before, "A")


def test_the_list_shows_what_there_is(play):
    run = play("--limit", "tank-app", playbook="playbooks/rollback_list.yml")
    assert run.code == 0, run.output
    assert f"{MORNING} (2026-11-20 09:30, backup, " in run.output
    assert "(live, " in run.output
    assert "changed=0" in run.output


def test_an_open_mail_run_that_nobody_can_tell_of_is_refused(roll, site):
    before = site.processes()
    run = roll(emergency_rollback_to="latest", emergency_rollback_override=[])
    assert run.code == 2, run.output
    assert "it is not known whether a mail run is open (logsdb is not in stack_areas); fix the access to LogsDB" in run.output
    assert (site.processes(), site.version()) == (before, "A")


def test_check_mode_prints_every_step_and_changes_nothing(roll, site):
    before = site.processes()
    run = roll("--check", "--diff", **{**WHOLE, "emergency_rollback_to": "latest"})
    assert run.code == 0, run.output
    for step in ("stop worker, backend", "rename ", "start backend, wait for its health check", "start worker, see it work", "test nginx"):
        assert step in run.output
    assert (site.processes(), site.version(), site.journal()) == (before, "A", "")


def test_a_rollback_and_the_daily_check_and_a_second_run_that_changes_nothing(roll, site):
    run = roll(**{**WHOLE, "emergency_rollback_to": "latest"})
    assert run.code == 0, run.output
    assert (site.version(), site.works(), set(site.trees())) == ("B", True, {"A", "B"})
    assert {finding["status"] for finding in run.record["findings"]} == {"ok"}
    assert "backend.health" in {finding["check"] for finding in run.record["findings"]}
    acted = [(action["module"], action["host"], action["check_mode"], action["failed"]) for action in run.record["actions"]]
    assert acted == [("ops.remediation.release_rollback", "tank-app", False, False)]
    assert run.record["actions"][0]["steps"]
    before = site.processes()
    again = roll(emergency_rollback_to="latest")
    assert again.code == 0, again.output
    assert again.record["actions"] == []
    assert "changed=0" in again.output
    assert (site.version(), site.processes()) == ("B", before)


# --- killed

STEPS = {
    "the journal is begun": lambda site, seen: '"begun"' in seen(),
    "the processes stop": lambda site, seen: '"begun"' in seen() and len(site.running()) < 2,
    "the former release is put aside": lambda site, seen: '"begun"' in seen() and not site.works(),
    "the release is in place": lambda site, seen: '"placed"' in seen(),
    "it runs and is watched": lambda site, seen: '"placed"' in seen() and site.works(),
}


def kill_all(first: int) -> None:
    """SIGKILL a process and all that descend from it: ansible-playbook, its forks, the module on the host and its children."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    doomed = [first]
    for pid in doomed:
        doomed += [child for child, parent in parents.items() if parent == pid]
    for pid in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_the_next_run_puts_all_in_order(roll, site, step, tmp_path):
    name, identity = site.other()
    lines = len(site.journal().splitlines())

    def seen() -> str:
        return "\n".join(site.journal().splitlines()[lines:])

    variables = {**QUICK, "emergency_rollback_to": identity, "emergency_rollback_settle": 20, "remediation_home": str(tmp_path / "home")}
    command = ["ansible-playbook", PLAYBOOK, "-i", "inventories/replica", "-e", json.dumps(variables)]
    environment = {**os.environ, "TANK_REPLICA_NAME": INSTANCE, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")}
    with subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as run:
        give_up = time.monotonic() + 90
        while not STEPS[step](site, seen):
            assert run.poll() is None, run.stdout.read().decode()
            assert time.monotonic() < give_up, "the step was never seen"
            time.sleep(0.01)
        kill_all(run.pid)
    assert '"finished"' not in seen(), "the run was over before it was killed"
    assert set(site.trees()) == {"A", "B"}
    after = roll(emergency_rollback_to=identity)
    assert after.code == 0, after.output
    assert (site.version(), site.works(), set(site.trees())) == (name, True, {"A", "B"})


# --- a release that does not live


BAD = {
    "crashes after 20 s": ("worker/dist/worker.js", "setTimeout(() => process.exit(7), 20000);\n", 24, "worker"),
    "hangs": ("backend/dist/main.js", "setTimeout(() => { for (;;); }, 0);\n", 1, "backend"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_release_that_does_not_live_is_undone(roll, site, name):
    script, line, settle, process = BAD[name]
    running = site.version()
    bad = site.app.with_name(f"{site.app.name}-backup-{EVENING}")
    subprocess.run(["cp", "-a", site.app, bad], check=True)
    with (bad / script).open("r+") as file:
        text = file.read()
        file.seek(0)
        file.write(line + text)
    site.digests["bad"] = digest(bad)
    run = roll(emergency_rollback_to=EVENING, emergency_rollback_settle=settle, emergency_rollback_health_timeout=12)
    assert run.code == 2, run.output
    assert "run.rollback_undone" in {finding["code"] for finding in run.record["findings"]}, run.output
    assert f"the former release is back in {site.app} and runs" in run.output
    assert (
        process in next(finding for finding in run.record["findings"] if finding["code"] == "run.rollback_undone")["texts"]["en"]["cause"]
    )
    assert (site.version(), site.works()) == (running, True)
    assert set(site.trees()) == {"A", "B", "bad"}
    shutil.rmtree(bad)
    site.digests.pop("bad")
