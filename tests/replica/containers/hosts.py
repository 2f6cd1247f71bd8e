"""The hosts of an instance as containers on one network: made, started, stopped and removed."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cache import Cache
from ..host_parts import VOLUME_FILES, VOLUME_SIZE
from ..interface import APP_HOST, LOGSDB_HOST, ORACLE_HOST, WEB_HOST
from ..nas import Nas
from ..paths import Paths
from ..system import ReplicaError, run_or_fail, wait_until
from . import engine
from .layout import BUILD, CPU_LIMIT, MEMORY_LIMIT, NAS, SOURCES_MOUNT, VOLUME

HOSTS = (APP_HOST, WEB_HOST, LOGSDB_HOST, ORACLE_HOST)
_FIRST_ADDRESS = 11
_BOOT_S = 60
_STOP_S = "20"
_USABLE = ("running", "degraded")


@dataclass(frozen=True)
class Hosts:
    """The containers of one instance."""

    paths: Paths

    def container(self, host: str) -> str:
        return f"tank-{self.paths.name}-{host}"

    @property
    def network(self) -> str:
        return f"tank-{self.paths.name}"

    @property
    def nas(self) -> Nas:
        """The NAS: mounted on this machine, in a folder that the host of the applications sees too."""
        return Nas(self.paths)

    def addresses(self) -> dict[str, str]:
        """Address of each host; they stay the same as long as the network lives."""
        described = json.loads(engine.must("network", "inspect", self.network))[0]
        pools = described.get("subnets") or described.get("IPAM", {}).get("Config") or []
        nets = [ipaddress.ip_network(pool.get("subnet") or pool.get("Subnet")) for pool in pools]
        net = next((net for net in nets if net.version == 4), None)
        if net is None:
            raise ReplicaError(f"the network {self.network} has no IPv4 addresses: `replica down --purge`, then `replica up`")
        return {host: str(net.network_address + _FIRST_ADDRESS + number) for number, host in enumerate(HOSTS)}

    def _volume(self, host: str) -> Path:
        """A small file system for the checks of disks and inodes, mounted on this machine: engines limit no number of files."""
        volume = self.paths.instance / "volumes" / host
        if not os.path.ismount(volume):
            volume.mkdir(parents=True, exist_ok=True)
            options = f"size={VOLUME_SIZE},nr_inodes={VOLUME_FILES},mode=1777,nosuid,nodev"
            run_or_fail(f"mount {volume}", ["mount", "-t", "tmpfs", "-o", options, self.container(host), str(volume)])
        return volume

    def state(self, host: str) -> str:
        """`running`, `exited` and the like, "" where there is no such container."""
        return engine.call("inspect", "--type", "container", "--format", "{{.State.Status}}", self.container(host)).stdout.strip()

    def ensure(self, image: str, cache: Cache) -> None:
        """Make and start what is missing; returns when systemd has started everything on all hosts."""
        if engine.call("network", "inspect", self.network).rc != 0:
            engine.must("network", "create", *engine.network_options(self.network), self.network)
        self.nas.ensure(shared=True)
        for host in HOSTS:
            state = self.state(host)
            if not state:
                engine.must("run", "--detach", *self._options(host, image, cache))
            elif state != "running":
                self._volume(host)
                engine.must("start", self.container(host))
        self._prefer(APP_HOST)
        for host in HOSTS:
            self.wait_booted(host)

    def _prefer(self, host: str) -> None:
        """Other work on this machine must not keep the host from what it may use: the cgroup above the containers gets more weight."""
        pid = engine.must("inspect", "--type", "container", "--format", "{{.State.Pid}}", self.container(host)).strip()
        for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines():
            _number, controllers, path = line.split(":", 2)
            top = path.strip("/").split("/")[0]
            if "cpu" in controllers.split(",") and top:
                _write(Path("/sys/fs/cgroup/cpu", top, "cpu.shares"), "10240")
            elif not controllers and top:
                _write(Path("/sys/fs/cgroup", top, "cpu.weight"), "1000")

    def _options(self, host: str, image: str, cache: Cache) -> list[str]:
        """What a host is made of: the arguments of the engine's `run`."""
        addresses = self.addresses()
        names = [f"--add-host={other}:{address}" for other, address in addresses.items() if other != host]
        mounts = {str(cache.runtime.package): f"{SOURCES_MOUNT}/replica", str(cache.build): str(BUILD)}
        volumes = [f"--volume={here}:{there}:ro" for here, there in mounts.items()]
        if host == APP_HOST:
            # What is mounted and unmounted here is so there as well.
            volumes.append(f"--volume={self.nas.mount.parent}:{Path(NAS).parent}:rslave")
        volumes.append(f"--volume={self._volume(host)}:{VOLUME}")
        limits = [f"--memory={MEMORY_LIMIT}", f"--memory-swap={MEMORY_LIMIT}", f"--cpus={CPU_LIMIT:g}", "--cpu-shares=10240"]
        return [
            f"--name={self.container(host)}",
            f"--hostname={host}",
            f"--network={self.network}",
            f"--ip={addresses[host]}",
            f"--mac-address={_mac(addresses[host])}",
            *engine.systemd_options(),
            *names,
            *volumes,
            *([*limits, "--cap-add=NET_ADMIN"] if host == APP_HOST else []),
            image,
        ]

    def wait_booted(self, host: str) -> None:
        """Until systemd has started everything that it starts at boot."""

        def booted() -> bool:
            return engine.call("exec", self.container(host), "systemctl", "is-system-running").stdout.strip() in _USABLE

        wait_until(booted, _BOOT_S, f"{self.container(host)} does not come up", interval=0.3)

    def reboot(self, host: str) -> None:
        """Stop a host as a shutdown does, and start it again; returns when it is up."""
        engine.must("stop", "-t", _STOP_S, self.container(host), timeout=60)
        engine.must("start", self.container(host))
        self.wait_booted(host)

    def stop(self) -> None:
        running = [self.container(host) for host in HOSTS if self.state(host) == "running"]
        if running:
            engine.must("stop", "-t", _STOP_S, *running, timeout=120)

    def remove(self) -> None:
        there = [self.container(host) for host in HOSTS if self.state(host)]
        if there:
            engine.must(*engine.removal(), *there, timeout=60)
        if engine.call("network", "inspect", self.network).rc == 0:
            engine.must("network", "rm", self.network)
        self.nas.remove()
        for host in HOSTS:
            volume = self.paths.instance / "volumes" / host
            if os.path.ismount(volume):
                run_or_fail(f"unmount {volume}", ["umount", str(volume)], timeout=20)

    def inside(self, host: str, given: Mapping[str, Any]) -> None:
        """Have a host's part put there as delivered."""
        argv = ["python3", "-m", "replica.containers.inside", host]
        environment = {"PYTHONPATH": SOURCES_MOUNT, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
        arguments = engine.exec_argv(self.container(host), argv, user="root", env=environment, folder="/", stdin=True)
        done = engine.call(*arguments, text_in=json.dumps(given), timeout=180)
        if done.rc != 0:
            said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
            raise ReplicaError(f"{host}: {said[-1]}")


def _mac(address: str) -> str:
    """A host keeps its network card over a reboot; with another one its neighbours would not reach it for half a minute."""
    return ":".join(["02", "42", *(f"{int(part):02x}" for part in address.split("."))])


def _write(file: Path, text: str) -> None:
    """Write where that is possible; no file is made."""
    with suppress(OSError), file.open("r+", encoding="ascii") as stream:
        stream.write(text)
