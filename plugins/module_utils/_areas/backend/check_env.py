# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether the passwords in the applications' .env are protected from other users (product facts)."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .faults import fault
from .read_env import ENV_FILE, EnvFile

PARAMETERS: dict[str, dict[str, Any]] = {
    "env_file": {
        "type": "path",
        "required": True,
        "variable": "stack_env_file",
        "description": "The applications' .env, such as /opt/tank-mail-app/config/.env.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Return a fault when other users can read or write the .env; ``unknown`` when it does not exist."""
    check = "backend.env"
    file: EnvFile = asked.read("backend.env_file")
    if not file["present"]:
        return [unknown(check, f"{file['path']} does not exist", subject=file["path"])]
    if file["exposed"]:
        evidence = {"path": file["path"], "mode": file["mode"], "owner": file["owner"], "wanted_mode": "0600"}
        return [fault("backend.env_readable", check, file["path"], evidence=evidence)]
    return [ok(check, evidence={"path": file["path"], "mode": file["mode"], "owner": file["owner"]})]


CHECK = Check("backend.env", "Is the applications' .env kept from other users?", judge, (ENV_FILE,), PARAMETERS, run_as="app")
