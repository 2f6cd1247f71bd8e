# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault catalogue: complete, in both languages, and readable with any evidence."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml
from ansible_collections.ops.remediation.plugins.module_utils._areas import catalogue as _faults
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS as _CATALOGUE
from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import AREAS
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import reporter
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue

fault = reporter(_CATALOGUE)


CHECKOUT = Path(__file__).resolve().parents[3]
HANGUL = re.compile("[가-힣]")
BUILT = sorted(_faults.FAULTS)
# The severities of the table of Tank's faults, for the areas that are built so far.
TABLE = {
    "P0": "run.rollback_broken pm2.daemon_down pm2.daemon_hung worker.stalled web.secret_in_build nas.not_mounted nas.wrong_source nas.stale nas.hung"
    " ORA-12514 ORA-12505 ORA-12518 ORA-12541 ORA-12170 ORA-12537 oracle.name_unknown oracle.tns_alias"
    " ORA-01017 ORA-28000 ORA-28001 ORA-28009 ORA-01034 ORA-01033 ORA-03113"
    " ses.quota_exhausted ses.bounce_10 ses.complaint_05 ses.account_paused ses.access_denied ses.key_invalid ses.key_inactive ses.clock"
    " ses.unreachable",
    "P1": "run.rollback_refused run.rollback_undone pm2.missing pm2.stopped pm2.errored pm2.restart_loop"
    " backend.di_error backend.env_invalid backend.module_missing"
    " backend.port_conflict logsdb.unreachable worker.scheduler_silent"
    " worker.oracle_failed worker.ses_error worker.file_not_found worker.template_mismatch"
    " host.cpu_saturated host.oom_killed host.disk_90 host.inodes host.outbound_blocked"
    " backend.no_answer backend.error_5xx backend.wrong_body nginx.stopped nginx.config_invalid nginx.port_conflict"
    " web.no_answer web.blank web.build_missing web.asset_missing web.asset_empty web.forbidden web.not_found web.bad_gateway"
    " web.gateway_timeout web.certificate_expired"
    " nas.path_missing nas.no_permission nas.disk_90 attachments.batch_missing"
    " oracle.no_privilege oracle.needs_thick oracle.instant_client_missing"
    " ses.throttled ses.reject_5 ses.account_probation ses.sandbox ses.identity_unverified ses.spf ses.dkim ses.mail_from"
    " redis.no_answer redis.refused redis.read_only redis.memory_95",
    "P2": "pm2.memory_restart pm2.killed pm2.not_saved pm2.dump_differs pm2.startup_missing pm2.startup_wrong pm2.dump_readable pm2.runs_as_root"
    " backend.env_readable worker.unknown_error"
    " run.unreachable run.no_hosts run.check_unknown run.check_crashed run.check_timeout run.driver_missing run.credentials_held"
    " host.cpu_80 host.memory_low host.disk_80 host.disk_forecast host.log_readable host.clock"
    " backend.slow nginx.old_config nas.disk_80 oracle.slow oracle.pool_exhausted"
    " attachments.not_found attachments.case_differs attachments.near_name attachments.duplicated attachments.empty attachments.unreadable"
    " attachments.damaged attachments.wrong_type attachments.extension attachments.bad_name attachments.no_name attachments.still_written"
    " ses.quota_80 ses.quota_forecast ses.rate_near_limit ses.bounce_5 ses.bounce_rising ses.complaint_01 ses.complaint_rising"
    " ses.invalid_address redis.loading redis.memory_80 redis.save_failed",
    "P3": "host.log_not_rotated host.port_open nginx.restarted web.certificate_30 web.headers_missing nas.writable attachments.retention"
    " ORA-28002 oracle.too_much_privilege ses.policy_too_wide ses.key_old",
}
REMEDIES = {
    "pm2.daemon_down": ("pm2.resurrect", "auto"),
    "pm2.daemon_hung": ("pm2.kill_daemon", "approval"),
    "pm2.missing": ("pm2.start", "auto"),
    "pm2.stopped": ("pm2.start", "auto"),
    "pm2.errored": ("pm2.restart", "auto"),
    "pm2.not_saved": ("pm2.save", "auto"),
    "pm2.dump_differs": ("pm2.save", "auto"),
    "pm2.dump_readable": ("file.tighten", "auto"),
    "worker.stalled": ("pm2.restart", "approval"),
    "worker.scheduler_silent": ("pm2.restart", "approval"),
    "backend.port_conflict": ("backend.change_port", "approval"),
    "backend.env_readable": ("file.tighten", "auto"),
    "host.cpu_80": ("worker.reduce_parallel", "approval"),
    "host.cpu_saturated": ("worker.reduce_parallel", "approval"),
    "host.disk_80": ("logs.rotate", "approval"),
    "host.disk_90": ("logs.rotate", "auto"),
    "host.disk_forecast": ("logs.rotate", "approval"),
    "host.log_not_rotated": ("logs.rotate", "auto"),
    "host.log_readable": ("file.tighten", "auto"),
    "oracle.slow": ("worker.reduce_parallel", "approval"),
    "oracle.pool_exhausted": ("worker.reduce_parallel", "approval"),
    "backend.no_answer": ("pm2.restart", "auto"),
    "backend.error_5xx": ("pm2.restart", "auto"),
    "backend.wrong_body": ("pm2.restart", "auto"),
    "nginx.stopped": ("nginx.start", "auto"),
    "nginx.config_invalid": ("nginx.start", "auto"),
    "nginx.port_conflict": ("nginx.start", "auto"),
    "nginx.old_config": ("nginx.reload", "auto"),
    "web.blank": ("web.restore_build", "approval"),
    "web.build_missing": ("web.restore_build", "approval"),
    "web.asset_missing": ("web.restore_build", "approval"),
    "web.asset_empty": ("web.restore_build", "approval"),
    "web.forbidden": ("web.restore_build", "approval"),
    "nas.not_mounted": ("nas.remount", "approval"),
    "nas.wrong_source": ("nas.remount", "approval"),
    "nas.stale": ("nas.remount", "approval"),
    "nas.hung": ("nas.remount", "approval"),
    "attachments.case_differs": ("attachments.rename", "approval"),
    "ses.quota_80": ("worker.pause", "approval"),
    "ses.quota_forecast": ("worker.pause", "approval"),
    "ses.quota_exhausted": ("worker.pause", "approval"),
    "ses.bounce_10": ("worker.pause", "approval"),
    "ses.complaint_05": ("worker.pause", "approval"),
    "ses.rate_near_limit": ("worker.reduce_parallel", "approval"),
    "ses.throttled": ("worker.reduce_parallel", "approval"),
}


def test_every_row_that_is_built_is_in_the_catalogue_with_its_severity():
    severities = {code: severity for severity, codes in TABLE.items() for code in codes.split()}
    assert {code: entry.severity for code, entry in _faults.FAULTS.items()} == severities


def test_remedies_and_their_classes_are_the_tables():
    known = {code: tuple((remedy.id, remedy.permission) for remedy in entry.remedies) for code, entry in _faults.FAULTS.items()}
    assert {code: remedies[0] for code, remedies in known.items() if remedies} == REMEDIES
    assert all(len(remedies) <= 1 for remedies in known.values())


# The rows `follows` of the table of Tank's faults: what comes after the arrow explains what stands before it. `*` is the rest of an area; `=` is ours and
# says that both must be about the same process, mount or place.
_START_UP = "backend.di_error backend.env_invalid backend.module_missing backend.port_conflict"
FOLLOWS = {
    "backend.* worker.*": "pm2.* oracle.* ses.* nas.* attachments.* logsdb.unreachable",
    "pm2.errored pm2.restart_loop": "backend.di_error= backend.env_invalid= backend.module_missing= backend.port_conflict=",
    "attachments.*": "nas.*",
    "attachments.not_found": "attachments.batch_missing",
    "web.bad_gateway web.gateway_timeout": "backend.* pm2.*",
    "web.*": "nginx.*",
    "logsdb.not_found_surge": "nas.* attachments.*",
    "logsdb.fail_surge": "oracle.* ses.* worker.*",
    "logsdb.run_*": "pm2.* worker.*",
}
# What the first row does not hold for: why the backend does not start explains PM2, not the other way round; who may read a file has no such cause.
ROOTS = f"{_START_UP} backend.env_readable".split()
# What is ours beside the table.
OURS = {
    "backend.no_answer backend.error_5xx backend.wrong_body": _START_UP,
    "pm2.dump_differs": "pm2.missing=",
    "host.outbound_blocked": "logsdb.unreachable= ORA-12541= ORA-12170= ORA-12537= oracle.name_unknown= ses.unreachable=",
    "nginx.stopped nginx.old_config": "nginx.config_invalid nginx.port_conflict",
    "nas.path_missing nas.no_permission nas.writable nas.disk_80 nas.disk_90": "nas.not_mounted nas.wrong_source nas.stale nas.hung",
    "ses.throttled": "ses.quota_exhausted",
    "ses.identity_unverified": "ses.dkim=",
}


def causes_of(code, table):
    return {cause for names, causes in table.items() if any(fnmatchcase(code, name) for name in names.split()) for cause in causes.split()}


@pytest.mark.parametrize("code", BUILT)
def test_what_explains_a_fault_is_the_tables_and_what_is_named_as_ours(code):
    told = {f"{one.code}{'=' if one.same_subject else ''}" for one in _faults.FAULTS[code].follows}
    assert told == (set() if code in ROOTS else causes_of(code, FOLLOWS)) | causes_of(code, OURS)


def test_the_tables_of_causes_name_what_there_is():
    areas = {entry.area for entry in _faults.FAULTS.values()}
    named = {name for table in (FOLLOWS, OURS) for row in table.items() for text in row for name in text.replace("=", "").split()}
    assert {name for name in named if "*" in name and name.partition(".")[0] not in areas} == set()
    later = {"logsdb.not_found_surge", "logsdb.fail_surge"}  # in the table, and not built so far
    assert {name for name in named if "*" not in name} - set(BUILT) == later


@pytest.mark.parametrize("code", BUILT)
def test_an_entry_is_whole(code):
    entry = _faults.FAULTS[code]
    assert entry.area in AREAS
    assert entry.severity in ("P0", "P1", "P2", "P3")
    assert entry.status in ("critical", "warning", "unknown")
    assert entry.source
    words = catalogue.texts(entry.area)[code]
    assert set(words) == {"title", "cause", "next"}
    for part in words.values():
        assert set(part) == {"en", "ko"}
        assert part["en"].strip()
        assert HANGUL.search(part["ko"])
    assert not words["title"]["en"].rstrip().endswith(".")


@pytest.mark.parametrize("code", BUILT)
def test_a_text_reads_well_with_the_least_evidence(code):
    least = {"pm2_home": "/home/tankmail/.pm2", "user": "tankmail", "unit": "pm2-tankmail.service", "unit_dir": "/etc/systemd/system"}
    finding = fault(code, "pm2.processes", "worker", evidence=least, value=3, threshold=2, unit="MB")
    rendered = catalogue.render({"host": "tank-app", **finding.as_dict()})
    for language, texts in rendered.items():
        for part, text in texts.items():
            assert text or part != "title", (language, part)
            assert not re.search(r"\bNone\b|undefined|\{\{|\{%|  | \.$| ,", text), (language, part, text)


def test_there_is_no_text_without_a_fault_and_no_fault_without_a_text():
    written = {code for path in catalogue.DIRECTORY.glob("*/texts.yml") for code in yaml.safe_load(path.read_text(encoding="utf-8"))}
    assert written == set(BUILT)


def test_code_only_names_codes_of_the_catalogue():
    """Each string in host code that looks like a code of a built area is one."""
    areas = {entry.area for entry in _faults.FAULTS.values()}
    checks = {check.id for check in _registry.every()}
    sources = {source.name for check in _registry.every() for source in check.sources}
    remedies = {remedy.id for entry in _faults.FAULTS.values() for remedy in entry.remedies}
    known = set(BUILT) | checks | sources | remedies | {"pm2.pid", "pm2.log", "pm2.service", "run.reach", "run.guard", "run.runtime"}
    known |= {"run.rollback", "run.releases", "run.release_backup", "run.log_scan"}
    strange = {}
    for path in (CHECKOUT / "plugins").rglob("*.py"):
        for word in re.findall(r"[\"']((?:" + "|".join(areas) + r")\.[a-z0-9_]+)[\"']", path.read_text(encoding="utf-8")):
            if word not in known:
                strange[word] = path.name
    assert strange == {}


def test_evidence_is_data_and_never_a_template():
    finding = {"host": "h", **fault("run.check_unknown", "pm2.daemon", evidence={"reason": "{{ 7 * 7 }}"}).as_dict()}
    assert catalogue.render(finding)["en"]["cause"] == "{{ 7 * 7 }}"


@pytest.mark.parametrize("check", _registry.every(), ids=lambda check: check.id)
def test_every_registered_check_is_documented(check):
    assert check.question.endswith("?")
    assert check.runs_on in ("app", "web", "checker")
    assert check.run_as in ("root", "app", "any")
    for name, spec in check.parameters.items():
        assert spec["description"].strip(), name
        assert spec["description"].rstrip().endswith("."), name
