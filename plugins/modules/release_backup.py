#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_backup
short_description: Back up the running release, or unpack a release from an archive, as a target for a rollback
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Copies the running release to C(<app_dir>-backup-YYYYMMDDHHMM), with checksums of all files. The copy gets that name only when all of it
    is on the disk. No copy is made where a backup already holds the same files.
  - A release behind a link is not copied. Only the checksums of its built files (C(dist), C(build), C(node_modules)) are written.
  - With O(archive), unpacks a release instead, after comparing the SHA-256 of the archive with the delivered one.
  - Renames old backups into a folder C(<name>-attic) beside them, such as C(/opt/tank-mail-app-attic). Never deletes a release.
attributes:
  check_mode:
    support: full
    description: Returns what would be copied, unpacked and renamed.
  diff_mode:
    support: none
    description: RV(steps) lists the changes.
  idempotent:
    support: full
    description: A second run changes nothing while the running release is the same.
  action:
    support: full
    description: Returns a finding for the run record.
options:
  keep:
    description: Number of complete backups that stay in the folder of new ones, and number of releases put aside that stay.
    type: int
    default: 5
  leave_out:
    description:
      - Patterns of paths that are not copied. Logs may be large, and mails in a spool would be sent twice after a rollback.
    type: list
    elements: str
    default: [backend/logs/*, worker/logs/*, worker/spool/*, config/.env.before-*]
  least_free_mb:
    description: Megabytes that must stay free.
    type: float
    default: 200
  timeout:
    description: Seconds that copying or unpacking may take.
    type: float
    default: 1800
  archive:
    description: Path on the host of a delivered archive (tar, also compressed) to unpack as a release. It must contain built applications.
    type: path
  archive_sha256:
    description: SHA-256 of O(archive), or the path on the host of the delivered C(.sha256) file.
    type: str
extends_documentation_fragment:
  - ops.remediation.attributes
  - ops.remediation.release
seealso:
  - module: ops.remediation.release_rollback
"""

EXAMPLES = r"""
- name: Back up before a deploy
  ops.remediation.release_backup:
    app_dir: /opt/tank-mail-app

- name: Unpack a delivered archive as a release
  ops.remediation.release_backup:
    app_dir: /opt/tank-mail-app
    archive: /srv/delivered/tank-1.2.0.tar.gz
    archive_sha256: /srv/delivered/tank-1.2.0.tar.gz.sha256
"""

RETURN = r"""
msg:
  description: The outcome, in check mode the planned one, in one line.
  returned: always
  type: str
  sample: backup /opt/tank-mail-app-backup-202611210930 is made
id:
  description: Id of the backup that holds the running release, or of the unpacked release.
  returned: success
  type: str
release_path:
  description: Path of that backup or release.
  returned: success
  type: str
sha256:
  description: One hash of all names and contents of that backup or release.
  returned: success
  type: str
steps:
  description: The steps that were done, in check mode the planned ones, in order.
  returned: success
  type: list
  elements: str
attic:
  description: New paths of the releases that were renamed into the attic, in check mode of those that would be.
  returned: success
  type: list
  elements: str
findings:
  description: A finding of C(run.release_backup), for the run record.
  returned: always
  type: list
  elements: dict
expected:
  description: What the run record expects, C(run.release_backup).
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
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import options
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.backup import LEFT_OUT, back_up
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.files import Files
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import run_module

ARGUMENTS = {
    **options.PLACE,
    "keep": {"type": "int", "default": 5},
    "leave_out": {"type": "list", "elements": "str", "default": list(LEFT_OUT)},
    "least_free_mb": {"type": "float", "default": 200},
    "timeout": {"type": "float", "default": 1800},
    "archive": {"type": "path"},
    "archive_sha256": {"type": "str"},
}


def main() -> None:
    """Back up the release, or unpack one."""
    module = AnsibleModule(argument_spec=ARGUMENTS, required_by={"archive_sha256": ["archive"]}, supports_check_mode=True)

    def body() -> dict[str, Any]:
        result = back_up(options.backup(module.params), Files(), check_mode=module.check_mode).as_dict()
        return {"msg": result.pop("message"), **result}

    run_module(module, body, failure=lambda _error: {})


if __name__ == "__main__":
    main()
