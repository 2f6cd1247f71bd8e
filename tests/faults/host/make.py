"""Faults of the machine: each made for real on the instance's own parts (see host_parts), never on this machine's."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from tests.replica import host_parts
from tests.replica.interface import Replica

from ..breakage import Breakage

_WAIT_S = 20
_MEGABYTE = 1 << 20
_DAY = 86400
_FILLER = "filler.bin"
_CPU_S = 30  # seconds of load: long against the few since the run before
# A kill by pid: only of what still is a helper of this instance.
_END = 'pid=$(cat "$1.pid" 2>/dev/null) && tr "\\0" " " <"/proc/$pid/cmdline" | grep -q host_services.py && kill -KILL "$pid"; rm -f "$1.pid" "$1.ready"'
_NEEDS_ROOT = frozenset({"root"})
_NEEDS_CGROUP = frozenset({"cgroup"})
_LOCAL = frozenset({"local"})
_CONTAINER = frozenset({"container"})


def _parts(replica: Replica) -> dict[str, Any]:
    return json.loads(replica.read(f"{replica.facts['host_folder']}/facts.json"))


def _start(replica: Replica, name: str, *arguments: str, in_cgroup: bool = False) -> None:
    """Start a helper; returns when it is at work."""
    parts = _parts(replica)
    cgroups = parts["cgroup_folders"] if in_cgroup else []
    user = replica.admin if in_cgroup else "app"
    host_parts.start(lambda argv: replica.must(argv, user=user), parts["folder"], name, *arguments, cgroups=cgroups)
    replica.wait_until(lambda: replica.exists(f"{parts['folder']}/{name}.ready"), _WAIT_S, f"the helper {name} does not start")


def _end(replica: Replica, *names: str) -> None:
    for name in names:
        replica.run(["sh", "-c", _END, "sh", f"{_parts(replica)['folder']}/{name}"], user=replica.admin)


# CPU


def burn(replica: Replica) -> None:
    """One process that uses most of the quota, hardly ever all of it."""
    _start(replica, "spin", str(0.94 * _parts(replica)["cpu_quota"]), in_cgroup=True)


def burn_all(replica: Replica) -> None:
    """One process that would use a whole core, twice the quota."""
    _start(replica, "spin", "1", in_cgroup=True)


def stop_burning(replica: Replica) -> None:
    _end(replica, "spin")
    replica.reset_counters()


# Memory


def take_memory(replica: Replica) -> None:
    """A process that fills the cgroup's memory up to 94 %."""
    _take(replica, 0.94)


def take_too_much(replica: Replica) -> None:
    """A process that wants twice the memory of the cgroup: the kernel kills it."""
    parts = _parts(replica)
    host_parts.start(
        lambda argv: replica.must(argv, user=replica.admin),
        parts["folder"],
        "hold",
        _memory_counter(replica, parts),
        str(2 * parts["memory_limit"]),
        cgroups=parts["cgroup_folders"],
    )
    replica.wait_until(lambda: not _lives(replica, "hold"), _WAIT_S, "the kernel kills nothing")


def _take(replica: Replica, part: float) -> None:
    parts = _parts(replica)
    _start(replica, "hold", _memory_counter(replica, parts), str(int(part * parts["memory_limit"])), in_cgroup=True)


def _memory_counter(replica: Replica, parts: dict[str, Any]) -> str:
    """The file that tells how much memory is in use: of the instance's cgroup, or of the whole container."""
    folders = parts["cgroup_folders"][-1:] or ["/sys/fs/cgroup", "/sys/fs/cgroup/memory"]
    names = [f"{folder}/{name}" for folder in folders for name in ("memory.current", "memory.usage_in_bytes")]
    return next(name for name in names if replica.exists(name))


def _lives(replica: Replica, name: str) -> bool:
    pid = replica.read(f"{_parts(replica)['folder']}/{name}.pid").strip()
    return replica.exists(f"/proc/{pid}")


def give_memory_back(replica: Replica) -> None:
    _end(replica, "hold")
    replica.reset_counters()


# Disks


def _fill(percent: float) -> Callable[[Replica], None]:
    def make(replica: Replica) -> None:
        _fill_to(replica, percent)

    return make


def _fill_to(replica: Replica, percent: float) -> int:
    """Fill the small file system for real; the bytes in use."""
    volume = _parts(replica)["volume"]
    size = int(replica.must(["stat", "-f", "-c", "%b", volume])) * int(replica.must(["stat", "-f", "-c", "%S", volume]))
    wanted = int(size * percent / 100)
    replica.must(["dd", "if=/dev/zero", f"of={volume}/{_FILLER}", "bs=4096", f"count={wanted // 4096}", "status=none"])
    return wanted


def make_many_files(replica: Replica) -> None:
    """95 % of the inodes, nearly no bytes."""
    count = int(0.95 * host_parts.VOLUME_FILES)
    replica.must(["sh", "-c", 'mkdir -p "$1/many" && cd "$1/many" && seq "$2" | xargs touch', "sh", _parts(replica)["volume"], str(count)])


def empty_volume(replica: Replica) -> None:
    volume = _parts(replica)["volume"]
    replica.remove(f"{volume}/{_FILLER}", f"{volume}/many")


def grow(replica: Replica) -> None:
    """A disk that grows: really filled to 60 %; the runs of the last day, which a bench cannot wait for, are put into the memory."""
    used = _fill_to(replica, 60)
    now = time.time()
    for path in _memories(replica, "host.disks"):
        kept = json.loads(replica.read(path, user=replica.admin))
        for series in kept["disks"].values():
            size = series[-1][2]
            series[:] = [[now - _DAY * (1 - part), used * (0.2 + 0.75 * part), size] for part in (0, 0.2, 0.4, 0.6, 0.8, 0.95)]
        replica.write(path, json.dumps(kept), 0o600, user=replica.admin)


def stop_growing(replica: Replica) -> None:
    empty_volume(replica)


def _memories(replica: Replica, source: str) -> list[str]:
    """What earlier runs of the checks have kept on the host."""
    folders = replica.facts["state_dirs"]
    names = replica.run(["find", *folders, "-maxdepth", "1", "-name", f"{source}-*.json"], user=replica.admin).stdout.split()
    if not names:
        raise host_parts.ReplicaError(f"no run has kept anything in {', '.join(folders)} yet: run the daily check once before this fault")
    return names


# Logs


def _batch_log(replica: Replica, name: str) -> str:
    return f"{_parts(replica)['log_folder']}/{name}"


def write_large_log(replica: Replica) -> None:
    """A log of 600 MB: sparse, so that it costs nothing."""
    path = _batch_log(replica, "batch.log")
    replica.write(path, "2026-01-01 00:00:00 batch started\n", 0o600)
    replica.must(["truncate", "-s", "600M", path])


def write_old_log(replica: Replica) -> None:
    """A log that began 45 days ago and was written to today."""
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - 45 * _DAY))
    replica.write(_batch_log(replica, "batch.log"), f"{began} batch started\n{time.strftime('%Y-%m-%d %H:%M:%S')} batch ended\n", 0o600)


def open_log(replica: Replica) -> None:
    """Somebody debugs: the folder was open already, now the log is as well."""
    path = _batch_log(replica, "batch.log")
    replica.write(path, time.strftime("%Y-%m-%d %H:%M:%S batch sent to h***@test.com\n"), 0o600)
    replica.chmod(path, 0o644)


def remove_batch_log(replica: Replica) -> None:
    replica.remove(_batch_log(replica, "batch.log"))


# Clock, outbound connections, ports


def _set_clock(offset: float) -> Callable[[Replica], None]:
    def make(replica: Replica) -> None:
        replica.write(f"{_parts(replica)['folder']}/clock_offset", f"{offset}\n")

    return make


def right_clock(replica: Replica) -> None:
    replica.remove(f"{_parts(replica)['folder']}/clock_offset")


def drop_connections(replica: Replica) -> None:
    """What a firewall does that drops: the peer accepts no more, its backlog is full, and the kernel drops each further SYN."""
    parts = _parts(replica)
    pid = int(replica.read(f"{parts['folder']}/peer.pid"))
    replica.signal(pid, "STOP")
    replica.wait_until(lambda: _backlog_full(parts["peer_port"]), _WAIT_S, "the backlog does not fill")


def _backlog_full(port: int) -> bool:
    """Add connections until one gets no answer; the kernel keeps those that we close in the backlog."""
    for _number in range(8):
        with socket.socket() as connection:
            connection.settimeout(0.5)
            try:
                connection.connect(("127.0.0.1", port))
            except TimeoutError:
                return True
    return False


def accept_connections(replica: Replica) -> None:
    parts = _parts(replica)
    replica.signal(int(replica.read(f"{parts['folder']}/peer.pid")), "CONT")
    replica.wait_until(lambda: _answers(parts["peer_port"]), _WAIT_S, "the peer does not answer")


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def refuse_connections(replica: Replica) -> None:
    """The peer is gone; nothing listens on its port."""
    _end(replica, "peer")


def bring_peer_back(replica: Replica) -> None:
    if not _answers(_parts(replica)["peer_port"]):
        _end(replica, "peer")
        _start(replica, "peer", str(_parts(replica)["peer_port"]))


def _rule(replica: Replica, verdict: Sequence[str]) -> list[str]:
    """A rule of the host's own firewall for what goes out to the peer."""
    return ["OUTPUT", "-p", "tcp", "--dport", str(_parts(replica)["peer_port"]), "-j", *verdict]


def _block(*verdict: str) -> Callable[[Replica], None]:
    def add(replica: Replica) -> None:
        replica.must(["iptables", "-I", *_rule(replica, verdict)], user=replica.admin)

    return add


def _unblock(*verdict: str) -> Callable[[Replica], None]:
    def delete(replica: Replica) -> None:
        while replica.run(["iptables", "-D", *_rule(replica, verdict)], user=replica.admin).rc == 0:
            pass

    return delete


_REJECT = ("REJECT", "--reject-with", "icmp-admin-prohibited")


def open_port(replica: Replica) -> None:
    _start(replica, "listen", str(_parts(replica)["spare_port"]))


def close_port(replica: Replica) -> None:
    _end(replica, "listen")


def _host(
    code: str,
    description: str,
    make: Callable[[Replica], None],
    clear: Callable[[Replica], None],
    variant: str = "",
    needs: frozenset[str] = frozenset(),
    settle_s: float = 0,
    after_a_run: bool = False,
) -> Breakage:
    return Breakage(f"host.{code}", "host", description, "", make, clear, settle_s, needs, variant, after_a_run)


BREAKAGES = (
    _host("cpu_80", "most of the CPU quota is used", burn, stop_burning, needs=_NEEDS_CGROUP, settle_s=_CPU_S, after_a_run=True),
    _host("cpu_saturated", "the CPU quota runs out", burn_all, stop_burning, needs=_NEEDS_CGROUP, settle_s=_CPU_S, after_a_run=True),
    _host("memory_low", "6 % of the memory are left", take_memory, give_memory_back, needs=_NEEDS_CGROUP),
    _host("oom_killed", "the kernel killed a process", take_too_much, give_memory_back, needs=_NEEDS_CGROUP, after_a_run=True),
    _host("disk_80", "a file system is 84 % full", _fill(84), empty_volume, needs=_NEEDS_ROOT),
    _host("disk_90", "a file system is 95 % full", _fill(95), empty_volume, needs=_NEEDS_ROOT),
    _host("inodes", "95 % of the inodes are used", make_many_files, empty_volume, needs=_NEEDS_ROOT),
    _host("disk_forecast", "a file system fills up since a day", grow, stop_growing, needs=_NEEDS_ROOT, after_a_run=True),
    _host("log_not_rotated", "a log has 600 MB", write_large_log, remove_batch_log),
    _host("log_not_rotated", "a log reaches back 45 days", write_old_log, remove_batch_log, "old"),
    _host("log_readable", "others can read a log", open_log, remove_batch_log),
    _host("clock", "the clock is 120 s behind", _set_clock(120), right_clock),
    _host("clock", "the clock is 7 s ahead", _set_clock(-7), right_clock, "ahead"),
    _host("outbound_blocked", "connections get no answer", drop_connections, accept_connections, needs=_LOCAL),
    _host("outbound_blocked", "connections are refused", refuse_connections, bring_peer_back, "refused", _LOCAL),
    _host("outbound_blocked", "a firewall drops", _block("DROP"), _unblock("DROP"), "dropped", _CONTAINER),
    _host("outbound_blocked", "a firewall rejects", _block(*_REJECT), _unblock(*_REJECT), "rejected", _CONTAINER),
    _host("port_open", "a port is open to others", open_port, close_port),
)
