# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault catalogue: the faults of all areas together. Only the controller needs it; a host has those of the areas that it asks."""

from __future__ import annotations

from .._core.faults import Fault
from .attachments.faults import FAULTS as ATTACHMENTS
from .backend.faults import FAULTS as BACKEND
from .host.faults import FAULTS as HOST
from .logsdb.faults import FAULTS as LOGSDB
from .nas.faults import FAULTS as NAS
from .nginx.faults import FAULTS as NGINX
from .oracle.faults import FAULTS as ORACLE
from .pm2.faults import FAULTS as PM2
from .redis.faults import FAULTS as REDIS
from .run.faults import FAULTS as RUN
from .ses.faults import FAULTS as SES
from .web.faults import FAULTS as WEB
from .worker.faults import FAULTS as WORKER

FAULTS: dict[str, Fault] = {
    **PM2,
    **BACKEND,
    **WORKER,
    **ORACLE,
    **NAS,
    **ATTACHMENTS,
    **SES,
    **NGINX,
    **WEB,
    **HOST,
    **LOGSDB,
    **REDIS,
    **RUN,
}
