# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parse one log line: whether an error begins with it, and the shape of its message."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ..._core.masking import mask
from .dates import naive_times

_HEADER = re.compile(
    r"^\[(?P<app>[^\]\n]{1,60})\]\s+(?P<pid>\d+)\s+-\s+(?P<date>[^A-Za-z\n][^\n]{6,40}?)\s+(?P<level>LOG|ERROR|WARN|DEBUG|VERBOSE|FATAL)\s+"
    r"(?:\[(?P<context>[^\]\n]{0,100})\]\s*)?(?P<message>.*)$",
    re.S,
)
_STAMP = re.compile(r"^(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?): ")
_RAW = re.compile(r"^(?:Uncaught )?(?:[\w$]+\.)*(?P<name>\w*(?:Error|Exception))(?: \[\w+\])?: (?P<message>.*)$", re.S)
_NGINX = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(?:error|crit|alert|emerg)\] (?:\d+#\d+: )?(?:\*\d+ )?(?P<message>.*)$", re.S)
_LEVEL_WORD = re.compile(r"^.{0,60}?\b(?:ERROR|FATAL)\b[\]:]*\s*(?P<message>.*)$", re.S)
_CALM_LEVEL = re.compile(r"^.{0,60}?\b(?:INFO|LOG|WARN|WARNING|DEBUG|TRACE|VERBOSE)\b")
_ERROR_NAME = re.compile(r"^(?:[\w$]+\.)*\w*(?:Error|Exception)(?: \[\w+\])?: ")
_SHAPES = (
    (re.compile(r"[\w.+%-]*\*{0,3}[\w.+%-]*@[\w.-]+"), "<address>"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"),]+"), "<url>"),
    (re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`"), "<text>"),
    (re.compile(r"(?<![\w<])(?:[A-Za-z]:)?[/\\][\w.@%+~-]+(?:[/\\][\w.@%+~-]*)*"), "<path>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{12,}\b"), "<id>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<host>"),
    (re.compile(r"\b\w*\d[\w.]*_[\w.]*\b|\b\w*_\w*\d[\w.]*\b"), "<id>"),
    (re.compile(r"(?<![A-Za-z-])[+-]?\d+(?:[.,:]\d+)*"), "<n>"),
)


@dataclass
class Start:
    """The first line of an error: its message, and the date, process and context that the line names."""

    message: str
    date: str = ""
    pid: int = 0
    context: str = ""
    raw: bool = False  # a bare stack trace, without date and level


def start_of(line: str) -> Start | None:
    """Return the error that begins with a line (without colours); None when the line continues an error or is none."""
    stamp = _STAMP.match(line)
    date = stamp.group(0) if stamp else ""
    if stamp:
        line = line[stamp.end() :]
    header = _HEADER.match(line)
    if header:
        if header["level"] not in ("ERROR", "FATAL"):
            return None
        return Start(header["message"].strip(), header["date"], int(header["pid"][:9]), header["context"] or "")
    nginx = _NGINX.match(line)
    if nginx:
        return Start(nginx["message"], line[:19])
    if line.startswith("{"):
        return _json_start(line)
    if _RAW.match(line):
        return Start(line.strip(), date, raw=not date)
    if line[:1] in (" ", "\t"):
        return None
    worded = _LEVEL_WORD.match(line)
    if worded and not _CALM_LEVEL.match(line):
        found = naive_times(line[:60])
        return Start(worded["message"].strip() or line.strip(), date or (line[:60] if found else ""))
    return None


def _json_start(line: str) -> Start | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or str(entry.get("level")).lower() not in ("error", "fatal", "50", "60"):
        return None
    message = next((entry[key] for key in ("message", "msg", "error") if isinstance(entry.get(key), str)), "")
    date = next((str(entry[key]) for key in ("timestamp", "time", "ts") if isinstance(entry.get(key), str)), "")
    pid = entry.get("pid")
    return Start(message, date, pid if isinstance(pid, int) else 0, str(entry.get("context") or ""))


def is_calm(line: str) -> bool:
    """Return whether a line is a message of a level below ERROR."""
    stamp = _STAMP.match(line)
    if stamp:
        line = line[stamp.end() :]
    header = _HEADER.match(line)
    return header["level"] not in ("ERROR", "FATAL") if header else bool(_CALM_LEVEL.match(line))


def core(message: str) -> str:
    """Return a message without the name of its error, so that the same error of two loggers compares equal."""
    return _ERROR_NAME.sub("", message, count=1).strip()


def shape(message: str) -> str:
    """Return a message with everything that varies replaced, so that equal errors have equal shapes."""
    text = mask(message.split("\n", 1)[0], 240)
    for pattern, word in _SHAPES:
        text = pattern.sub(word, text)
    return text[:160].strip()
