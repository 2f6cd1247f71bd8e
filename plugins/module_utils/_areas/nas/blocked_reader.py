# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer while the reader of an earlier run is still blocked in a mount.

Such a reader was killed long ago, but the kernel keeps it until the mount answers. No second one is started.
"""

from __future__ import annotations

import os

from ..._core.errors import Busy
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared import series
from ..._shared.dated_paths import day_of, roots_of
from ..._shared.mounts import is_below
from .faults import fault
from .read_state import STATE, WITHOUT_ANSWER


def still_blocked(check: str, asked: Asked, error: Busy) -> list[Finding]:
    """Return the finding nas.hung for the mounts or folders that an earlier reader is blocked in.

    One reading reads all mounts and folders. Those that did not answer the last complete reading were kept; where none were kept, the
    finding names all of them. Beside a blocked mount, folders are unknown.
    """
    given = asked.parameters
    mounts = [os.path.normpath(entry if isinstance(entry, str) else str(entry.get("path"))) for entry in given.get("mounts") or []]
    day = day_of(given.get("date") or "today", given.get("timezone") or "Asia/Seoul", asked.now)
    folders = [root.base for root in roots_of(given.get("paths") or [], day) if not root.is_s3]
    if check == "nas.path" and mounts and folders:
        return [unknown(check, error.message, blocked_by="nas.hung", subject=folder) for folder in folders]
    silent = series.mapping(asked.remembered(STATE.name)).get(WITHOUT_ANSWER) or []
    mounts, folders = ([one for one in places if one in silent] or places for places in (mounts, folders))
    # The finding of a mount covers the folders in it.
    outside = [folder for folder in folders if not any(is_below(folder, mounted) for mounted in mounts)]
    outside = [folder for folder in outside if folder in silent or not silent]
    places = folders if check == "nas.path" else [*mounts, *outside] if mounts else []
    if not places:
        return [ok(check, evidence={"not_asked": [f"{'folders' if check == 'nas.path' else 'mounts'}: none is named"]})]
    holder = dict(zip(("process", "since"), error.details.get("holder", "").split()[1::2]))
    evidence = {**holder, "mount" if check == "nas.mount" else "path": places[0], **({"places": places} if len(places) > 1 else {})}
    return [fault("nas.hung", check, ", ".join(places), evidence={**evidence, "waiting": True})]
