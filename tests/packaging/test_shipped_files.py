# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible sends to a host for each module: the files that are listed, and no area that the module does not check."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
LISTED = yaml.safe_load((CHECKOUT / "tests/packaging/shipped_files.yml").read_text(encoding="utf-8"))
ALL = "all"
# The areas whose checks a module runs, or whose readers an action uses; a module may ship the faults.py of others.
AREAS = {
    "attachment_scan": {"attachments", "nas"},
    "check_runtime": set(),
    "host_check": {"host"},
    "log_scan": {"backend", "worker"},
    "oracle_connect_test": {"oracle"},
    "pm2_control": {"pm2"},
    "release_backup": {"nginx", "pm2"},
    "release_info": {"nginx", "pm2"},
    "release_rollback": {"nginx", "pm2"},
    "ses_quota": {"ses"},
    "stack_check": ALL,
    "web_check": {"backend", "web"},
}


@pytest.fixture(scope="module")
def shipped():
    """Return {module: files} as the present ansible-core builds the modules."""
    program = "import json, sys; sys.path.insert(0, sys.argv[1]); import shipped_files as s; print(json.dumps({n: p.files for n, p in s.payloads().items()}))"
    argv = [sys.executable, "-c", program, str(CHECKOUT / "tools")]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_each_module_ships_the_files_that_are_listed(shipped):
    assert shipped == LISTED, "after a look at the difference: python tools/shipped_files.py --write"


@pytest.mark.parametrize("module", sorted(LISTED))
def test_a_module_ships_its_own_areas_only(module):
    if AREAS[module] == ALL:
        return
    folders = {
        Path(name).parts[2]
        for name in LISTED[module]
        if "/_areas/" in name and Path(name).name not in ("__init__.py", "faults.py", "catalogue.py")
    }
    assert folders <= AREAS[module]
