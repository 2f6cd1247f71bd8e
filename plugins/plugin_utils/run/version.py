# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's version; a test keeps it equal to galaxy.yml, which an installed collection does not have."""

from __future__ import annotations

VERSION = "0.1.0"
