# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime of checks: pins, wheels, places and the choice of a Python. tests/integration makes real ones."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.module_utils._actions import runtime as _runtime
from ansible_collections.ops.remediation.plugins.module_utils._actions.runtime import Interpreter, Request, bring, fitting, parse_pins
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion
from ansible_collections.ops.remediation.plugins.modules import check_runtime as module

CHECKOUT = Path(__file__).resolve().parents[3]
REQUIREMENTS = (CHECKOUT / "roles/check_runtime/files/requirements.txt").read_text(encoding="utf-8")
SOME_HASH = f"--hash=sha256:{'0' * 64}"


# --- pins


def test_the_roles_own_pins_are_those_of_development():
    pins = {name: pin.version for name, pin in parse_pins(REQUIREMENTS).items()}
    development = (CHECKOUT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    assert {f"{name}=={pins[name]}" for name in ("boto3", "oracledb")} <= set(development)
    assert {"pip", "botocore", "cryptography", "python-dateutil", "typing-extensions"} <= set(pins)
    assert all(len(digest) == 64 for pin in parse_pins(REQUIREMENTS).values() for digest in pin.hashes)


def test_pins_go_over_lines_and_know_comments():
    text = f"# what is wanted\n\nTyping_Extensions==4.16.0 \\\n    {SOME_HASH} \\\n    --hash=sha256:{'1' * 64}\nsix==1.17.0 {SOME_HASH} # small\n"
    pins = parse_pins(text)
    assert [(name, pin.version, len(pin.hashes)) for name, pin in pins.items()] == [
        ("typing-extensions", "4.16.0", 2),
        ("six", "1.17.0", 1),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "oracledb",
        "oracledb>=2.0",
        "oracledb==26.1.0",
        f"oracledb {SOME_HASH}",
        "-r other.txt",
        "oracledb==1 --hash=md5:00",
        "--index-url x",
    ],
)
def test_what_is_not_pinned_is_refused(line):
    with pytest.raises(WrongQuestion) as caught:
        parse_pins(f"six==1.17.0 {SOME_HASH}\n{line}\n")
    assert line in caught.value.message
    assert "is not name==version with --hash" in caught.value.message


def test_an_empty_file_is_refused():
    with pytest.raises(WrongQuestion, match="names no package"):
        parse_pins("# nothing\n")


# --- which wheels a Python can use


@pytest.mark.parametrize(
    ("tags", "version", "machine", "musl", "fits"),
    [
        ("py3-none-any", (3, 13), "x86_64", False, True),
        ("py2.py3-none-any", (3, 10), "aarch64", True, True),
        ("py2-none-any", (3, 10), "x86_64", False, False),
        ("cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64", (3, 11), "x86_64", False, True),
        ("cp311-cp311-manylinux2014_x86_64", (3, 12), "x86_64", False, False),
        ("cp311-cp311-manylinux2014_x86_64", (3, 11), "aarch64", False, False),
        ("cp311-cp311-musllinux_1_2_x86_64", (3, 11), "x86_64", False, False),
        ("cp311-cp311-musllinux_1_2_x86_64", (3, 11), "x86_64", True, True),
        ("cp311-cp311-manylinux2014_x86_64", (3, 11), "x86_64", True, False),
        ("cp39-abi3-manylinux_2_28_x86_64", (3, 13), "x86_64", False, True),
        ("cp311-abi3-manylinux_2_28_x86_64", (3, 10), "x86_64", False, False),
        ("cp313-cp313t-manylinux_2_28_x86_64", (3, 13), "x86_64", False, False),
        ("cp311-cp311-win_amd64", (3, 11), "x86_64", False, False),
        ("cp311-cp311-linux_x86_64", (3, 11), "x86_64", False, True),
    ],
)
def test_tags_of_a_wheel(tags, version, machine, musl, fits):
    pins = parse_pins(f"some-thing==1.0 {SOME_HASH}")
    wheel = f"some_thing-1.0-{tags}.whl"
    used, missing = fitting([wheel], pins, Interpreter("/usr/bin/python3", version, machine, musl))
    assert (used, missing) == (([wheel], []) if fits else ([], ["some-thing 1.0"]))


def test_only_the_pinned_version_counts():
    pins = parse_pins(f"six==1.17.0 {SOME_HASH}")
    names = ["six-1.16.0-py3-none-any.whl", "six-1.17.0.tar.gz", "README", "six-1.17.0-1-py3-none-any.whl"]
    assert fitting(names, pins, Interpreter("x", (3, 11), "x86_64")) == (["six-1.17.0-1-py3-none-any.whl"], [])


# --- places


@pytest.fixture
def request_for(tmp_path):
    """Return a function that makes a request with the names of wheels for packages of our own; nothing is installed from them."""

    def make(name="tiny", **changes):
        given = {"path": str(tmp_path / "made" / "runtime"), "requirements": f"{name}==1.0 {SOME_HASH}", "python": sys.executable}
        return Request(**{**given, "wheels": ("tiny-1.0-py3-none-any.whl", "foreign-1.0-cp310-cp310-manylinux2014_s390x.whl"), **changes})

    return make


def test_a_folder_that_was_not_made_here_is_left_alone(request_for):
    request = request_for()
    mine = Path(request.path)
    mine.mkdir(parents=True)
    (mine / "precious").write_text("x")
    for state in ("present", "absent"):
        with pytest.raises(WrongQuestion, match="was not made here: it has no"):
            bring(replace(request, state=state), check_mode=False)
    assert (mine / "precious").read_text() == "x"


def test_something_else_in_the_runtime_is_left_alone(request_for):
    request = request_for()
    mine = Path(request.path)
    (mine / "bin").mkdir(parents=True)
    (mine / "precious").write_text("x")
    (mine / _runtime.MARKER).write_text(json.dumps({"made_by": _runtime.MADE_BY, "entries": ["bin"]}))
    for state in ("present", "absent"):
        with pytest.raises(WrongQuestion, match="holds precious, which was not made here"):
            bring(replace(request, state=state), check_mode=False)
    assert (mine / "precious").read_text() == "x"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_or_a_link_is_no_folder_of_ours(request_for, tmp_path, kind):
    request = request_for(path=str(tmp_path / "runtime"))
    if kind == "file":
        Path(request.path).write_text("x")
    else:
        (tmp_path / "elsewhere").mkdir()
        Path(request.path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WrongQuestion, match="is not a folder that was made here"):
        bring(request, check_mode=False)


@pytest.mark.parametrize("path", ["runtime", "/", "../x"])
def test_a_path_must_be_absolute(request_for, path):
    with pytest.raises(WrongQuestion, match="is not an absolute path of a folder"):
        bring(request_for(path=path), check_mode=False)


def test_a_place_that_others_can_write_to_is_refused(request_for, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(WrongQuestion, match="all users may write to"):
        bring(request_for(path=str(shared / "runtime")), check_mode=True)
    shared.chmod(0o1777)
    assert bring(request_for(path=str(shared / "runtime")), check_mode=True).changed


# --- which Python


def test_a_python_that_does_not_exist(request_for):
    with pytest.raises(
        WrongQuestion, match=r"python: 'python3\.77' cannot be used \(python3\.77: does not exist\); name a Python 3\.10 or newer"
    ):
        bring(request_for(python="python3.77"), check_mode=True)


def test_a_program_that_is_no_python(request_for):
    with pytest.raises(WrongQuestion, match="cannot be used"):
        bring(request_for(python="/bin/true"), check_mode=True)


def test_a_python_that_is_too_old(request_for, monkeypatch):
    monkeypatch.setattr(_runtime, "OLDEST", (3, 99))
    version = ".".join(map(str, sys.version_info[:2]))
    with pytest.raises(WrongQuestion, match=f"is Python {version}"):
        bring(request_for(), check_mode=True)
    with pytest.raises(WrongQuestion, match=r"no Python 3\.10 or newer was found here .*dnf install python3\.11.*stack_checker"):
        bring(request_for(python=""), check_mode=True)


def test_a_wheelhouse_for_another_machine(request_for):
    with pytest.raises(
        WrongQuestion, match=r"the wheelhouse lacks foreign 1\.0 for Python .* as the README of the role check_runtime describes$"
    ):
        bring(request_for("foreign", python=""), check_mode=True)


def test_the_systems_python_comes_first_and_old_ones_do_not_count(request_for):
    result = bring(request_for(python=""), check_mode=True)
    assert tuple(map(int, result.version.split("."))) >= _runtime.OLDEST


# --- the module


def run_module(capsys, **arguments):
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code, json.loads(capsys.readouterr().out)


def test_the_module_plans_with_the_names_of_wheels_alone(capsys, request_for, tmp_path):
    request = request_for()
    given = {"path": request.path, "requirements": request.requirements, "wheels": list(request.wheels), "python": request.python}
    code, answer = run_module(capsys, _ansible_diff=True, **given)
    assert (code, answer["changed"]) == (0, True)
    assert answer["wheels"] == ["tiny-1.0-py3-none-any.whl"]
    assert answer["diff"]["after"] == f"Python {answer['version']}\ntiny 1.0\n"
    assert list(tmp_path.iterdir()) == []


def test_the_module_fails_with_one_line(capsys, tmp_path):
    code, answer = run_module(capsys, path=str(tmp_path / "runtime"), requirements="oracledb")
    assert code == 1
    assert answer["msg"].startswith("requirements: 'oracledb' is not name==version")


def test_the_module_wants_pins(capsys, tmp_path):
    code, answer = run_module(capsys, path=str(tmp_path / "runtime"))
    assert code == 1
    assert "requirements" in answer["msg"]
