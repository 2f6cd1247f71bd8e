# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are read."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import paths

from ...areas.pm2 import helpers as pm2_helpers


def test_which_logs_get_no_errors(monkeypatch):
    files = {"pm_err_log_path": "/l/backend-error.log", "pm_out_log_path": "/l/backend-out.log"}
    both = {"pm_err_log_path": "/l/worker.log", "pm_out_log_path": "/l/worker.log"}
    listed = [pm2_helpers.entry("backend", **files), pm2_helpers.entry("worker", **both)]
    monkeypatch.setattr(paths.pm2_rpc, "call", lambda *_arguments, **_options: listed)
    processes = paths.application_logs("/home/tankmail/.pm2", None, 1.0)["processes"]
    assert processes["backend"]["paths"] == ["/l/backend-error.log", "/l/backend-out.log"]
    assert (processes["backend"]["outputs"], processes["worker"]["outputs"]) == (["/l/backend-out.log"], [])


def test_paths_must_be_absolute_and_patterns_are_expanded(tmp_path):
    for name in ("a.log", "b.log", "b.log.gz"):
        (tmp_path / name).write_text("x")
    found, left = paths.expand([f"{tmp_path}/*.log*"])
    assert (sorted(found), left) == ([f"{tmp_path}/a.log", f"{tmp_path}/b.log"], {})
    assert paths.expand([f"{tmp_path}/absent.log"]) == ([f"{tmp_path}/absent.log"], {})
    with pytest.raises(WrongQuestion):
        paths.expand(["a.log"])


def test_what_paths_leave_out_is_named(tmp_path):
    for number in range(paths.MAX_FILES + 2):
        (tmp_path / f"{number}.txt").write_text("x")
    (tmp_path / "old.gz").write_text("x")
    found, left = paths.expand([f"{tmp_path}/*.log", f"{tmp_path}/old.gz", f"{tmp_path}/one.log", f"{tmp_path}/*.txt"])
    assert len(found) == paths.MAX_FILES
    assert "no file matches" in left.pop(f"{tmp_path}/*.log")
    assert "is packed" in left.pop(f"{tmp_path}/old.gz")
    assert "62 files match" in left.pop(f"{tmp_path}/*.txt")
    beyond = next(iter(left))
    assert len(left) == 1
    assert beyond.endswith(".txt")
    assert beyond not in found
