"""up, down, reboot and status of an instance in containers."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from .. import pm2_processes, toolchain
from ..attachments import statement_folder
from ..interface import APP_HOST, LOGSDB_HOST, ORACLE_HOST, ROOT, WEB_HOST
from ..lifecycle import Component, prepared_cache
from ..logsdb import local_now
from ..paths import Paths
from ..system import ReplicaError, remove_tree, replace_file, run_or_fail, wait_until
from . import engine, image
from .hosts import HOSTS, Hosts
from .replica import ContainerReplica

_SERVED_S = 30


@dataclass(frozen=True)
class Made:
    """From what an instance was made: its image, the built applications, the copy of the replica's code; a secret of its own."""

    image: str
    build: str
    sources: str
    licence_key: str
    programs: str


def exists(paths: Paths) -> bool:
    """Whether an instance of that name is one in containers."""
    return _made_file(paths).exists() or (paths.instance / "volumes").is_dir()


def open_replica(paths: Paths) -> ContainerReplica:
    """The instance as it was made; ReplicaError when there is none."""
    made = _made(paths)
    if not made:
        raise ReplicaError(f"no replica {paths.name!r} in containers: run `replica up --containers`")
    return ContainerReplica(paths, made.programs, made.licence_key)


def runs(paths: Paths) -> bool:
    """Whether the instance was made and its hosts run, whole or broken."""
    return bool(_made(paths)) and not engine.missing() and all(Hosts(paths).state(host) == "running" for host in HOSTS)


def up(paths: Paths) -> ContainerReplica:
    """Start what does not run, repair what is broken; the replica is ready when this returns."""
    missing = engine.missing()
    if missing:
        raise ReplicaError(f"no containers here: {missing}")
    cache, before, hosts = prepared_cache(paths), _made(paths), Hosts(paths)
    licence_key = before.licence_key if before else secrets.token_hex(12)
    wanted = Made(
        image.ensure(cache, toolchain.find_node()),
        cache.build.name,
        cache.runtime.code.name,
        licence_key,
        before.programs if before else "",
    )
    if before != wanted:
        hosts.remove()
    paths.run.mkdir(parents=True, exist_ok=True)
    if before == wanted and not paths.faults_file.exists():
        replica = open_replica(paths)
        if all(part.healthy for part in components(replica)):
            replica.restore_attachments()
            return replica
    hosts.ensure(wanted.image, cache)
    hosts.inside(LOGSDB_HOST, {})
    hosts.inside(ORACLE_HOST, {})
    programs = engine.must(
        "exec", hosts.container(LOGSDB_HOST), "sh", "-c", "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1"
    ).strip()
    made = Made(**{**asdict(wanted), "programs": programs})
    replace_file(_made_file(paths), json.dumps(asdict(made)), mode=0o600)
    replica = ContainerReplica(paths, made.programs, made.licence_key)
    _start(replica)
    started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    replace_file(paths.facts_file, json.dumps({**replica.facts, "started_at": started}, indent=2) + "\n")
    paths.faults_file.unlink(missing_ok=True)
    return replica


def _start(replica: ContainerReplica) -> None:
    """Put everything there and wait until it works."""
    password = replica.at(LOGSDB_HOST).read(f"{replica.facts['logsdb']['password_file'].rpartition('/')[0]}/monitor_password")
    replace_file(replica.paths.run / "monitor_password", password, mode=0o600)
    replica.restore_oracle()
    replica.deploy()
    replica.restore_attachments()
    replica.install_boot_unit()
    pm2_processes.ensure_healthy(replica)
    replica.hand_over_to_systemd()
    pm2_processes.wait_ready(replica)
    wait_until(lambda: page_served(replica), _SERVED_S, "nginx does not serve the page; see `replica logs nginx`")
    _open_ssh(replica)


def _open_ssh(replica: ContainerReplica) -> None:
    """A key of this instance opens the account `ops` on every host; the hosts' own keys are known."""
    facts = replica.facts["ssh"]
    folder = replica.paths.run / "ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    if not (folder / "key").exists():
        run_or_fail("ssh-keygen", ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tank-replica", "-f", facts["key"]])
    public = (folder / "key.pub").read_text(encoding="ascii")
    known = []
    install = (
        "install -d -m 700 -o ops -g ops /home/ops/.ssh && cat >/home/ops/.ssh/authorized_keys && chown ops: /home/ops/.ssh/authorized_keys"
    )
    for host in HOSTS:
        view = replica.at(host)
        view.must(
            ["sh", "-c", f"{install} && chmod 600 /home/ops/.ssh/authorized_keys && systemctl enable -q --now ssh"],
            text_in=public,
            user=ROOT,
        )
        known.append(f"{replica.addresses[host]} {view.read('/etc/ssh/ssh_host_ed25519_key.pub', user=ROOT)}")
    replace_file(folder / "known_hosts", "".join(known), mode=0o600)


def _made_file(paths: Paths) -> Path:
    return paths.run / "containers.json"


def _made(paths: Paths) -> Made | None:
    try:
        return Made(**json.loads(_made_file(paths).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def page_served(replica: ContainerReplica) -> bool:
    return 'id="root"' in replica.at(WEB_HOST).get(replica.facts["web_url"])


def components(replica: ContainerReplica) -> list[Component]:
    """State of every part; nothing is started or changed by asking."""
    hosts = [Component(host, replica.hosts.state(host) == "running", replica.hosts.container(host)) for host in HOSTS]
    if not all(part.healthy for part in hosts):
        return hosts
    today = statement_folder(replica.nas.disk, local_now())
    app, pages = replica.addresses[APP_HOST], f"http://{replica.addresses[WEB_HOST]}/"
    # Each question is a command in a container: they are asked together.
    with ThreadPoolExecutor(6) as pool:
        database = pool.submit(replica.logsdb_answers)
        oracle = pool.submit(replica.oracle_well)
        served = pool.submit(page_served, replica)
        well = pool.submit(pm2_processes.all_well, replica)
        backend = pool.submit(pm2_processes.backend_ok, replica)
        worker = pool.submit(pm2_processes.worker_ready, replica)
    return [
        *hosts,
        Component("postgresql", database.result(), f"{replica.addresses[LOGSDB_HOST]}:{replica.facts['ports']['logsdb']}"),
        Component("listener", oracle.result(), f"{replica.addresses[ORACLE_HOST]}:{replica.facts['oracle']['port']}"),
        Component("attachments", replica.nas.well() and today.is_dir() and replica.sees_nas(), replica.facts["nas_root"]),
        Component("nginx", served.result(), pages),
        Component("pm2", well.result(), replica.facts["pm2_home"]),
        Component("backend", backend.result(), f"http://{app}:{replica.facts['ports']['backend']}/api/health"),
        Component("worker", well.result() and worker.result(), f"{replica.facts['app_dir']}/worker"),
        Component("facts", replica.paths.facts_file.exists(), str(replica.paths.facts_file)),
    ]


def reboot(replica: ContainerReplica, names: list[str]) -> None:
    """Restart whole hosts; what they run must come back by itself.

    Without names all of them, what others depend on first: an application that saw its database go is restarted after it.
    """
    for host in names or list(reversed(HOSTS)):
        if host not in HOSTS:
            raise ReplicaError(f"no host {host!r}; there are {', '.join(HOSTS)}")
        replica.hosts.reboot(host)


def down(paths: Paths, purge: bool = False) -> None:
    """Stop the hosts; with `purge` they, their network and the instance's folder go."""
    hosts = Hosts(paths)
    if purge:
        hosts.remove()
        remove_tree(paths.instance)
        return
    hosts.stop()
    hosts.nas.remove()
    paths.facts_file.unlink(missing_ok=True)
    paths.faults_file.unlink(missing_ok=True)
