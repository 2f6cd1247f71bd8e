"""Set and clear faults of an instance, and remember which are set."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from ctypes.util import find_library

from tests.faults.breakages import find_breakage

from .interface import Replica
from .paths import Paths
from .pm2_processes import restart_and_settle
from .system import ReplicaError, can_mount, is_root, replace_file


def faults_set(paths: Paths) -> list[str]:
    """Addresses of the faults that are set, also by a run that was killed."""
    try:
        return json.loads(paths.faults_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []


def offers(kind: str) -> frozenset[str]:
    """What a replica of a kind (`local`, `containers`) has on this machine of what faults may need."""
    have = {"root", "systemd", "cgroup", "container"} if kind == "containers" else {"local"}
    if is_root() and kind == "local":
        have.add("root")
        if os.access("/sys/fs/cgroup/memory", os.W_OK) or os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
            have.add("cgroup")
    if can_mount():
        have.add("mount")
        if os.access("/dev/fuse", os.R_OK | os.W_OK) and (find_library("fuse3") or find_library("fuse")):
            have.add("fuse")
    return frozenset(have)


def set_fault(replica: Replica, paths: Paths, address: str) -> None:
    """Break one thing; returns when the symptom is there."""
    fault = find_breakage(address)
    missing = fault.needs - offers(replica.facts["kind"])
    if missing:
        raise ReplicaError(f"{address} needs {', '.join(sorted(missing))}, which is not to be had here")
    known = faults_set(paths)
    if address in known:
        raise ReplicaError(f"{address} is set already: `replica fault clear {address}`")
    _remember(paths, [*known, address])
    fault.set(replica.at(fault.host))


def clear_fault(replica: Replica, paths: Paths, address: str) -> None:
    """Mend one thing; returns when it is healthy."""
    fault = find_breakage(address)
    fault.clear(replica.at(fault.host))
    _remember(paths, [known for known in faults_set(paths) if known != address])


def clear_all(replica: Replica, paths: Paths) -> None:
    """Mend everything, whatever is broken and whatever is remembered."""
    for address in faults_set(paths):
        try:
            clear_fault(replica, paths, address)
        except ReplicaError:
            continue  # another fault stands in its way; the whole repair follows
    replica.restore_oracle()
    replica.restore_aws()
    replica.deploy()
    replica.restore_attachments()
    replica.install_boot_unit()
    replica.restore_web()
    replica.restore_parts()
    restart_and_settle(replica, "backend", "worker")
    _remember(paths, [])


def _remember(paths: Paths, addresses: Sequence[str]) -> None:
    if addresses:
        replace_file(paths.faults_file, json.dumps(list(addresses)) + "\n")
    else:
        paths.faults_file.unlink(missing_ok=True)
