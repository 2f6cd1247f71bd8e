# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading file systems and the sizes of folders, whatever an earlier run left."""

from __future__ import annotations

import subprocess

from ansible_collections.ops.remediation.plugins.module_utils._areas.host import read_disks
from ansible_collections.ops.remediation.plugins.module_utils._shared import series
from hypothesis import given

from .helpers import ANY, FUZZ, NOW


def test_a_disk_is_read_as_df_reads_it(tmp_path):
    (entry,) = read_disks.read_disks(only=["/"])["disks"]
    shown = subprocess.run(["df", "-k", "--output=pcent,iused", "/"], capture_output=True, text=True, check=True).stdout.split()
    percent = 100 * entry["used"] / (entry["used"] + entry["free"])
    assert abs(percent - int(shown[2].rstrip("%"))) <= 1.5


def test_sizes_of_folders(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "large").write_bytes(b"x" * 200_000)
    (tmp_path / "small").write_bytes(b"x")
    found, *rest = read_disks.folder_sizes([str(tmp_path), str(tmp_path / "gone")])
    assert rest == []
    assert found["whole"]
    assert found["largest"][0]["name"] == "a/b/large"
    assert 200_000 <= found["size"] < 300_000


@FUZZ
@given(ANY, ANY)
def test_any_memory_is_survived(points, kept):
    series.forecast(points, NOW, 1e9, least_points=4, least_seconds=3600)
    series.add(points, [NOW, 1, 2])
    series.growth(points, NOW, 5)
    disks = {"at": NOW, "disks": [{"mount": "/", "device": "d", "used": 1, "size": 2, "error": ""}], "folders": [], "missing": []}
    read_disks.remember_disks(disks, kept)
    read_disks.remember_disks(disks, {"disks": {"/ d": points}, "folders": kept})
