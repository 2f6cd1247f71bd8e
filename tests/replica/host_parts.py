"""What the replica has in place of a machine of its own: a small file system, a cgroup, a log folder, a time server and a peer.

The checks of the area host look at a whole machine, and this one does other work too; these parts are the instance's own.
The file system and the cgroup need root (the cgroup also a /sys/fs/cgroup that may be written).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .paths import SOURCES, Paths
from .server_process import last_line
from .system import Account, ReplicaError, free_port, give_to, is_root, port_is_free, replace_file, run, run_or_fail, wait_until

VOLUME_SIZE = "32m"
VOLUME_FILES = 2000
CPU_QUOTA = 0.5  # cores
MEMORY_LIMIT = 64 << 20  # bytes
SERVICES = "host_services.py"
# A helper runs in the background, in a cgroup where one is given, and leaves its pid and what it prints.
START = """\
umask 022
folder=$1; name=$2; shift 2
rm -f "$folder/$name.ready" "$folder/$name.log"
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done; shift
setsid "$@" </dev/null >"$folder/$name.log" 2>&1 &
echo $! >"$folder/$name.pid"
"""
_CGROUPS = Path("/sys/fs/cgroup")
_SERVERS = ("time", "peer")
_START_S = 10


def folder_of(paths: Paths) -> Path:
    """Where the helpers run, and what is known of the parts."""
    return paths.run / "host"


def facts_of(paths: Paths) -> dict[str, Any]:
    """What the inventory and the faults need to know; {} when the parts were not made."""
    try:
        return json.loads((folder_of(paths) / "facts.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def well(paths: Paths) -> bool:
    """Whether all parts are there that were made."""
    facts = facts_of(paths)
    return (
        bool(facts)
        and _is_current(paths)
        and all(_pid(paths, name) and (folder_of(paths) / f"{name}.ready").exists() for name in _SERVERS)
        and (not facts["volume"] or os.path.ismount(facts["volume"]))
        and all(os.path.isdir(folder) for folder in facts["cgroup_folders"])
    )


def _is_current(paths: Paths) -> bool:
    copy = folder_of(paths) / SERVICES
    return copy.exists() and copy.read_bytes() == (SOURCES / SERVICES).read_bytes()


def ensure(paths: Paths, account: Account) -> None:
    """Make what is missing; what a fault left goes."""
    folder = folder_of(paths)
    for each in (folder, logs_of(paths)):
        each.mkdir(parents=True, exist_ok=True)
    spare = facts_of(paths).get("spare_port", 0)
    _end_helpers(paths, keep=_SERVERS if _is_current(paths) else ())
    (folder / "clock_offset").unlink(missing_ok=True)
    shutil.copy(SOURCES / SERVICES, folder / SERVICES)
    give_to(account, folder, logs_of(paths))
    for name in _SERVERS:
        if not _pid(paths, name):
            start(lambda argv: run_or_fail("start a helper", argv, account=account), folder, name)
    cgroup = _make_cgroup(paths)
    facts = {
        "folder": str(folder),
        "python": python(),
        "volume": _mount_volume(paths, account),
        "cgroup": cgroup,
        "cgroup_folders": [str(each) for each in _cgroup_folders(cgroup)] if cgroup else [],
        "cpu_quota": CPU_QUOTA,
        "memory_limit": MEMORY_LIMIT,
        "log_folder": str(logs_of(paths)),
        "spare_port": spare if spare and port_is_free(spare) else free_port(),
    }
    for name in _SERVERS:
        ready = folder / f"{name}.ready"
        wait_until(lambda ready=ready, name=name: ready.exists() or not _pid(paths, name), _START_S, f"the {name} server does not start")
        if not ready.exists():
            raise ReplicaError(f"the {name} server ended at once: {last_line(folder / f'{name}.log')}")
        facts[f"{name}_port"] = int(ready.read_text(encoding="ascii"))
    replace_file(folder / "facts.json", json.dumps(facts) + "\n")


def remove(paths: Paths) -> None:
    """End the helpers; take the file system and the cgroup away."""
    _end_helpers(paths)
    _remove_cgroup(_cgroup_name(paths))
    while os.path.ismount(_volume(paths)):
        run_or_fail(f"unmount {_volume(paths)}", ["umount", str(_volume(paths))], timeout=20)
    (folder_of(paths) / "facts.json").unlink(missing_ok=True)


def python() -> str:
    """The distribution's Python where there is one: every user can read it."""
    return "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


# Helpers


def start(runner: Callable[[Sequence[str]], object], folder: Path | str, name: str, *arguments: str, cgroups: Sequence[str] = ()) -> None:
    """Start one of host_services.py in the background; `runner` runs a command as the wanted user."""
    command = [python(), f"{folder}/{SERVICES}", name, *arguments]
    runner(["sh", "-c", START, "sh", str(folder), name, *cgroups, "--", *command])


def _end_helpers(paths: Paths, keep: Sequence[str] = ()) -> None:
    for file in folder_of(paths).glob("*.pid"):
        if file.stem not in keep:
            pid = _pid(paths, file.stem)
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                wait_until(lambda name=file.stem: not _pid(paths, name), _START_S, f"the process {pid} does not end")
            file.unlink(missing_ok=True)


def _pid(paths: Paths, name: str) -> int:
    """The pid of a living helper, 0 for none; a number that now belongs to another process is none."""
    try:
        pid = int((folder_of(paths) / f"{name}.pid").read_text(encoding="ascii"))
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if os.fsencode(folder_of(paths) / SERVICES) in words else 0


# The file system and the log folder


def _volume(paths: Paths) -> Path:
    return paths.instance / "data"


def logs_of(paths: Paths) -> Path:
    """Where the batch logs."""
    return paths.instance / "var" / "log" / "batch"


def _mount_volume(paths: Paths, account: Account) -> str:
    """Mount the small file system where it is not; "" where that cannot be."""
    if not is_root():
        return ""
    volume = _volume(paths)
    if not os.path.ismount(volume):
        volume.mkdir(exist_ok=True)
        options = f"size={VOLUME_SIZE},nr_inodes={VOLUME_FILES},mode=0700,uid={account.uid},gid={account.gid},nosuid,nodev"
        done = run(["mount", "-t", "tmpfs", "-o", options, f"tank-{paths.name}", str(volume)])
        return str(volume) if done.rc == 0 else ""
    return str(volume)


# The cgroup, of version 1 or 2


def _cgroup_name(paths: Paths) -> str:
    return f"tank-replica-{paths.name}"


def _cgroup_folders(name: str) -> list[Path]:
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS / name]
    return list(dict.fromkeys((_CGROUPS / controller).resolve() / name for controller in ("cpu", "cpuacct", "memory")))


def _make_cgroup(paths: Paths) -> str:
    """Make the instance's cgroup with its limits, anew where it exists; its name, "" where that cannot be."""
    name = _cgroup_name(paths)
    if not is_root():
        return ""
    try:
        _remove_cgroup(name)
        _new_cgroup(name)
    except (OSError, ReplicaError):
        with suppress(OSError, ReplicaError):
            _remove_cgroup(name)
        return ""
    return name


def reset_cgroup(paths: Paths) -> None:
    """End all in the instance's cgroup, where it has one, and have its counters begin at nothing."""
    name = _cgroup_name(paths)
    if all(folder.is_dir() for folder in _cgroup_folders(name)):
        _remove_cgroup(name)
        _new_cgroup(name)


def _new_cgroup(name: str) -> None:
    """Make a cgroup whose counters begin at nothing."""
    for folder in _cgroup_folders(name):
        folder.mkdir(exist_ok=True)
    quota = int(CPU_QUOTA * 100000)
    if (_CGROUPS / "cgroup.controllers").exists():
        (_CGROUPS / name / "cpu.max").write_text(f"{quota} 100000", encoding="ascii")
        (_CGROUPS / name / "memory.max").write_text(str(MEMORY_LIMIT), encoding="ascii")
        (_CGROUPS / name / "memory.swap.max").write_text("0", encoding="ascii")
        (_CGROUPS / name / "cpu.weight").write_text("1000", encoding="ascii")  # other work here must not keep it from its quota
        return
    (_CGROUPS / "cpu" / name / "cpu.cfs_quota_us").write_text(str(quota), encoding="ascii")
    (_CGROUPS / "cpu" / name / "cpu.shares").write_text("10240", encoding="ascii")
    (_CGROUPS / "memory" / name / "memory.limit_in_bytes").write_text(str(MEMORY_LIMIT), encoding="ascii")


def _remove_cgroup(name: str) -> None:
    """End the processes of a cgroup and remove it; only ever one that a replica made."""
    if not name.startswith("tank-replica-") or "/" in name:
        raise ReplicaError(f"{name!r} is not the cgroup of a replica")
    for folder in _cgroup_folders(name):
        wait_until(lambda folder=folder: _emptied(folder), _START_S, f"the processes in {folder} do not end")


def _emptied(folder: Path) -> bool:
    try:
        pids = (folder / "cgroup.procs").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return True
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    with suppress(OSError):
        folder.rmdir()
    return not folder.exists()
