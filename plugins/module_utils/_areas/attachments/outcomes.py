# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge what a reading saw: one outcome for each wanted name, and the summary of them all. Pure functions."""

from __future__ import annotations

import base64
import json
import os
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence

from ..._core.children import user_name
from ..._shared.dated_paths import Root
from ..._shared.nas_states import ABSENT
from .content_parts import DAMAGED, EMPTY, UNREADABLE
from .facts import FolderFacts, Judged, PackedDetails, RootFacts, Row, Summary
from .looked import UNTOLD, Looked
from .match import DUPLICATED, FOUND, INVALID, NOT_FOUND, OUTCOMES, UNKNOWN, decoded, differences, encoded, fold, judge_names, shown
from .settings import Settings
from .walk import Walk

MOST_EXAMPLES = 10
MOST_FOLDERS = 100
MOST_PLAIN = 50_000  # rows of details that are returned as they are; more are packed, since the answer of a child has a limit
MOST_GROUPS = 100


def details_of(looked: Looked) -> list[Row]:
    """Return one row for each wanted name, in the order of the parameters."""
    invalid = judge_names(looked.wanted, looked.rules)
    rows = [_row(looked, number, invalid.get(number, "")) for number in range(len(looked.wanted))]
    # One file may be the candidate of several missing names; each of their rows says so.
    meant = Counter(path for row in rows for path in row["candidates"])
    for row in rows:
        if any(meant[path] > 1 for path in row["candidates"]):
            row["shared"] = True
    return rows


def _row(looked: Looked, number: int, rule: str) -> Row:
    one = looked.wanted[number]
    row: Row = {"name": shown(one.name), "group": one.group, "outcome": "", "code": "", "paths": [], "candidates": []}
    if one.times > 1:
        row["times"] = one.times
    paths = looked.paths(number)
    row["paths"] = [shown(decoded(path)) for path in paths]
    if rule:
        return {**row, "outcome": INVALID, "code": rule, **_variants(looked, number)}
    if len(paths) > 1:
        return {**row, "outcome": DUPLICATED, "code": "attachments.duplicated", "equal": looked.equal.get(number, UNTOLD)}
    if paths:
        return {**row, **_single(looked, paths[0])}
    return {**row, **_missing(looked, number)}


def _single(looked: Looked, path: bytes) -> Judged:
    """Judge a name with exactly one file."""
    file, verdict = looked.files.get(path), looked.verdicts.get(path)
    if file is None:
        return {"outcome": FOUND, "code": "", "size": None, "looked": False}
    about: Judged = {"size": file.size}
    if path in looked.growing:
        return {"outcome": INVALID, "code": "attachments.still_written", **about}
    if file.problem:
        return {"outcome": INVALID, "code": UNREADABLE, "why": file.problem, **about}
    if not file.size:
        return {"outcome": INVALID, "code": EMPTY, **about}
    if verdict is None and looked.contents:
        return {"outcome": FOUND, "code": "", **about, "looked": False}  # it exists; the time was over
    if verdict is None or not verdict.code:
        return {"outcome": FOUND, "code": "", **about}
    if verdict.why:
        about["why"] = verdict.why
    if verdict.kind:
        about["kind"] = verdict.kind
    if verdict.code == DAMAGED and path in looked.fresh:
        return {"outcome": INVALID, "code": "attachments.still_written", **about}
    return {"outcome": INVALID, "code": verdict.code, **about}


def _missing(looked: Looked, number: int) -> Judged:
    """Judge a name without a file."""
    name = looked.wanted[number].name
    variants = _variants(looked, number)
    if not looked.whole:
        return {"outcome": UNKNOWN, "code": "", **variants}
    if variants["candidates"]:
        return {"outcome": NOT_FOUND, "code": "attachments.case_differs", **variants, **_move(looked, number, variants)}
    similar = looked.similar.get(name, [])
    if similar:
        return {"outcome": NOT_FOUND, "code": "attachments.near_name", "candidates": [_path(looked, *one[:2]) for one in similar]}
    return {"outcome": NOT_FOUND, "code": "attachments.not_found"}


def _variants(looked: Looked, number: int) -> Judged:
    """Return the files whose names differ only in case, normalisation or blanks, in what they differ, and whether they are shared."""
    one = looked.wanted[number]
    found = looked.sightings.variants(looked.index, number) if one.name.strip() else []
    variants: Judged = {"candidates": [_path(looked, *variant) for variant in found]}
    if found:
        variants["differs"] = sorted({kind for _folder, name in found for kind in differences(one.name, decoded(name))})
        others = [other for other in looked.index.folded.get(fold(encoded(one.name)), ()) if other != number]
        if any(other not in looked.sightings.exact for other in others):
            variants["shared"] = True
    return variants


def _move(looked: Looked, number: int, variants: Judged) -> Judged:
    """Return ``move`` (folder, old and new name as the kernel has them) where a rename corrects the name and is unambiguous."""
    found = looked.sightings.variants(looked.index, number)
    if len(found) != 1 or variants.get("shared") or set(variants["differs"]) - {"case", "blanks"}:
        return {}
    folder, name = found[0]
    path = looked.walk.folders[folder].path
    return {} if path.startswith(b"s3://") else {"move": [decoded(path), decoded(name), looked.wanted[number].name]}


def _path(looked: Looked, folder: int, name: bytes) -> str:
    return shown(decoded(os.path.join(looked.walk.folders[folder].path, name)))


def summary(looked: Looked, settings: Settings, listed: bool) -> Summary:
    """Return the rows of the wanted names and their counts. listed: whether wanted names were given."""
    rows = details_of(looked)
    counts = dict.fromkeys(OUTCOMES, 0)
    codes: dict[str, int] = {}
    groups: dict[str, dict[str, int]] = {}
    examples: dict[str, list[Row]] = {}
    for row in rows:
        counts[row["outcome"]] += 1
        groups.setdefault(row["group"], dict.fromkeys(OUTCOMES, 0))[row["outcome"]] += 1
        if row["code"]:
            codes[row["code"]] = codes.get(row["code"], 0) + 1
            if len(examples.setdefault(row["code"], [])) < MOST_EXAMPLES:
                examples[row["code"]].append(row)
    shown_rows = sorted(rows, key=lambda row: (row["outcome"] == FOUND, "looked" not in row))
    return {
        "at": time.time(),
        "date": str(settings.day),
        "user": user_name(os.geteuid()),
        "roots": [_root(looked.walk, number, root) for number, root in enumerate(settings.roots)],
        "complete": looked.whole,
        "listed": listed,
        "wanted": len(rows),
        "counts": counts,
        "codes": codes,
        "examples": examples,
        "folders": _folders(looked, rows),
        "groups": dict(sorted(groups.items(), key=_troubled_first)[:MOST_GROUPS]) if set(groups) - {""} else {},
        **packed(shown_rows[: settings.details]),
        "files": sum(folder.files for folder in looked.walk.folders),
        "read": len(looked.verdicts),
        "unread": looked.unread,
        "similar": {"looked": looked.compared, "left": looked.uncompared, "whole": looked.walk.crowd.whole},
    }


def packed(rows: list[Row]) -> PackedDetails:
    """Return the rows as ``details``, or very many rows as ``packed``; see :func:`details_in`."""
    if len(rows) <= MOST_PLAIN:
        return {"details": rows}
    return {"details": [], "packed": base64.b64encode(zlib.compress(json.dumps(rows).encode(), 1)).decode("ascii")}


def details_in(found: PackedDetails) -> list[Row]:
    """Return the rows of a summary, packed or not."""
    text = found.get("packed")
    if not text:
        return found["details"]
    rows: list[Row] = json.loads(zlib.decompress(base64.b64decode(text)))
    return rows


def _troubled_first(item: tuple[str, Mapping[str, int]]) -> tuple[int, str]:
    name, counts = item
    return counts[FOUND] - sum(counts.values()), name


def _root(walk: Walk, number: int, root: Root) -> RootFacts:
    """Return one root with its own problem, or the first one below it, and where that is."""
    folders = [folder for folder in walk.folders if folder.root == number]
    top = next((folder for folder in folders if folder.level == 0), None)
    troubled = [folder for folder in folders if folder.problem and (folder.level == 0 or folder.problem not in ABSENT)]
    worst = top if top is not None and top.problem else (troubled[0] if troubled else None)
    return {
        "given": root.given,
        "path": root.path,
        "base": root.base,
        "dated": root.is_dated,
        "problem": worst.problem if worst else "",
        "where": shown(decoded(worst.path)) if worst else "",
        "files": sum(folder.files for folder in folders),
        "folders": len(folders),
    }


def _folders(looked: Looked, rows: Sequence[Row]) -> list[FolderFacts]:
    """Return the outcomes of each folder, those in trouble first; folders without a wanted file and without a problem are left out."""
    outcomes: dict[int, dict[str, int]] = {}
    for number, row in enumerate(rows):
        for place in looked.sightings.exact.get(number, ()):
            counted = outcomes.setdefault(place, {})
            counted[row["outcome"]] = counted.get(row["outcome"], 0) + 1
    found: list[FolderFacts] = []
    for number, folder in enumerate(looked.walk.folders):
        if number in outcomes or folder.problem or folder.level == 0:
            about: FolderFacts = {"path": shown(decoded(folder.path)), "files": folder.files, "problem": folder.problem}
            about.update(outcomes.get(number, {}))  # type: ignore[typeddict-item]  # the keys are the outcomes
            found.append(about)
    found.sort(key=lambda one: (not one["problem"], not (one.get("DUPLICATED") or one.get("INVALID")), one["path"]))
    return found[:MOST_FOLDERS]
