# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the modules for releases share."""

from __future__ import annotations


class ModuleDocFragment:
    """Where an installation lies, where its releases do, and what they consist of."""

    DOCUMENTATION = r"""
options:
  app_dir:
    description: The installation, a folder such as C(/opt/tank-mail-app), or the symbolic link to its live release.
    type: path
    required: true
  state_dir:
    description:
      - Folder on the host with the journal of rollbacks.
      - By default C(/var/lib/ops-remediation/HOST) for root and C(~/.local/state/ops-remediation/HOST) for others, with O(host_name) as C(HOST).
    type: path
  host_name:
    description: Inventory name of the host, which names the default of O(state_dir).
    type: str
    default: localhost
  releases_dir:
    description: Folder of the releases behind a link, by default the one that the link leads into.
    type: path
  backup_dirs:
    description: Folders for backups besides the one of the installation, also on another file system. New backups are made in the first.
    type: list
    elements: path
    default: []
  parts:
    description: What this host has of a release, and what a release must have to be complete.
    type: list
    elements: str
    choices: [backend, worker, frontend, env]
    default: [backend, worker, frontend, env]
  env_file:
    description: The C(.env) of a release, within it or as a path in O(app_dir).
    type: str
    default: config/.env
"""
