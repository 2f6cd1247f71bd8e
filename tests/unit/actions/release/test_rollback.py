# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback with applications that really run: what is refused before anything is touched, what is undone, what is kept."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import options as _release_door
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import preflight as _release_preflight
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import rollback as _release
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.files import Files
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.layout import Refused
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import ActionFailed, RemediationError, WrongQuestion

from .helpers import CRASHES, CRASHES_LATER, HANGS, SECRET, Installation, digest, killed_at, make_release

ROOT = os.geteuid() == 0


@pytest.fixture(params=["folder", "link"])
def place(tmp_path, request):
    made = Installation(tmp_path / "opt", request.param).start()
    yield made
    made.end()


@pytest.fixture
def folder(tmp_path):
    made = Installation(tmp_path / "opt").start()
    yield made
    made.end()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB."""
    if not ROOT:
        pytest.skip("mounting needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0755", "tmpfs", str(disk)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def untouched(place):
    """Return what must not change: the trees, what runs, and that there is neither journal nor anything new."""
    tree = sorted(str(path) for path in place.folder.rglob("*") if "release-" not in path.name and path.name != "state")
    return tree, place.running(), {name: place.applications.pid(name) for name in ("backend", "worker")}


def refused(place, to, **options):
    """Roll back, and return the reasons for which it was refused and the line; nothing must have been touched."""
    before = untouched(place)
    with pytest.raises(Refused) as error:
        place.roll_back(to, **options)
    assert untouched(place) == before
    partial = error.value.details["partial"]
    assert (partial.state, partial.changed) == ("refused", False)
    assert "\n" not in str(error.value)
    return [each["reason"] for each in partial.refusals], str(error.value)


# --- there, and not back and forth


def test_a_rollback_keeps_everything_and_a_second_run_changes_nothing(place):
    done = place.roll_back(place.id["B"])
    assert (done.changed, done.state, place.running()) == (True, "rolled_back", "B")
    assert place.lost() == []
    assert place.web.reloads == 1
    pids = {name: place.applications.pid(name) for name in ("backend", "worker")}
    for wanted in (place.id["B"], place.id["B"]):
        again = place.roll_back(wanted)
        assert (again.changed, again.state, place.running()) == (False, "already", "B")
    assert pids == {name: place.applications.pid(name) for name in ("backend", "worker")}


def test_latest_does_not_go_back_and_forth(place):
    assert place.roll_back("latest").release == place.id["B"]
    for _time in range(3):
        assert place.roll_back("latest").changed is False
        assert place.running() == "B"


def test_latest_after_a_new_deploy_skips_what_was_rolled_away_from(tmp_path):
    place = Installation(tmp_path / "srv", "link").start()
    place.roll_back("latest")
    make_release(place.folder / "releases/20261125", "E")
    Files().point(str(place.app), "releases/20261125")
    assert place.roll_back("latest").release == place.id["B"]
    assert place.running() == "B"
    place.end()


def test_the_live_release_is_what_the_link_says_and_not_the_newest(tmp_path):
    place = Installation(tmp_path / "srv", "link").start()
    Files().point(str(place.app), "releases/20261120")
    found = _release.listing(place.request(None))
    assert [one["id"] for one in found["candidates"] if one["running"]] == ["20261120"]
    assert os.readlink(place.app) == "releases/20261120"
    place.end()


def test_a_releases_folder_that_is_reached_through_a_link_has_each_release_once(tmp_path):
    place = Installation(tmp_path / "data", "link")
    (tmp_path / "releases").symlink_to(place.folder / "releases")
    request = dataclasses.replace(place.request(None), releases_dir=str(tmp_path / "releases"))
    found = _release.listing(request)["candidates"]
    assert [(one["id"], one["running"]) for one in found] == [("20261121", True), ("20261120", False), ("20261110", False)]
    place.end()


def test_a_backup_folder_that_is_named_twice_has_each_backup_once(folder, tmp_path):
    (tmp_path / "again").symlink_to(folder.folder)
    found = _release.listing(folder.request(None, backup_dirs=[str(tmp_path / "again")]))["candidates"]
    assert [one["id"] for one in found] == ["-", folder.id["B"], folder.id["C"]]


def test_releases_without_a_date_are_candidates_but_never_the_latest(tmp_path):
    place = Installation(tmp_path / "srv", "link").start()
    make_release(place.folder / "releases/v1.2.0", "E")
    (place.folder / "releases/shared/uploads").mkdir(parents=True)
    (place.folder / "releases/previous").symlink_to("20261120")
    found = {one["id"]: one for one in _release.listing(place.request(None))["candidates"]}
    assert list(found) == ["20261121", "20261120", "20261110", "v1.2.0"]
    assert place.roll_back("v1.2.0").state == "rolled_back"
    assert place.applications.says("backend") == "E"
    assert place.roll_back("latest").release == place.id["B"]
    place.end()


def test_where_only_undated_releases_are_left_latest_is_refused_with_their_names(tmp_path):
    place = Installation(tmp_path / "srv", "link").start()
    make_release(place.folder / "releases/v1.2.0", "E")
    for name in ("B", "C"):
        shutil.rmtree(place.paths[name])
    with pytest.raises(Refused, match=r"no release of .* to roll back to.*v1\.2\.0 \(release"):
        place.roll_back("latest")
    place.end()


def test_a_release_that_is_a_link_to_elsewhere_is_told_and_not_taken(place, tmp_path):
    elsewhere = make_release(tmp_path / "elsewhere", "E")
    name = "tank-mail-app-backup-202611191200" if place.layout == "folder" else "releases/20261119"
    (place.folder / name).symlink_to(elsewhere)
    identity = name[-12:] if place.layout == "folder" else "20261119"
    reasons, line = refused(place, identity)
    assert reasons == ["unreadable"]
    assert f"is a link to {elsewhere}, and a release cannot be a link; add" in line
    assert any(f"{identity} (" in line and "is a link to" in line for line in _release.listing(place.request(None))["lines"])


def test_the_list_has_date_size_and_whether_it_is_complete_and_runs(folder):
    (folder.paths["C"] / "config/.env").unlink()
    lines = _release.listing(folder.request(None))["lines"]
    assert [line.split(" MB")[0].rsplit(" ", 1)[0] for line in lines] == [
        "- (live,",
        "202611200930 (2026-11-20 09:30, backup,",
        "202611100930 (2026-11-10 09:30, backup,",
    ]
    assert lines[0].endswith("complete, running)")
    assert lines[2].endswith("incomplete: config/.env missing)")
    folder.roll_back(folder.id["B"])
    again = _release.listing(folder.request(None))["candidates"]
    assert [(one["kind"], one["running"]) for one in again] == [("aside", False), ("backup", True), ("backup", False)]


def test_back_to_the_release_that_was_put_aside(folder):
    aside = folder.roll_back(folder.id["B"]).former
    assert os.path.basename(aside).startswith("tank-mail-app-aside-")
    assert folder.roll_back(aside[-14:]).state == "rolled_back"
    assert folder.running() == "A"
    assert folder.lost() == []


def test_a_deploy_into_the_same_folder_makes_it_another_release(folder):
    folder.roll_back(folder.id["B"], copy=True)
    (folder.app / "worker/dist/worker.js").write_text((folder.app / "worker/dist/worker.js").read_text() + "# deployed\n")
    done = folder.roll_back(folder.id["B"])
    assert (done.changed, folder.running()) == (True, "B")


def test_check_mode_says_each_step_and_changes_nothing(place):
    before = untouched(place)
    would = place.roll_back(place.id["B"], check_mode=True, env_policy="keep")
    assert untouched(place) == before
    assert not place.state.exists()
    text = " ".join(would.steps)
    words = ["stop worker, backend", "point " if place.layout == "link" else "rename ", "keep the present config/.env", "start backend"]
    words += ["start worker", "nginx", "lives on"]
    at = [text.index(word) for word in words]
    assert at == sorted(at)
    done = place.roll_back(place.id["B"], env_policy="keep")
    without_moments = [step for step in would.steps if "aside-" not in step]
    assert [step for step in done.steps if "aside-" not in step] == without_moments
    assert len(done.steps) == len(would.steps)


# --- .env


@pytest.mark.parametrize(("policy", "has"), [("keep", True), ("take", False)])
def test_env_is_kept_or_taken_and_only_names_of_keys_are_shown(place, policy, has):
    done = place.roll_back(place.id["B"], env_policy=policy)
    assert done.environment == {"added": [], "removed": ["ADDED_LATER"], "changed": ["ORACLE_PASS"]}
    env = place.app / "config/.env"
    assert ("ADDED_LATER" in env.read_text()) is has
    assert env.stat().st_mode & 0o777 == 0o600
    assert place.lost() == []
    written = json.dumps(done.as_dict()) + "".join(path.read_text() for path in place.state.iterdir())
    assert SECRET not in written


def test_an_env_behind_a_link_is_kept_as_that_link_and_nothing_is_read_through_it(folder):
    shared = folder.folder / "shared.env"
    shared.write_text("SHARED=1\n")
    (folder.app / "config/.env").unlink()
    (folder.app / "config/.env").symlink_to(shared)
    folder.roll_back(folder.id["B"], env_policy="keep")
    assert os.readlink(folder.app / "config/.env") == str(shared)
    assert shared.read_text() == "SHARED=1\n"
    folder.digests.pop("A")
    assert folder.lost() == []


@pytest.mark.skipif(not ROOT, reason="needs root to give files to others")
def test_a_kept_env_can_be_read_by_who_reads_the_present_one_and_by_nobody_else(folder):
    present, own = folder.app / "config/.env", folder.paths["B"] / "config/.env"
    os.chown(present, 0, 65534)
    present.chmod(0o640)
    os.chown(own, 0, 12345)
    folder.roll_back(folder.id["B"], env_policy="keep")
    found = (folder.app / "config/.env").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 65534, 0o640)
    assert ((folder.app / "config").glob(".env.before-*").__next__()).stat().st_gid == 12345
    (folder.app / "config/.env").chmod(0o644)
    folder.roll_back(folder.id["C"], env_policy="keep")
    assert (folder.app / "config/.env").stat().st_mode & 0o777 == 0o640


def test_a_missing_env_cannot_be_kept(place):
    (place.app / "config/.env").unlink()
    place.digests.pop("A")
    reasons, line = refused(place, place.id["B"], env_policy="keep")
    assert reasons == ["env_missing"]
    assert "emergency_rollback_env=take" in line
    assert place.roll_back(place.id["B"]).state == "rolled_back"


# --- refused, with nothing touched


@pytest.mark.parametrize("wanted", [None, "", "202612312359", "../etc", "latest "])
def test_a_missing_or_unknown_target_is_refused_with_the_candidates(place, wanted):
    reasons, line = refused(place, wanted)
    assert reasons == ["target_unknown" if wanted else "target_missing"]
    assert place.id["B"] in line
    assert place.id["C"] in line
    assert "-e emergency_rollback_to=<id> or latest" in line


LACKING = ["backend/dist/main.js", "worker/dist/worker.js", "frontend/build/index.html", "frontend/build/assets/app-B.js", "config/.env"]


@pytest.mark.parametrize("path", LACKING)
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_an_incomplete_release_is_refused(folder, path, how):
    file = folder.paths["B"] / path
    file.unlink()
    if how == "empty":
        file.touch()
    reasons, line = refused(folder, "latest")
    assert reasons[0] == "incomplete"
    assert path in line


def test_modules_that_the_running_release_has_must_be_there(folder):
    (folder.app / "backend/node_modules").mkdir()
    reasons, line = refused(folder, folder.id["B"])
    assert reasons == ["incomplete"]
    assert "backend/node_modules" in line


def test_a_copy_of_what_runs_is_refused_unless_it_is_wanted_by_name(folder):
    shutil.rmtree(folder.paths["B"])
    shutil.copytree(folder.app, folder.paths["B"])
    reasons, line = refused(folder, "latest")
    assert reasons == ["running"]
    assert "same_release" in line
    assert folder.roll_back("latest", override=["same_release"]).changed


def test_the_running_release_behind_a_link_is_refused(tmp_path):
    place = Installation(tmp_path / "srv", "link").start()
    assert refused(place, place.id["A"])[0] == ["running"]
    place.end()


@pytest.mark.parametrize(
    ("options", "reason", "words"),
    [
        ({"open_runs": 2}, "open_run", "2 mail runs are open"),
        ({"open_runs": 2}, "open_run", "wait for them (-e emergency_rollback_drain=600)"),
        (
            {"open_runs": None, "open_runs_unknown": "logsdb is down"},
            "open_run_unknown",
            "it is not known whether a mail run is open (logsdb is down); fix the access to LogsDB",
        ),
        ({"least_free_mb": 1e12}, "space", "has not enough space"),
    ],
)
def test_an_open_run_or_a_full_disk_is_refused(place, options, reason, words):
    reasons, line = refused(place, place.id["B"], **options)
    assert reasons == [reason]
    assert words in line


@pytest.mark.parametrize("open_runs", [3, None])
def test_an_open_run_can_be_overridden_by_name(place, open_runs):
    assert place.roll_back(place.id["B"], open_runs=open_runs, override=["open_run"]).state == "rolled_back"


def test_pm2_and_nginx_are_asked_before_anything_is_touched(place):
    place.applications.refused = [Refused("pm2", "PM2 cannot be used: no daemon runs; bring it back first", said="no daemon runs")]
    place.web.said = "unknown directive"
    reasons, line = refused(place, place.id["B"])
    assert reasons == ["pm2", "nginx"]
    assert line.startswith("2 reasons: 1) PM2 cannot be used")


def test_an_env_that_others_may_read_is_refused(place):
    (place.paths["B"] / "config/.env").chmod(0o644)
    reasons, line = refused(place, place.id["B"])
    assert reasons == ["env_mode"]
    assert "; sudo chmod o= " in line


@pytest.mark.skipif(not ROOT, reason="needs root to give files to others")
@pytest.mark.parametrize("path", [".", "worker/dist/worker.js"])
def test_a_wrong_owner_is_refused(place, path):
    os.chown(place.paths["B"] / path, 12345, 12345)
    reasons, line = refused(place, place.id["B"])
    assert reasons == ["owner"]
    assert "; sudo chown -R" in line


@pytest.mark.skipif(not ROOT, reason="needs root to become another user")
def test_what_the_user_may_not_read_is_refused(place):
    """As after a copy that root made without the owners: the scripts are root's alone."""
    for name in ("A", "B", "C"):
        for path in [place.paths[name], *place.paths[name].rglob("*")]:
            os.chown(path, 65534, 65534)
    place.applications.uid = 65534
    file = place.paths["B"] / "frontend/build/index.html"
    os.chown(file, 0, 0)
    file.chmod(0o600)
    reasons, line = refused(place, place.id["B"])
    assert reasons == ["owner", "page_mode"]
    assert "frontend/build/index.html" in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"app_dir": "opt/tank"}, "app_dir: 'opt/tank' is not the absolute path of a folder"),
        ({"app_dir": "/nope/tank"}, "is in a folder that does not exist"),
        ({"app_dir": "/etc/hostname"}, "is neither a folder nor a link to one"),
        ({"parts": ["backend", "page"]}, "is not among backend, worker, frontend, env"),
        ({"override": ["everything"]}, "override: 'everything' cannot be overridden; choose from open_run, same_release, damaged"),
        ({"env_file": "/etc/.env"}, "is not in"),
    ],
)
def test_a_wrong_question_gets_one_line(folder, options, words):
    with pytest.raises(WrongQuestion) as error:
        folder.roll_back("latest", **options)
    assert words in str(error.value)


GIVEN = {
    **{name: option.get("default") for name, option in _release_door.PLACE.items()},
    "app_dir": "/opt/tank-mail-app",
    "to": "latest",
    "env_policy": "take",
    "copy": False,
    "least_free_mb": 200.0,
    "nginx": None,
    "open_runs": 0,
    "open_runs_unknown": "",
    "override": [],
    "pm2_home": "/home/tank/.pm2",
    "user": None,
    "path_prefix": [],
    "pm2_executable": "pm2",
    "backend_process": "backend",
    "worker_process": "worker",
    "worker_sign": "Scheduler",
    "settle": 30.0,
    "hash_timeout": 120.0,
    "health_url": "http://127.0.0.1:3000/api/health",
    "health_timeout": 60.0,
    "worker_timeout": 90.0,
    "open_runs_valid": 120.0,
    "build_dir": None,
    "copy_timeout": 1800.0,
}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"health_url": "127.0.0.1:3000/api/health"}, "health_url: '127.0.0.1:3000/api/health' is not the address of a page"),
        ({"health_url": "http://127.0.0.1:port/"}, "is not the address of a page"),
        ({"worker_sign": "Scheduler("}, "worker_sign: 'Scheduler(' is not a regular expression"),
        ({"settle": float("nan")}, "settle: nan is not a valid time"),
        ({"health_timeout": -1.0}, "health_timeout: -1.0 is not a valid time"),
        ({"worker_timeout": float("inf")}, "worker_timeout: inf is not a valid time"),
        ({"least_free_mb": float("nan")}, "least_free_mb: nan is not a valid size"),
    ],
)
def test_what_no_release_could_prove_itself_by_is_refused_at_the_door(options, words):
    assert _release_door.rollback(GIVEN)[0].to == "latest"
    with pytest.raises(WrongQuestion) as error:
        _release_door.rollback({**GIVEN, **options})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_two_at_once_do_not_get_in_each_others_way(folder):
    work = _release.Rollback(folder.request(folder.id["B"]), _release.Tools(folder.applications), check_mode=False)
    with work.journal.alone(), pytest.raises(ActionFailed, match=r"another rollback or backup .* is running \(process \d+\)"):
        folder.roll_back(folder.id["B"])


@pytest.mark.parametrize("path", [".", "frontend", "frontend/build/index.html", "frontend/build/assets/app-B.js"])
def test_a_page_that_nginx_could_not_read_any_more_is_refused(place, path):
    file = place.paths["B"] / path
    file.chmod(file.stat().st_mode & 0o700)
    reasons, line = refused(place, place.id["B"])
    assert reasons == ["page_mode"]
    assert f"release {place.id['B']}: {path} is closed" in line
    assert "; sudo chmod -R go+rX" in line
    live = place.paths["A"] / path.replace("-B", "-A")
    live.chmod(file.stat().st_mode & 0o777)
    if path != "frontend/build/assets/app-B.js":  # what the running one does not grant either, nobody misses
        assert place.roll_back(place.id["B"]).state == "rolled_back"


@pytest.mark.parametrize("path", [None, "worker/dist/worker.js"])
def test_a_release_that_runs_already_is_looked_at(folder, path):
    folder.roll_back(folder.id["B"])
    if path:
        folder.applications.stop("")
    again = folder.roll_back(folder.id["B"])
    assert (again.changed, again.state) == (False, "already")
    assert ("does not run well: backend is not healthy; start it with" in again.message) is bool(path)
    assert len(again.warnings) == bool(path)


def test_latest_is_never_the_release_that_runs_unless_latest_was_asked_for(folder):
    folder.roll_back(folder.id["B"], copy=True)
    assert folder.roll_back("latest").release == folder.id["C"]
    away = [one["id"] for one in _release.listing(folder.request(None))["candidates"] if one["rolled_away"]]
    assert away == [folder.id["B"]]
    make_release(folder.folder / "tank-mail-app-backup-202611230930", "D")
    assert folder.roll_back(folder.id["B"], copy=True).state == "rolled_back"
    assert folder.roll_back("latest").release == "202611230930"


@pytest.mark.skipif(not ROOT, reason="needs root to give files to others")
@pytest.mark.parametrize(("path", "mode", "found"), [("", 0o600, True), ("worker/spool", 0o500, True), ("config/tls.key", 0o600, False)])
def test_what_the_user_could_use_in_the_running_release_counts(place, path, mode, found):
    for name in ("A", "B"):
        (place.paths[name] / "worker/spool").mkdir()
        (place.paths[name] / "config/tls.key").write_text("x")
        for each in [place.paths[name], *place.paths[name].rglob("*")]:
            os.chown(each, 65534, 65534)
        os.chown(place.paths[name] / "config/tls.key", 0, 0)
        (place.paths[name] / "config/tls.key").chmod(0o600)
    place.applications.uid = 65534
    (place.paths["B"] / path).chmod(mode)
    if found:
        reasons, line = refused(place, place.id["B"])
        assert reasons[0] == "owner"
        assert f"release {place.id['B']}: {path or '.'} belongs to" in line
    else:
        assert place.roll_back(place.id["B"]).state == "rolled_back"


def test_checksums_that_take_too_long_are_not_told_as_damage(folder):
    folder.paths["B"].with_name(folder.paths["B"].name + ".manifest.json").write_text(json.dumps({"files": {}}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_release_preflight, "differences", lambda *_arguments, **_options: time.sleep(2))
        reasons, line = refused(folder, folder.id["B"], hash_within=0.2)
    assert reasons == ["slow"]
    assert "could not be compared with its checksums within 0.2 s; give emergency_rollback_hash_timeout more seconds" in line
    assert folder.roll_back(folder.id["B"]).state == "rolled_back"


def test_a_lack_of_inodes_is_told_as_one(place, monkeypatch):
    monkeypatch.setattr(_release_preflight, "_free", lambda _path: (50_000_000_000, 12))
    reasons, line = refused(place, place.id["B"])
    assert reasons == ["space"]
    assert "has not enough space: 12 inodes free, 1000 needed; remove unused files there" in line
    assert "-attic" in line
    monkeypatch.setattr(_release_preflight, "_free", lambda _path: (5_000_000, 100_000))
    line = refused(place, place.id["B"], least_free_mb=200)[1]
    assert "5 MB free, 200 MB needed" in line
    assert "emergency_rollback_least_free_mb" in line


# --- told, and no reason not to begin


@pytest.mark.parametrize("check_mode", [True, False])
def test_another_env_that_nobody_asked_for_is_told_by_the_names_of_its_keys(place, check_mode):
    (warning,) = place.roll_back(place.id["B"], check_mode=check_mode).warnings
    assert "config/.env of release" in warning
    assert "(removed: ADDED_LATER; changed: ORACLE_PASS); emergency_rollback_env=keep keeps the present one" in warning
    assert place.roll_back(place.id["C"], check_mode=True, env_policy="keep").warnings == []


def test_mails_that_wait_in_either_release_are_told(place):
    for name in ("A", "B"):
        (place.paths[name] / "worker/spool").mkdir()
        (place.paths[name] / "worker/spool/7.json").write_text("{}")
    warnings = place.roll_back(place.id["B"], check_mode=True, env_policy="keep").warnings
    assert warnings[0].startswith(f"{place.paths['B']}/worker/spool holds 1 files: mails that were sent since would be sent again")
    assert warnings[1].startswith("1 files in worker/spool of the running release are not sent yet")


def test_a_third_process_without_a_script_in_the_release_stays_stopped_and_is_told(place):
    (place.app / "extra").mkdir()
    (place.app / "extra/index.js").write_text("x")
    place.digests.pop("A")
    ours, started = place.applications.ours, []
    extra = {"name": "extra", "pm_id": 9, "status": "online", "script": f"{place.app}/extra/index.js"}
    place.applications.ours = lambda app: [*ours(app), extra]
    place.applications.start_others = lambda app, names, since=0.0: started.append(list(names))
    done = place.roll_back(place.id["B"])
    assert "has no script for PM2's process extra, so it stays stopped" in done.warnings[-1]
    assert started == []
    (place.paths["C"] / "extra").mkdir()
    (place.paths["C"] / "extra/index.js").write_text("x")
    (place.app / "extra").mkdir()
    (place.app / "extra/index.js").write_text("x")
    place.roll_back(place.id["C"])
    assert started == [["extra"]]


def test_another_name_of_the_host_does_not_get_in_the_way_either(folder):
    other = _release.Rollback(folder.request(folder.id["B"]), _release.Tools(folder.applications), check_mode=False)
    folder.state = folder.folder / "another-state"
    with (
        other.journal.alone(),
        pytest.raises(ActionFailed, match=r"another rollback or backup is running in .*, under another inventory name"),
    ):
        folder.roll_back(folder.id["B"])
    assert folder.roll_back(folder.id["B"]).state == "rolled_back"


# --- undone


def undone(place, to="latest", **options):
    """Roll back to a release that does not do; the former one must be back, run, and nothing be lost. Returns the line."""
    with pytest.raises(ActionFailed) as error:
        place.roll_back(to, **options)
    assert place.running() == "A"
    assert place.lost() == []
    assert error.value.details["partial"].state == "undone"
    assert str(error.value).endswith(f"is back in {place.app} and runs")
    return str(error.value)


BAD = {
    "the worker crashes at once": ({"worker": CRASHES}, "see it work: worker is not healthy"),
    "the backend crashes at once": ({"backend": CRASHES}, "wait for its health check: backend is not healthy"),
    "the worker crashes after a while": ({"worker": CRASHES_LATER}, "lives on: worker did not stay up"),
}


WAYS = [(name, {}) for name in BAD] + [(next(iter(BAD)), options) for options in ({"env_policy": "keep"}, {"copy": True})]


@pytest.mark.parametrize(("name", "options"), WAYS, ids=str)
def test_a_release_that_does_not_live_is_undone_and_can_be_tried_again(tmp_path, name, options):
    of_b, words = BAD[name]
    place = Installation(tmp_path / "opt", **of_b).start()
    assert words in undone(place, **options)
    assert words in undone(place, **options)
    assert place.roll_back(place.id["C"]).state == "rolled_back"
    place.end()


def test_a_release_whose_health_check_hangs_is_undone(tmp_path):
    place = Installation(tmp_path / "opt").start()
    script = place.paths["B"] / "backend/dist/main.js"
    script.write_text(HANGS + script.read_text())
    place.digests["B"] = digest(place.paths["B"])
    assert "backend is not healthy" in undone(place)
    place.end()


def test_nginx_that_does_not_take_the_new_state_undoes_it(place):
    answers = iter(["", "unknown directive"])  # before anything is touched, and once the release is in place
    place.web.problem = lambda conf=None: next(answers, "")
    assert "nginx rejects its configuration: unknown directive" in undone(place, place.id["B"])
    assert place.web.reloads == 1  # with the former release


def test_a_page_that_is_not_served_any_more_undoes_it(place):
    place.web.page = ["", "http://127.0.0.1/: it answers 403"]
    assert "the page was served before the rollback and is not now: http://127.0.0.1/: it answers 403" in undone(place, place.id["B"])
    place.web.page = ["http://127.0.0.1/: no answer", "http://127.0.0.1/: it answers 403"]  # it was not served before either
    assert place.roll_back(place.id["B"]).state == "rolled_back"
    place.web.page = ["", ""]
    assert "verify that the page is served, as it was before" in place.roll_back(place.id["C"]).steps


def test_a_former_release_that_does_not_run_either_is_back_and_said_so(folder):
    (folder.paths["B"] / "worker/dist/worker.js").write_text("exit 1")
    (folder.app / "backend/dist/main.js").write_text("exit 1")
    folder.applications.stop("")
    folder.digests = {"C": folder.digests["C"]}
    with pytest.raises(ActionFailed) as error:
        folder.roll_back(folder.id["B"])
    assert error.value.details["partial"].state == "broken"
    assert "the former release is back" in str(error.value)
    assert "but it does not run: backend is not healthy (before the rollback backend was stopped, worker was stopped)" in str(error.value)
    assert (folder.app / "backend/dist/main.js").read_text() == "exit 1"


def test_an_installation_that_is_gone_is_brought_back(folder):
    """Step 2 of the manual was done by hand, and step 3 was not."""
    folder.applications.stop("")
    shutil.rmtree(folder.app)
    folder.digests.pop("A")
    assert folder.roll_back("latest").state == "rolled_back"
    assert folder.running() == "B"
    assert folder.lost() == []


def test_somebody_elses_hand_after_a_killed_run_is_respected(folder):
    assert killed_at(7, lambda hook: folder.roll_back(folder.id["B"], hook))
    folder.applications.end()
    if folder.app.exists():
        shutil.rmtree(folder.app)
    make_release(folder.app, "H")
    folder.digests = {"C": folder.digests["C"]}
    done = folder.roll_back(folder.id["C"])
    assert (done.state, folder.running()) == ("rolled_back", "C")
    assert "left as it is: " in " ".join(done.warnings)
    assert folder.tree_of("H").exists()


@pytest.mark.parametrize("layout", ["folder", "link"])
def test_processes_that_do_not_stop_for_the_undo_are_not_taken_for_the_former_release(tmp_path, layout):
    """The worker of the bad release crashes; its backend runs, is healthy, and cannot be stopped."""
    place = Installation(tmp_path / "opt", layout, worker=CRASHES).start()
    stop, stops = place.applications.stop, []

    def stop_once(app):
        stops.append(app)
        if len(stops) > 1:
            raise ActionFailed("backend: not finished within the deadline of 60 s")
        stop(app)

    place.applications.stop = stop_once
    undone(place, place.id["B"])
    assert len(stops) == 2
    place.applications.stop = stop
    place.end()


def test_processes_that_were_never_stopped_are_not_started_anew(tmp_path):
    """Copying fails, or nothing of it is possible: what runs is of the release in place, and may be sending mails."""
    place = Installation(tmp_path / "opt").start()
    pids = {name: place.applications.pid(name) for name in ("backend", "worker")}

    def no_copy(name):
        if name.startswith("copy "):
            (place.app / "a.pid").touch()
            raise OSError(5, "Input/output error")

    with pytest.raises(ActionFailed):
        place.roll_back("latest", no_copy, copy=True)
    assert pids == {name: place.applications.pid(name) for name in ("backend", "worker")}
    place.end()


def between_the_renames(place):
    """Kill a rollback to B when the former release is aside and nothing is in place; returns where the former one is."""
    names = operations_of(place)
    number = next(number for number, name in enumerate(names, 1) if name == f"rename {place.paths['B'].name}")
    assert killed_at(number, lambda hook: place.roll_back(place.id["B"], hook))
    assert not place.app.exists()
    return next(place.folder.glob("*-aside-*"))


def operations_of(place):
    names = []
    work = Installation(place.folder / "twin").start()
    work.roll_back(work.id["B"], names.append)
    work.end()
    return names


@pytest.mark.parametrize("to", ["B", "C"])
def test_a_former_release_that_somebody_took_away_after_a_kill_does_not_block_for_ever(folder, to):
    aside = between_the_renames(folder)
    aside.rename(folder.folder / "elsewhere")
    done = folder.roll_back(folder.id[to])
    assert done.state == ("finished_earlier" if to == "B" else "rolled_back")
    assert (folder.running(), folder.lost()) == (to, [])
    assert folder.roll_back(folder.id[to]).changed is False


def test_where_neither_release_is_left_the_next_one_is_put_in_place(folder):
    aside = between_the_renames(folder)
    aside.rename(folder.folder / "elsewhere")
    folder.paths["B"].rename(folder.folder / "elsewhere-b")
    done = folder.roll_back(folder.id["C"])
    assert (done.state, folder.running(), folder.lost()) == ("rolled_back", "C", [])
    assert "neither its release nor the former one is where it was" in " ".join(done.warnings)


def test_a_copy_ends_with_the_run_that_was_killed_and_the_next_one_makes_its_own(tmp_path):
    place = Installation(tmp_path / "opt").start()
    said = tmp_path / "copying"

    def slow(name):
        if name.startswith("copy "):
            said.write_text(f"{os.getpid()}\n")
            time.sleep(0.2)

    caller = os.fork()
    if not caller:
        tools = _release.Tools(place.applications, place.web, Files(slow))
        try:
            _release.roll_back(place.request(place.id["B"], copy=True), tools, check_mode=False)
        finally:
            os._exit(1)
    end = time.monotonic() + 60
    while not (said.exists() and said.read_text().endswith("\n")):
        assert time.monotonic() < end, "nothing was copied"
        time.sleep(0.01)
    copying = int(said.read_text())
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    while Path(f"/proc/{copying}").exists() and Path(f"/proc/{copying}/stat").read_text().split()[2] not in "ZX":
        assert time.monotonic() < end, "it goes on copying"
        time.sleep(0.01)
    assert place.roll_back(place.id["B"], copy=True).state == "rolled_back"
    assert (place.running(), place.lost()) == ("B", [])
    assert not list(place.folder.glob(".*"))
    place.end()


def test_what_is_left_of_a_copy_and_cannot_be_removed_is_only_a_warning(folder, monkeypatch):
    def no_copy(name):
        if name.startswith(("copy config/.env", "remove .tank-mail-app.rollback")):
            raise OSError(39, "Directory not empty")

    with pytest.raises(ActionFailed) as error:
        folder.roll_back(folder.id["B"], no_copy, copy=True)
    partial = error.value.details["partial"]
    assert (partial.state, folder.running(), folder.lost()) == ("undone", "A", [])
    assert "not everything was cleaned up: Directory not empty" in " ".join(partial.warnings)


@pytest.mark.parametrize("event", ["placed", "finished"])
def test_a_journal_that_cannot_be_written_does_not_undo_a_release_that_has_proved_itself(place, event):
    def full(name):
        if name == f"journal {event}":
            raise ActionFailed("the journal cannot be written (No space left on device); make room")

    done = place.roll_back(place.id["B"], full)
    assert (done.state, place.running()) == ("rolled_back", "B")
    assert "the journal cannot be written" in " ".join(done.warnings)
    pids = {name: place.applications.pid(name) for name in ("backend", "worker")}
    again = place.roll_back(place.id["B"])
    assert again.state == ("finished_earlier" if event == "finished" else "already")
    assert pids == {name: place.applications.pid(name) for name in ("backend", "worker")}
    assert place.roll_back(place.id["B"]).state == "already"


def test_a_request_to_end_is_not_heard_while_the_former_release_is_brought_back(tmp_path):
    """The first one comes in the middle of the undo; as the module hears it."""
    place = Installation(tmp_path / "opt", worker=CRASHES).start()
    heard, told = [True], []

    def listen(wanted):
        heard[0] = wanted

    def ends(name):
        if name == "journal undoing" or told:
            told.append(name)
            if heard[0]:
                raise ActionFailed("the run received SIGTERM")

    place.applications.hook = place.web.hook = ends
    tools = _release.Tools(place.applications, place.web, Files(ends), bounded=lambda function, deadline: function(), listen=listen)
    with pytest.raises(ActionFailed) as error:
        _release.roll_back(place.request("latest"), tools, check_mode=False)
    assert (error.value.details["partial"].state, place.running(), len(told) > 5) == ("undone", "A", True)
    assert heard == [True]
    place.end()


def test_the_lock_is_held_on_a_full_disk_and_one_that_cannot_be_made_is_one_line(folder, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    work = _release.Rollback(folder.request(folder.id["B"]), _release.Tools(folder.applications), check_mode=False)
    monkeypatch.setattr(os, "pwrite", full)
    with work.journal.alone(), pytest.raises(ActionFailed, match="another rollback or backup of this installation is running"):
        folder.roll_back(folder.id["B"])
    Path(f"{work.journal.path}.lock").unlink()
    Path(f"{work.journal.path}.lock").mkdir()
    with pytest.raises(ActionFailed, match=r"^the lock .* cannot be made \(Is a directory\); free space or give another state_dir$"):
        folder.roll_back(folder.id["B"])


def killed_in_place(place, **options):
    """Kill a rollback to B when B is in place and runs well."""
    assert killed_at(10_000, lambda hook: place.roll_back(place.id["B"], lambda name: hook_at(name, hook), **options)) == ""


def hook_at(name, _hook):
    if name == "watch":
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("first", "then"), [("take", "keep"), ("keep", "take")])
def test_another_env_policy_after_a_kill_is_heard(place, first, then):
    killed_in_place(place, env_policy=first)
    done = place.roll_back(place.id["B"], env_policy=then)
    assert (done.state, place.running(), place.lost()) == ("rolled_back", "B", [])
    assert ("ADDED_LATER" in (place.app / "config/.env").read_text()) is (then == "keep")


def test_an_interrupted_rollback_that_is_left_leaves_no_copy_and_no_other_env(tmp_path):
    place = Installation(tmp_path / "srv", "link").start()
    killed_in_place(place, env_policy="keep")
    make_release(place.folder / "releases/20261125", "E")
    Files().point(str(place.app), "releases/20261125")
    place.roll_back(place.id["C"])
    assert digest(place.paths["B"]) == place.digests["B"]
    assert not list((place.paths["B"] / "config").glob(".env.before-*"))
    assert (place.running(), place.lost()) == ("C", [])
    place.end()


# --- disks


@pytest.mark.parametrize("layout", ["folder", "link"])
@pytest.mark.parametrize("worker", ["lives", "crashes"])
def test_an_installation_whose_folder_is_reached_through_a_link(tmp_path, layout, worker):
    """As /opt that leads to /data/opt: there and, with a release that does not run, back again."""
    (tmp_path / "data").mkdir()
    (tmp_path / "opt").symlink_to("data")
    place = Installation(tmp_path / "opt/here", layout, **({"worker": CRASHES} if worker == "crashes" else {}))
    place.folder.rename(tmp_path / "data/there")
    (tmp_path / "data/here").symlink_to("there")
    place.start()
    if worker == "lives":
        assert place.roll_back(place.id["B"]).state == "rolled_back"
        assert place.running() == "B"
    else:
        undone(place, place.id["B"])
    assert {digest(path.resolve()) for path in place.paths.values() if path.exists()} <= set(place.digests.values())
    place.applications.end()


def test_a_former_release_that_is_back_is_started_although_something_failed_on_the_way(tmp_path):
    place = Installation(tmp_path / "opt", worker=CRASHES).start()
    back = []

    def no_sync(name):
        """The disk cannot take the names any more, once the former release is renamed back."""
        if name.startswith("rename tank-mail-app-aside-"):
            back.append(name)
        elif name.startswith("sync ") and len(back) == 1:
            back.append(name)
            raise OSError(5, "Input/output error")

    with pytest.raises(ActionFailed) as error:
        place.roll_back("latest", no_sync)
    assert len(back) == 2
    assert place.running() == "A"
    assert error.value.details["partial"].state == "undone"
    assert "not everything was cleaned up: Input/output error" in " ".join(error.value.details["partial"].warnings)
    assert place.lost() == []
    place.end()


def test_a_backup_on_another_file_system_is_copied(folder, small_disk):
    there = small_disk / folder.paths["B"].name
    shutil.copytree(folder.paths["B"], there)
    shutil.rmtree(folder.paths["B"])
    done = folder.roll_back(folder.id["B"], backup_dirs=[str(small_disk)])
    assert done.steps[0].startswith(f"copy {there} to ")
    assert (folder.running(), there.exists()) == ("B", True)
    assert folder.lost() == []
    assert folder.roll_back(folder.id["B"], backup_dirs=[str(small_disk)]).changed is False


@pytest.mark.skipif(not ROOT, reason="mounting needs root")
def test_a_bind_mount_of_the_same_disk_is_seen_before_anything_stops(folder):
    """Its device has the same number, and yet nothing can be renamed out of it."""
    source = folder.folder / "elsewhere"
    source.mkdir()
    folder.paths["B"].rename(source / folder.paths["B"].name)
    there = folder.folder / "mounted"
    there.mkdir()
    if subprocess.run(["mount", "--bind", str(source), str(there)], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        done = folder.roll_back(folder.id["B"], backup_dirs=[str(there)])
        assert done.steps[0].startswith(f"copy {there}/")
        assert folder.running() == "B"
    finally:
        subprocess.run(["umount", "-l", str(there)], check=True)


def test_where_a_copy_that_failed_is_kept_is_said(tmp_path):
    place = Installation(tmp_path / "opt", worker=CRASHES).start()
    for options in ({}, {"copy": True}):
        with pytest.raises(ActionFailed) as error:
            place.roll_back("latest", **options)
        kept = error.value.details["partial"].as_dict()["failed_release"]
        assert f"the logs of what failed are in {kept}; " in str(error.value)
        assert digest(Path(kept)) == place.digests["B"]
        assert (Path(kept).parent.name == "tank-mail-app-attic") is bool(options)
    place.end()


def test_a_disk_that_fills_up_while_copying_leaves_what_runs(tmp_path, small_disk):
    place = Installation(small_disk / "opt").start()
    big = place.paths["B"] / "backend/dist/big.js"
    big.write_bytes(b"x" * 1_800_000)
    place.digests["B"] = digest(place.paths["B"])
    pids = {name: place.applications.pid(name) for name in ("backend", "worker")}
    with pytest.raises(Refused, match="has not enough space"):
        place.roll_back("latest", copy=True)
    place.folder.joinpath("fill").write_bytes(b"x")
    free = os.statvfs(place.folder).f_bavail * os.statvfs(place.folder).f_frsize
    made = []

    def fill(name):
        """Another program writes until nothing is left, once all was looked at."""
        if name.startswith("make .tank-mail-app.rollback") and not made:
            made.append(place.folder.joinpath("fill").write_bytes(b"x" * (free - 20_000)))

    big.write_bytes(b"x" * 100_000)
    place.digests["B"] = digest(place.paths["B"])
    free = os.statvfs(place.folder).f_bavail * os.statvfs(place.folder).f_frsize
    with pytest.raises(RemediationError, match="No space left on device"):
        place.roll_back("latest", fill, copy=True)
    assert made
    assert (place.running(), place.lost()) == ("A", [])
    assert pids == {name: place.applications.pid(name) for name in ("backend", "worker")}
    assert [path.name for path in place.folder.iterdir() if path.name.startswith(".")] == []
    place.folder.joinpath("fill").unlink()
    assert place.roll_back("latest", copy=True).state == "rolled_back"
    place.end()


def test_a_disk_that_is_full_for_the_journal_still_gets_the_former_release_back(small_disk, tmp_path):
    place = Installation(tmp_path / "opt", worker=CRASHES).start()
    place.state = small_disk / "state"
    filled = []

    def fill(name):
        if name == "stop worker" and not filled:
            filled.append(name)
            with open(small_disk / "fill", "wb") as file:
                try:
                    while True:
                        file.write(b"x" * 4096)
                        file.flush()
                except OSError:
                    pass

    with pytest.raises(RemediationError):
        place.roll_back("latest", fill)
    assert filled
    assert (place.running(), place.lost()) == ("A", [])
    (small_disk / "fill").unlink()
    assert place.roll_back(place.id["C"]).state == "rolled_back"
    assert place.lost() == []
    place.end()


def test_a_journal_whose_last_line_was_torn_is_read(folder):
    folder.roll_back(folder.id["B"])
    journal = next(Path(folder.state).glob("*.jsonl"))
    with open(journal, "a") as file:
        file.write('{"id": "1795", "event": "beg')
    assert folder.roll_back(folder.id["B"]).state == "already"
    assert folder.roll_back(folder.id["C"]).state == "rolled_back"
    assert all(json.loads(line) for line in journal.read_text().splitlines() if "beg" not in line or line.endswith("}"))


# --- an answer about mail runs that is too old


def _late(place, to, *, seconds, **options):
    """Roll back with a clock that has gone on for some seconds since LogsDB was asked."""
    ticks = iter([0.0])
    tools = _release.Tools(
        place.applications, place.web, Files(), bounded=lambda function, deadline: function(), clock=lambda: next(ticks, seconds)
    )
    return _release.roll_back(place.request(to, **options), tools, check_mode=False)


def test_an_old_answer_about_mail_runs_is_refused_before_anything_stops(place):
    before = place.running(), {name: place.applications.pid(name) for name in ("backend", "worker")}
    with pytest.raises(Refused, match=r"LogsDB was read 121 s ago, and its answer is valid for 120 s; run the same command again") as error:
        _late(place, place.id["B"], seconds=121.0)
    partial = error.value.details["partial"]
    assert (partial.state, partial.changed, partial.steps) == ("refused", False, [])
    assert [(each["reason"], each["late"]) for each in partial.refusals] == [("open_run_unknown", True)]
    assert (place.running(), {name: place.applications.pid(name) for name in ("backend", "worker")}) == before
    assert _release.listing(place.request(None))["interrupted"] == ""
    assert place.lost() == []
    for options in ({"seconds": 119.0}, {"seconds": 121.0, "override": ["open_run"]}):
        to = "B" if options["seconds"] < 120 else "C"
        assert _late(place, place.id[to], **options).state == "rolled_back"


def test_what_was_copied_for_too_long_is_a_backup_for_the_next_run(folder, small_disk):
    backup = make_release(small_disk / "tank-mail-app-backup-202611191200", "E")
    with pytest.raises(Refused, match="LogsDB was read 300 s ago"):
        _late(folder, "202611191200", seconds=300.0, backup_dirs=[str(small_disk)])
    beside = folder.folder / "tank-mail-app-backup-202611191200"
    assert digest(beside) == digest(backup)
    assert not [path for path in folder.folder.iterdir() if path.name.startswith(".")]
    done = _late(folder, "202611191200", seconds=1.0, backup_dirs=[str(small_disk)])
    assert (done.state, done.path, folder.applications.says("worker")) == ("rolled_back", str(beside), "E")
    assert not [step for step in done.steps if step.startswith("copy")]


def test_a_copy_of_what_lies_beside_is_removed_again(folder):
    with pytest.raises(Refused):
        _late(folder, folder.id["B"], seconds=300.0, copy=True)
    assert not [path for path in folder.folder.iterdir() if path.name.startswith(".") or path.name.endswith("-attic")]
    assert folder.lost() == []


def test_a_page_that_is_served_from_elsewhere_is_refused(place, tmp_path):
    elsewhere = tmp_path / "html"
    shutil.copytree(place.app / "frontend/build", elsewhere)
    reasons, line = refused(place, place.id["B"], build_dir=str(elsewhere))
    assert reasons == ["page_elsewhere"]
    assert f"served from {elsewhere}, which is not {place.app}/frontend/build" in line
    (tmp_path / "www").symlink_to(place.app / "frontend/build")
    assert place.roll_back(place.id["C"], parts=["backend", "worker", "env"], build_dir=str(elsewhere)).state == "rolled_back"
    assert place.roll_back(place.id["B"], build_dir=str(tmp_path / "www")).state == "rolled_back"
