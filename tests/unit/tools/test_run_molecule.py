# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule's scenarios leave nothing behind: not when one hangs, not when a replica is ill, not when the run is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60
# Writes its pid and the pid of a child in a session of its own, as a worker of Ansible is, and heeds no SIGTERM.
HANGS = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
with open(sys.argv[1] + ".new", "w") as stream:
    stream.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""
# Notes what the replica's command was called with, and does what the test says of these words.
REPLICA = """
import os, sys, time
words = os.environ["TANK_REPLICA_NAME"] + " " + " ".join(sys.argv[2:])
with open(sys.argv[1] + "/calls", "a") as stream:
    stream.write(words + "\\n")
if words == os.environ.get("FAILS"):
    sys.exit(3)
if words == os.environ.get("HANGS"):
    time.sleep(600)
"""
# Notes its scenario; hangs where the test wants that.
MOLECULE = """
import os, sys
with open(sys.argv[1] + "/scenarios", "a") as stream:
    stream.write(os.environ["TANK_REPLICA_NAME"] + " " + " ".join(sys.argv[2:]) + "\\n")
if os.environ.get("MOLECULE_HANGS"):
    sys.argv[1] += "/pids-" + os.environ["TANK_REPLICA_NAME"]
    exec(open(os.environ["MOLECULE_HANGS"]).read())
"""
# The runner with other commands in the place of the replica's and Molecule's.
RUNNER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tools import run_molecule as runner, stoppable
there = Path(sys.argv[2])
runner.REPLICA = [sys.executable, str(there / "replica.py"), str(there)]
runner.MOLECULE = [sys.executable, str(there / "molecule.py"), str(there)]
runner.LOGS = there / "logs"
runner.LONGEST_CALL = 2 if os.environ.get("HANGS") else 60
stoppable._GRACE_S = 0.5
runner.engine.missing = lambda: ""
sys.argv[1:] = ["daily_check", "reboot", "ssh"]
sys.exit(runner.main())
"""


@pytest.fixture
def started(tmp_path):
    """Start the runner in a folder of its own; what it left is ended."""
    for name, text in (("replica", REPLICA), ("molecule", MOLECULE), ("runner", RUNNER), ("hangs", HANGS)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    runners = []

    def start(**environment):
        argv = [sys.executable, str(tmp_path / "runner.py"), str(CHECKOUT), str(tmp_path)]
        clean = {name: value for name, value in os.environ.items() if name != "TANK_REPLICA_NAME"}
        runners.append(subprocess.Popen(argv, env={**clean, **environment}, stdout=subprocess.PIPE, text=True))
        return runners[-1]

    yield start
    for runner in runners:
        runner.kill()
        runner.communicate()
    for file in tmp_path.glob("pids-*"):
        for pid in alive(file):
            os.kill(pid, signal.SIGKILL)


def alive(file):
    """Return those pids of a file that still run."""
    states = {int(pid): Path(f"/proc/{pid}/stat") for pid in file.read_text(encoding="utf-8").split()}
    return [pid for pid, stat in states.items() if stat.exists() and stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"]


def wait_for(*files):
    deadline = time.monotonic() + PATIENCE_S
    while not all(file.exists() for file in files):
        assert time.monotonic() < deadline, f"no {files}"
        time.sleep(0.05)


def lines(file):
    return file.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_when_it_is_stopped_everything_ends_and_the_containers_go(tmp_path, started, number):
    runner = started(MOLECULE_HANGS=str(tmp_path / "hangs.py"))
    pids = [tmp_path / f"pids-molecule-{lane}" for lane in (0, 1)]
    wait_for(*pids)
    runner.send_signal(number)
    said, _errors = runner.communicate(timeout=PATIENCE_S)
    assert runner.returncode == 130
    # Where nothing failed by itself, no log is shown.
    assert len(said.splitlines()) == 3
    assert "molecule: stopped; the containers are removed" in said
    assert [alive(file) for file in pids] == [[], []]
    assert {"molecule-0 down --purge", "molecule-1 down --purge"} <= set(lines(tmp_path / "calls"))
    # The third scenario was not begun, and no cleanup of one.
    assert len(lines(tmp_path / "scenarios")) == 2


def test_a_replica_that_does_not_come_up_leaves_its_work_to_the_other(tmp_path, started):
    runner = started(FAILS="molecule-1 up --containers")
    said, _errors = runner.communicate(timeout=PATIENCE_S)
    assert "molecule: molecule-1 FAILED to come up: `replica up --containers` ended with exit code 3" in said
    assert "molecule: 3 passed, 0 failed" in said
    assert runner.returncode == 1
    assert {line.split()[0] for line in lines(tmp_path / "scenarios")} == {"molecule-0"}


def test_where_the_first_replica_does_not_come_up_the_other_works(tmp_path, started):
    runner = started(FAILS="molecule-0 up --containers")
    said, _errors = runner.communicate(timeout=PATIENCE_S)
    assert "molecule: 3 passed, 0 failed" in said
    assert runner.returncode == 1
    assert {line.split()[0] for line in lines(tmp_path / "scenarios")} == {"molecule-1"}


@pytest.mark.parametrize(
    ("trouble", "told"), [("FAILS", "ended with exit code 3"), ("HANGS", "did not end within 2 s")], ids=["fails", "hangs"]
)
def test_a_replica_that_cannot_be_removed_is_a_failure_and_the_other_is_removed(tmp_path, started, trouble, told):
    runner = started(**{trouble: "molecule-0 down --purge"})
    said, _errors = runner.communicate(timeout=PATIENCE_S)
    assert f"molecule: molecule-0 FAILED to be removed: `replica down --purge` {told}" in said
    assert runner.returncode == 1
    assert "molecule-1 down --purge" in lines(tmp_path / "calls")


def test_when_all_is_well_each_scenario_runs_once(tmp_path, started):
    runner = started()
    said, _errors = runner.communicate(timeout=PATIENCE_S)
    assert "molecule: 3 passed, 0 failed" in said
    assert runner.returncode == 0
    assert sorted(line.split()[5] for line in lines(tmp_path / "scenarios")) == ["daily_check", "reboot", "ssh"]


def test_a_command_that_takes_too_long_ends_with_its_descendants(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(CHECKOUT))
    from tools import stoppable

    monkeypatch.setattr(stoppable, "_GRACE_S", 0.5)
    file = tmp_path / "pids"
    argv = [sys.executable, "-c", HANGS, str(file)]
    with pytest.raises(stoppable.CommandError, match=r"did not end within 1\.5 s"):
        stoppable.finish(argv, seconds=1.5, env=dict(os.environ), out=subprocess.DEVNULL)
    assert alive(file) == []


def test_the_scenarios_of_the_roles_run_every_role(monkeypatch):
    monkeypatch.syspath_prepend(str(CHECKOUT))
    from tools import run_molecule

    texts = [path.read_text(encoding="utf-8") for name in run_molecule.OF_ROLES for path in (CHECKOUT / "molecule" / name).glob("*.yml")]
    playbooks = {path.name: path.read_text(encoding="utf-8") for path in (CHECKOUT / "playbooks").glob("*.yml")}
    used = "".join(text for name, text in playbooks.items() if any(f"playbooks/{name}" in one for one in texts))
    for role in (CHECKOUT / "roles").iterdir():
        assert f"ops.remediation.{role.name}\n" in used, role.name
