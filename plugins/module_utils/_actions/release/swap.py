# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put one release in place of another, and back. Both work on whatever state a killed run has left.

The position of each release is read from the disk by the inode numbers of the folders, which a rename does not change; so nothing
depends on how far the journal got. The ``entry`` of a rollback holds ``app layout method former_path former_inode former_link target_path
target_inode aside staging env env_keep``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from ..._core.errors import ActionFailed
from .files import Files, read_plain
from .layout import LINK, inode_of
from .preflight import COPY

FORMER, TARGET, NOTHING, OTHER = "former", "target", "nothing", "other"


class Swap:
    """The two releases of one rollback."""

    def __init__(self, entry: Mapping[str, Any], files: Files) -> None:
        """Store the entry of the journal; reads nothing."""
        self.entry = entry
        self.files = files

    # --- where each release is

    def in_place(self) -> str:
        """Return which release is at the path of the installation: former, target, nothing or other."""
        app = self.entry["app"]
        number = inode_of(os.path.realpath(app) if self.entry["layout"] == LINK else app)
        if number and number == self.entry["former_inode"]:
            return FORMER
        if number and number == self.entry.get("target_inode"):
            return TARGET
        return OTHER if number or os.path.lexists(app) else NOTHING

    @property
    def source(self) -> str:
        """Return the path from which the target is renamed into place."""
        return str(self.entry["staging"] if self.entry["method"] == COPY else self.entry["target_path"])

    def target_tree(self) -> str:
        """Return the present path of the target, "" when it is gone."""
        for path in (self.entry["app"], self.source):
            number = inode_of(os.path.realpath(path) if self.entry["layout"] == LINK else path)
            if number and number == self.entry.get("target_inode"):
                return os.path.realpath(path) if self.entry["layout"] == LINK else path
        return ""

    def former_tree(self) -> str:
        """Return the present path of the former release, "" when there was none."""
        if not self.entry["former_inode"]:
            return ""
        for path in (self.entry["former_path"], self.entry["aside"]):
            if path and inode_of(path) == self.entry["former_inode"]:
                return path
        return ""

    # --- forward and backward

    def forward(self) -> None:
        """Put the target in place. Raises ActionFailed when it is gone, and OSError."""
        if self.in_place() == TARGET:
            return
        if not self.target_tree():
            raise ActionFailed(f"the release is no longer in {self.source}; find where it was moved")
        app = self.entry["app"]
        if self.entry["layout"] == LINK:
            self.files.point(app, self._link_text())
            return
        if self.in_place() == FORMER:
            self.files.rename(app, self.entry["aside"])
        self.files.rename(self.source, app)

    def backward(self) -> None:
        """Put the former release in place, and the target back to its path. Raises ActionFailed and OSError."""
        place = self.in_place()
        if place == FORMER:
            return
        if not self.former_tree():
            raise ActionFailed(f"there is no former release to put back ({self.entry['former_path'] or 'none was in place'})")
        app = self.entry["app"]
        if self.entry["layout"] == LINK:
            self.files.point(app, self.entry["former_link"])
            return
        if place == TARGET:
            self.files.rename(app, self.source)
        self.files.rename(self.entry["aside"], app)

    def _link_text(self) -> str:
        """Return the new target of the link, relative where the former one was."""
        path = self.entry["target_path"]
        if self.entry["former_link"] and not os.path.isabs(self.entry["former_link"]):
            return os.path.relpath(path, os.path.realpath(os.path.dirname(self.entry["app"])))
        return str(path)

    # --- .env

    @property
    def _kept_name(self) -> str:
        return f"{self.entry['env']}.before-{self.entry['id']}"

    def own_env(self) -> str:
        """Return the present path of the target's own .env."""
        own, kept = (os.path.join(self.target_tree(), name) for name in (self.entry["env"], self._kept_name))
        return kept if os.path.lexists(kept) else own

    def keep_env(self) -> None:
        """Copy the .env of the former release to the target in place; its own one stays beside it under another name."""
        if not self.entry["env_keep"]:
            return
        own, kept = (os.path.join(self.target_tree(), name) for name in (self.entry["env"], self._kept_name))
        present = os.path.join(self.former_tree(), self.entry["env"])
        if os.path.lexists(own) and not os.path.lexists(kept):
            self.files.rename(own, kept)
        if os.path.islink(present):
            # A shared file: its target belongs to no release, and root does not follow links of another user.
            self.files.link(own, os.readlink(present))
        else:
            status = os.lstat(present)  # for the same users as before, but never for all others
            self.files.write(own, read_plain(present), mode=stat.S_IMODE(status.st_mode) & ~0o007, like=status)

    def give_env_back(self) -> None:
        """Undo :meth:`keep_env`."""
        tree = self.target_tree()
        own, kept = (os.path.join(tree, name) for name in (self.entry["env"], self._kept_name))
        if tree and self.entry["env_keep"]:
            self.files.forget(own)
            if os.path.lexists(kept):
                self.files.replace(kept, own)
