# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source pm2.list: the PM2 daemon and its processes."""

from __future__ import annotations

from ..._core.source import Source
from ..._shared.pm2_list import read_list, reader
from .list_memory import remember_list

LIST = Source(
    "pm2.list",
    read_list,
    ("pm2_home", "user", "answer_within"),
    limits=("answer_within",),
    owner=reader,
    remember=remember_list,
)
