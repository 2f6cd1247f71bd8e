# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify and unpack a delivered archive of a release, without writing outside its folder.

Product facts, "Install layout" (archives are checked by SHA-256). All names and links are checked before a byte is written, because the
protection that Python itself has differs between the versions that a host can have.
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
# The folders of a release. Where an archive has one other folder at its top, the release is inside it.
PART_FOLDERS = ("backend", "worker", "frontend", "config")
_FOLDER_MODE = 0o755  # for folders that have no entry in the archive
_MOST_LINKS = 40  # followed in a row, the limit of the kernel
_SHA256 = re.compile(r"\b([0-9a-fA-F]{64})\b")


def delivered_sum(given: str | None) -> str:
    """Return the delivered SHA-256: the given text, or the content of a file that ``sha256sum`` wrote. Raises WrongQuestion."""
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
        raise WrongQuestion("archive_sha256", given[:80], "is not a SHA-256 (64 hexadecimal digits)", "give the one that was delivered")
    return match[1].lower()


def unpack(archive: str, target: str) -> None:
    """Unpack files, folders and links into an existing folder. Raises OSError and tarfile.TarError.

    Refuses any other kind of member, and members outside the folder, before a byte is written.
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
        # Members are checked above; the filters of newer versions would also change modes.
        options: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
        packed.extractall(target, members=members, **options)  # noqa: S202
    named = {member.name for member in members if member.isdir()}
    for base, folders, _files in os.walk(target):
        for path in (os.path.join(base, name) for name in folders):
            if not os.path.islink(path) and os.path.relpath(path, target) not in named:
                os.chmod(path, _FOLDER_MODE)


def _normalise(member: tarfile.TarInfo) -> None:
    """Normalise the name and the target of a member; a path that leads outside still does."""
    member.name = os.path.normpath(member.name)
    if member.islnk():
        member.linkname = os.path.normpath(member.linkname)


def _without_top(members: Sequence[tarfile.TarInfo]) -> list[tarfile.TarInfo]:
    """Return the members without the single folder at the top that holds everything, if there is one."""
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
    """Raise OSError for the first member that is outside, links to the outside, or is no file, folder or link."""
    links = {member.name: member.linkname for member in members if member.issym()}
    files = {member.name for member in members if member.isreg()}
    others = {member.name for member in members if not member.issym()}
    for member in members:
        name, harmless = member.name, True
        if os.path.isabs(name) or name.split("/")[0] == "..":
            harmless = False
        elif any(above in links for above in _above(name)):
            harmless = False  # would be written through a link
        elif member.issym():
            harmless = name not in others and not _leads_outside(name, links)
        elif member.islnk():
            harmless = member.linkname in files
        else:
            harmless = member.isreg() or member.isdir()
        if not harmless:
            raise OSError(f"the archive has {name!r}, which leads outside or is not a file, a folder or a link")


def _above(name: str) -> list[str]:
    steps = name.split("/")
    return ["/".join(steps[:number]) for number in range(1, len(steps))]


def _leads_outside(name: str, links: Mapping[str, str]) -> bool:
    """Return whether a link leads outside; follows the other links of the archive step by step, like the kernel."""
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
