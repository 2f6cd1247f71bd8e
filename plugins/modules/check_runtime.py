#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: check_runtime
short_description: Make a virtual environment with the drivers that some checks need
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Makes a virtual environment on the host with exactly the packages of O(requirements), or removes it. The variable
    C(stack_check_python) must then be set to its interpreter, RV(interpreter).
  - It is built beside its final path and then renamed, so that a failed upgrade leaves the former environment in use.
  - Only wheels with a pinned hash are installed. The Python of the system and its packages are not changed.
  - Works on Debian and Ubuntu without the package C(python3-venv) where O(wheelhouse) is given or pip is installed.
notes:
  - C(ansible.builtin.pip) reports a change for every requirements file in check mode, and leaves half an environment when it fails.
  - Proxies, indexes and certificates are those of pip on the host (C(/etc/pip.conf), or the task's C(environment)).
attributes:
  check_mode:
    support: full
    description: Searches for a Python, compares the packages, and returns what would be made.
  diff_mode:
    support: full
    description: Shows the version of Python and of each package before and after.
  idempotent:
    support: full
    description: Changes nothing while the pins are the same and the environment is intact.
  action:
    support: full
    description: Sends the wheels that the host needs, only when something has to change.
options:
  path:
    description:
      - Folder of the environment. Missing parent folders are made.
      - The module fails where this path holds anything that it has not made itself.
    type: path
    default: /opt/ops-remediation/runtime
  state:
    description: V(absent) removes only what this module made.
    type: str
    choices: [present, absent]
    default: present
  requirements:
    description:
      - The text of a requirements file. Each package is pinned as C(name==version) with C(--hash=sha256:...) of its wheels.
      - Needed for O(state=present). The role of the same name provides one.
    type: str
  python:
    description: Python on the host, 3.10 or newer, that makes the environment; by default the newest one of the system.
    type: str
  wheelhouse:
    description:
      - Folder on the controller with wheels of all packages; the README of the role C(check_runtime) says how to fill it.
      - Without it, pip uses the index that is configured on the host.
    type: path
  timeout:
    description: Time limit for making the environment, in seconds.
    type: int
    default: 300
  wheels:
    description: Names of the wheels in the wheelhouse. Filled in by the action plugin.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ops.remediation.attributes
seealso:
  - module: ops.remediation.stack_check
"""

EXAMPLES = r"""
- name: Make the runtime from a wheelhouse
  ops.remediation.check_runtime:
    requirements: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"
    wheelhouse: /srv/ops/wheelhouse

- name: Remove it
  ops.remediation.check_runtime:
    state: absent
"""

RETURN = r"""
msg:
  description: The outcome, in check mode the planned one, in one line.
  returned: always
  type: str
  sample: "/opt/ops-remediation/runtime is made with Python 3.11 (/usr/bin/python3.11): 13 packages"
interpreter:
  description: Python of the environment, the value for the variable C(stack_check_python); empty when it was removed.
  returned: success
  type: str
  sample: /opt/ops-remediation/runtime/bin/python
version:
  description: Its version.
  returned: success
  type: str
  sample: "3.11"
packages:
  description: Versions of the packages in it.
  returned: success
  type: dict
  sample:
    boto3: 1.44.5
    oracledb: 26.1.0
wheels:
  description: The wheels that the host needs.
  returned: success
  type: list
  elements: str
findings:
  description: A finding of C(run.runtime), for the run record.
  returned: always
  type: list
  elements: dict
expected:
  description: What the run record expects, C(run.runtime).
  returned: always
  type: list
  elements: str
asked_from:
  description: Inventory name of the host.
  returned: always
  type: str
site:
  description: Value of the variable C(stack_site).
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ops.remediation.plugins.module_utils._actions.runtime import Request, bring
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import run_module

ARGUMENTS = {
    "path": {"type": "path", "default": "/opt/ops-remediation/runtime"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "requirements": {"type": "str"},
    "python": {"type": "str"},
    "wheelhouse": {"type": "path"},
    "timeout": {"type": "int", "default": 300},
    "wheels": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    """Bring the runtime into the wanted state."""
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=[("state", "present", ["requirements"])], supports_check_mode=True)
    given = {name: value or "" for name, value in module.params.items() if name not in ("wheels", "timeout")}
    request = Request(**given, wheels=tuple(module.params["wheels"]), timeout=float(module.params["timeout"]))
    # Names of wheels without a wheelhouse: the action plugin finds out which of them to send, and nothing can be installed yet.
    only_names = bool(request.wheels and not request.wheelhouse)

    def body() -> dict[str, Any]:
        result = bring(request, check_mode=module.check_mode or only_names)
        return {**result.as_dict(), **({"diff": result.diff(request.path)} if module._diff else {})}

    run_module(module, body, failure=lambda _error: {})


if __name__ == "__main__":
    main()
