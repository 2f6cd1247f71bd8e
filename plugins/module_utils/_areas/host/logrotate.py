# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rotates logs: the rules of logrotate, and the names that rotated parts of a log have."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from ..._shared.text_files import text_of

LOGROTATE = ("/etc/logrotate.conf", "/etc/logrotate.d")
_LEFTOVER = (
    re.compile(r"^(?P<base>.+?)\.(?:\d{1,4})(?:\.(?:gz|bz2|xz|zst))?$"),
    re.compile(r"^(?P<base>.+?)[-.]\d{4}-?\d\d-?\d\d[-_.\dT]*(?:\.log)?(?:\.(?:gz|bz2|xz|zst))?$"),
    re.compile(r"^(?P<base>.+?)__\d{4}-\d\d-\d\d_[-\d]+\.log(?:\.gz)?$"),
    re.compile(r"^(?P<base>.+?)\.(?:old|gz|bz2|xz|zst)$"),
)


def rotated_from(name: str) -> str:
    """Return the log that a file is a rotated part of by its name (``worker.log`` for ``worker.log.2.gz``), "" for none."""
    for pattern in _LEFTOVER:
        found = pattern.match(name)
        if found:
            base = found.group("base")
            return base if base.endswith((".log", ".err", ".out")) else f"{base}.log" if name.endswith((".log", ".log.gz")) else base
    return ""


def rotation_rules(places: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the patterns of files that logrotate rotates, and the files of its configuration that may not be read."""
    rules: list[str] = []
    unread = []
    for place in places:
        names = sorted(glob.glob(os.path.join(glob.escape(place), "*")))[:500] if os.path.isdir(place) else [place]
        for name in names:
            text = text_of(name)
            if text is not None:
                rules += parse_rules(text)
            elif os.path.exists(name) and not os.path.isdir(name):
                unread.append(name)
    return rules[:2000], unread


def parse_rules(text: str) -> list[str]:
    """Return the patterns of one file of logrotate: the absolute paths in front of each ``{``."""
    rules: list[str] = []
    waiting: list[str] = []
    inside = False
    for line in text.split("\n"):
        line = line.strip()
        if inside or line.startswith("#"):
            inside = inside and not line.startswith("}")
            continue
        before, brace, after = line.partition("{")
        words = [single or double or bare for single, double, bare in re.findall(r"'([^']*)'|\"([^\"]*)\"|(\S+)", before)]
        if words and not words[0].startswith("/"):
            waiting = []
        waiting += [word for word in words if word.startswith("/")]
        if brace:
            rules += waiting
            waiting, inside = [], "}" not in after
    return rules


def covers(rule: str, path: str) -> bool:
    """Whether a pattern of logrotate matches a path; a star does not match a slash."""
    rule_parts, path_parts = rule.split("/"), path.split("/")
    return len(rule_parts) == len(path_parts) and all(fnmatchcase(part, pattern) for part, pattern in zip(path_parts, rule_parts))
