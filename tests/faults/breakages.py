"""The faults that the replica can have, by area."""

from __future__ import annotations

from tests.replica.system import ReplicaError

from .attachments.make import ATTACHMENT_FAULTS
from .backend.make import BACKEND_FAULTS
from .breakage import Fault
from .host.make import HOST_FAULTS
from .logsdb.make import LOGSDB_FAULTS
from .nas.make import NAS_FAULTS
from .nginx.make import NGINX_FAULTS
from .oracle.make import ORACLE_FAULTS
from .pm2.make import PM2_FAULTS
from .ses.make import SES_FAULTS
from .web.make import WEB_FAULTS
from .worker.make import WORKER_FAULTS

FAULTS: tuple[Fault, ...] = (
    *PM2_FAULTS,
    *HOST_FAULTS,
    *BACKEND_FAULTS,
    *WORKER_FAULTS,
    *LOGSDB_FAULTS,
    *ORACLE_FAULTS,
    *NAS_FAULTS,
    *ATTACHMENT_FAULTS,
    *SES_FAULTS,
    *NGINX_FAULTS,
    *WEB_FAULTS,
)

__all__ = ["FAULTS", "Fault", "find_fault"]


def find_fault(address: str) -> Fault:
    """The fault of an address such as `pm2.stopped` or `pm2.stopped:exited`."""
    for fault in FAULTS:
        if fault.address == address:
            return fault
    near = [fault.address for fault in FAULTS if fault.code == address.partition(":")[0]]
    hint = f"variants: {', '.join(near)}" if near else "see `replica fault list`"
    raise ReplicaError(f"no fault {address!r}; {hint}")
