# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.saved: the dump against the list, and who may read the dump."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import (
    check_saved,
)
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from . import helpers as h
from .helpers import dump, saved


def compare(entries, kept, **more):
    parameters = {"processes": more.pop("processes", ["backend"])}
    return check_saved.judge(h.asked(parameters=parameters, pm2_list=h.listed(entries), pm2_dump=dump(*kept, **more)))


def test_what_runs_is_saved():
    assert h.codes(compare([h.entry(), h.entry(pm_id=1)], [saved(), saved()])) == {"": ""}


@pytest.mark.parametrize("status", ["stopped", "errored", "waiting restart"])
def test_a_process_that_is_merely_ill_is_no_difference(status):
    assert h.codes(compare([h.entry(status=status)], [saved()])) == {"": ""}


@pytest.mark.parametrize(
    ("entries", "kept", "field"),
    [
        ([h.entry()], [saved(), saved()], "instances"),
        ([h.entry()], [saved(script="/opt/old/backend.js")], "script"),
        ([h.entry()], [saved(exec_mode="cluster_mode")], "mode"),
        ([h.entry()], [saved(status="stopped")], "stopped"),
        ([], [saved()], "not_running"),
    ],
)
def test_what_differs_is_named(entries, kept, field):
    (found,) = compare(entries, kept)
    assert (found.code, found.subject) == ("pm2.dump_differs", "backend")
    assert [difference["field"] for difference in found.evidence["differences"]] == [field]


def test_saving_is_no_remedy_for_a_process_that_should_run_and_does_not():
    assert compare([], [saved()])[0].remedies == ()
    assert compare([], [saved("old"), saved()], processes=["backend"])[1].remedies == ("pm2.save",)


def test_stopped_now_and_saved_stopped_waits_for_the_start():
    assert h.codes(compare([h.entry(status="stopped")], [saved(status="stopped")])) == {"": ""}


@pytest.mark.parametrize(("more", "problem"), [({"present": False}, "absent"), ({"problem": "is not JSON"}, "unusable"), ({}, "empty")])
def test_no_usable_dump_is_one_finding(more, problem):
    (found,) = compare([h.entry()], [], **more)
    assert (found.code, found.subject, found.evidence["problem"]) == ("pm2.not_saved", "", problem)


def test_a_process_that_is_not_in_the_dump_is_named():
    found = compare([h.entry(), h.entry("worker", 1)], [saved()])
    assert h.codes(found) == {"worker": "pm2.not_saved"}


def test_modules_of_pm2_are_no_applications():
    assert h.codes(compare([h.entry(), h.entry("pm2-logrotate", 1, pmx_module=True)], [saved()])) == {"": ""}


def test_an_exposed_dump_is_found_while_the_daemon_is_down():
    asked = h.asked(pm2_list=h.listed(state="killed"), pm2_dump=dump(saved(), exposed=True, mode="0644"))
    assert [finding.code for finding in check_saved.judge(asked)] == ["pm2.dump_readable", "run.check_unknown"]


def test_a_mode_that_is_not_the_wanted_one_is_left_to_a_person():
    (found,) = compare([h.entry()], [saved()], processes=[{"name": "backend", "exec_mode": "cluster"}])
    assert (found.code, found.remedies) == ("pm2.dump_differs", ())


def test_thousands_of_unsaved_processes_are_a_few_findings():
    found = compare([h.entry(f"p{number}", number) for number in range(6000)], [saved(), saved("old")])
    assert len(found) == 2 + check_saved.MOST_SUBJECTS + 1
    rest = [finding for finding in found if finding.evidence.get("more")]
    assert [finding.evidence["more"] for finding in rest] == [6000 - check_saved.MOST_SUBJECTS]
    assert "5980 more" in faults_catalogue.render({**rest[0].as_dict(), "host": "x"})["en"]["title"]


@pytest.mark.parametrize("kind", ["link", "other"])
def test_a_dump_that_is_no_file_is_not_to_be_saved_over(kind):
    detail = {"link": "is a symbolic link", "other": "is not a regular file"}[kind]
    (found,) = compare([h.entry()], [], problem=detail, kind=kind, mode="", exposed=False)
    assert (found.code, found.remedies, found.evidence["kind"]) == ("pm2.not_saved", (), kind)
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]
    assert detail in texts["title"]
    assert "chmod" not in str(texts)
    assert "chown" not in str(texts)


def test_a_socket_that_everybody_may_write_to():
    socket = {"path": f"{h.HOME}/rpc.sock", "mode": "0777", "owner": "tank", "open": True}
    asked = h.asked(parameters={"processes": ["backend"]}, pm2_list=h.listed([h.entry()], socket=socket), pm2_dump=dump(saved()))
    (found,) = [finding for finding in check_saved.judge(asked) if finding.code]
    assert (found.code, found.subject, found.evidence["kind"], found.remedies) == ("pm2.dump_readable", socket["path"], "socket", ())
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]
    assert "command PM2 through" in texts["title"]
    assert f"chmod 700 {socket['path']}" in texts["next"]


def test_the_wrong_mode_alone_has_texts_of_its_own():
    (found,) = compare([h.entry()], [saved()], processes=[{"name": "backend", "exec_mode": "cluster"}])
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]
    assert texts["title"] == "backend runs in fork mode, cluster is wanted"
    assert "does not fit" not in texts["cause"]
    assert "what runs now is right" not in texts["next"]
