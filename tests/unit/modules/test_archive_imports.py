# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports from the archive that Ansible sends: each file is compiled once, and modules are what they would be otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._modules import archive_imports

PLACE = "ansible_collections/ops/remediation/plugins/module_utils"
PROGRAM = """
import json, sys, zipimport
counted = []
compile_source = zipimport._compile_source
zipimport._compile_source = lambda path, source: counted.append(path) or compile_source(path, source)
sys.path.insert(0, sys.argv[1])
from ansible_collections.ops.remediation.plugins.module_utils._modules import archive_imports
if sys.argv[2] == "once":
    archive_imports.compile_once()
    archive_imports.compile_once()
from ansible_collections.ops.remediation.plugins.module_utils import _probe
from ansible_collections.ops.remediation.plugins.module_utils._probe import first, second
from ansible_collections.ops.remediation.plugins.module_utils._probe.deeper import third
missing = False
try:
    from ansible_collections.ops.remediation.plugins.module_utils._probe import absent
except ImportError:
    missing = True
described = {
    module.__name__: [module.__file__, module.__package__, list(getattr(module, "__path__", [])), module.VALUE]
    for module in (_probe, first, second, third)
}
print(json.dumps({"modules": described, "missing": missing, "compiled": sum("_probe" in path for path in counted)}))
"""


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "payload.zip"
    files = {
        "_probe/__init__.py": "VALUE = 'package'\n",
        "_probe/first.py": "VALUE = 'first'\n",
        "_probe/second.py": "from .first import VALUE as BEFORE\nVALUE = BEFORE + ' second'\n",
        "_probe/deeper/__init__.py": "",
        "_probe/deeper/third.py": "from ..second import VALUE as BEFORE\nVALUE = BEFORE + ' third'\n",
        "_modules/__init__.py": "",
        "_modules/archive_imports.py": Path(archive_imports.__file__).read_text(encoding="utf-8"),
        "__init__.py": "",
    }
    with zipfile.ZipFile(path, "w") as made:
        for number in range(1, len(Path(PLACE).parts)):
            made.writestr("/".join([*Path(PLACE).parts[:number], "__init__.py"]), "")
        for name, source in files.items():
            made.writestr(f"{PLACE}/{name}", source)
    return path


def imported(archive, how):
    argv = [sys.executable, "-S", "-E", "-c", PROGRAM, str(archive), how]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_modules_are_the_same_and_are_compiled_less_often(archive):
    ours, pythons = imported(archive, "once"), imported(archive, "usual")
    assert ours["modules"] == pythons["modules"]
    assert ours["missing"] and pythons["missing"]
    assert ours["modules"][f"{PLACE.replace('/', '.')}._probe.deeper.third"][3] == "first second third"
    # The first module of each package comes through Python's own finder, which then knows the folder of the archive.
    assert ours["compiled"] <= pythons["compiled"]
    if sys.version_info < (3, 13):
        assert ours["compiled"] < pythons["compiled"]


def test_files_outside_an_archive_and_modules_of_others_are_left_to_python():
    folder = str(Path(archive_imports.__file__).parent)
    find = archive_imports.ArchiveFinder.find_spec
    assert find(f"{archive_imports.OURS}._modules.run_module", [folder]) is None
    assert find("json.decoder", [folder]) is None
    assert find(archive_imports.OURS) is None
