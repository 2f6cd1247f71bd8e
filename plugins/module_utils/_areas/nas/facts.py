# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of what the source nas.state returns. Times are epoch seconds, sizes are bytes."""

from __future__ import annotations

from typing import TypedDict

from ..._shared.mounts import Usage


class ExpectedMount(TypedDict):
    """A mount as the parameters describe it; source and type are "" where any is accepted."""

    path: str
    source: str
    type: str


class Mounted(TypedDict):
    """What the kernel has mounted on a mount point. root: the part of the device that is mounted."""

    device: str
    root: str
    type: str
    read_only: bool


class Holder(TypedDict):
    """The mount that holds the folder of a mount point on which nothing is mounted."""

    mount: str
    device: str
    type: str


class Probe(TypedDict):
    """The answer of a mount point.

    state: ok, stale, silent, denied, missing or error. error: the kernel's name, such as ESTALE. empty: whether the folder holds nothing.
    """

    state: str
    error: str
    empty: bool | None
    usage: Usage | None


class MountFacts(ExpectedMount, Probe):
    """An expected mount, what is mounted there (or holds the folder otherwise), and its answer."""

    mounted: Mounted | None
    holder: Holder | None
    in_fstab: bool


class PathAnswer(TypedDict):
    """The answer of a folder.

    state: ok, missing, denied, stale, silent or error. component: the part of the path that blocks access, with its owner and mode.
    need: the permission that the user lacks there, x or rx.
    """

    state: str
    error: str
    component: str
    need: str
    owner: str
    mode: str
    writable: bool


class PathFacts(PathAnswer):
    """A folder (path: without the date; given: as the parameters have it), the mount that holds it, and its answer."""

    path: str
    given: str
    mount: str
    type: str
    remote: bool


class DiskFacts(Usage):
    """One file system and how full it is; ``error`` is "silent" where it did not answer in time."""

    mount: str
    device: str
    type: str


class NasState(TypedDict):
    """Everything that one reading returns. user: the user who read; within: seconds that each mount had to answer."""

    at: float
    user: str
    within: float
    mounts: list[MountFacts]
    paths: list[PathFacts]
    disks: list[DiskFacts]
