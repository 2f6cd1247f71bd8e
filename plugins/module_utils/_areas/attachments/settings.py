# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a reading: the parameters of the checks, checked and with their defaults."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from ..._core.children import user_id
from ..._core.errors import WrongQuestion
from ..._shared.dated_paths import Root, dated, day_of, roots_of
from .batch import EARLY, BatchSettings, paths_of, patterns_of, since_of
from .match import EXTENSIONS, NAME_PATTERN, Rules, Wanted
from .wanted import NAME_COLUMN, of_file, of_list

CONTENT_READERS = 5  # product facts: at most five files are read at the same time
SETTLE = 10.0  # seconds since its last change for which a file is looked at twice
WITHIN = 8.0  # seconds
ZONE = "Asia/Seoul"
# The parameter {root: problem} of roots that are known not to answer: they are reported and not read.
SILENT_ROOTS = "silent_roots"


@dataclass(frozen=True)
class Settings:
    """Checked settings.

    roots: the places to read, then those that are known not to answer. within: seconds until the answer. depth: levels of folders below a
    root. details: rows that are returned, at most. readers: files that are read at the same time, at most. settle: see SETTLE.
    """

    day: date
    roots: list[Root]
    rules: Rules
    within: float
    depth: int
    details: int
    readers: int
    settle: float
    batch: BatchSettings


def owner(as_user: str | None = None, roots: Sequence[str] | None = None, **_others: Any) -> int | None:
    """Return the id of the user who reads the folders; None for S3 alone, whose files have no users."""
    return user_id("as_user", as_user) if as_user and not all(root.startswith("s3://") for root in roots or [""]) else None


def settings_of(parameters: Mapping[str, Any]) -> Settings:
    """Return the settings of these parameters; raises WrongQuestion for one that cannot be used."""
    given, silent = parameters.get("roots"), parameters.get(SILENT_ROOTS) or {}
    if not given and not silent:
        raise WrongQuestion("roots", given, "names no folder", "give the folders or S3 prefixes that attachments lie in")
    zone = parameters.get("timezone") or ZONE
    day = day_of(parameters.get("date") or "today", zone, time.time())
    within = positive(parameters, "answer_within", WITHIN)
    places = [name for name in ("wanted", "wanted_file", "wanted_query") if parameters.get(name) is not None]
    if len(places) > 1:
        raise WrongQuestion(places[0], places[1], "is given besides", "take the wanted names from one place")
    return Settings(
        day=day,
        roots=places_of(given or (), silent, day),
        rules=rules_of(parameters.get("extensions"), parameters.get("name_pattern")),
        within=within,
        depth=max(0, _number(parameters, "depth", 3)),
        details=max(0, _number(parameters, "details", 100)),
        readers=int(positive(parameters, "parallel_reads", CONTENT_READERS)),
        settle=max(0.0, float(SETTLE if parameters.get("settle") is None else parameters["settle"])),
        batch=_batch_of(parameters, day, zone),
    )


def _batch_of(parameters: Mapping[str, Any], day: date, zone: str) -> BatchSettings:
    marker, log = parameters.get("batch_marker"), parameters.get("batch_log")
    early = parameters.get("batch_hours_before")
    hours = EARLY if early is None else float(early)
    paths = paths_of(marker, log, day)
    patterns = patterns_of(parameters.get("batch_failed"), parameters.get("batch_finished"))
    return BatchSettings(*paths, *patterns, (since_of(marker, day, zone, hours), since_of(log, day, zone, hours)), zone)


def places_of(given: Sequence[str], silent: Mapping[str, str], day: date) -> list[Root]:
    """Return the places to read, then those that are known not to answer, with their problem."""
    return [*roots_of(given, day), *(replace(root, problem=silent[root.given]) for root in roots_of(list(silent), day))]


def _number(parameters: Mapping[str, Any], name: str, default: int) -> int:
    value = parameters.get(name)
    return default if value is None else int(value)


def positive(parameters: Mapping[str, Any], name: str, default: float) -> float:
    """Return a parameter that must be positive, or its default; raises WrongQuestion."""
    value = parameters.get(name)
    if value is not None and not 0 < value < 1e6:
        raise WrongQuestion(name, value, "is not more than 0", "give a positive number")
    return default if value is None else float(value)


def rules_of(extensions: Sequence[str] | None, pattern: str | None) -> Rules:
    """Return the rules for names; raises WrongQuestion for an extension without its dot or an invalid pattern."""
    chosen = tuple(extension.lower() for extension in (extensions or EXTENSIONS))
    for extension in chosen:
        if not re.fullmatch(r"\.[^./\s]{1,20}", extension):
            raise WrongQuestion("extensions", extension, "is no extension", "write it with its dot, such as .pdf")
    try:
        return Rules(chosen, re.compile(pattern or NAME_PATTERN))
    except re.error as error:
        raise WrongQuestion("name_pattern", pattern, f"is no regular expression ({error})", "correct it") from error


def wanted_of(parameters: Mapping[str, Any], day: date) -> list[Wanted] | None:
    """Return the wanted names of the given list or file, None where neither is given."""
    if parameters.get("wanted_file"):
        columns = (parameters.get("name_column") or NAME_COLUMN, parameters.get("group_column") or "")
        return of_file(dated("wanted_file", parameters["wanted_file"], day), *columns)
    return of_list(parameters["wanted"]) if parameters.get("wanted") is not None else None
