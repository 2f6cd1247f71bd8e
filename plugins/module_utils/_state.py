# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state folder of a host: what one run keeps for the next (0700, files 0600). Check mode writes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from typing import Any

from ._errors import WrongQuestion

ROOT_DIRECTORY = "/var/lib/ops-remediation"
USER_DIRECTORY = "~/.local/state/ops-remediation"


class State:
    """A folder of small JSON files, written whole or not at all."""

    def __init__(self, directory: str, *, read_only: bool) -> None:
        """Use a folder; with ``read_only`` (check mode) it is neither made nor changed."""
        self.directory = directory
        self.read_only = read_only

    def load(self, name: str) -> Any:
        """Return what was kept under a name, or None; a damaged file counts as absent."""
        try:
            with open(self._path(name), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def save(self, name: str, value: Any) -> None:
        """Keep a value for the next run. Raises WrongQuestion when the folder cannot be written."""
        if self.read_only:
            return
        self._make()
        handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file)
            os.replace(temporary, self._path(name))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise

    def lock_file(self, name: str) -> str | None:
        """Return the path of a lock; None in check mode where it does not exist, since that would write."""
        path = self._path(name, ".lock")
        if self.read_only:
            return path if os.path.exists(path) else None
        self._make()
        return path

    def _path(self, name: str, suffix: str = ".json") -> str:
        return os.path.join(self.directory, name + suffix)

    def _make(self) -> None:
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            if not os.access(self.directory, os.W_OK | os.X_OK):
                raise PermissionError(13, "not writable")
        except OSError as error:
            raise WrongQuestion(
                "state_dir", self.directory, f"cannot be used ({error.strerror})", "give a folder that this user may write"
            ) from error


def default_directory(host: str) -> str:
    """Return where a host's state lives: under /var/lib for root, under the home folder for others."""
    base = ROOT_DIRECTORY if os.geteuid() == 0 else os.path.expanduser(USER_DIRECTORY)
    return os.path.join(base, host.replace("/", "_") or "localhost")
