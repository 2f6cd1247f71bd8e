# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that an operator types."""

from __future__ import annotations

from shlex import quote


def command(user: str, pm2_home: str) -> str:
    """Return the command that calls PM2 for this user and PM2_HOME, quoted for a shell.

    PM2 starts its daemon in the current folder and fails when the user may not enter that folder: hence ``env -C /`` (coreutils 8.28).
    """
    become = "sudo" if user == "root" else f"sudo -u {quote(user)}"
    return f"{become} env -C / PM2_HOME={quote(pm2_home)} pm2"
