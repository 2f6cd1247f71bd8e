# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places to connect to, as parameters name them: a host, with a port or without."""

from __future__ import annotations

import re
from typing import Any

from ..._core.errors import WrongQuestion
from ..._shared.text_files import whole


def place_of(option: str, given: Any, usual: int | None = None) -> tuple[str, int]:
    """Return host and port of ``host``, ``host:port`` or ``[address]:port``; raises WrongQuestion for any other text.

    option: the parameter, for the message. usual: the port where none is named.
    """
    text = given if isinstance(given, str) else ""
    found = re.fullmatch(r"\[([0-9A-Fa-f:.%\w]+)\](?::(\d{1,5}))?|([^\s:/\[\]@]{1,253})(?::(\d{1,5}))?", text.strip())
    port = whole((found.group(2) or found.group(4)) if found else None, usual or 0)
    if not found or not 0 < port < 65536:
        raise WrongQuestion(option, given, "is not a place to connect to", "give host:port, such as db.example.com:1521")
    return found.group(1) or found.group(3), port
