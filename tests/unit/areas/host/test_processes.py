# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of processes."""

from __future__ import annotations

import subprocess
import sys
import time

from ansible_collections.ops.remediation.plugins.module_utils._shared import proc


def test_a_process_says_its_script_and_no_other_argument():
    command = [sys.executable, "-c", "import time; time.sleep(30)", "--password=planted", "worker.js"]
    child = subprocess.Popen(command)
    try:
        time.sleep(0.1)
        said = proc.label(child.pid, "python3")
    finally:
        child.kill()
        child.wait()
    assert said == "python3 (worker.js)"
