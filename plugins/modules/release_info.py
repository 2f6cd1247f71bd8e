#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: List the releases of an installation that a rollback can take
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Lists backups, releases that were put aside, and releases behind a link, each with date, size, whether it is complete and whether it runs.
  - Changes nothing.
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Changes nothing.
  action:
    support: full
    description: Returns a finding for the run record.
extends_documentation_fragment:
  - ops.remediation.attributes
  - ops.remediation.release
seealso:
  - module: ops.remediation.release_rollback
"""

EXAMPLES = r"""
- name: List the candidates for a rollback
  ops.remediation.release_info:
    app_dir: /opt/tank-mail-app
"""

RETURN = r"""
layout:
  description: V(folder), or V(link) for releases behind a symbolic link.
  returned: success
  type: str
live:
  description: Folder of the running release.
  returned: success
  type: str
candidates:
  description: The releases, newest first, each with C(id), C(path), C(kind), C(size) (bytes), C(complete), C(missing), C(damaged), C(running) and more.
  returned: success
  type: list
  elements: dict
lines:
  description: The same releases, one line each.
  returned: success
  type: list
  elements: str
interrupted:
  description: Id of the release of a killed rollback that is neither finished nor undone, empty when there is none.
  returned: success
  type: str
findings:
  description: A finding of C(run.releases), for the run record.
  returned: always
  type: list
  elements: dict
expected:
  description: What the run record expects, C(run.releases).
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import options
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.rollback import listing
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import run_module


def main() -> None:
    """List the releases."""
    module = AnsibleModule(argument_spec=options.PLACE, supports_check_mode=True)
    run_module(module, lambda: {"changed": False, **listing(options.where(module.params))}, failure=lambda _error: {})


if __name__ == "__main__":
    main()
