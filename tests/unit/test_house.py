# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are: imports go only downwards, areas do not know each other's private files, and a module ships what it needs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry

CHECKOUT = Path(__file__).resolve().parents[2]
HOUSE = CHECKOUT / "plugins/module_utils"
# A floor imports those before it, and itself.
FLOORS = ("_core", "_shared", "_areas", "_actions", "_modules")
# What every area may read of every other one: which faults there are.
PUBLIC = "faults"
# Files of _areas that know all areas.
TABLES = ("registry", "catalogue")


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield what a file imports of the house, as parts of a path: ("_areas", "pm2", "read_list", "LIST")."""
    package = path.relative_to(HOUSE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ()))
            yield from ((*base, alias.name) for alias in node.names)


FILES = sorted(HOUSE.rglob("*.py"))
IMPORTS = {path.relative_to(HOUSE): list(imports(path)) for path in FILES}


def test_there_is_something_to_look_at():
    assert len(FILES) > 100
    assert sum(map(len, IMPORTS.values())) > 500


def test_imports_go_downwards():
    wrong = [
        f"{path} imports {'.'.join(target)}"
        for path, targets in IMPORTS.items()
        if path.name != "__init__.py"
        for target in targets
        if FLOORS.index(target[0]) > FLOORS.index(path.parts[0])
    ]
    assert wrong == []


def test_no_area_imports_a_private_file_of_another():
    wrong = [
        f"{path} imports {'.'.join(target)}"
        for path, targets in IMPORTS.items()
        if path.parts[0] == "_areas" and path.stem not in TABLES
        for target in targets
        if target[0] == "_areas" and target[1] != path.parts[1] and target[2:3] != (PUBLIC,)
    ]
    assert wrong == []


def test_areas_make_no_circle():
    needs = {area: set() for area in registry.AREAS}
    for path, targets in IMPORTS.items():
        if path.parts[0] == "_areas" and len(path.parts) > 2:
            needs[path.parts[1]] |= {target[1] for target in targets if target[0] == "_areas" and target[1] != path.parts[1]}
    # Take away areas that need none of the others, until none is left.
    while free := [area for area, others in needs.items() if not others & set(needs)]:
        for area in free:
            del needs[area]
    assert needs == {}


@pytest.mark.parametrize("area", registry.AREAS)
def test_an_area_has_its_parts(area):
    folder = HOUSE / "_areas" / area
    assert {path.name for path in folder.iterdir()} >= {"__init__.py", "faults.py", "texts.yml"}
    for check in registry.REGISTERED.get(area, tuple)():
        assert (folder / f"check_{check.id.partition('.')[2]}.py").is_file(), f"{check.id} has no file of its name"


def test_packages_are_empty_and_names_are_nobody_elses():
    folders = {path.parent for path in FILES}
    assert [str(folder) for folder in folders if (folder / "__init__.py").read_text(encoding="utf-8") != ""] == []
    assert [str(path) for path in FILES if path.stem in sys.stdlib_module_names] == []
