# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack a delivered archive of a release: what was delivered and nothing else, and nothing outside its folder.

Product facts, "Install layout" (archives are checked by SHA-256). Names and links are judged before a byte is written: what an
archive may do differs between the versions of Python that a host can have, so nothing is left to them.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.errors import WrongQuestion

MOST_MEMBERS = 500_000
# The folders of a release; an archive with another one alone at its top has the release in there.
PART_FOLDERS = ("backend", "worker", "frontend", "config")
_FOLDER_MODE = 0o755  # of folders that an archive has no entry for
_MOST_LINKS = 40  # one after the other, as the kernel has it
_SHA256 = re.compile(r"\b([0-9a-fA-F]{64})\b")


def delivered_sum(given: str | None) -> str:
    """Return the SHA-256 that was delivered: given itself, or in a file as ``sha256sum`` writes it. Raises WrongQuestion."""
    if not given:
        raise WrongQuestion(
            "archive_sha256", given, "is needed with an archive", "give its SHA-256, or the path of the delivered .sha256 file"
        )
    text = given
    if os.path.isabs(given):
        try:
            with open(given, encoding="utf-8", errors="replace") as file:
                text = file.read(4096)
        except OSError as error:
            raise WrongQuestion("archive_sha256", given, f"cannot be read ({error.strerror})", "copy it to the host first") from error
    match = _SHA256.search(text)
    if match is None:
        raise WrongQuestion("archive_sha256", given[:80], "is no SHA-256 (64 hexadecimal digits)", "give the one that was delivered")
    return match[1].lower()


def unpack(archive: str, target: str) -> None:
    """Unpack files, folders and links into a folder that exists; raises OSError and tarfile.TarError.

    Anything else, or what would lie outside, is refused before a byte is written.
    """
    with tarfile.open(archive) as packed:
        members = packed.getmembers()
        if len(members) > MOST_MEMBERS:
            raise OSError(f"the archive has {len(members)} members")
        for member in members:
            _normalise(member)
        members = _without_top([member for member in members if member.name != "."])
        _refuse_strange(members)
        for member in members:
            member.mode = (member.mode & 0o755) | (stat.S_IRWXU if member.isdir() else stat.S_IRUSR | stat.S_IWUSR)
        # Judged above; the filters of newer versions would change modes besides.
        options: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
        packed.extractall(target, members=members, **options)  # noqa: S202
    named = {member.name for member in members if member.isdir()}
    for base, folders, _files in os.walk(target):
        for path in (os.path.join(base, name) for name in folders):
            if not os.path.islink(path) and os.path.relpath(path, target) not in named:
                os.chmod(path, _FOLDER_MODE)


def _normalise(member: tarfile.TarInfo) -> None:
    """Write names without ``.``, doubled slashes and steps back; what leads outside still does."""
    member.name = os.path.normpath(member.name)
    if member.islnk():
        member.linkname = os.path.normpath(member.linkname)


def _without_top(members: Sequence[tarfile.TarInfo]) -> list[tarfile.TarInfo]:
    """Leave the one folder away in which everything is, as archives of a version often are."""
    tops = {member.name.split("/")[0] for member in members}
    top = min(tops, default="")
    alone = [member for member in members if member.name == top]
    if len(tops) != 1 or top in (*PART_FOLDERS, "", "..") or not all(member.isdir() for member in alone) or len(alone) == len(members):
        return list(members)
    kept = [member for member in members if member.name != top]
    for member in kept:
        member.name = member.name[len(top) + 1 :]
        if member.islnk() and member.linkname.startswith(f"{top}/"):
            member.linkname = member.linkname[len(top) + 1 :]
    return kept


def _refuse_strange(members: Sequence[tarfile.TarInfo]) -> None:
    """Raise OSError for the first member that would lie outside, would lead there, or is no file, folder or link."""
    links = {member.name: member.linkname for member in members if member.issym()}
    files = {member.name for member in members if member.isreg()}
    others = {member.name for member in members if not member.issym()}
    for member in members:
        name, harmless = member.name, True
        if os.path.isabs(name) or name.split("/")[0] == "..":
            harmless = False
        elif any(above in links for above in _above(name)):
            harmless = False  # written through a link
        elif member.issym():
            harmless = name not in others and not _leads_outside(name, links)
        elif member.islnk():
            harmless = member.linkname in files
        else:
            harmless = member.isreg() or member.isdir()
        if not harmless:
            raise OSError(f"the archive has {name!r}, which would lie outside or is no file, folder or link of it")


def _above(name: str) -> list[str]:
    steps = name.split("/")
    return ["/".join(steps[:number]) for number in range(1, len(steps))]


def _leads_outside(name: str, links: Mapping[str, str]) -> bool:
    """Whether a link leads outside, step by step as the kernel goes, through the other links of the archive."""
    waiting, followed = name.split("/")[::-1], 0
    at: list[str] = []
    while waiting:
        step = waiting.pop()
        if step == "..":
            if not at:
                return True
            at.pop()
        elif step not in ("", "."):
            at.append(step)
            link = links.get("/".join(at))
            if link is not None:
                followed += 1
                if followed > _MOST_LINKS or os.path.isabs(link):
                    return True
                at.pop()
                waiting += link.split("/")[::-1]
    return False
