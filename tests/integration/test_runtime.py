# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real environments of the runtime, made from a wheelhouse of small packages of our own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._actions import runtime as _runtime
from ansible_collections.ops.remediation.plugins.module_utils._actions.runtime import Request, bring
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import ActionFailed

SOME_HASH = f"--hash=sha256:{'0' * 64}"


def make_wheel(folder: Path, name: str, version: str, requires: str = "") -> str:
    """Make a real wheel with one module and a script; returns its line for a requirements file."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (f"Requires-Dist: {requires}\n" if requires else "")
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-says = {name}:print\n",
    }
    record = [f"{path},sha256={digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in files.items():
            archive.writestr(place, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory):
    return tmp_path_factory.mktemp("wheelhouse")


@pytest.fixture(scope="module")
def pins(wheelhouse):
    """Return requirements by name: two versions, one that lacks what it wants, one with another hash."""
    other = make_wheel(wheelhouse, "other", "3.0")
    return {
        "old": f"{make_wheel(wheelhouse, 'tiny', '1.0')}\n{other}",
        "new": f"{make_wheel(wheelhouse, 'tiny', '2.0')}\n{other}",
        "torn": make_wheel(wheelhouse, "torn", "1.0", requires="nowhere>=1"),
        "tampered": f"{make_wheel(wheelhouse, 'tampered', '1.0').split(' --hash')[0]} {SOME_HASH}",
    }


@pytest.fixture
def request_for(wheelhouse, tmp_path, pins):
    def make(name, **changes):
        given = {
            "path": str(tmp_path / "made" / "runtime"),
            "requirements": pins[name],
            "wheelhouse": str(wheelhouse),
            "python": sys.executable,
        }
        return Request(**{**given, **changes})

    return make


def says(result, code="import tiny; print(tiny.VERSION)"):
    return subprocess.run([result.interpreter, "-I", "-c", code], capture_output=True, text=True, timeout=20, check=True).stdout.strip()


def tree(folder: str) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in [Path(folder), *sorted(Path(folder).rglob("*"))]}


def test_the_life_of_a_runtime(request_for, tmp_path, monkeypatch):
    """One after the other, since each environment takes seconds: plan, make, again, upgrade, failed upgrade, repair, remove."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/")  # nothing may come from an index
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    old, new = request_for("old"), request_for("new")

    planned = bring(old, check_mode=True)
    assert planned.changed
    assert not (tmp_path / "made").exists()

    made = bring(old, check_mode=False)
    assert (made.changed, made.packages) == (True, {"tiny": "1.0", "other": "3.0"})
    assert made.after == planned.after == (f"Python {made.version}", "other 3.0", "tiny 1.0")
    assert (made.before, says(made)) == ((), "1.0")
    assert says(made, "import sys; print(sys.prefix)") == old.path
    assert {name.name.rstrip("0123456789.") for name in Path(old.path, "bin").iterdir()} == {"python"}
    assert "runtime.new" not in Path(old.path, "pyvenv.cfg").read_text()
    assert [path for path in Path(old.path).rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022] == []
    assert os.stat(old.path).st_mode & 0o777 == 0o755

    before = tree(old.path)
    again = bring(old, check_mode=False)
    assert (again.changed, again.packages, again.before) == (False, made.packages, again.after)
    assert not bring(replace(old, wheelhouse="", wheels=("none.whl",)), check_mode=True).changed, "what is whole needs no wheels"

    assert bring(new, check_mode=True).after == (f"Python {made.version}", "other 3.0", "tiny 2.0")
    # As after an upgrade that was ended between its two renamings.
    os.rename(old.path, f"{old.path}.old")
    for wrong, words in (("torn", "the packages conflict: torn 1.0 requires nowhere"), ("tampered", "DO NOT MATCH THE HASHES")):
        with pytest.raises(ActionFailed, match=words):
            bring(request_for(wrong), check_mode=False)
    assert tree(old.path) == before
    assert [path.name for path in Path(old.path).parent.iterdir()] == ["runtime"]

    upgraded = bring(new, check_mode=False)
    assert (upgraded.changed, upgraded.before[2], upgraded.after[2], says(upgraded)) == (True, "tiny 1.0", "tiny 2.0", "2.0")

    next(Path(new.path).rglob("tiny-2.0.dist-info/METADATA")).unlink()
    assert bring(new, check_mode=True).changed
    assert says(bring(new, check_mode=False)) == "2.0"

    gone = replace(new, state="absent")
    assert bring(gone, check_mode=True).changed
    assert says(upgraded) == "2.0"
    assert bring(gone, check_mode=False).before[0].startswith("Python 3.")
    assert list(tmp_path.iterdir()) == [], "the folder above was made too, and is empty"
    assert not bring(gone, check_mode=False).changed
    assert not (tmp_path / "made").exists()


def test_two_runs_at_once_make_it_once(request_for):
    request, results = request_for("old"), []
    runs = [threading.Thread(target=lambda: results.append(bring(request, check_mode=False))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(120)
    assert sorted(result.changed for result in results) == [False, True]
    assert [says(result) for result in results] == ["1.0", "1.0"]


def test_what_an_interrupted_run_left_is_known_and_cleared(request_for):
    request = request_for("old")
    for name in ("runtime.new", "runtime.old"):
        leftover = Path(request.path).with_name(name)
        (leftover / "lib").mkdir(parents=True)
        (leftover / _runtime.MARKER).write_text(json.dumps({"made_by": _runtime.MADE_BY}))
    assert says(bring(request, check_mode=False)) == "1.0"
    assert [path.name for path in Path(request.path).parent.iterdir()] == ["runtime"]


def test_a_time_limit_holds_and_leaves_nothing(request_for, tmp_path):
    started = time.monotonic()
    with pytest.raises(ActionFailed, match="timeout: the runtime was not made in time; raise the limit"):
        bring(request_for("old", timeout=0.3), check_mode=False)
    assert time.monotonic() - started < 5
    assert list(tmp_path.iterdir()) == []


def test_an_index_that_cannot_be_reached_is_told_in_one_line(request_for, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:planted-7a1@127.0.0.1:1/simple")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ActionFailed) as caught:
        bring(request_for("old", wheelhouse=""), check_mode=False)
    assert caught.value.message.startswith(
        "pip could not install the packages: Could not find a version that satisfies the requirement tiny==1.0"
    )
    assert "planted-7a1" not in caught.value.message
    assert "\n" not in caught.value.message
    assert list(tmp_path.iterdir()) == []
