# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Match wanted attachments with the names of files: pure functions of names, which are bytes as the kernel has them.

Rules: manual 1, section 6 (NOT_FOUND, DUPLICATED, INVALID; upper and lower case count); product facts, attachments: exactly one file
may match; allowed extensions and names. A wanted name is compared, never used as a path.
"""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import compress

FOUND, NOT_FOUND, DUPLICATED, INVALID = "FOUND", "NOT_FOUND", "DUPLICATED", "INVALID"
# For names in a folder that does not answer: a file may be there.
UNKNOWN = "UNKNOWN"
OUTCOMES = (FOUND, NOT_FOUND, DUPLICATED, INVALID, UNKNOWN)
EXTENSIONS = (".pdf", ".xls", ".xlsx", ".csv")
NAME_PATTERN = r"^[A-Za-z0-9._-]+$"
LONGEST_NAME = 255  # bytes; no file system allows longer ones
ALIKE = 0.85  # likeness from which a name is a candidate; 1 for equal names
PIECES = 3
SHARED_BY = 40  # a piece of a name that more files share does not indicate a likeness
MOST_CANDIDATES = 3
MOST_ALIKE = 500  # missing names that are compared with similar ones
_BLANK = b" \t\n\r\x0b\x0c"
_CONFUSABLE = bytes.maketrans(b"oil", b"011")
_SEPARATORS = b" ._-()"
_NUMBER = re.compile(rb"\d{4,}")  # numbers distinguish customers and days
# Letters of other alphabets that look like Latin ones; NFKC replaces full-width letters before.
_LOOKS_LIKE = str.maketrans("аеорсухѕіјӏкмнтв" + "αεορτυχικνβ" + "‐‑‒–—−＿", "aeopcyxsijlkmhtb" + "aeoptuxiknb" + "------_")


@dataclass(frozen=True)
class Wanted:
    """One wanted attachment: its name in the target query, the customer group, and how often it is wanted."""

    name: str
    group: str = ""
    times: int = 1


@dataclass(frozen=True)
class Rules:
    """The rules for names: allowed extensions (lower case, with their dots) and the pattern of allowed names."""

    extensions: tuple[str, ...] = EXTENSIONS
    pattern: re.Pattern[str] = field(default_factory=lambda: re.compile(NAME_PATTERN))

    def broken_by(self, name: str) -> str:
        """Return the code of the rule that a wanted name breaks, "" for none."""
        if not name.strip():
            return "attachments.no_name"
        if "\0" in name or "/" in name or name in (".", "..") or len(encoded(name)) > LONGEST_NAME:
            return "attachments.bad_name"
        # "$" in the pattern would accept a line feed at the end.
        found = self.pattern.search(name)
        if found is None or "\n" in name or "\r" in name:
            return "attachments.bad_name"
        return "" if extension_of(name) in self.extensions else "attachments.extension"


def encoded(name: str) -> bytes:
    """Return a name as the kernel has it; bytes that are no Unicode text are restored."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")


def decoded(name: bytes) -> str:
    """Return a name of the kernel as text; bytes that are no text become surrogates, so that different names stay different."""
    return name.decode("utf-8", "surrogateescape")


def shown(name: str) -> str:
    """Return a name for printing and sending, with unprintable characters escaped."""
    if name.isprintable():
        return name
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape", "surrogatepass").decode("ascii") for sign in name)


def extension_of(name: str) -> str:
    """Return the extension in lower case, with its dot."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def fold(name: bytes) -> bytes:
    """Return a form that is equal for names that differ only in case, Unicode normalisation or blanks at the ends.

    A blank before the extension counts as one at the end: people do not see it.
    """
    if name.isascii():
        text = name.lower()
        if not _has_blank(text):
            return text
    else:
        text = encoded(unicodedata.normalize("NFC", unicodedata.normalize("NFC", decoded(name)).casefold()))
    stem, extension = os.path.splitext(_stripped(text))
    return _stripped(stem) + extension


def _stripped(text: bytes) -> bytes:
    return decoded(text).strip().encode("utf-8", "surrogateescape") if not text.isascii() else text.strip(_BLANK)


def _has_blank(text: bytes) -> bool:
    # Written out for speed: this runs for every name.
    return b" " in text or b"\t" in text or b"\n" in text or b"\r" in text or b"\x0b" in text or b"\x0c" in text


def fold_all(names: Sequence[bytes], text: bytes) -> list[bytes]:
    """Return :func:`fold` of many names; ``text`` holds them joined by NUL. Plain names need a single pass over that text."""
    if text.isascii() and not _has_blank(text):
        return text.lower().split(b"\0") if names else []
    return [fold(name) for name in names]


def differences(wanted: str, found: str) -> list[str]:
    """Return in what two names with the same folded form differ: case, normalisation, blanks."""
    one, other = unicodedata.normalize("NFC", wanted), unicodedata.normalize("NFC", found)
    differ = {
        "case": _without_blanks(one) != _without_blanks(other),
        "normalisation": (one == wanted) != (other == found),
        "blanks": one.casefold() != other.casefold(),
    }
    return [kind for kind, does in differ.items() if does]


def _without_blanks(name: str) -> str:
    stem, extension = os.path.splitext(name.strip())
    return stem.strip() + extension


class Index:
    """The wanted names, indexed for a search among many others."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self.wanted = wanted
        self.exact: dict[bytes, int] = {encoded(one.name): number for number, one in enumerate(wanted)}
        self.folded: dict[bytes, list[int]] = {}
        for number, one in enumerate(wanted):
            if one.name.strip():
                self.folded.setdefault(fold(encoded(one.name)), []).append(number)

    def exactly(self, names: Sequence[bytes]) -> list[bytes]:
        """Return the names that equal a wanted name."""
        return list(compress(names, map(self.exact.__contains__, names)))

    def nearly(self, names: Sequence[bytes], text: bytes, numbers: Iterable[int] | None = None) -> list[bytes]:
        """Return the names that equal a wanted name, or differ from it only in case, normalisation or blanks.

        text: the names joined by NUL. numbers: the wanted names to compare with, all by default.
        """
        keys = self.folded if numbers is None else {fold(encoded(self.wanted[number].name)) for number in numbers}
        return list(compress(names, map(keys.__contains__, fold_all(names, text))))


@dataclass
class Sightings:
    """The files that match: by wanted name the folders with exactly this name; by folded form the others with their folders."""

    exact: dict[int, list[int]] = field(default_factory=dict)
    others: dict[bytes, list[tuple[int, bytes]]] = field(default_factory=dict)

    @classmethod
    def of(cls, index: Index, found: Iterable[tuple[int, bytes]]) -> Sightings:
        """Return the sightings of ``(folder, name)`` pairs, whatever their order."""
        seen = cls()
        for folder, name in sorted(set(found)):
            number = index.exact.get(name)
            if number is not None:
                seen.exact.setdefault(number, []).append(folder)
            else:
                seen.others.setdefault(fold(name), []).append((folder, name))
        return seen

    def add_variants(self, index: Index, crowd: Crowd) -> None:
        """Add the names that differ from a wanted name only in case, normalisation or blanks, for wanted names without an exact match."""
        missing = [number for number in range(len(index.wanted)) if number not in self.exact]
        known = {(folder, name) for found in self.others.values() for folder, name in found}
        for folder, text in crowd.folders if missing else ():
            for name in index.nearly(text.split(b"\0"), text, missing):
                if name not in index.exact and (folder, name) not in known:
                    known.add((folder, name))
                    self.others.setdefault(fold(name), []).append((folder, name))
        for found in self.others.values():
            found.sort()

    def variants(self, index: Index, number: int) -> list[tuple[int, bytes]]:
        """Return the files whose names differ from a wanted name only in case, normalisation or blanks, and are not wanted themselves."""
        return self.others.get(fold(encoded(index.wanted[number].name)), [])


# --- names that are merely similar


class Crowd:
    """All names that were seen, joined by NUL to one text for each folder, so that a million names need no more memory than their letters."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.whole = True
        self.folders: list[tuple[int, bytes]] = []

    def add(self, folder: int, names: Sequence[bytes]) -> None:
        """Keep the names of a folder, unless the limit is reached."""
        text = b"\0".join(names)
        if not names or self.size + len(text) > self.limit:
            self.whole = self.whole and not names
            return
        self.size += len(text)
        self.folders.append((folder, text))


def alike(
    missing: Sequence[str], crowd: Crowd, taken: Iterable[bytes], until: float
) -> tuple[dict[str, list[tuple[int, bytes, float]]], int]:
    """Return the files most similar to each missing name, ``(folder, name, likeness)``, and how many names were compared.

    taken: files that match another wanted name; they are no candidates. until: monotonic seconds.
    Candidates are look-alikes (O and 0, l and 1, other separators, letters of another alphabet), and files that share a rare piece of
    the name and reach ALIKE by the ratio of difflib. A file with other numbers belongs to another customer or day, and is no
    candidate.
    """
    held = set(taken)
    found: dict[str, list[tuple[int, bytes, float]]] = {}
    wanted = list(missing)[:MOST_ALIKE]
    skeletons = _same_skeletons(wanted, crowd, until)
    looked = 0
    for name in wanted:
        if time.monotonic() >= until:
            break
        looked += 1
        pool = {*skeletons.get(_skeleton(encoded(name)), ()), *_sharing(encoded(name), crowd)}
        rated = [(folder, other, likeness(name, decoded(other))) for folder, other in pool if other not in held]
        best = sorted((one for one in rated if one[2] >= ALIKE), key=lambda one: (-one[2], one[1], one[0]))
        if best:
            found[name] = best[:MOST_CANDIDATES]
    return found, looked


def likeness(wanted: str, found: str) -> float:
    """Return the likeness of two names: 1 for look-alikes, 0 where a long number is missing, else the ratio of difflib."""
    if _skeleton(encoded(wanted)) == _skeleton(encoded(found)):
        return 1.0
    one, other = fold(encoded(wanted)), fold(encoded(found))
    if not all(number in other for number in _NUMBER.findall(one)):
        return 0.0
    matcher = SequenceMatcher(None, decoded(one), decoded(other), autojunk=False)
    return round(matcher.ratio(), 3) if matcher.real_quick_ratio() >= ALIKE and matcher.quick_ratio() >= ALIKE else 0.0


def _skeleton(name: bytes) -> bytes:
    """Return a name without separators, with letters that look alike replaced by one of them."""
    if not name.isascii():
        name = encoded(unicodedata.normalize("NFKC", decoded(name)).casefold().translate(_LOOKS_LIKE))
    return name.lower().translate(_CONFUSABLE, _SEPARATORS)


def _same_skeletons(wanted: Sequence[str], crowd: Crowd, until: float) -> dict[bytes, list[tuple[int, bytes]]]:
    keys = {_skeleton(encoded(name)) for name in wanted}
    found: dict[bytes, list[tuple[int, bytes]]] = {}
    for folder, text in crowd.folders:
        if time.monotonic() >= until:
            break
        names = text.split(b"\0")
        bones = text.lower().translate(_CONFUSABLE, _SEPARATORS).split(b"\0") if text.isascii() else map(_skeleton, names)
        for key, name in zip(bones, names):
            if key in keys:
                found.setdefault(key, []).append((folder, name))
    return found


def _sharing(name: bytes, crowd: Crowd) -> set[tuple[int, bytes]]:
    """Return the files that share a piece of a name which few files share."""
    length = max(4, -(-len(name) // PIECES))
    found: set[tuple[int, bytes]] = set()
    for start in range(0, len(name), length):
        piece = name[start : start + length]
        if len(piece) >= 4:
            sharing = _holding(piece, crowd)
            found |= sharing if len(sharing) <= SHARED_BY else set()
    return found


def _holding(piece: bytes, crowd: Crowd) -> set[tuple[int, bytes]]:
    """Return the files whose names contain a piece; stops at one more than SHARED_BY."""
    found: set[tuple[int, bytes]] = set()
    for folder, text in crowd.folders:
        place = text.find(piece)
        while place >= 0:
            begin, end = text.rfind(b"\0", 0, place) + 1, text.find(b"\0", place)
            end = len(text) if end < 0 else end
            found.add((folder, text[begin:end]))
            if len(found) > SHARED_BY:
                return found
            place = text.find(piece, end)
    return found


# --- wanted names that can be judged without reading


def judge_names(wanted: Sequence[Wanted], rules: Rules) -> dict[int, str]:
    """Return the codes of the wanted names that are invalid, whatever the folders hold."""
    return {number: code for number, code in ((number, rules.broken_by(one.name)) for number, one in enumerate(wanted)) if code}
