# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a release: whole or not at all, checked, put away and never deleted; releases out of archives."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import backup as _release_backup
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import rollback as _release
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.files import Files
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.layout import Refused
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import ActionFailed, RemediationError, WrongQuestion

from .helpers import SECRET, Installation, killed_at, make_release, operations

MORNING = 1795222800.0  # an hour on the day after the releases of an Installation


@pytest.fixture
def place(tmp_path):
    made = Installation(tmp_path / "opt")
    yield made
    made.end()


def back_up(place, hook=None, *, check_mode=False, now=MORNING, **options):
    given = {"app_dir": str(place.app), "state_dir": str(place.state), "least_free_mb": 0, **options}
    return _release_backup.back_up(_release_backup.Request(**given), Files(hook), check_mode=check_mode, now=lambda: now)


def names(place):
    return sorted(path.name for path in place.folder.iterdir() if path.name.startswith(("tank", ".tank")))


def test_a_backup_is_complete_checked_and_made_once(place):
    (place.app / "backend/logs/app.log").write_text("much")
    before = names(place)
    made = back_up(place)
    assert made.changed
    assert made.path.endswith(f"-backup-{made.id}")
    assert not os.path.exists(f"{made.path}/backend/logs/app.log")
    assert os.path.isdir(f"{made.path}/backend/logs")
    assert os.stat(f"{made.path}.manifest.json").st_mode & 0o777 == 0o600
    assert SECRET not in (place.folder / f"{os.path.basename(made.path)}.manifest.json").read_text()
    again = back_up(place, now=MORNING + 3600)
    assert (again.changed, again.id, again.path) == (False, made.id, made.path)
    assert names(place) == sorted([*before, os.path.basename(made.path), f"{os.path.basename(made.path)}.manifest.json"])


def test_check_mode_says_it_and_changes_nothing(place):
    before = names(place)
    would = back_up(place, check_mode=True, keep=1)
    assert would.changed
    assert [step.split()[0] for step in would.steps] == ["copy", "rename", "rename"]
    assert names(place) == before
    assert not place.state.exists()


def test_old_ones_go_to_the_attic_and_nothing_is_lost(place):
    made = back_up(place, keep=2)
    attic = place.folder / "tank-mail-app-attic"
    assert [path.name for path in attic.iterdir()] == [place.paths["C"].name]
    assert place.lost() == []
    assert place.paths["B"].exists()
    assert os.path.exists(made.path)


def test_incomplete_backups_take_no_room_and_the_newest_complete_one_stays(place):
    for stamp in ("202611201000", "202611201100"):
        make_release(place.folder / f"tank-mail-app-backup-{stamp}", "X")
        (place.folder / f"tank-mail-app-backup-{stamp}/backend/dist/main.js").unlink()
    made = back_up(place, keep=2)
    assert [os.path.basename(path) for path in made.attic] == [place.paths["C"].name]
    assert place.paths["B"].is_dir()
    older = back_up(place, now=MORNING - 30 * 86400, archive=_packed(place, "E"), archive_sha256=str(place.folder / "sum"), keep=1)
    assert os.path.isdir(older.path), "what was just made goes nowhere"


def _packed(place, version, name="tank", kind="w"):
    """Pack a delivered release under a name, its SHA-256 in the file ``sum``; returns its path."""
    path = place.folder / "delivered.tar"
    with tarfile.open(path, kind) as packed:
        packed.add(make_release(place.folder / "delivered", version), name)
    shutil.rmtree(place.folder / "delivered")
    (place.folder / "sum").write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    return str(path)


def test_behind_a_link_the_only_way_back_stays(tmp_path):
    place = Installation(tmp_path / "srv", "link")
    made = back_up(place, releases_dir=str(place.folder / "releases"), keep=1)
    assert [os.path.basename(path) for path in made.attic] == ["20261110"]
    assert place.paths["B"].is_dir()
    place.end()


@pytest.fixture
def other_file_system(tmp_path):
    """A folder on another file system than tmp_path."""
    memory = "/dev/shm"
    if not os.access(memory, os.W_OK) or os.stat(memory).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is no other file system here")
    with tempfile.TemporaryDirectory(dir=memory, prefix="release-") as name:
        yield Path(name)


def test_the_attic_is_beside_what_is_put_away_also_on_another_file_system(place, other_file_system):
    for stamp in ("20261101120000", "20261102120000"):
        make_release(place.folder / f"tank-mail-app-aside-{stamp}", "X")
    first = back_up(place, backup_dirs=[str(other_file_system)], keep=1)
    (place.app / "worker/dist/worker.js").write_text("another one")
    second = back_up(place, backup_dirs=[str(other_file_system)], keep=1, now=MORNING + 3600)
    assert first.attic == [str(place.folder / "tank-mail-app-attic/tank-mail-app-aside-20261101120000")]
    there = other_file_system / "tank-mail-app-attic"
    assert second.attic == [str(there / os.path.basename(first.path))]
    assert {path.name for path in there.iterdir()} == {os.path.basename(first.path), f"{os.path.basename(first.path)}.manifest.json"}
    assert place.paths["B"].is_dir(), "backups in other folders are not counted"
    assert place.lost() == ["A"], "only the release that was changed by hand"


def test_what_cannot_be_put_away_is_one_line_after_the_backup(place):
    (place.folder / "tank-mail-app-attic").write_text("a file")
    with pytest.raises(ActionFailed, match=r"^backup .* is made, but .*202611100930 could not be renamed to .*; move it by hand$"):
        back_up(place, keep=2)
    assert back_up(place, keep=5).changed is False


def test_a_backup_that_was_changed_is_damaged_and_refused(place):
    made = back_up(place)
    place.start()
    with open(f"{made.path}/backend/dist/main.js", "r+") as script:
        script.write("#")  # the size stays
    (place.app / "worker/dist/worker.js").write_text("another one")
    with pytest.raises(Refused) as refused:
        place.roll_back(made.id)
    assert "backend/dist/main.js not as backed up (SHA-256)" in str(refused.value)


@pytest.mark.parametrize("spoil", ["a letter", "a file more", "a file less"])
def test_a_damaged_backup_does_not_count_as_one_of_what_runs(place, spoil):
    made = back_up(place)
    script = Path(made.path, "backend/dist/main.js")
    if spoil == "a letter":
        script.write_text("#" + script.read_text()[1:])  # the size stays
    elif spoil == "a file more":
        script.with_name("more.js").write_text("x")
    else:
        Path(made.path, "frontend/build/assets/app-A.css").unlink()
    again = back_up(place, now=MORNING + 3600)
    assert again.changed
    assert again.id != made.id
    assert back_up(place, now=MORNING + 7200).id == again.id


def test_a_release_that_is_incomplete_is_not_backed_up(place):
    (place.app / "worker/dist/worker.js").unlink()
    with pytest.raises(Refused, match=r"worker/dist/worker.js missing"):
        back_up(place)


def test_no_room_is_said_before_anything_is_written(place):
    before = names(place)
    with pytest.raises(Refused, match="has not enough space for a backup"):
        back_up(place, least_free_mb=1e12)
    assert names(place) == before


def test_a_full_disk_leaves_no_half_backup(place, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    before = names(place)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RemediationError, match="No space left on device"):
        back_up(place)
    assert names(place) == before


def test_a_full_disk_while_the_checksums_are_written_leaves_no_half_backup(place, monkeypatch):
    whole = Files.replace

    def full(self, old, new):
        if new.endswith(".manifest.json"):
            raise OSError(28, "No space left on device", new)
        whole(self, old, new)

    before = names(place)
    monkeypatch.setattr(Files, "replace", full)
    with pytest.raises(ActionFailed, match=r"checksums .* could not be written: No space left on device"):
        back_up(place)
    assert names(place) == before


def test_a_full_disk_behind_a_link_is_one_line(tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    place = Installation(tmp_path / "srv", "link")
    monkeypatch.setattr(Files, "write", full)
    with pytest.raises(ActionFailed, match=r"20261121.manifest.json could not be written: No space left on device"):
        back_up(place, releases_dir=str(place.folder / "releases"))
    place.end()


def test_only_the_leavings_of_this_installation_are_removed(place, tmp_path):
    """Another installation's backup may be in the making just now, and a stranger's folder is nobody's to remove."""
    store = tmp_path / "store"
    foreign = [".other-app-backup-202611210930.unfinished", ".tank-mail-app.unfinished", ".202611210930.unfinished"]
    own = ".tank-mail-app-backup-202611210930.unfinished"
    for folder in (place.folder, store):
        for name in (*foreign, own):
            (folder / name / "backend").mkdir(parents=True)
    (store / ".tank-mail-app-backup-202611210931.unfinished").write_text("a file")
    (store / "tank-mail-app-backup-202611210930.manifest.json").write_text("{}")
    (store / "tank-mail-app-backup-202611200930.manifest.json").write_text("{}")
    would = back_up(place, check_mode=True, backup_dirs=[str(store)])
    assert f"remove the unfinished {store / own}" in would.steps
    back_up(place, backup_dirs=[str(store)])
    left = {path.name for path in store.iterdir()}
    assert {*foreign, ".tank-mail-app-backup-202611210931.unfinished", "tank-mail-app-backup-202611200930.manifest.json"} <= left
    assert not {own, "tank-mail-app-backup-202611210930.manifest.json"} & left
    assert {*foreign, own} <= set(os.listdir(place.folder))


def test_killed_at_every_operation_the_next_run_makes_it_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(_release_backup, "call", lambda function, _deadline: Outcome(function()))
    place = Installation(tmp_path / "0")
    steps = operations(lambda hook: back_up(place, hook))
    assert len(steps) > 20
    for number in range(1, len(steps) + 1):
        place = Installation(tmp_path / str(number))
        assert killed_at(number, lambda hook, place=place: back_up(place, hook))
        backups = [name for name in names(place) if "-backup-" in name and not name.startswith(".") and not name.endswith(".json")]
        whole = [one for one in _release.listing(place.request(None))["candidates"] if one["id"] in str(backups)]
        assert all(one["complete"] for one in whole), number
        made = back_up(place, now=MORNING + 3600)
        assert os.path.isdir(made.path), number
        assert not [name for name in names(place) if name.startswith(".") or ".ops-remediation-new" in name], number
        assert {name.removesuffix(".manifest.json") for name in names(place)} <= {path.name for path in place.trees()}, number
        place.end()


def test_while_a_rollback_is_interrupted_nothing_is_backed_up(place):
    place.start()
    assert killed_at(6, lambda hook: place.roll_back(place.id["B"], hook)).startswith(("rename", "sync"))
    with pytest.raises(Refused, match="was interrupted; run emergency_rollback with the same target first"):
        back_up(place)
    assert place.roll_back(place.id["B"]).changed


def test_behind_a_link_the_checksums_of_the_live_release_are_written(tmp_path):
    place = Installation(tmp_path / "srv", "link")
    made = back_up(place, releases_dir=str(place.folder / "releases"))
    assert (made.changed, made.id) == (True, "20261121")
    assert json.loads((place.folder / "releases/20261121.manifest.json").read_text())["sha256"] == made.sha256
    assert back_up(place).changed is False
    place.end()


def test_behind_a_link_what_a_running_release_writes_is_no_damage(tmp_path):
    place = Installation(tmp_path / "srv", "link").start()
    place.app.joinpath("tools/node_modules").mkdir(parents=True)
    made = back_up(place, releases_dir=str(place.folder / "releases"))
    (place.app / "config/.env").write_text("PORT=3000\nEDITED_LATER=1\n")
    (place.app / "backend/backend.pid").write_text("77")
    (place.app / "tools/node_modules/.cache").mkdir()
    (place.app / "tools/node_modules/.cache/terser").write_text("x")
    assert back_up(place, releases_dir=str(place.folder / "releases")).changed is False
    place.roll_back(place.id["B"])
    shutil.rmtree(place.paths["A"] / "tools/node_modules/.cache")
    (place.paths["A"] / "backend/backend.pid").write_text("4242")
    assert place.roll_back(made.id).state == "rolled_back"
    place.roll_back(place.id["B"])
    script = place.paths["A"] / "worker/dist/worker.js"
    script.write_text(script.read_text() + "# mended by hand\n")
    with pytest.raises(Refused) as refused:
        place.roll_back(made.id)
    assert f"since {place.paths['A']}.manifest.json was made, add damaged to emergency_rollback_override" in str(refused.value)
    assert place.roll_back(made.id, override=["damaged"]).state == "rolled_back"
    place.end()


@pytest.mark.parametrize("more", ["", "# longer\n"])
def test_a_damaged_backup_is_taken_where_that_is_overridden_but_never_one_that_lacks_something(place, more):
    made = back_up(place)
    place.start()
    (place.app / "worker/dist/worker.js").write_text("another one")
    script = Path(made.path, "backend/dist/main.js")
    script.write_text(script.read_text().replace("300", "301") + more)
    with pytest.raises(Refused, match=r"tank-mail-app-backup-\d+.manifest.json was made, add damaged to emergency_rollback_override"):
        place.roll_back(made.id)
    moved = Path(made.path, "config/.env").rename(place.folder / "moved")
    with pytest.raises(Refused, match=r"config/.env missing"):
        place.roll_back(made.id, override=["damaged"])
    moved.rename(Path(made.path, "config/.env"))
    assert place.roll_back(made.id, override=["damaged"]).state == "rolled_back"


def test_behind_a_link_retention_never_takes_the_live_release_for_an_old_one(tmp_path):
    """/releases may lead to another folder; the live release must not be met there under another name."""
    place = Installation(tmp_path / "data", "link")
    Files().point(str(place.app), "releases/20261110")
    (tmp_path / "releases").symlink_to(place.folder / "releases")
    back_up(place, releases_dir=str(tmp_path / "releases"), keep=1)
    assert (place.app / "backend/dist/main.js").is_file()
    assert place.paths["C"].is_dir()
    place.end()


# --- archives


@pytest.fixture
def archive(tmp_path):
    """A delivered release without .env, in a folder of its own, and its SHA-256 in a file beside it."""
    tree = make_release(tmp_path / "tank-1.2.0", "D")
    (tree / "config/.env").unlink()
    path = tmp_path / "tank-1.2.0.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        packed.add(tree, "tank-1.2.0")
    (tmp_path / "tank-1.2.0.tar.gz.sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  tank-1.2.0.tar.gz\n")
    return str(path)


def test_an_archive_becomes_a_release_that_can_be_rolled_back_to(place, archive):
    place.start()
    made = back_up(place, archive=archive, archive_sha256=f"{archive}.sha256")
    assert made.changed
    assert back_up(place, archive=archive, archive_sha256=f"{archive}.sha256").changed is False
    assert place.roll_back(made.id).state == "rolled_back"
    assert place.applications.says("worker") == "D"
    assert "ADDED_LATER" in (place.app / "config/.env").read_text()


@pytest.mark.parametrize("name", [".", "./tank", "tank//1.2.0/..", "tank"])
@pytest.mark.parametrize("kind", ["w:gz", "w"])
def test_an_archive_may_be_packed_in_each_usual_way(place, name, kind):
    place.start()
    place.app.chmod(0o751)
    made = back_up(place, archive=_packed(place, "E", name, kind), archive_sha256=str(place.folder / "sum"))
    assert Path(made.path).stat().st_mode & 0o777 == 0o751
    assert sorted(path.name for path in Path(made.path).iterdir()) == ["backend", "config", "frontend", "worker"]
    assert Path(made.path, "worker/spool").is_dir()
    assert place.roll_back(made.id).state == "rolled_back"
    assert place.applications.says("worker") == "E"


def test_an_archive_of_the_page_alone(tmp_path):
    """All of it lies in one folder, which is none around the release; its folders have no entries, as zip tools pack them."""
    place = Installation(tmp_path / "opt")
    tree = make_release(tmp_path / "delivered", "E")
    path = tmp_path / "page.tar"
    with tarfile.open(path, "w") as packed:
        for file in sorted((tree / "frontend").rglob("*.*")):
            packed.add(file, file.relative_to(tree))
    before = os.umask(0o077)
    try:
        made = back_up(place, archive=str(path), archive_sha256=hashlib.sha256(path.read_bytes()).hexdigest(), parts=["frontend"])
    finally:
        os.umask(before)
    assert (Path(made.path) / "frontend/build/index.html").is_file()
    assert [path.stat().st_mode & 0o777 for path in Path(made.path).rglob("*") if path.is_dir()] == [0o755] * 3
    assert not (Path(made.path) / "worker").exists()
    place.end()


def test_an_archive_gets_the_link_to_a_shared_env(place, archive):
    shared = place.folder / "shared.env"
    shared.write_text("SHARED=1\n")
    (place.app / "config/.env").unlink()
    (place.app / "config/.env").symlink_to(shared)
    made = back_up(place, archive=archive, archive_sha256=f"{archive}.sha256")
    assert os.readlink(f"{made.path}/config/.env") == str(shared)


def test_links_within_an_archive_stay(place, tmp_path):
    tree = make_release(tmp_path / "delivered", "E")
    (tree / "node_modules/.store/a").mkdir(parents=True)
    (tree / "node_modules/.store/a/cli.js").write_text("x")
    (tree / "node_modules/a").symlink_to(".store/a")
    (tree / "node_modules/.bin").mkdir()
    (tree / "node_modules/.bin/a").symlink_to("../a/cli.js")
    os.link(tree / "node_modules/.store/a/cli.js", tree / "node_modules/hard.js")
    path = tmp_path / "linked.tar"
    with tarfile.open(path, "w") as packed:
        packed.add(tree, "tank")
    made = back_up(place, archive=str(path), archive_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert Path(made.path, "node_modules/.bin/a").read_text() == "x"
    assert Path(made.path, "node_modules/hard.js").read_text() == "x"


@pytest.mark.parametrize(
    "members",
    [
        [("x", ""), ("x/up", ".."), ("l", "x/up/../..")],
        [("x", ""), ("x/up", ".."), ("l", "x/up/../outside")],
        [("x", ""), ("l", "x"), ("l/file", None)],
        [("l", "."), ("l", None)],
        [("loop", "loop")],
        [("top", ""), ("top/l", "../outside")],
    ],
)
def test_links_of_an_archive_cannot_lead_outside_through_each_other(place, tmp_path, members):
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as packed:
        for name, link in members:
            member = tarfile.TarInfo(name)
            member.type = tarfile.SYMTYPE if link else tarfile.REGTYPE if link is None else tarfile.DIRTYPE
            member.linkname = link or ""
            packed.addfile(member, io.BytesIO(b""))
    before = names(place)
    with pytest.raises(ActionFailed, match="leads outside or is not a file"):
        back_up(place, archive=str(path), archive_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert names(place) == before


def test_an_archive_whose_release_was_damaged_is_unpacked_again(place, archive):
    made = back_up(place, archive=archive, archive_sha256=f"{archive}.sha256")
    script = Path(made.path, "worker/dist/worker.js")
    script.write_text("#" + script.read_text()[1:])
    again = back_up(place, now=MORNING + 3600, archive=archive, archive_sha256=f"{archive}.sha256")
    assert (again.changed, again.id != made.id) == (True, True)


def test_an_archive_that_was_not_delivered_so_is_refused(place, archive):
    before = names(place)
    with open(archive, "ab") as file:
        file.write(b"x")
    with pytest.raises(Refused, match="is not what was delivered: its SHA-256 is"):
        back_up(place, archive=archive, archive_sha256=f"{archive}.sha256")
    assert names(place) == before


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../outside", tarfile.REGTYPE, ""),
        ("/etc/outside", tarfile.REGTYPE, ""),
        ("a/link", tarfile.SYMTYPE, "../../outside"),
        ("a/link", tarfile.SYMTYPE, "/etc"),
        ("a/hard", tarfile.LNKTYPE, "../outside"),
        ("a/device", tarfile.CHRTYPE, ""),
    ],
)
def test_an_archive_cannot_write_outside(place, tmp_path, name, kind, link):
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as packed:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        packed.addfile(member, io.BytesIO(b""))
    before = names(place)
    with pytest.raises(ActionFailed, match="leads outside or is not a file"):
        back_up(place, archive=str(path), archive_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert names(place) == before
    assert not (place.folder / "outside").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"archive": "/nope.tar", "archive_sha256": "0" * 64}, "archive: '/nope.tar' cannot be read on this host"),
        ({"archive": "nope.tar", "archive_sha256": "0" * 64}, "is not an absolute path"),
        ({"archive": "/nope.tar"}, "archive_sha256: None is needed with an archive"),
        ({"archive": "/nope.tar", "archive_sha256": "abc"}, "is not a SHA-256"),
        ({"keep": 0}, "keep: 0 is not a number of backups"),
    ],
)
def test_a_wrong_question_gets_one_line(place, options, words):
    with pytest.raises(WrongQuestion) as error:
        back_up(place, **options)
    assert words in str(error.value)


def test_no_value_is_named_so_that_ansible_adds_to_it():
    """AnsibleModule overwrites ``state``, ``mode`` and others in an answer that has ``path`` or ``dest``."""
    for result in (_release.Result(state="undone", path="/opt"), _release_backup.Result(path="/opt")):
        assert result.as_dict()["release_path"] == "/opt"
        assert not {"path", "dest"} & set(result.as_dict())
