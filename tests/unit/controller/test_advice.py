# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators are told to type: commands that do no harm and work as they stand, in both languages."""

from __future__ import annotations

import re

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS as _CATALOGUE
from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import AREAS
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import reporter
from ansible_collections.ops.remediation.plugins.module_utils._shared.commands import command
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue, render

fault = reporter(_CATALOGUE)


LANGUAGES = ("en", "ko")
PM2 = command("tankmail", "/home/tankmail/.pm2")
WHERE = {"pm2": PM2, "pm2_home": "/home/tankmail/.pm2", "user": "tankmail"}


def advice(code, language, subject="worker", **evidence):
    """Return the next step of a fault."""
    found = fault(code, "pm2.processes", subject, evidence=evidence, value=3, threshold=2, unit="MB")
    return catalogue.render({"host": "tank-app", **found.as_dict()})[language]["next"]


def in_order(text, *parts):
    """Whether all parts stand in the text, each after the one before it."""
    position = 0
    for part in parts:
        position = text.find(part, position) + 1
        if not position:
            return False
    return True


def test_pm2_is_called_in_a_folder_that_its_user_may_enter_and_quoted_for_a_shell():
    assert PM2 == "sudo -u tankmail env -C / PM2_HOME=/home/tankmail/.pm2 pm2"
    assert command("root", "/root/.pm2") == "sudo env -C / PM2_HOME=/root/.pm2 pm2"
    assert command("tank mail", "/srv/my tank") == "sudo -u 'tank mail' env -C / PM2_HOME='/srv/my tank' pm2"


@pytest.mark.parametrize("language", LANGUAGES)
def test_scripts_and_ecosystem_files_are_told_as_absolute_paths(language):
    absolute = {"en": "absolute path", "ko": "절대 경로"}[language]
    down = advice("pm2.daemon_down", language, dump_problem="absent", **WHERE)
    assert in_order(down, f"{PM2} start <", absolute, "--cwd <", f"{PM2} save")
    found = fault("pm2.missing", "pm2.processes", "worker", evidence=WHERE)
    text = catalogue.render({"host": "tank-app", **found.as_dict()})[language]["next"]
    assert in_order(text, f"{PM2} start <", absolute, "--name worker --cwd <", f"{PM2} save")


@pytest.mark.parametrize("language", LANGUAGES)
def test_after_a_kill_of_the_daemon_what_it_left_is_looked_for_first(language):
    text = advice("pm2.daemon_hung", language, pid=77, **WHERE)
    assert in_order(text, "sudo kill -9 77", "ps -fu tankmail", f"{PM2} resurrect")
    assert "kill -9" not in advice("pm2.daemon_hung", language, pid=77, frozen=True, **WHERE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_process_of_root_is_taken_out_of_its_saved_list_too(language):
    root = command("root", "/root/.pm2")
    text = advice("pm2.runs_as_root", language, pm2=root, pm2_home="/root/.pm2", user="root")
    assert in_order(
        text,
        f"{root} delete worker",
        f"{root} save --force",
        "sudo -u <",
        "start <",
        "--name worker --cwd <",
        " save",
        "startup systemd -u <",
    )
    intruder = advice("pm2.runs_as_root", language, intruder=True, **WHERE)
    assert in_order(intruder, "sudo env PM2_HOME=/home/tankmail/.pm2 pm2 kill", "chown -hR tankmail:", f"{PM2} resurrect")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_boot_unit_is_saved_for_in_its_own_home_and_without_systemd_it_is_another_advice(language):
    unit = {"unit": "/etc/systemd/system/pm2-tankmail.service", "unit_dir": "/etc/systemd/system"}
    text = advice("pm2.startup_missing", language, reason="absent", **unit, **WHERE)
    assert in_order(text, "PM2_HOME=/home/tankmail/.pm2 pm2 startup systemd -u tankmail", f"{PM2} save")
    other = advice("pm2.startup_missing", language, reason="no_systemd", **unit, **WHERE)
    assert "stack_pm2_unit_dir" in other
    assert "pm2 startup systemd" not in other


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_list_is_saved_with_force(language):
    differences = [{"field": "not_running", "saved": 1}]
    assert "save --force" in advice("pm2.dump_differs", language, differences=differences, **WHERE)
    assert "save --force" not in advice("pm2.dump_differs", language, differences=[{"field": "stopped"}], **WHERE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_packages_are_not_removed_where_none_can_be_fetched(language):
    text = advice("backend.module_missing", language, "backend", **WHERE)
    assert in_order(text, f"{PM2} restart backend", "npm ci --omit=dev")
    assert {"en": "only on a host that reaches the npm registry", "ko": "npm 레지스트리에 접속할 수 있는 서버에서만"}[language] in text


def test_an_env_stays_readable_for_its_group():
    for language in LANGUAGES:
        assert "sudo chmod o= /srv/.env" in advice("backend.env_readable", language, path="/srv/.env")
        assert "sudo chmod o= /srv/.env" in advice("run.rollback_refused", language, "env_mode", path="/srv/.env")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_refused_rollback_has_one_do(language):
    owner = advice("run.rollback_refused", language, "owner", user="tank", group="tank", path="/srv/b")
    assert owner.startswith("sudo chown -R tank:tank /srv/b")
    page = advice("run.rollback_refused", language, "page_mode", path="/srv/b", page="/srv/b/frontend/build")
    assert "sudo chmod go+x /srv/b /srv/b/frontend; sudo chmod -R go+rX /srv/b/frontend/build" in page
    script = advice("run.rollback_refused", language, "script", again=f"{PM2} delete worker; {PM2} start /srv/a.js --name worker")
    assert f": {PM2} delete worker; {PM2} start" in script
    unknown = advice("run.rollback_refused", language, "open_run_unknown", said="LogsDB is down")
    assert "emergency_rollback_drain" not in unknown
    assert in_order(unknown, "stack_logsdb_*", "[open_run]")
    late = advice("run.rollback_refused", language, "open_run_unknown", late=True)
    assert "override" not in late
    assert "emergency_rollback_drain=600" in advice("run.rollback_refused", language, "open_run", runs=1)


@pytest.mark.parametrize("language", LANGUAGES)
def test_ansible_is_called_with_an_inventory(language):
    inventory = {"en": "-i <inventory>", "ko": "-i <인벤토리>"}[language]
    assert f"ansible {inventory} tank-app -m ansible.builtin.ping -vvv" in advice("run.unreachable", language, reason="no route")
    assert f"ansible-inventory {inventory} --graph" in advice("run.no_hosts", language, pattern="x")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_old_log_is_thrown_away_to_make_room(language):
    text = advice("host.disk_90", language, "/data")
    assert in_order(text, "sudo du -xh --max-depth=2 /data | sort -h | tail", "sudo logrotate -v /etc/logrotate.conf")
    assert "logrotate -f" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_rule_for_logrotate_is_one_that_it_heeds_and_that_can_be_tried(language):
    text = advice("host.log_not_rotated", language, "/data/logs")
    assert in_order(text, "copytruncate, su <", "sudo logrotate -d /etc/logrotate.d/tank")
    assert "create" not in text  # has no effect beside copytruncate


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", ["ses.quota_80", "ses.quota_exhausted", "ses.bounce_10", "ses.complaint_05", "ORA-01017"])
def test_how_the_worker_is_paused_is_told(code, language):
    assert in_order(advice(code, language), "sudo -u <", "env -C / PM2_HOME=<", "pm2 stop worker")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_hung_mount_does_not_hang_the_shell_that_looks_for_it(language):
    text = advice("nas.hung", language, "/nas", places=["/nas/a", "/nas/b"])
    assert in_order(text, "(timeout -s KILL 5 ls ", ">/dev/null 2>&1 && echo ", ") &")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_region_of_the_account_is_named(language):
    assert "--enabled --region ap-northeast-2" in advice("ses.account_paused", language, "ap-northeast-2", region="ap-northeast-2")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_time_service_has_its_name_on_each_system(language):
    assert in_order(advice("host.clock", language), "systemctl restart chrony", "chronyd", "systemd-timesyncd")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_begins_with_the_label_that_is_printed_before_it(language):
    words = render.WORDS[language]
    label = "|".join(words[name] for name in ("cause", "next", "same", "explains", "measure", "evidence"))
    begins = re.compile(rf"(?:^|%\}})\s*(?:{label}):", re.IGNORECASE)
    told = [
        (code, part)
        for area in AREAS
        for code, words in catalogue.texts(area).items()
        for part, text in words.items()
        if begins.search(text[language])
    ]
    assert told == []
