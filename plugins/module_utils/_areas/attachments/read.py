# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source attachments.files: walk the roots, match, look at what matched, and say one outcome for each wanted name.

Runs in a bounded child as the user that the worker runs as. The main thread never touches a folder, so that it can answer
in time with what was found so far, whatever the mount does.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import os
import re
import stat
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..._core.children import user_id, user_name
from ..._core.errors import WrongQuestion
from ..._shared.dated_paths import Root, dated, day_of, roots_of
from ..._shared.nas_states import error_name
from ..._shared.threads import Crew
from . import s3
from .batch import EARLY, paths_of, patterns_of, read_batch, read_kept, since_of
from .content import BLOCK, DAMAGED, EMPTY, UNREADABLE, Verdict, inspect_file, is_read_wholly
from .match import (
    DUPLICATED,
    EXTENSIONS,
    FOUND,
    INVALID,
    NAME_PATTERN,
    NOT_FOUND,
    OUTCOMES,
    UNKNOWN,
    Index,
    Rules,
    Sightings,
    Wanted,
    alike,
    decoded,
    differences,
    encoded,
    extension_of,
    fold,
    judge_names,
    shown,
)
from .walk import READERS, SILENT, Walk, Walker
from .wanted import NAME_COLUMN, of_file, of_list, of_rows

CONTENT_READERS = 5  # product facts: at most five files are read at the same time
SETTLE = 10.0  # seconds since its last change for which a file is looked at twice
SECOND_LOOK = 1.0  # seconds between the two
QUERY_SHARE = 0.4  # part of the time that a query for the wanted names may take
LISTING_SHARE = 0.85  # part of the time for S3 after which no further page is asked for
SPARE = 0.15  # part of the time that is kept for judging what was read
ABSENT = frozenset(("ENOENT", "ENOTDIR"))
ZONE = "Asia/Seoul"
MOST_EXAMPLES = 10
MOST_FOLDERS = 100
MOST_PLAIN = 50_000  # rows of details that are answered as they are; more are packed, since an answer has a limit
PIECE = 1 << 20  # bytes that are read at once for a checksum
MOST_GROUPS = 100
DIFFERENT, EQUAL, UNTOLD = "no", "yes", "unknown"

# {place: problem} of those that are known not to answer; they are told, and not touched. For who has asked the mounts before.
SILENT_ROOTS = "silent_roots"
# What is read depends on these.
PARAMETERS = (
    "roots",
    "wanted",
    "wanted_file",
    "wanted_query",
    "name_column",
    "group_column",
    "date",
    "timezone",
    "as_user",
    "depth",
    "extensions",
    "name_pattern",
    "contents",
    "deep",
    "parallel_reads",
    "settle",
    "details",
    "s3",
    "batch_marker",
    "batch_log",
    "batch_failed",
    "batch_finished",
    "batch_hours_before",
    "answer_within",
)


@dataclass(frozen=True)
class File:
    """What was seen of one file: size, time (epoch seconds), what identifies it, or why it could not be looked at."""

    path: bytes
    size: int = 0
    modified: float = 0.0
    identity: str = ""
    problem: str = ""


@dataclass
class Looked:
    """Everything that was read, ready to be judged: pure functions take it from here."""

    wanted: list[Wanted]
    index: Index
    rules: Rules
    walk: Walk
    sightings: Sightings
    files: dict[bytes, File] = field(default_factory=dict)
    fresh: set[bytes] = field(default_factory=set)
    growing: set[bytes] = field(default_factory=set)
    verdicts: dict[bytes, Verdict] = field(default_factory=dict)
    equal: dict[int, str] = field(default_factory=dict)
    similar: dict[str, list[tuple[int, bytes, float]]] = field(default_factory=dict)
    compared: int = 0
    uncompared: int = 0
    unread: int = 0
    contents: bool = True
    joined: dict[int, list[bytes]] = field(default_factory=dict)

    def paths(self, number: int) -> list[bytes]:
        """Return the paths that bear a wanted name exactly."""
        if number not in self.joined:
            name = encoded(self.wanted[number].name)
            self.joined[number] = [os.path.join(self.walk.folders[folder].path, name) for folder in self.sightings.exact.get(number, ())]
        return self.joined[number]

    @property
    def whole(self) -> bool:
        """Whether every folder answered; one that is not there has answered."""
        return not self.walk.cut and all(not folder.problem or folder.problem in ABSENT for folder in self.walk.folders)


def owner(as_user: str | None = None, roots: Sequence[str] | None = None, **_others: Any) -> int | None:
    """Return the user to become; nobody for S3 alone, whose files know no users."""
    return user_id("as_user", as_user) if as_user and not all(root.startswith("s3://") for root in roots or [""]) else None


def prepare(memory: Any = None, **parameters: Any) -> dict[str, Any]:
    """Read what the user to become may not: the wanted names, and S3 with its library and key. memory: of refused passwords."""
    started = time.monotonic()
    settings = settings_of(parameters)
    names: dict[str, Any] = {"problem": {}, "learnt": {}}
    if parameters.get("wanted_query"):
        wanted, names = _queried(parameters, settings, memory)
    else:
        wanted = wanted_of(parameters, settings["day"])
    prepared: dict[str, Any] = {"started": started, "settings": settings, "wanted": wanted, "names": names, "s3": None}
    buckets = [root for root in settings["roots"] if root.is_s3]
    if buckets:
        share = 1.0 if len(buckets) == len(settings["roots"]) else 0.5
        until = started + settings["within"] * (1 - SPARE) * share
        prepared["s3"] = _read_s3(settings, Index(wanted or []), until, parameters)
    return prepared


def _queried(parameters: Mapping[str, Any], settings: Mapping[str, Any], memory: Any) -> tuple[list[Wanted] | None, dict[str, Any]]:
    """Return the names that a database wants (None where it does not say), why not, and what is learnt of refused passwords."""
    from .query import ask

    columns = (parameters.get("name_column") or NAME_COLUMN, parameters.get("group_column") or "")
    zone, within = parameters.get("timezone") or ZONE, settings["within"] * QUERY_SHARE
    names = ask(parameters["wanted_query"], columns, settings["day"], zone, within, memory)
    return (None if names.problem else of_rows(names.rows)), {"problem": names.problem, "learnt": names.learnt}


def remember(found: Mapping[str, Any], former: Any = None) -> dict[str, Any] | None:
    """Return what the next run needs of refused passwords; None where no database was asked."""
    if not found["learnt"]:
        return None
    from .query import remember as remembered

    return remembered(found["learnt"], former)


def settings_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked parameters; raises WrongQuestion for one that cannot be used."""
    given, silent = parameters.get("roots"), parameters.get(SILENT_ROOTS) or {}
    if not given and not silent:
        raise WrongQuestion("roots", given, "names no folder", "give the folders or S3 prefixes that attachments lie in")
    zone = parameters.get("timezone") or ZONE
    day = day_of(parameters.get("date") or "today", zone, time.time())
    within = _positive(parameters, "answer_within", 8.0)
    places = [name for name in ("wanted", "wanted_file", "wanted_query") if parameters.get(name) is not None]
    if len(places) > 1:
        raise WrongQuestion(places[0], places[1], "is given besides", "take the wanted names from one place")
    files = (parameters.get("batch_marker"), parameters.get("batch_log"))
    marker, log = paths_of(*files, day)
    early = parameters.get("batch_hours_before")
    since = tuple(since_of(pattern, day, zone, EARLY if early is None else float(early)) for pattern in files)
    return {
        "day": day,
        "roots": places_of(given or (), silent, day),
        "rules": rules_of(parameters.get("extensions"), parameters.get("name_pattern")),
        "within": within,
        "depth": max(0, _number(parameters, "depth", 3)),
        "details": max(0, _number(parameters, "details", 100)),
        "readers": int(_positive(parameters, "parallel_reads", CONTENT_READERS)),
        "settle": max(0.0, float(SETTLE if parameters.get("settle") is None else parameters["settle"])),
        "batch": (marker, log, *patterns_of(parameters.get("batch_failed"), parameters.get("batch_finished")), since, zone),
    }


def places_of(given: Sequence[str], silent: Mapping[str, str], day: Any) -> list[Root]:
    """Return the places to look into, then those that are known not to answer, with their problem."""
    return [*roots_of(given, day), *(replace(root, problem=silent[root.given]) for root in roots_of(list(silent), day))]


def _number(parameters: Mapping[str, Any], name: str, default: int) -> int:
    value = parameters.get(name)
    return default if value is None else int(value)


def _positive(parameters: Mapping[str, Any], name: str, default: float) -> float:
    value = parameters.get(name)
    if value is not None and not 0 < value < 1e6:
        raise WrongQuestion(name, value, "is not more than 0", "give a positive number")
    return default if value is None else value


def rules_of(extensions: Sequence[str] | None, pattern: str | None) -> Rules:
    """Return the rules for names; raises WrongQuestion for an extension without its dot or a pattern that is none."""
    chosen = tuple(extension.lower() for extension in (extensions or EXTENSIONS))
    for extension in chosen:
        if not re.fullmatch(r"\.[^./\s]{1,20}", extension):
            raise WrongQuestion("extensions", extension, "is no extension", "write it with its dot, such as .pdf")
    try:
        return Rules(chosen, re.compile(pattern or NAME_PATTERN))
    except re.error as error:
        raise WrongQuestion("name_pattern", pattern, f"is no regular expression ({error})", "correct it") from error


def wanted_of(parameters: Mapping[str, Any], day: Any) -> list[Wanted] | None:
    """Return the wanted names of the list or the file that is given, None where none is."""
    if parameters.get("wanted_file"):
        columns = (parameters.get("name_column") or NAME_COLUMN, parameters.get("group_column") or "")
        return of_file(dated("wanted_file", parameters["wanted_file"], day), *columns)
    return of_list(parameters["wanted"]) if parameters.get("wanted") is not None else None


# --- reading


def read(prepared: Mapping[str, Any], **parameters: Any) -> dict[str, Any]:
    """Return what became of the wanted names.

    ``at date roots`` (``given path base problem files folders user``) ``complete`` (every folder answered) ``listed`` (names were
    given) ``wanted counts codes`` (by code) ``examples`` (by code, rows as in details) ``folders`` (``path files problem`` and
    outcomes) ``groups`` (outcomes by group) ``details`` (``name outcome code group paths candidates ...``, the troubled ones
    first, cut to their number) ``files`` (in all folders) ``read unread`` (files that were judged, and that the time did not reach)
    ``similar`` (missing names that similar ones were looked for, ``looked``, and were not, ``left``; ``whole``: among all files)
    ``batch`` (see read_batch) ``took`` (seconds, of walking, looking and all) ``names`` (why the wanted names are not known, {} where
    they are) ``learnt`` (see :func:`remember`).
    """
    # Nothing here makes circles of references, and looking for them would take a sixth of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _read(prepared, parameters)
    finally:
        if collecting:
            gc.enable()


def _read(prepared: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    settings = prepared["settings"]
    started = prepared["started"]
    until = started + settings["within"] * (1 - SPARE)
    wanted = prepared["wanted"]
    index = Index(wanted or [])
    batch = Crew(lambda arguments: (read_batch(*arguments), ()), most=1, until=min(until, time.monotonic() + 2.0)).run([settings["batch"]])
    walk = Walker(index, settings["rules"].extensions, depth=settings["depth"], until=until).walk(settings["roots"])
    remote = prepared["s3"] or {"folders": [], "names": [], "files": {}, "verdicts": {}, "unread": 0}
    _add_s3(walk, remote)
    walked = time.monotonic()
    sightings = Sightings.of(index, walk.hits)
    sightings.add_variants(index, walk.crowd)
    looked = Looked(wanted or [], index, settings["rules"], walk, sightings)
    looked.files.update(remote["files"])
    looked.verdicts.update(remote["verdicts"])
    looked.unread, looked.contents = remote["unread"], parameters.get("contents") is not False
    _look(looked, settings, until, parameters)
    _find_similar(looked, settings, until)
    answer = _summary(looked, settings, wanted is not None)
    answer["names"], answer["learnt"] = prepared["names"]["problem"], prepared["names"]["learnt"]
    answer["batch"] = batch[0] if batch else {"state": "silent", "marker": "", "log": "", "line": "", "at": None, "last": ""}
    answer["took"] = {"walk": round(walked - started, 4), "all": round(time.monotonic() - started, 4)}
    return answer


def _look(looked: Looked, settings: Mapping[str, Any], until: float, parameters: Mapping[str, Any]) -> None:
    """Look at the files that matched: size and time of each, contents of those that are the only one, likeness of the others."""
    local = [path for number in looked.sightings.exact for path in looked.paths(number) if path not in looked.files]
    for file in Crew(lambda path: (_file(path), ()), most=READERS, until=until).run(local):
        looked.files[file.path] = file
    # One that has gone since its folder was read was not there.
    gone = {path for path, file in looked.files.items() if file.problem in ABSENT}
    for number in [number for number in looked.sightings.exact if gone and not gone.isdisjoint(looked.paths(number))]:
        kept = [(folder, path) for folder, path in zip(looked.sightings.exact.pop(number), looked.paths(number)) if path not in gone]
        looked.joined[number] = [path for _folder, path in kept]
        if kept:
            looked.sightings.exact[number] = [folder for folder, _path in kept]
    _look_again(looked, settings["settle"], until)
    contents, deep = looked.contents, bool(parameters.get("deep"))
    single = [paths[0] for paths in map(looked.paths, looked.sightings.exact) if len(paths) == 1]
    wanted = [path for path in single if contents and _is_readable(looked, path)]
    crew = Crew(lambda path: ((path, inspect_file(path, _extension(path), deep=deep)), ()), most=settings["readers"], until=until)
    looked.verdicts.update(crew.run(wanted))
    # For some the time was over before they were asked for their size.
    looked.unread += len(crew.left) + sum(path not in looked.files for path in single)
    several = [number for number in looked.sightings.exact if len(looked.paths(number)) > 1]
    judged = Crew(lambda number: ((number, _compare(looked, number, deep)), ()), most=settings["readers"], until=until)
    looked.equal.update(judged.run(several))


def _extension(path: bytes) -> str:
    return extension_of(decoded(os.path.basename(path)))


def _is_readable(looked: Looked, path: bytes) -> bool:
    file = looked.files.get(path)
    return file is not None and not file.problem and file.size > 0 and path not in looked.verdicts and path not in looked.growing


def _file(path: bytes) -> File:
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        why = error_name(error)
        # A link to nothing is there, and cannot be read.
        return File(path, problem="dangling_link" if why in ABSENT and os.path.islink(path) else why)
    identity = f"{found.st_dev}:{found.st_ino}"
    problem = "" if stat.S_ISREG(found.st_mode) else "is_a_folder" if stat.S_ISDIR(found.st_mode) else "not_a_file"
    return File(path, found.st_size, found.st_mtime, identity, problem)


def _look_again(looked: Looked, settle: float, until: float) -> None:
    """Mark the files that grow: those that changed lately, or in the future of this clock, are looked at twice."""
    now = time.time()
    local = [path for path, file in looked.files.items() if not path.startswith(b"s3://") and not file.problem]
    fresh = [path for path in local if looked.files[path].modified > now - settle]
    if not fresh or time.monotonic() + SECOND_LOOK >= until:
        return
    looked.fresh.update(fresh)
    time.sleep(SECOND_LOOK)
    for file in Crew(lambda path: (_file(path), ()), most=READERS, until=until).run(fresh):
        before = looked.files[file.path]
        if (file.size, file.modified) != (before.size, before.modified):
            looked.growing.add(file.path)
        looked.files[file.path] = file


def _compare(looked: Looked, number: int, deep: bool) -> str:
    """Say whether all files of one name have equal contents: sizes, then the first and last blocks, or all of it with ``deep``."""
    files = [looked.files.get(path) for path in looked.paths(number)]
    known = [file for file in files if file is not None and not file.problem]
    if len(known) < len(files):
        return UNTOLD
    if len({file.size for file in known}) > 1:
        return DIFFERENT
    if len({file.identity for file in known}) == 1:
        return EQUAL
    if any(file.path.startswith(b"s3://") for file in known):
        return UNTOLD
    try:
        return EQUAL if len({_sample(file, deep) for file in known}) == 1 else DIFFERENT
    except OSError:
        return UNTOLD


def _sample(file: File, deep: bool) -> bytes:
    """Return a checksum of a file, or of its first and last block."""
    descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        whole = is_read_wholly(file.size, deep=deep)
        parts = [(0, file.size)] if whole else [(0, BLOCK), (file.size - BLOCK, BLOCK)]
        checksum = hashlib.sha256()
        for begin, length in parts:
            for offset in range(begin, begin + length, PIECE):
                checksum.update(os.pread(descriptor, min(PIECE, begin + length - offset), offset))
        return checksum.digest()
    finally:
        os.close(descriptor)


def _find_similar(looked: Looked, settings: Mapping[str, Any], until: float) -> None:
    """Look for names like those that are missing, unless there is nothing at all or too little time."""
    missing = [
        one.name
        for number, one in enumerate(looked.wanted)
        if number not in looked.sightings.exact
        and not looked.rules.broken_by(one.name)
        and not looked.sightings.variants(looked.index, number)
    ]
    if not looked.walk.crowd.folders or not missing:
        return
    taken = {encoded(looked.wanted[number].name) for number in looked.sightings.exact}
    limit = min(until, time.monotonic() + max(0.2, settings["within"] * 0.3))
    looked.similar, looked.compared = alike(missing, looked.walk.crowd, taken, limit)
    looked.uncompared = len(missing) - looked.compared


# --- S3


def _read_s3(settings: Mapping[str, Any], index: Index, until: float, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``folders names files verdicts unread`` of the roots in S3."""
    client = s3.connect(parameters.get("s3"))
    found: dict[str, Any] = {"folders": [], "names": [], "files": {}, "verdicts": {}, "unread": 0}
    buckets = [(number, root) for number, root in enumerate(settings["roots"]) if root.is_s3]
    # What was listed by then counts; who does not answer at all is not waited for any longer than until the end.
    enough = time.monotonic() + (until - time.monotonic()) * LISTING_SHARE
    crew = Crew(
        lambda it: ((it[0], s3.listing(client, it[1], it[0], index, depth=settings["depth"], until=enough)), ()), most=READERS, until=until
    )
    # One that does not answer costs neither the others nor the folders.
    listed = {**{number: s3.silent(root, number) for number, root in buckets}, **dict(crew.run(buckets))}
    for listing in (listed[number] for number, _root in buckets):
        found["folders"] += listing.folders
        found["names"] += listing.names
        found["files"].update({path: _object(thing) for path, thing in listing.objects.items()})
    if parameters.get("contents") is not False:
        exact = [file for path, file in found["files"].items() if os.path.basename(path) in index.exact and file.size]
        deep = bool(parameters.get("deep"))
        crew = Crew(lambda file: (_object_verdict(client, file, deep), ()), most=settings["readers"], until=until)
        found["verdicts"].update(crew.run(exact))
        found["unread"] = len(crew.left)
    return found


def _object(thing: s3.Thing) -> File:
    return File(thing.path, thing.size, thing.modified, f"s3:{thing.tag}" if thing.tag else decoded(thing.path))


def _object_verdict(client: Any, file: File, deep: bool) -> tuple[bytes, Verdict]:
    return file.path, s3.inspect_object(client, decoded(file.path), file.size, _extension(file.path), deep=deep)


def _add_s3(walk: Walk, remote: Mapping[str, Any]) -> None:
    """Put the folders of S3 behind the others."""
    numbers = {}
    for folder in remote["folders"]:
        numbers[id(folder)] = len(walk.folders)
        walk.folders.append(folder)
    for folder, names in remote["names"]:
        walk.crowd.add(numbers[id(folder)], names)


# --- judging: pure functions of what was looked at


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


def _summary(looked: Looked, settings: Mapping[str, Any], listed: bool) -> dict[str, Any]:
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


# --- source attachments.kept

RETENTION_PARAMETERS = ("roots", "date", "timezone", "as_user", "keep_days", "answer_within")


def read_retention(
    roots: Sequence[str],
    date: str | None = None,
    timezone: str | None = None,
    keep_days: int | None = None,
    answer_within: float | None = None,
    silent_roots: Mapping[str, str] | None = None,
    **_others: Any,
) -> dict[str, Any]:
    """Return for each root what it keeps too long (see read_kept), with ``given``. silent_roots: see SILENT_ROOTS."""
    day = day_of(date or "today", timezone or "Asia/Seoul", time.time())
    days = 30 if keep_days is None else keep_days
    if days < 0:
        raise WrongQuestion("keep_days", keep_days, "is less than 0", "give the days that files are kept")
    places = places_of(roots or (), silent_roots or {}, day)
    local = [root for root in places if not root.is_s3 and not root.problem]
    until = time.monotonic() + _positive({"answer_within": answer_within}, "answer_within", 8.0)
    known = dict(Crew(lambda root: ((root, read_kept(root, day, days)), ()), most=READERS, until=until).run(local))
    return {"roots": [{"given": root.given, **(known.get(root) or _not_kept(root))} for root in places]}


def _not_kept(root: Root) -> dict[str, Any]:
    answer = {"path": root.base, "how": "s3" if root.is_s3 else "", "problem": "" if root.is_s3 else root.problem or SILENT}
    return {**answer, "old": 0, "oldest": "", "examples": [], "looked": 0, "more": False}
