# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source attachments.kept: the attachments that are kept longer than the policy says.

Product facts: attachments are kept about 30 days after sending. Runs in a bounded child as the user that the worker runs as.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.errors import WrongQuestion
from ..._core.source import Source
from ..._shared.dated_paths import Root, dated_parts, day_of, days_in
from ..._shared.nas_states import error_name
from ..._shared.threads import Crew
from .facts import KeptFacts, KeptRoot
from .settings import SILENT_ROOTS, WITHIN, ZONE, owner, places_of, positive
from .walk import READERS, SILENT

KEEP_DAYS = 30
MOST_ENTRIES = 50_000
KEPT_DEPTH = 3  # levels of folders below a root without a date in which old files are searched


def read(
    roots: Sequence[str],
    date: str | None = None,
    timezone: str | None = None,
    keep_days: int | None = None,
    answer_within: float | None = None,
    silent_roots: Mapping[str, str] | None = None,
    **_others: Any,
) -> KeptFacts:
    """Return what each root keeps too long, after ``answer_within`` seconds at the latest.

    silent_roots: see SILENT_ROOTS. Raises WrongQuestion for parameters that cannot be used.
    """
    day = day_of(date or "today", timezone or ZONE, time.time())
    days = KEEP_DAYS if keep_days is None else keep_days
    if days < 0:
        raise WrongQuestion("keep_days", keep_days, "is less than 0", "give the days that files are kept")
    places = places_of(roots or (), silent_roots or {}, day)
    local = [root for root in places if not root.is_s3 and not root.problem]
    until = time.monotonic() + positive({"answer_within": answer_within}, "answer_within", WITHIN)
    known = dict(Crew(lambda root: ((root, read_kept(root, day, days)), ()), most=READERS, until=until).run(local))
    return {"roots": [known.get(root) or _not_read(root) for root in places]}


def _empty(root: Root, how: str, problem: str = "") -> KeptRoot:
    return {
        "given": root.given,
        "path": root.base,
        "how": how,
        "problem": problem,
        "old": 0,
        "oldest": "",
        "examples": [],
        "looked": 0,
        "more": False,
    }


def _not_read(root: Root) -> KeptRoot:
    """Return the answer for a root in S3, which is not read, or for one that did not answer."""
    return _empty(root, "s3") if root.is_s3 else _empty(root, "", root.problem or SILENT)


def read_kept(root: Root, day: datetime.date, keep_days: int) -> KeptRoot:
    """Return what one root keeps longer than its policy; an old folder without a file counts as cleaned."""
    answer = _empty(root, "folders" if root.is_dated else "files")
    try:
        found = _old_folders(root, day, keep_days, answer) if root.is_dated else _old_files(root, day, keep_days, answer)
    except (OSError, ValueError) as error:
        answer["problem"] = error_name(error)
        return answer
    found.sort()
    answer["old"], answer["oldest"] = len(found), found[0][0] if found else ""
    answer["examples"] = [name for _day, name in found[:5]]
    return answer


def _old_folders(root: Root, day: datetime.date, keep_days: int, answer: KeptRoot) -> list[tuple[str, str]]:
    """Return day and name of the old folders of a dated root; notes in ``answer`` what was looked at."""
    parts = dated_parts(root)
    names = [""]
    for _part in parts or [""]:
        below: list[str] = []
        for above in names:
            below += _names_in(root.base, above, MOST_ENTRIES - len(below))
        names = below
        answer["more"] = answer["more"] or len(names) >= MOST_ENTRIES
    days = days_in(parts, names) if parts else {}
    if names and not days:
        answer["how"] = "untold"
    answer["looked"] = len(days)
    old = [(found, name) for name, found in days.items() if (day - found).days > keep_days]
    return [(str(found), name) for found, name in sorted(old) if _holds_a_file(os.path.join(root.base, name))]


def _names_in(base: str, above: str, most: int) -> list[str]:
    """Return the names in a folder below the base, relative to the base; none for a path that is no folder."""
    try:
        with os.scandir(os.path.join(base, above)) as entries:
            return [os.path.join(above, entry.name) for _number, entry in zip(range(most), entries)]
    except (FileNotFoundError, NotADirectoryError):
        if not above:
            raise
        return []


def _holds_a_file(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(iter(entries), None) is not None
    except OSError:
        return True


def _old_files(root: Root, day: datetime.date, keep_days: int, answer: KeptRoot) -> list[tuple[str, str]]:
    """Return day and name of the old files in a root and its folders, without links; notes in ``answer`` what was looked at."""
    found: list[tuple[str, str]] = []
    folders = [(root.path, 0)]
    while folders:
        path, level = folders.pop()
        try:
            entries = os.scandir(path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            if not level:
                raise
            answer["more"] = True
            continue
        with entries:
            for entry in entries:
                if answer["looked"] >= MOST_ENTRIES:
                    answer["more"] = True
                    return found
                answer["looked"] += 1
                if entry.is_dir(follow_symlinks=False):
                    folders += [(entry.path, level + 1)] if level < KEPT_DEPTH else []
                    continue
                try:
                    modified = datetime.date.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime)
                except (OSError, ValueError, OverflowError):
                    continue
                if entry.is_file(follow_symlinks=False) and (day - modified).days > keep_days:
                    found.append((str(modified), os.path.relpath(entry.path, root.path)))
    return found


KEPT = Source(
    "attachments.kept",
    read,
    ("roots", "date", "timezone", "as_user", "keep_days", "answer_within", SILENT_ROOTS),
    owner=owner,
    exclusive=("roots",),
)
