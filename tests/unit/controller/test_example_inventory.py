# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the example of an inventory tells the people who copy it: the files and drivers that it wants, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry
from ansible_collections.ops.remediation.plugins.module_utils._core.check import variables_of
from inventory_rules import commented_out, explanations, uncommented

CHECKOUT = Path(__file__).resolve().parents[3]
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


# --- the files of variables

ENGLISH_WORDS = re.compile(r"[A-Za-z]{3,} [a-z]{2,}")
HANGUL = re.compile("[가-힣]{2,}")
PLAYBOOKS = ("release_backup_", "emergency_rollback_", "check_runtime_")


def unclear(text: str) -> list[str]:
    """Return the explanations that lack a language."""
    return [block for block in explanations(text) if not (ENGLISH_WORDS.search(block) and HANGUL.search(block))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_explanation_is_there_in_both_languages(path):
    text = path.read_text(encoding="utf-8")
    assert explanations(text)
    assert unclear(text) == []


def test_an_explanation_in_one_language_would_be_found():
    text = "---\n# Both of them. / 두 언어입니다.\na: 1\n  # Only the one.\nb: 2\n# 한국어만 있습니다.\n# stack_site: x\n# Only this.\n"
    assert unclear(text) == ["# Only the one.", "# 한국어만 있습니다.", "# Only this."]


def test_what_is_commented_out_is_told_from_an_explanation():
    text = "# An example: a list.\n# release_backup_dirs:\n#   - /backup\n# Prose: it is none.\n#   indented prose\n"
    assert commented_out(text) == [False, True, True, False, False]
    assert uncommented(text).splitlines()[1:3] == ["release_backup_dirs:", "  - /backup"]


def test_every_area_is_in_the_example():
    areas = [area for path in FILES for area in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("stack_areas", [])]
    assert set(areas) == set(registry.REGISTERED)


def test_what_differs_by_site_stands_in_the_files_of_the_sites():
    values = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
    seoul, busan = values["tank_seoul.yml"], values["tank_busan.yml"]
    assert set(seoul) == set(busan) >= {"stack_site", "stack_web_url", "stack_logsdb_host", "stack_oracle_targets", "stack_nas_mounts"}
    assert [name for name in seoul if seoul[name] == busan[name]] == []
    address = re.compile(r"\b(?:192\.0\.2|198\.51\.100)\.\d+")
    shared = {name: of for name, of in values.items() if name not in ("hosts.yml", "tank_seoul.yml", "tank_busan.yml")}
    assert [name for name, of in shared.items() if address.search(str(of))] == []


def test_outbound_names_oracle_and_logsdb_of_the_site():
    app = yaml.safe_load((EXAMPLE / "group_vars/tank_app.yml").read_text(encoding="utf-8"))
    places = "\n".join(app["stack_host_outbound"])
    for place in ("email.ap-southeast-1.amazonaws.com:443", "stack_oracle_targets[0].host", "stack_logsdb_host"):
        assert place in places


def test_backups_and_rollbacks_are_shown():
    taken = {name: of for path in FILES for name, of in (yaml.safe_load(uncommented(path.read_text(encoding="utf-8"))) or {}).items()}
    assert all(any(name.startswith(prefix) for name in taken) for prefix in PLAYBOOKS)


def test_what_is_commented_out_without_being_called_an_example_is_the_default():
    """A line that is commented out shows the default of the parameters that it fills, unless its explanation says that it is an example."""
    defaults = {
        name: spec.get("default")
        for check in registry.every()
        for spec in check.parameters.values()
        for name in variables_of(spec)[:1]
        if spec.get("default") is not None
    }
    shown = {}
    for path in FILES:
        for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            if not re.search(r"[Ee]xample|예시", block):
                taken = "\n".join(line for line, is_one in zip(block.splitlines(), commented_out(block), strict=True) if is_one)
                shown |= yaml.safe_load(uncommented(taken)) or {}
    told = {name: value for name, value in shown.items() if name in defaults and name != "stack_ses_key_advice_days"}
    assert len(told) > 15
    assert {name: defaults[name] for name in told} == told
