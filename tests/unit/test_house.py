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
# Who connects by TCP, so that a time limit, several addresses and each kind of failure are handled once.
CONNECTS = "module_utils/_shared/tcp.py"
NETWORK_CALLS = ("socket", "create_connection", "getaddrinfo", "gethostbyname", "gethostbyname_ex")
# Calls elsewhere, each with the reason why it is no TCP connection.
NO_TCP = {
    ("module_utils/_shared/pm2_rpc.py", "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)"): "PM2 listens on a Unix socket",
    ("module_utils/_shared/dns.py", "socket.socket(family, socket.SOCK_DGRAM)"): "UDP: all queries over one socket",
    ("module_utils/_areas/host/read_clock.py", "socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)"): "NTP is UDP",
    ("module_utils/_areas/host/read_clock.py", "socket.socket(family, kind, protocol)"): "NTP is UDP: the kind is that of the line above",
    (
        "module_utils/_areas/nginx/ports.py",
        "socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)",
    ): "binds a UDP socket to learn whether an address is this machine's, and connects to nothing",
}


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


def test_one_file_connects_by_tcp():
    found = set()
    for path in sorted((CHECKOUT / "plugins").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func if isinstance(node, ast.Call) else None
            if isinstance(name, ast.Attribute) and ast.unparse(name.value) == "socket" and name.attr in NETWORK_CALLS:
                found.add((path.relative_to(CHECKOUT / "plugins").as_posix(), ast.unparse(node)))
            # What is imported by name would not be found above.
            assert not (isinstance(node, ast.ImportFrom) and node.module == "socket"), f"{path}: import socket, and nothing from it"
    assert {path for path, _call in found} >= {CONNECTS}
    assert {(path, call) for path, call in found if path != CONNECTS} == set(NO_TCP)


def test_packages_are_empty_and_names_are_nobody_elses():
    folders = {path.parent for path in FILES}
    assert [str(folder) for folder in folders if (folder / "__init__.py").read_text(encoding="utf-8") != ""] == []
    assert [str(path) for path in FILES if path.stem in sys.stdlib_module_names] == []
