# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hide personal data and secrets in any text before it leaves a host.

Masks follow the product's rules (tank-product-facts, LogsDB): ``hong@test.com`` becomes ``h***@test.com``.
"""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "********"

_SECRET_WORDS = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|credential|api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|authorization|cookie"
)
_RULES = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), HIDDEN),
    (re.compile(r"\b(?:AKIA|ASIA|AIDA|AROA)[A-Z0-9]{12,}"), HIDDEN),
    (re.compile(r"\b(eyJ[\w-]{5,})\.[\w-]+\.[\w-]+"), HIDDEN),
    (re.compile(r"([a-z][a-z0-9+.-]{1,20}://[^/\s:@]{1,100}):[^@\s/]{1,200}@", re.I), rf"\1:{HIDDEN}@"),
    (
        re.compile(
            rf"([\"']?[\w.-]{{0,40}}(?:{_SECRET_WORDS})[\w.-]{{0,20}}[\"']?\s*[=:]\s*)(?:Bearer\s+|Basic\s+)?(\"[^\"]*\"|'[^']*'|[^\s,;&}}\])]+)",
            re.I,
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            r"(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]{0,39}[0-9+/])(?=[A-Za-z0-9/+]{0,39}[A-Z])(?=[A-Za-z0-9/+]{0,39}[a-z])(?!/)[A-Za-z0-9+/]{40}(?![A-Za-z0-9/+=])"
        ),
        HIDDEN,
    ),
    (re.compile(r"\b([A-Za-z0-9])[A-Za-z0-9._%+-]{0,64}@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"), r"\1***@\2"),
)
_SECRET_NAME = re.compile(rf"(?:{_SECRET_WORDS}|^key$)", re.I)
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")


def is_secret_name(name: str) -> bool:
    """Whether a name (of an option, a variable) says that its value is a secret."""
    return bool(_SECRET_NAME.search(name))


def strip_ansi(text: str) -> str:
    """Remove colours and control characters (tabs and newlines stay)."""
    return _ANSI.sub("", text)


def mask(text: str, limit: int = 400) -> str:
    """Return a text without colours, secrets and personal data, at most ``limit`` characters long."""
    text = strip_ansi(text[: limit * 4])
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def mask_all(value: Any) -> Any:
    """Mask every text in a nest of dictionaries and lists."""
    if isinstance(value, str):
        return mask(value, limit=2000)
    if isinstance(value, dict):
        return {key: mask_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_all(item) for item in value]
    return value
