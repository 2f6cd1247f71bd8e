# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the modules for releases share."""

from __future__ import annotations


class ModuleDocFragment:
    """Paths of an installation and of its releases, and the parts of a release."""

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
    description: Folder of the releases behind a link, by default the parent folder of the link's target.
    type: path
  backup_dirs:
    description: Folders for backups in addition to that of the installation, also on another file system. New backups are made in the first.
    type: list
    elements: path
    default: []
  parts:
    description: Parts of a release that this host has. A release that lacks one is incomplete.
    type: list
    elements: str
    choices: [backend, worker, frontend, env]
    default: [backend, worker, frontend, env]
  env_file:
    description: Path of the C(.env), relative to the release or absolute within O(app_dir).
    type: str
    default: config/.env
"""
