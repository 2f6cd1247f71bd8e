# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the access rights of the applications' .env, never its content."""

from __future__ import annotations

import os
import stat
from typing import TypedDict

from ..._core.children import user_name
from ..._core.errors import CannotRead, NeedsUser
from ..._core.source import Source
from ..._shared.text_files import reachable_by_others


class EnvFile(TypedDict):
    """A .env file; ``mode`` in octal, ``exposed``: other users can read or write it."""

    path: str
    present: bool
    mode: str
    owner: str
    exposed: bool


def read_env_file(env_file: str) -> EnvFile:
    """Return the access rights of a .env file.

    Raises NeedsUser when the current user cannot see the file, CannotRead when it is not a regular file.
    """
    try:
        found = os.stat(env_file)
    except (FileNotFoundError, NotADirectoryError):
        return {"path": env_file, "present": False, "mode": "", "owner": "", "exposed": False}
    except PermissionError as error:
        raise NeedsUser("root", f"{env_file} cannot be seen by {user_name(os.geteuid())}") from error
    except (OSError, ValueError) as error:
        raise CannotRead(f"{env_file} cannot be looked at ({error})") from error
    if not stat.S_ISREG(found.st_mode):
        raise CannotRead(f"{env_file} is not a file")
    return {
        "path": env_file,
        "present": True,
        "mode": f"{stat.S_IMODE(found.st_mode):04o}",
        "owner": user_name(found.st_uid),
        "exposed": bool(found.st_mode & (stat.S_IROTH | stat.S_IWOTH)) and reachable_by_others(env_file),
    }


ENV_FILE = Source("backend.env_file", read_env_file, ("env_file",))
