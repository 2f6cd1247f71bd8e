# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the line of a log that gives the reason why a process ended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .._core.masking import mask, strip_ansi
from .logs.dates import leading_time

_SIGNATURES = re.compile(
    r"Nest can't resolve dependencies of|Nest cannot create the|Config validation error:|Configuration key \".+\" does not exist"
    r"|EADDRINUSE: address already in use|Cannot find (?:module|package) '|NJS-\d{3}|ORA-\d{5}|JavaScript heap out of memory"
    r"|Maximum sending rate exceeded|Daily message quota exceeded|not authorized to perform"
    r"|InvalidClientTokenId|UnrecognizedClientException|ExpiredToken|SignatureDoesNotMatch|InvalidSignatureException|Signature expired:"
    r"|MessageRejected: |Sending paused for this account|SendingPausedException|MailFromDomainNotVerified"
    r"|Unknown system error -\d+|\b(?:EACCES|EIO|ENOENT|EROFS|ENOSPC|ENOTCONN|EHOSTDOWN|ECONNREFUSED)[: ]"
    r"|Oracle connection failed|SES send error|Template variable mismatch"
)
_ERROR = re.compile(r"\b\w*(?:Error|Exception)\b|\b(?:ERROR|FATAL|panic|Unhandled)\b|\b[Ee]rror: ")
_TRAILER = re.compile(r"^Node\.js v\d+")
_NOISE = re.compile(  # stack frames, carets, brackets, properties of an error object, source lines
    r"^\s*$|^\s+at |^\s*at (?:async )?\S+ \(|^\s*\^+\s*$|^\s*[{}\]]|^\s*\[\s*$|^Node\.js v\d+"
    r"|^\s+\w+: .*,?$|^\s*\"?\w+\"?: .*,$|^\s*(?:throw |\.\.\. )|^(?:file://)?/\S+:\d+$|^node:\S+:\d+$"
)
_LINE_PREFIX = re.compile(
    r"^(?:\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?:?\s+)?(?:\[Nest\]\s+\d+\s+-\s+.*?\b(?:ERROR|WARN|LOG|FATAL|DEBUG|VERBOSE)\s+)?"
)
_DIGITS = re.compile(r"\d+")
_FRAGMENT_LINES = 40
_CONTINUED_LINES = 3


def reason(text: str, not_before: float | None = None, *, any_line: bool = True) -> str:
    """Return the line at the end of a log that gives the reason why the application ended, masked; "" when there is none.

    The line is the message of an error, not a frame of its stack. A line that matches a known signature wins over
    another error of the same fragment.
    not_before: epoch seconds; lines with an earlier date are skipped.
    any_line: return the last line when there is no error; right for an error log, wrong for ordinary output.
    """
    lines = [line for line in strip_ansi(text).split("\n") if _recent(line, not_before)]
    fragment = _last_fragment(lines)
    for wanted in (_SIGNATURES.search, _ERROR.search, *((_anything,) if any_line else ())):
        for number in range(len(fragment) - 1, -1, -1):
            line = fragment[number]
            if not _NOISE.match(line) and wanted(line):
                return mask(_message(line, fragment[number + 1 :]))
    return ""


def _anything(_line: str) -> bool:
    return True


def _recent(line: str, not_before: float | None) -> bool:
    if not_before is None:
        return True
    moment = leading_time(line, None)
    return moment is None or moment >= not_before


def _last_fragment(lines: list[str]) -> list[str]:
    """Return the lines of the last end of the application: those between Node's last two trailers."""
    tail = lines[-_FRAGMENT_LINES:]
    trailers = [number for number, line in enumerate(tail) if _TRAILER.match(line)]
    if not trailers:
        return tail[_start_of_last_end(tail) :]
    first = trailers[-2] + 1 if len(trailers) > 1 else 0
    return tail[first : trailers[-1]]


def _start_of_last_end(lines: Sequence[str]) -> int:
    """Return the index at which the last end begins: after a line that is repeated later, which belongs to the end before.

    Otherwise a known signature of an older incident would win over the current error.
    """
    seen: set[str] = set()
    for number in range(len(lines) - 1, -1, -1):
        if _NOISE.match(lines[number]):
            continue
        shape = _DIGITS.sub("#", _LINE_PREFIX.sub("", lines[number], count=1).strip())
        if shape in seen:
            return number + 1
        seen.add(shape)
    return 0


def _message(line: str, following: Iterable[str]) -> str:
    message = _LINE_PREFIX.sub("", line, count=1).strip()
    if not message.endswith(":"):
        return message
    continued: list[str] = []
    for more in following:
        if _NOISE.match(more) or len(continued) == _CONTINUED_LINES:
            break
        continued.append(more.strip())
    return " ".join([message, "; ".join(continued)]).strip()
