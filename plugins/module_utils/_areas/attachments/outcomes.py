# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import base64
import json
import os
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.children import user_name
from ..._shared.dated_paths import Root
from .content_parts import DAMAGED, EMPTY, UNREADABLE
from .looked import ABSENT, UNTOLD, Looked
from .match import (
    DUPLICATED,
    FOUND,
    INVALID,
    NOT_FOUND,
    OUTCOMES,
    UNKNOWN,
    decoded,
    differences,
    encoded,
    fold,
    judge_names,
    shown,
)
from .walk import Walk

MOST_EXAMPLES = 10


MOST_FOLDERS = 100


MOST_PLAIN = 50_000  # rows of details that are answered as they are; more are packed, since an answer has a limit


MOST_GROUPS = 100


def details_of(looked: Looked) -> list[dict[str, Any]]:
    """Return one row for each wanted name, in the order in which they were given."""
    invalid = judge_names(looked.wanted, looked.rules)
    rows = [_row(looked, number, invalid.get(number, "")) for number in range(len(looked.wanted))]
    # A file may look like several of the names that are missing; whoever reads one of these rows must know.
    meant = Counter(path for row in rows for path in row["candidates"])
    for row in rows:
        if any(meant[path] > 1 for path in row["candidates"]):
            row["shared"] = True
    return rows


def _row(looked: Looked, number: int, rule: str) -> dict[str, Any]:
    one = looked.wanted[number]
    row: dict[str, Any] = {"name": shown(one.name), "group": one.group, "outcome": "", "code": "", "paths": [], "candidates": []}
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


def _single(looked: Looked, path: bytes) -> dict[str, Any]:
    file, verdict = looked.files.get(path), looked.verdicts.get(path)
    if file is None:
        return {"outcome": FOUND, "code": "", "size": None, "looked": False}
    about = {"size": file.size}
    if path in looked.growing:
        return {"outcome": INVALID, "code": "attachments.still_written", **about}
    if file.problem:
        return {"outcome": INVALID, "code": UNREADABLE, "why": file.problem, **about}
    if not file.size:
        return {"outcome": INVALID, "code": EMPTY, **about}
    if verdict is None and looked.contents:
        return {"outcome": FOUND, "code": "", **about, "looked": False}  # it is there; the time was over
    if verdict is None or not verdict.code:
        return {"outcome": FOUND, "code": "", **about}
    told = {name: value for name, value in (("why", verdict.why), ("kind", verdict.kind)) if value}
    if verdict.code == DAMAGED and path in looked.fresh:
        return {"outcome": INVALID, "code": "attachments.still_written", **about, **told}
    return {"outcome": INVALID, "code": verdict.code, **about, **told}


def _missing(looked: Looked, number: int) -> dict[str, Any]:
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


def _variants(looked: Looked, number: int) -> dict[str, Any]:
    """Return ``candidates`` that differ in case, normalisation or blanks, in what, and whether another wanted name has them too."""
    one = looked.wanted[number]
    found = looked.sightings.variants(looked.index, number) if one.name.strip() else []
    told: dict[str, Any] = {"candidates": [_path(looked, *variant) for variant in found]}
    if found:
        told["differs"] = sorted({kind for _folder, name in found for kind in differences(one.name, decoded(name))})
        others = [other for other in looked.index.folded.get(fold(encoded(one.name)), ()) if other != number]
        if any(other not in looked.sightings.exact for other in others):
            told["shared"] = True
    return told


def _move(looked: Looked, number: int, variants: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``move``, ``[folder, from, to]`` as the kernel has them, where a rename would mend it and nothing else could be meant."""
    found = looked.sightings.variants(looked.index, number)
    if len(found) != 1 or variants.get("shared") or set(variants["differs"]) - {"case", "blanks"}:
        return {}
    folder, name = found[0]
    path = looked.walk.folders[folder].path
    return {} if path.startswith(b"s3://") else {"move": [decoded(path), decoded(name), looked.wanted[number].name]}


def _path(looked: Looked, folder: int, name: bytes) -> str:
    return shown(decoded(os.path.join(looked.walk.folders[folder].path, name)))


def summary(looked: Looked, settings: Mapping[str, Any], listed: bool) -> dict[str, Any]:
    rows = details_of(looked)
    counts, codes, groups = dict.fromkeys(OUTCOMES, 0), {}, {}
    examples: dict[str, list[dict[str, Any]]] = {}
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
        "date": str(settings["day"]),
        "user": user_name(os.geteuid()),
        "roots": [_root(looked.walk, number, root) for number, root in enumerate(settings["roots"])],
        "complete": looked.whole,
        "listed": listed,
        "wanted": len(rows),
        "counts": counts,
        "codes": codes,
        "examples": examples,
        "folders": _folders(looked, rows),
        "groups": dict(sorted(groups.items(), key=_troubled_first)[:MOST_GROUPS]) if set(groups) - {""} else {},
        **packed(shown_rows[: settings["details"]]),
        "files": sum(folder.files for folder in looked.walk.folders),
        "read": len(looked.verdicts),
        "unread": looked.unread,
        "similar": {"looked": looked.compared, "left": looked.uncompared, "whole": looked.walk.crowd.whole},
    }


def packed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return ``details``, or where these are very many ``packed`` instead; see :func:`details_in`."""
    if len(rows) <= MOST_PLAIN:
        return {"details": rows}
    return {"details": [], "packed": base64.b64encode(zlib.compress(json.dumps(rows).encode(), 1)).decode("ascii")}


def details_in(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of an answer of :func:`read`."""
    text = found.get("packed")
    return json.loads(zlib.decompress(base64.b64decode(text))) if text else found.get("details", [])


def _troubled_first(item: tuple[str, Mapping[str, int]]) -> tuple[int, str]:
    name, counts = item
    return counts[FOUND] - sum(counts.values()), name


def _root(walk: Walk, number: int, root: Root) -> dict[str, Any]:
    """Say how one root was: its own problem, or the first one below it, and where that was."""
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


def _folders(looked: Looked, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each folder holds, troubled ones first; those without a wanted file and without a problem are left out."""
    outcomes: dict[int, dict[str, int]] = {}
    for number, row in enumerate(rows):
        for folder in looked.sightings.exact.get(number, ()):
            counted = outcomes.setdefault(folder, {})
            counted[row["outcome"]] = counted.get(row["outcome"], 0) + 1
    found = [
        {"path": shown(decoded(folder.path)), "files": folder.files, "problem": folder.problem, **outcomes.get(number, {})}
        for number, folder in enumerate(looked.walk.folders)
        if number in outcomes or folder.problem or folder.level == 0
    ]
    found.sort(
        key=lambda one: (not one["problem"], sum(value for name, value in one.items() if name in (DUPLICATED, INVALID)) == 0, one["path"])
    )
    return found[:MOST_FOLDERS]
