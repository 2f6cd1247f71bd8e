# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts of a mountinfo, and which of them are measured."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._shared import mounts as _mounts

from ..areas.host.helpers import mounts


def chosen(only=(), paths=()):
    found, missing = _mounts.choose_mounts(mounts(), only, paths)
    return sorted(entry["mount"] for entry in found), missing


def test_local_file_systems_are_asked_each_once():
    assert chosen() == (["/", "/batch files", "/data"], [])


def test_others_are_asked_by_name():
    assert chosen(paths=["/nas/report/2026", "/tmp/x"]) == (["/", "/batch files", "/data", "/nas", "/tmp"], [])
    assert chosen(only=["/tmp/", "/gone"]) == (["/tmp"], ["/gone"])


def test_a_container_has_its_overlay():
    found, _missing = _mounts.choose_mounts(_mounts.parse_mounts("1 0 0:9 / / rw - overlay overlay rw\n"), [], [])
    assert [entry["mount"] for entry in found] == ["/"]
