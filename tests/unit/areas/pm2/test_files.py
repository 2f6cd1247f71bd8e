# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pm2.log, dumps, boot units, and the line of an error log that says why."""

from __future__ import annotations

import json
import os
import pwd

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import read_dump, read_log, read_startup
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import read_log as _read_log
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from ansible_collections.ops.remediation.plugins.module_utils._shared import last_words

from . import helpers as h

# --- pm2.log


@pytest.mark.parametrize("version", h.VERSIONS)
def test_the_events_of_a_real_log(version):
    recorded = h.transcript(version)
    events = read_log.parse_events(recorded["log"], recorded["log_modified"])
    kinds = {event["event"] for event in events}
    assert {"daemon_started", "starting", "exited", "stopping", "gave_up", "memory_restart", "forced_kill"} <= kinds
    assert all(recorded["recorded"] - 120 < event["time"] <= recorded["recorded"] + 1 for event in events)
    (gave_up,) = [event for event in events if event["event"] == "gave_up"]
    assert (gave_up["script"], gave_up["count"]) == ("/srv/tank/app/nest_crash.js", 16)
    assert any(event.get("signal") == "SIGKILL" for event in events)
    assert any(event.get("pm_id") == "_old_0" for event in events), "a worker that a reload replaces"


def test_names_with_colons_and_brackets():
    (event,) = read_log.parse_events("2026-11-21T09:00:00: PM2 log: App [a:b [x]:3] exited with code [-2] via signal [SIGSEGV]", 0)
    assert (event["name"], event["pm_id"], event["code"], event["signal"]) == ("a:b [x]", 3, -2, "SIGSEGV")


@pytest.mark.parametrize(
    ("prefix", "epoch"),
    [
        ("2026-11-21T09:00:00+09:00: ", 1795219200.0),
        ("2026-11-21 00:00:00Z: ", 1795219200.0),
        ("", None),
        ("2026-13-41T09:00:00: ", None),
        ("21/11/2026 09:00: ", None),
    ],
)
def test_other_date_formats(prefix, epoch):
    (event,) = read_log.parse_events(f"{prefix}App [x:0] online", 5.0)
    assert event["time"] == epoch


def test_a_rotated_log_is_read_together(tmp_path):
    line = "2026-11-21T09:00:0{}: PM2 log: App [x:0] exited with code [1] via signal [SIGINT]\n"
    (tmp_path / "pm2.log").write_text(line.format(5))
    (tmp_path / "pm2.log.1").write_text(line.format(1) + line.format(2))
    (tmp_path / "pm2.log.2.gz").write_bytes(b"\x1f\x8b")
    assert len(_read_log.read_daemon_log(str(tmp_path))["events"]) == 3


def test_an_absent_or_strange_log_has_no_events(tmp_path):
    assert _read_log.read_daemon_log(str(tmp_path)) == {"present": False, "since": None, "last_write": None, "events": []}
    (tmp_path / "pm2.log").write_bytes(os.urandom(200_000))
    assert _read_log.read_daemon_log(str(tmp_path))["present"] is True


def test_a_huge_log_is_read_from_its_end(tmp_path):
    line = "2026-11-21T09:00:00: PM2 log: App [x:0] exited with code [1] via signal [SIGINT]\n"
    (tmp_path / "pm2.log").write_text(line * 40_000)
    value = _read_log.read_daemon_log(str(tmp_path))
    assert len(value["events"]) == _read_log.MAX_EVENTS
    assert len(json.dumps(value)) < 1_000_000


# --- the reason

STACK = "    at Object.<anonymous> (/opt/app/main.js:3:7)\n    at node:internal/main/run_main_module:28:49\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"/opt/app/main.js:3\n      throw new Error('boom');\n      ^\n\nError: boom\n{STACK}\nNode.js v20.20.2\n", "Error: boom"),
        (
            "Error: listen EADDRINUSE: address already in use :::3000\n"
            f"{STACK}  code: 'EADDRINUSE',\n  errno: -98,\n  port: 3000\n}}\n\nNode.js v20.20.2\n",
            "Error: listen EADDRINUSE: address already in use :::3000",
        ),
        (
            "\x1b[31m[Nest] 17  - \x1b[39m11/21/2026, 7:16:12 AM \x1b[31m  ERROR\x1b[39m [ExceptionHandler] "
            f'Error: Config validation error: "ORACLE_HOST" is required\n{STACK}',
            '[ExceptionHandler] Error: Config validation error: "ORACLE_HOST" is required',
        ),
        (
            f'Error: Config validation error:\n"ORACLE_HOST" is required\n"AWS_REGION" must be a string\n{STACK}',
            'Error: Config validation error: "ORACLE_HOST" is required; "AWS_REGION" must be a string',
        ),
        (
            "[Nest] 4  - 21/11/2026 07:16:40   ERROR [Worker] Oracle connection failed: NJS-511: connection refused\nCause: ORA-12516\nTypeError: later\n",
            "Cause: ORA-12516",
        ),
        (
            f"ORA-01017: old\n{STACK}\nNode.js v20.20.2\nTypeError: x is not a function\n{STACK}\nNode.js v20.20.2\n",
            "TypeError: x is not a function",
        ),
        (
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n",
            "JavaScript heap out of memory",
        ),
        (
            "Error: connect to oracle://tank:tiger@db:1521 failed for hong@test.com\n",
            "oracle://tank:********@db:1521 failed for h***@test.com",
        ),
        ("just words\n\n", "just words"),
        ("\n \n", ""),
    ],
)
def test_the_line_that_says_why(text, wanted):
    found = last_words.reason(text)
    assert found == wanted or (wanted and wanted in found), found


def test_dated_lines_of_an_earlier_run_are_passed_over():
    text = "2020-01-01T00:00:00: Error: listen EADDRINUSE: address already in use :::1\n2026-11-21T09:00:00Z: Error: new\n"
    assert last_words.reason(text, 1795219200.0) == "Error: new"


# --- dumps


def write_dump(folder, content, mode=0o644):
    path = folder / "dump.pm2"
    path.write_text(content)
    path.chmod(mode)
    return read_dump.read_dump(str(folder))["dump"]


def test_a_dump_gives_named_fields_only(tmp_path):
    recorded = h.transcript("7")
    value = write_dump(tmp_path, json.dumps(recorded["dump"]), 0o600)
    assert h.PLANTED in json.dumps(recorded["dump"])
    assert h.PLANTED not in json.dumps(value)
    assert (value["problem"], value["mode"], value["exposed"]) == ("", "0600", False)
    backends = [entry for entry in value["entries"] if entry["name"] == "backend"]
    assert [entry["exec_mode"] for entry in backends] == ["cluster", "cluster"]


@pytest.mark.parametrize("content", ["", "{", "[" * 100000, '{"a": 1}', "null", "planted-secret"])
def test_a_dump_that_is_none_says_so(tmp_path, content):
    value = write_dump(tmp_path, content)
    assert value["problem"] in ("is not JSON", "is not a list of processes")
    assert value["entries"] == []


def test_a_dump_with_strange_entries(tmp_path):
    assert len(write_dump(tmp_path, '[1, null, {}, {"name": {"x": 1}, "exec_mode": 7}]')["entries"]) == 2


def test_no_dump_is_absent(tmp_path):
    assert read_dump.read_dump(str(tmp_path))["dump"]["present"] is False
    (tmp_path / "dump.pm2").mkdir()
    assert read_dump.read_dump(str(tmp_path))["dump"]["problem"] == "is not a regular file"


def test_a_dump_behind_a_closed_folder_is_out_of_reach(tmp_path):
    opened = [(folder, folder.stat().st_mode) for folder in (tmp_path, *tmp_path.parents) if not folder.stat().st_mode & 0o001]
    for folder, mode in opened:
        folder.chmod(mode | 0o001)
    try:
        assert write_dump(tmp_path, "[]")["exposed"] is True
        tmp_path.chmod(0o700)
        assert write_dump(tmp_path, "[]")["exposed"] is False
    finally:
        for folder, mode in opened:
            folder.chmod(mode)


# --- boot units

UNIT = """[Unit]
Description=PM2 process manager
[Service]
Type=forking
User={user}
# PM2_HOME=/commented
Environment=PATH={path}:/bin
Environment="PM2_HOME={home}" DB_PASS=planted-secret
ExecStart={command} resurrect
[Install]
WantedBy=multi-user.target
"""


ME = pwd.getpwuid(os.geteuid()).pw_name  # the user of the applications, as far as these tests go


@pytest.fixture
def machine(tmp_path):
    units, tools, home = tmp_path / "units", tmp_path / "bin", tmp_path / "home"
    for folder in (units / "multi-user.target.wants", tools, home):
        folder.mkdir(parents=True)
    for name in ("node", "pm2"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    return units, tools, home


def install(machine, name=f"pm2-{ME}.service", enable=True, **more):
    units, tools, home = machine
    values = {"user": ME, "path": tools, "home": home, "command": tools / "pm2", **more}
    (units / name).write_text(UNIT.format(**values))
    if enable:
        (units / "multi-user.target.wants" / name).symlink_to(f"/etc/systemd/system/{name}")
    return read_startup.read_startup(str(home), user=ME, unit_dir=str(units))


def test_a_unit_as_pm2_startup_writes_it(machine):
    value = install(machine)
    assert {key: value[key] for key in ("present", "enabled", "masked", "user", "command_exists", "resurrects", "node_found")} == {
        "present": True,
        "enabled": True,
        "masked": False,
        "user": ME,
        "command_exists": True,
        "resurrects": True,
        "node_found": True,
    }
    assert value["pm2_home"] == str(machine[2])
    assert h.PLANTED not in json.dumps(value)


def test_no_unit_and_no_systemd(machine):
    units, _tools, home = machine
    assert read_startup.read_startup(str(home), user=ME, unit_dir=str(units))["present"] is False
    assert read_startup.read_startup(str(home), user=ME, unit_dir="/no/such")["unit_dir_present"] is False


def test_a_unit_of_another_name_that_serves_this_home(machine):
    value = install(machine, name="tank-pm2.service", enable=False)
    assert (value["present"], value["enabled"], os.path.basename(value["path"])) == (True, False, "tank-pm2.service")


def test_a_masked_unit(machine):
    (machine[0] / f"pm2-{ME}.service").symlink_to("/dev/null")
    assert read_startup.read_startup(str(machine[2]), user=ME, unit_dir=str(machine[0]))["masked"] is True


def test_a_drop_in_wins(machine):
    folder = machine[0] / f"pm2-{ME}.service.d"
    folder.mkdir()
    (folder / "override.conf").write_text("[Service]\nUser=other\nExecStart=\nExecStart=/no/such/pm2 resurrect\n")
    value = install(machine)
    assert (value["user"], value["command_exists"]) == ("other", False)


def test_an_environment_file_may_name_the_home(machine):
    units, _tools, home = machine
    (units / "env").write_text(f"PM2_HOME={home}\nDB_PASS=planted-secret\n")
    (units / f"pm2-{ME}.service").write_text(f"[Service]\nUser=root\nEnvironmentFile=-{units}/env\nExecStart=/usr/bin/env pm2 resurrect\n")
    value = read_startup.read_startup(str(home), user=ME, unit_dir=str(units))
    assert value["pm2_home"] == str(home)
    assert h.PLANTED not in json.dumps(value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look at files as another user does")
def test_root_reads_a_private_unit_and_looks_at_programs_as_the_unit_s_user_does(machine):
    units, tools, home = machine
    install(machine, name="pm2-nobody.service", user="nobody")
    (units / "pm2-nobody.service").chmod(0o600)
    tools.chmod(0o700)
    value = read_startup.read_startup(str(home), user="nobody", unit_dir=str(units))
    assert (value["user"], value["resurrects"], value["command_exists"]) == ("nobody", True, False)
    assert os.geteuid() == 0


def test_a_unit_that_may_not_be_read_is_not_judged(machine, monkeypatch):
    units, _tools, home = machine
    install(machine)
    monkeypatch.setattr(os, "access", lambda *_arguments, **_options: False)
    with pytest.raises(CannotRead, match="chmod 644"):
        read_startup.read_startup(str(home), user=ME, unit_dir=str(units))


# --- links


def test_a_home_behind_a_link_is_the_same_home(machine):
    units, _tools, home = machine
    link = home.parent / "link"
    link.symlink_to(home)
    install(machine)
    assert read_startup.read_startup(str(link), user=ME, unit_dir=str(units))["home_matches"] is True


def test_a_unit_of_a_home_with_a_longer_name_is_another(machine):
    units, _tools, home = machine
    install(machine, name="other.service", home=f"{home}-other")
    assert read_startup.read_startup(str(home), user=ME, unit_dir=str(units))["present"] is False


def test_a_dump_that_is_a_link_is_not_read_through(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text('[{"name": "x"}]')
    (tmp_path / "dump.pm2").symlink_to(secret)
    value = read_dump.read_dump(str(tmp_path))["dump"]
    assert (value["kind"], value["problem"], value["mode"], value["exposed"], value["entries"]) == (
        "link",
        "is a symbolic link",
        "",
        False,
        [],
    )


def test_a_dump_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "dump.pm2")
    value = read_dump.read_dump(str(tmp_path))["dump"]
    assert (value["kind"], value["problem"], value["mode"]) == ("other", "is not a regular file", "")
