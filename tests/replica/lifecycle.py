"""up, down and status of an instance."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from . import aws_part, host_parts, oracle_part, pm2_processes, toolchain
from .attachments import statement_folder
from .aws_part import AwsServer
from .cache import Cache, cache_for_sources, prepare
from .local import LocalReplica, Made
from .logsdb import LogsDb, local_now
from .nas import Nas
from .oracle_part import OracleServer
from .parts import parts
from .paths import SOURCES, Paths
from .processes import AWS, ORACLE, belonging_to, end_all
from .system import ReplicaError, app_account, free_port, give_to, port_is_free, progress, remove_tree, replace_file, wait_until
from .web import Web, body_of

_NODE = frozenset({"node"})
_NGINX = frozenset({"nginx"})
_ORACLE = frozenset({ORACLE})
_AWS = frozenset({AWS})
_POSTGRES = frozenset({"postgres", "initdb", "pg_ctl", "psql"})
_APPLICATION_SOURCES = ("delivery.py", "local.py", "web.py")
_DATA_SOURCES = ("schema.sql", "customers.py", "history.py")
_START_S = 15


@dataclass(frozen=True)
class Component:
    """State of one part, as `status` shows it."""

    name: str
    healthy: bool
    where: str


@contextmanager
def locked(paths: Paths) -> Iterator[None]:
    """One up, down or fault command at a time for an instance; the lock ends with the process that holds it."""
    paths.base.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another command on {paths.name!r} ...")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def prepared_cache(paths: Paths) -> Cache:
    """The cache for the present sources, made when it is missing."""
    cache = cache_for_sources(paths.cache)
    if not cache.ready():
        paths.cache.mkdir(parents=True, exist_ok=True)
        with locked(Paths(paths.base, ".cache")):
            prepare(cache, toolchain.find_node())
    cache.mark_used()
    return cache


def open_replica(paths: Paths) -> LocalReplica:
    """The instance as it was made; ReplicaError when there is none."""
    made = _made(paths)
    if not made:
        raise ReplicaError(f"no replica {paths.name!r} in {paths.base}: run `replica up`")
    return _replica(paths, cache_for_sources(paths.cache), made)


def _replica(paths: Paths, cache: Cache, made: Made) -> LocalReplica:
    account = app_account()
    database = LogsDb(paths.pg, account, toolchain.find_postgres())
    oracle = OracleServer(paths.oracle, account, cache.runtime)
    aws = AwsServer(paths.aws, account, cache.runtime)
    return LocalReplica(
        paths, account, cache, Path(made.node), database, oracle, aws, Web(paths, account, toolchain.find_nginx(), made.ports), made
    )


def _made(paths: Paths) -> Made | None:
    try:
        return Made(**json.loads(paths.made_file.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def runs(paths: Paths) -> bool:
    """Whether the instance was made from the present sources and is up, whole or broken."""
    made = _made(paths)
    return bool(made) and made == _wanted(paths, cache_for_sources(paths.cache), made) and bool(belonging_to(paths.instance))


def up(paths: Paths) -> LocalReplica:
    """Start what does not run, repair what is broken; the replica is ready when this returns."""
    cache = prepared_cache(paths)
    before = _made(paths)
    wanted = _wanted(paths, cache, before)
    replica = _replica(paths, cache, wanted)
    for folder in (paths.run, paths.home, host_parts.logs_of(paths)):
        folder.mkdir(parents=True, exist_ok=True)
    if not replica.can_reach(paths.home):
        raise ReplicaError(f"the user {replica.account.name} cannot reach {paths.base}: choose another TANK_REPLICA_BASE")
    if before == wanted and not paths.faults_file.exists() and all(part.healthy for part in components(replica)):
        replica.restore_attachments()
        return replica
    _clear_the_way(replica, before)
    ports = _usable_ports(replica)
    if ports != wanted.ports:
        end_all(paths.instance, _NODE | _NGINX)  # they know the old ones
    replica = _replica(paths, cache, replace(wanted, ports=ports))
    replace_file(paths.made_file, json.dumps(asdict(replica.made)), mode=0o600)
    _start_parts(replica)
    _write_facts(replica)
    paths.faults_file.unlink(missing_ok=True)
    return replica


def _wanted(paths: Paths, cache: Cache, before: Made | None) -> Made:
    """How the instance is made from the present sources; ports and secret stay as they were."""
    return Made(
        application=f"{cache.packages.name} {cache.build.name} {_version_of(_APPLICATION_SOURCES)}",
        data=_version_of(_DATA_SOURCES),
        oracle=oracle_part.version(),
        aws=aws_part.version(),
        ports=_all_ports(before.ports if before else {}),
        licence_key=before.licence_key if before else secrets.token_hex(12),
        node=str(toolchain.reachable_node(toolchain.find_node(), paths.cache, app_account())),
        runtime=cache.runtime.packages.name,
    )


def _version_of(sources: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in sources:
        digest.update((SOURCES / name).read_bytes())
    return digest.hexdigest()[:12]


def _all_ports(known: Mapping[str, int]) -> dict[str, int]:
    """The known ports, and free ones for the parts that have none yet."""
    ports = dict(known)
    later = [name for part in parts() for name in part.ports]
    for name in ("backend", "web", "web_tls", "logsdb", "oracle", "oracle_tls", "aws", "dns", "smtp", *later):
        if name not in ports:
            ports[name] = free_port(list(ports.values()))
    return ports


def _clear_the_way(replica: LocalReplica, before: Made | None) -> None:
    """End what does not work or was made from other sources, and what a killed run left."""
    paths, wanted = replica.paths, replica.made
    if before and (before.node, before.runtime) != (wanted.node, wanted.runtime):
        end_all(paths.instance, _ORACLE | _AWS | _NODE)
    if not before or before.oracle != wanted.oracle or not replica.oracle_server.complete():
        end_all(paths.instance, _ORACLE | _NODE)  # the accounts get other passwords
        remove_tree(paths.oracle)
    elif not replica.oracle_server.answers():
        end_all(paths.instance, _ORACLE)
    if not before or before.aws != wanted.aws or not replica.aws_server.answers():
        end_all(paths.instance, _AWS)
    if before and before.application != wanted.application:
        progress("the sources have changed: making the application part again")
        end_all(paths.instance, _NODE | _NGINX)
        remove_tree(paths.app)
        remove_tree(paths.pm2_home)
    if not before or before.data != wanted.data or not replica.database.complete():
        end_all(paths.instance)
        remove_tree(paths.pg)
    elif not replica.database.answers(replica.ports["logsdb"]):
        end_all(paths.instance, _POSTGRES)
    if not replica.daemon_pid():
        end_all(paths.instance, _NODE)
    if not _page_served(replica):
        end_all(paths.instance, _NGINX)


def _usable_ports(replica: LocalReplica) -> dict[str, int]:
    """The ports of the instance; another one for a part whose port somebody else has taken meanwhile."""
    ports = dict(replica.ports)
    served = _page_served(replica)
    ours = {"backend": bool(replica.daemon_pid()), "web": served, "web_tls": served, "logsdb": replica.database.answers(ports["logsdb"])}
    ours["oracle"] = ours["oracle_tls"] = replica.oracle_server.answers()
    ours["aws"] = ours["dns"] = ours["smtp"] = replica.aws_server.answers()
    for later in parts():
        ours |= dict.fromkeys(later.ports, later.is_well(replica.place(later)))
    for part, port in ports.items():
        if not ours[part] and not port_is_free(port):
            ports[part] = free_port(list(ports.values()))
    return ports


def _start_parts(replica: LocalReplica) -> None:
    paths, account, ports = replica.paths, replica.account, replica.ports
    give_to(account, paths.home, host_parts.logs_of(paths))
    oracle = replica.oracle_server
    oracle_started = None if oracle.answers() else oracle.start(ports["oracle"], ports["oracle_tls"])
    aws = replica.aws_server
    aws_started = None if aws.answers() else aws.start(ports["aws"], ports["dns"], ports["smtp"])
    replica.database.ensure(ports["logsdb"])
    if oracle_started:
        oracle.wait(oracle_started)
    if aws_started:
        aws.wait(aws_started)
    replica.restore_oracle()
    replica.restore_aws()
    replica.deploy()
    replica.restore_attachments()
    replica.install_boot_unit()
    replica.restore_web()
    wait_until(lambda: _page_served(replica), _START_S, f"nginx does not serve {replica.facts['web_url']}")
    pm2_processes.ensure_healthy(replica)
    host_parts.ensure(paths, account)
    replica.restore_parts()


def _write_facts(replica: LocalReplica) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    replace_file(replica.paths.facts_file, json.dumps({**replica.facts, "started_at": started}, indent=2) + "\n")


def _page_served(replica: LocalReplica) -> bool:
    return bool(replica.web.site.pid_file.exists()) and 'id="root"' in body_of(replica.facts["web_url"])


def components(replica: LocalReplica) -> list[Component]:
    """State of every part; nothing is started or changed by asking."""
    paths, ports = replica.paths, replica.ports
    local = "127.0.0.1:{}".format
    today = statement_folder(replica.nas.disk, local_now())
    well = pm2_processes.all_well(replica)
    return [
        Component("logsdb", replica.database.answers(ports["logsdb"]), local(ports["logsdb"])),
        Component("oracle", replica.oracle_server.well(), f"{local(ports['oracle'])}/{oracle_part.SERVICE}"),
        Component("aws", replica.aws_server.well(), local(ports["aws"])),
        Component("attachments", replica.nas.well() and today.is_dir(), str(paths.nas_root)),
        Component("nginx", _page_served(replica), replica.facts["web_url"]),
        Component("pm2", well, str(paths.pm2_home)),
        Component("backend", pm2_processes.backend_ok(replica), replica.facts["health_url"]),
        Component("worker", well and pm2_processes.worker_ready(replica), str(paths.app / "worker")),
        Component("host", host_parts.well(paths), str(host_parts.folder_of(paths))),
        *(Component(part.name, part.is_well(place := replica.place(part)), str(place.folder)) for part in parts()),
        Component("facts", paths.facts_file.exists(), str(paths.facts_file)),
    ]


def down(paths: Paths, purge: bool = False) -> None:
    """End every process of the instance; with `purge` its folder goes too."""
    if _made(paths):
        _stop_politely(paths)
    end_all(paths.instance)
    host_parts.remove(paths)
    Nas(paths).remove()
    for name in ("rpc.sock", "pub.sock", "pm2.pid"):
        (paths.pm2_home / name).unlink(missing_ok=True)
    paths.facts_file.unlink(missing_ok=True)
    paths.faults_file.unlink(missing_ok=True)
    if purge:
        remove_tree(paths.instance)
    if pids := belonging_to(paths.instance):
        raise ReplicaError(f"still running: {pids}")


def _stop_politely(paths: Paths) -> None:
    try:
        replica = open_replica(paths)
        daemon = replica.daemon()
        if daemon.pid and not daemon.frozen and daemon.user == replica.account.name:
            replica.pm2("kill", timeout=15)
        replica.web.stop()
        if replica.database.complete():
            replica.database.stop()
    except ReplicaError as error:
        progress(f"{error}; ending the processes directly")
