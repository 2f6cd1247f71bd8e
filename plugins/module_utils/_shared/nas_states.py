# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify the errors of a file system: stale, silent, closed to this user, or a missing path.

Shared by the areas that read from a NAS. Errors are the kernel's names, such as ESTALE.
"""

from __future__ import annotations

import errno

# An NFS, SMB or FUSE client reports these when its server has forgotten the file handle or has gone away.
STALE = frozenset(
    [
        "ESTALE",
        "ENOTCONN",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "EIO",
        "EREMOTEIO",
        "ENODEV",
        "ENXIO",
        "ESHUTDOWN",
        "ECONNABORTED",
        "ECONNRESET",
        "ECONNREFUSED",
        "EPIPE",
    ]
)
SILENT = frozenset(("ETIMEDOUT", "ETIME", "EAGAIN", "EWOULDBLOCK"))
DENIED = frozenset(("EACCES", "EPERM"))
ABSENT = frozenset(("ENOENT", "ENOTDIR"))
# The fault that each state of a path is.
STATES = {"stale": "nas.stale", "silent": "nas.hung", "denied": "nas.no_permission", "missing": "nas.path_missing"}


def error_name(error: Exception) -> str:
    """Return the kernel's name of an error (EIO, EACCES), or the first 100 characters of its text."""
    number = getattr(error, "errno", None)
    return errno.errorcode.get(number, str(error)[:100]) if number else str(error)[:100]


def state_of(error: str) -> str:
    """Return the state that an error (the kernel's name) stands for: stale, silent, denied, missing or error."""
    if error in STALE:
        return "stale"
    if error in SILENT:
        return "silent"
    if error in DENIED:
        return "denied"
    return "missing" if error in ABSENT else "error"
