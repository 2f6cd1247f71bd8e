"""Set and clear faults of an instance, and remember which are set."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .faults import find_fault
from .lifecycle import needs_missing
from .local import LocalReplica
from .paths import Paths
from .pm2_processes import restart_and_settle
from .system import ReplicaError, replace_file


def faults_set(paths: Paths) -> list[str]:
    """Addresses of the faults that are set, also by a run that was killed."""
    try:
        return json.loads(paths.faults_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []


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
    restart_and_settle(replica, "backend", "worker")
    _remember(replica.paths, [])


def _remember(paths: Paths, addresses: Sequence[str]) -> None:
    replace_file(paths.faults_file, json.dumps(list(addresses)) + "\n")
