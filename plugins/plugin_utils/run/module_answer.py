# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a module's answer the action plugins pass on, beside the values of the module; anything else that a host says has no meaning."""

from __future__ import annotations

ALWAYS = (
    "changed",
    "failed",
    "msg",
    "warnings",
    "deprecations",
    "exception",
    "module_stdout",
    "module_stderr",
    "rc",
    "invocation",
)
