# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the example of an inventory tells the people who copy it: the files and drivers that it wants, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "inventories/example"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
ENGLISH, KOREAN = README.split("## 한국어")
FILES = sorted(path for path in EXAMPLE.rglob("*") if path.name.endswith((".yml", ".yml.example")))
SECRETS = re.compile(r"/etc/ops-remediation/[\w.-]+")


def test_the_readme_tells_of_each_file_with_a_secret():
    used = {name for path in FILES for name in SECRETS.findall(path.read_text(encoding="utf-8"))}
    assert used, "the example refers to no file with a secret"
    assert set(SECRETS.findall(ENGLISH)) == set(SECRETS.findall(KOREAN)) == used
    made = re.findall(r"umask 077; cat >(/etc/ops-remediation/[\w.-]+)'", ENGLISH)
    assert sorted(made) == sorted(used)


@pytest.mark.parametrize("part", [ENGLISH, KOREAN], ids=["en", "ko"])
def test_the_readme_tells_of_each_driver(part):
    wanted = (CHECKOUT / "meta/ee-requirements.txt").read_text(encoding="utf-8")
    names = re.findall(r"(?m)^([A-Za-z0-9]+)", wanted)
    assert "psycopg" in names
    assert [name for name in names if name.lower() not in part.lower()] == []
    assert "check_runtime" in part
