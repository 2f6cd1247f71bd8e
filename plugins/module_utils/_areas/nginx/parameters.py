# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that all checks of the area nginx share: which nginx is meant, and where its pid file and log are."""

from __future__ import annotations

from typing import Any

PARAMETERS: dict[str, dict[str, Any]] = {
    "executable": {
        "type": "path",
        "variable": "stack_nginx_executable",
        "description": "The program nginx, by default found in PATH and the usual folders.",
    },
    "conf": {
        "type": "path",
        "variable": "stack_nginx_conf",
        "description": "Path of nginx.conf, by default the one that nginx was built with.",
    },
    "prefix": {
        "type": "path",
        "variable": "stack_nginx_prefix",
        "description": "Folder that relative paths of the configuration start from (nginx -p), by default nginx's own.",
    },
    "pid_file": {
        "type": "path",
        "variable": "stack_nginx_pid_file",
        "description": "Path of the pid file, by default the one of the configuration.",
    },
    "error_log": {
        "type": "path",
        "variable": "stack_nginx_error_log",
        "description": "Path of the main error log, by default the one of the configuration.",
    },
}
