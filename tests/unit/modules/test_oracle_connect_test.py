# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module oracle_connect_test through its main() and through Ansible: what it returns, what it refuses, and that no secret gets out."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import client as _oracle_client
from ansible_collections.ops.remediation.plugins.modules import oracle_connect_test
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from ..areas.oracle import helpers as h

PLANTED = "Planted/7a1@x"
WALLET_PLANTED = "wallet-Planted-9"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = h.start_replica(tmp_path_factory.mktemp("oracle"))
    made.server.control.account("PLANTED", password=PLANTED)
    yield made
    made.server.stop()


@pytest.fixture(autouse=True)
def no_faults_left(place):
    yield
    place.server.control.clear_faults()


@pytest.fixture
def run(capsys, tmp_path):
    """Return a function that runs the module's main() and returns its answer."""

    def run_main(*targets, check=False, **options):
        options.setdefault("state_dir", str(tmp_path / "state"))
        with patch_module_args({"targets": list(targets), "_ansible_check_mode": check, **options}), pytest.raises(SystemExit):
            oracle_connect_test.main()
        return json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return run_main


def test_what_is_returned(place, run):
    answer = run(place.target("good"), place.target("bad", service="NOSUCH"), asked_from="tank-app")
    assert answer["changed"] is False
    assert "failed" not in answer
    assert {finding["check"] for finding in answer["findings"]} == {"oracle.connect", "oracle.privileges"}
    assert {finding["asked_from"] for finding in answer["findings"]} == {"tank-app"}
    good, bad = answer["targets"]
    assert (good["name"], good["stage"], good["status"], good["version"], good["code"]) == ("good", "query", "ok", "19.21.0.0.0", "")
    assert (bad["stage"], bad["status"], bad["code"], bad["driver_code"]) == ("listener", "critical", "ORA-12514", "DPY-6001")
    assert list(good["times"]) == ["name", "tcp", "listener", "login", "query"]


def test_a_password_of_an_env_file(place, run, tmp_path):
    (tmp_path / ".env").write_text(f"ORACLE_USER=PLANTED\nORACLE_PASS='{PLANTED}'\n")
    reference = {"password": None, "password_from": {"env_file": str(tmp_path / ".env"), "key": "ORACLE_PASS"}}
    answer = run(
        place.target(user="PLANTED", **reference),
        place.target("other", user="PLANTED", password_from={"file": "/nonexistent"}, password=None),
    )
    assert [target["status"] for target in answer["targets"]] == ["ok", "unknown"]
    assert PLANTED not in json.dumps(answer)


def test_check_mode_keeps_nothing(place, run, tmp_path):
    answer = run(place.target(user="NOSUCH", password="wrong"), check=True)
    assert answer["targets"][0]["code"] == "ORA-01017"
    assert not (tmp_path / "state").exists()
    run(place.target(user="NOSUCH", password="wrong"))
    held = run(place.target(user="NOSUCH", password="wrong"), check=True)
    assert held["findings"][0]["evidence"]["held_since"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"service": None}, "one of the following"),
        ({"host": None}, "one of the following"),
        ({"sid": "ORCL", "service": "X"}, "mutually exclusive"),
        ({"password_from": {"file": "/x"}}, "mutually exclusive"),
        ({"mode": "sysdab"}, "must be one of"),
        ({"port": 70000}, "is no port"),
        ({"query": "DELETE FROM TARGET"}, "not a plain query"),
        ({"query": "SELECT * FROM TARGET FOR UPDATE"}, "not a plain query"),
        ({"statements": ["DROP TABLE TARGET"]}, "no query and no DML"),
        ({"dsn": f"TANK/{PLANTED}@db/x", "host": None, "service": None}, "holds a password"),
        ({"dsn": f"(DESCRIPTION=(PASSWORD={WALLET_PLANTED}))", "host": None, "service": None}, "holds a password"),
    ],
)
def test_a_question_that_is_wrongly_put_says_what_and_where(place, run, target, words):
    made = {"name": "db", "host": "127.0.0.1", "service": "ORCLPDB1", "user": "TANK", "password": "x-password", **target}
    answer = run({key: value for key, value in made.items() if value is not None})
    assert answer["failed"] is True
    assert words in answer["msg"]
    assert "\n" not in answer["msg"]
    text = json.dumps(answer)
    for secret in (PLANTED, PLANTED.rpartition("@")[0].partition("/")[2], WALLET_PLANTED):
        assert secret not in text


def test_two_targets_of_one_name(place, run):
    answer = run(place.target(), place.target())
    assert (answer["failed"], "stands there twice" in answer["msg"]) == (True, True)


def test_packets_are_not_printed(place, run, monkeypatch):
    monkeypatch.setenv("PYO_DEBUG_PACKETS", "1")
    assert run(place.target())["targets"][0]["status"] == "ok"


def test_a_driver_that_is_missing_names_both_ways_out(place, run, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "oracledb" else real(name, *more))
    answer = run(place.target(), asked_from="tank-app")
    assert {finding["code"] for finding in answer["findings"]} == {"run.driver_missing"}
    finding = answer["findings"][0]
    assert (finding["evidence"]["libraries"], finding["evidence"]["python"]) == (["oracledb"], "3.10")
    texts = faults_catalogue.render({**finding, "host": "tank-app"})
    for words in texts.values():
        assert "oracledb" in words["cause"]
        assert "check_runtime" in words["next"]
        assert "stack_check_python" in words["next"]
        assert "stack_checker" in words["next"]
        assert "3.10" in words["next"]


def test_a_driver_that_is_too_old(monkeypatch):
    import oracledb

    monkeypatch.setattr(oracledb, "__version__", "1.4.2")
    with pytest.raises(_oracle_client.DriverMissing, match=r"has release 1\.4\.2"):
        _oracle_client.load()


def test_a_hanging_driver_is_killed_and_the_rest_is_told(place, run, monkeypatch):
    """Nothing of ours bounds an import from a dead mount but the child's deadline."""
    monkeypatch.setattr(_oracle_client, "load", lambda lib_dir=None: time.sleep(60))
    before = _children()
    started = time.monotonic()
    answer = run(place.target(), timeout=0.5)
    assert time.monotonic() - started < 1.5
    assert {finding["code"] for finding in answer["findings"]} == {"run.check_timeout"}
    assert _children() == before


def _children() -> list[str]:
    return open(f"/proc/self/task/{os.getpid()}/children").read().split()


def test_a_crash_of_the_driver_is_told(place, run, monkeypatch):
    monkeypatch.setattr(_oracle_client, "connect", lambda *arguments: os.kill(os.getpid(), 11))
    answer = run(place.target())
    assert {finding["code"] for finding in answer["findings"]} == {"run.check_crashed"}


def test_what_a_driver_throws_is_shown_without_secrets(place, run, monkeypatch, tmp_path):
    def fail(driver, target, made):
        raise RuntimeError(f"cannot use {target.password} of {target!r}")

    monkeypatch.setattr(_oracle_client, "connect", fail)
    # Not through no_log, which would hide it whatever the module did.
    (tmp_path / "pw").write_text(PLANTED)
    reference = {"password": None, "password_from": {"file": str(tmp_path / "pw")}}
    answer = run(place.target("one", user="PLANTED", **reference), place.target("two", user="PLANTED", **reference))
    assert sorted(target["code"] for target in answer["targets"]) == ["run.check_crashed", "run.check_unknown"]
    assert PLANTED not in json.dumps(answer)
    assert any("RuntimeError" in finding["evidence"]["reason"] for finding in answer["findings"])


PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Ask
      ops.remediation.oracle_connect_test: "{{ asked }}"
      register: answer
    - name: Ask as a check
      ops.remediation.stack_check:
        checks:
          - {check: oracle.connect, params: {targets: "{{ by_reference }}", stage_timeout: 1}}
        state_dir: "{{ asked.state_dir }}2"
    - name: Show
      ansible.builtin.debug:
        var: answer
"""


def test_no_secret_gets_out(place, tmp_path):
    """Results, -vvv and diffs, the run record, the state, and the command line and environment of every process meanwhile."""
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "pw").write_text(PLANTED)
    place.server.control.set_fault("stage", stage="auth1", mode="slow", seconds=0.5)
    wrong = PLANTED + "-wrong"
    named = [
        place.target("good", user="PLANTED", password=PLANTED, wallet_password=WALLET_PLANTED),
        place.target("wrong", user="PLANTED", password=wrong),
        place.target("away", host="nosuch.invalid", user="PLANTED", password=PLANTED),
        place.target("thin", user="PLANTED", password=PLANTED, port=place.server.ports["tcps_port"], protocol="tcps", host="localhost"),
    ]
    by_reference = [place.target("file", user="PLANTED", password=None, password_from={"file": str(tmp_path / "pw")})]
    variables = {
        "asked": {"targets": named, "state_dir": str(tmp_path / "state"), "stage_timeout": 3},
        "by_reference": by_reference,
        "ansible_python_interpreter": sys.executable,
    }
    (tmp_path / "vars.json").write_text(json.dumps(variables))
    seen = _watched(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            str(tmp_path / "play.yml"),
            "-i",
            "localhost,",
            "-vvv",
            "--diff",
            "-e",
            f"@{tmp_path}/vars.json",
        ],
        {
            "ANSIBLE_CONFIG": str(h.CHECKOUT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(h.COLLECTIONS),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "HOME": str(tmp_path / "home"),
            "XDG_STATE_HOME": str(tmp_path / "home"),
        },
    )
    assert seen.code == 0, seen.output[-3000:]
    assert '"code": "ORA-01017"' in seen.output
    assert seen.processes > 3
    texts = {"output": seen.output, "processes": seen.text}
    for folder in ("home", "state", "state2"):
        assert (tmp_path / folder).is_dir()
        for path in (tmp_path / folder).rglob("*"):
            if path.is_file():
                texts[str(path)] = path.read_text(encoding="utf-8", errors="replace")
    for secret in (PLANTED, wrong, WALLET_PLANTED, PLANTED.replace("/", "\\/"), "Planted%2F7a1%40x"):
        assert [name for name, text in texts.items() if secret in text] == [], secret


class _Seen:
    code = 0
    output = ""
    text = ""
    processes = 0


def _watched(argv: list[str], environment: dict[str, str]) -> _Seen:
    """Run a program and collect the command lines and environments of all that it starts, as root or its owner sees them."""
    seen, texts, pids = _Seen(), set(), set()
    process = subprocess.Popen(
        argv, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    if _is_below(int(folder.name), process.pid):
                        texts.update({(folder / "cmdline").read_text(errors="replace"), (folder / "environ").read_text(errors="replace")})
                        pids.add(folder.name)
                except (OSError, ValueError, IndexError):
                    continue
            over.wait(0.02)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        seen.output = process.communicate(timeout=90)[0]
    finally:
        over.set()
        watcher.join()
        if process.poll() is None:
            process.kill()
    seen.code, seen.text, seen.processes = process.returncode, "\n".join(texts), len(pids)
    return seen


def _is_below(pid: int, top: int) -> bool:
    while pid > 1:
        if pid == top:
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return False


def test_the_module_is_of_the_action_group():
    import yaml

    groups = yaml.safe_load((h.CHECKOUT / "meta/runtime.yml").read_text())["action_groups"]
    assert "oracle_connect_test" in groups["remediation"]


def test_the_driver_is_not_loaded_where_the_module_runs():
    """It costs 30 MB and 150 ms, and belongs into the child."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from ansible_collections.ops.remediation.plugins.module_utils._modules import oracle_connect_test as _oracle_door\n"
        "print('oracledb' in sys.modules, 'cryptography' in sys.modules)"
    )
    done = _process.run([sys.executable, "-c", program, str(h.COLLECTIONS)], deadline=20)
    assert done.stdout.strip() == "False False", done.stderr
