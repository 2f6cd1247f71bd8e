# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The places of attachments: folders or S3 prefixes whose names may contain a date, ``/batch/report/AC/statement/%Y%m%d``.

Product facts, attachments: the folder of the date on a NAS, or ``s3://<bucket>/statement/YYYYMMDD/``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from .._core.errors import WrongQuestion

DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_DIRECTIVES = frozenset("YymdjGVBbA%")
_DIRECTIVE = re.compile(r"%(.?)")
_S3 = re.compile(r"^s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?$")
_REMEDY = "give an absolute path such as /batch/report/AC/statement/%Y%m%d, or s3://bucket/prefix"


@dataclass(frozen=True)
class Root:
    """One place: as the parameters have it, its path on the day, and the part of the path before any date.

    problem: why it does not answer, where that is already known; such a place is not read.
    """

    given: str
    path: str
    base: str
    bucket: str = ""
    problem: str = ""

    @property
    def is_s3(self) -> bool:
        """Whether it is a prefix in a bucket."""
        return bool(self.bucket)

    @property
    def is_dated(self) -> bool:
        """Whether each day has its own folder."""
        return self.path != self.base


def day_of(given: str, zone: str, now: float) -> date:
    """Return the day that ``today``, ``tomorrow``, ``yesterday`` or ``2026-11-21`` stands for in a time zone. now: epoch seconds.

    Raises WrongQuestion for another text or an unknown zone.
    """
    try:
        today = datetime.fromtimestamp(now, tz=ZoneInfo(zone)).date()
    except (KeyError, ValueError, OSError) as error:
        remedy = "give a name such as Asia/Seoul; the system needs the package tzdata for it"
        raise WrongQuestion("timezone", zone, "is not a time zone here", remedy) from error
    if given in DAYS:
        return today + timedelta(days=DAYS[given])
    try:
        return datetime.strptime(given, "%Y-%m-%d").date()
    except ValueError as error:
        raise WrongQuestion("date", given, "is not a day", "give today, tomorrow, yesterday or YYYY-MM-DD") from error


def dated(option: str, pattern: str, day: date) -> str:
    """Return a path with a day filled in; raises WrongQuestion for a directive that is no part of a date."""
    for directive in _DIRECTIVE.findall(pattern):
        if directive not in _DIRECTIVES:
            raise WrongQuestion(option, pattern, f"holds %{directive}, which is no part of a date", "use %Y, %m, %d, %y, %j; %% is a %")
    return _DIRECTIVE.sub(lambda found: day.strftime(found.group(0)), pattern)


def roots_of(given: Sequence[str], day: date) -> list[Root]:
    """Return the places for a day, each path once; raises WrongQuestion for a text that is no place."""
    found: dict[str, Root] = {}
    for text in given:
        root = _root(text, day)
        found.setdefault(root.path, root)
    return list(found.values())


def _root(text: str, day: date) -> Root:
    s3 = _S3.match(text)
    if s3:
        prefix = dated("roots", s3.group(2) or "", day)
        return Root(text, f"s3://{s3.group(1)}/{prefix}", f"s3://{s3.group(1)}/{_static(s3.group(2) or '')}", s3.group(1))
    if text.startswith("\\\\"):
        raise WrongQuestion("roots", text, "is a Windows share", "give the folder where it is mounted on this host")
    if not text.startswith("/") or "\0" in text or "\n" in text or ".." in text.split("/"):
        raise WrongQuestion("roots", text, "is no absolute path without ..", _REMEDY)
    path = os.path.normpath("/" + dated("roots", text, day).lstrip("/"))
    base = os.path.normpath("/" + _static(text).lstrip("/"))
    return Root(text, path, base if "%" in text else path)


def _static(pattern: str) -> str:
    """Return the part of a path before the first folder whose name contains a date."""
    if "%" not in pattern:
        return pattern
    return pattern[: pattern.index("%")].rpartition("/")[0]


def dated_parts(root: Root) -> list[str]:
    """Return the folders of a dated root, from its base on, whose names together contain a whole date.

    Such as ``[%Y%m%d]`` or ``[%Y, %m, %d]``; [] where they contain none.
    """
    parts = os.path.normpath("/" + root.given.lstrip("/"))[len(root.base) :].strip("/").split("/")
    for count in range(1, len(parts) + 1):
        held = set(_DIRECTIVE.findall("/".join(parts[:count])))
        if held & {"Y", "y"} and ({"m", "d"} <= held or "j" in held):
            return parts[:count]
    return []


def days_in(parts: Sequence[str], names: Iterable[str]) -> dict[str, date]:
    """Return the days of the names (``20261121``, ``2026/11/21``) that match the dated folders of a root."""
    found = {}
    for name in names:
        try:
            found[name] = datetime.strptime(name, "/".join(parts)).date()
        except ValueError:
            continue
    return found
