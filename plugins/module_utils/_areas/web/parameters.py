# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that several checks of the area web share."""

from __future__ import annotations

from typing import Any

URL: dict[str, Any] = {
    "type": "str",
    "required": True,
    "variable": "stack_web_url",
    "description": "Address of the served page, as browsers use it.",
}
ADDRESS: dict[str, Any] = {
    "type": "str",
    "variable": "stack_web_address",
    "description": "Connect to this address instead of the one that the name of the url has, such as 127.0.0.1 on the web host itself.",
}
TIMEOUT: dict[str, Any] = {"type": "float", "default": 5.0, "description": "Seconds for one answer, redirects included."}
BUILD_DIR: dict[str, Any] = {
    "type": "path",
    "variable": "stack_web_build_dir",
    "description": "Folder of the built page on this host, to find out why it is not served.",
}
# A page and the folder that it is built in.
PAGE_AND_BUILD: dict[str, dict[str, Any]] = {"url": URL, "address": ADDRESS, "timeout": TIMEOUT, "build_dir": BUILD_DIR}
