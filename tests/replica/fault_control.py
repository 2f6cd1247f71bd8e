"""Set and clear faults of an instance, and remember which are set."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from .faults import find_fault
from .local import LocalReplica
from .paths import Paths
from .pm2_processes import restart_and_settle
from .system import ReplicaError, is_root, replace_file


def faults_set(paths: Paths) -> list[str]:
    """Addresses of the faults that are set, also by a run that was killed."""
    try:
        return json.loads(paths.faults_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []


def needs_missing(needs: frozenset[str]) -> set[str]:
    """Those of a fault's needs that this machine does not have."""
    have = {"root"} if is_root() else set()
    if os.access("/dev/fuse", os.R_OK | os.W_OK):
        have.add("fuse")
    if os.path.isdir("/run/systemd/system"):
        have.add("systemd")
    return set(needs) - have


def set_fault(replica: LocalReplica, address: str) -> None:
    """Break one thing; returns when the symptom is there."""
    fault = find_fault(address)
    missing = needs_missing(fault.needs)
    if missing:
        raise ReplicaError(f"{address} needs {', '.join(sorted(missing))}, which is not to be had here")
    known = faults_set(replica.paths)
    if address in known:
        raise ReplicaError(f"{address} is set already: `replica fault clear {address}`")
    _remember(replica.paths, [*known, address])
    fault.set(replica)


def clear_fault(replica: LocalReplica, address: str) -> None:
    """Mend one thing; returns when it is healthy."""
    find_fault(address).clear(replica)
    _remember(replica.paths, [known for known in faults_set(replica.paths) if known != address])


def clear_all(replica: LocalReplica) -> None:
    """Mend everything, whatever is broken and whatever is remembered."""
    for address in faults_set(replica.paths):
        try:
            clear_fault(replica, address)
        except ReplicaError:
            continue  # another fault stands in its way; the whole repair follows
    replica.deploy()
    replica.install_boot_unit()
    replica.restore_web()
    restart_and_settle(replica, "backend", "worker")
    _remember(replica.paths, [])


def _remember(paths: Paths, addresses: Sequence[str]) -> None:
    if addresses:
        replace_file(paths.faults_file, json.dumps(list(addresses)) + "\n")
    else:
        paths.faults_file.unlink(missing_ok=True)
