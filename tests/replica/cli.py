"""The command `replica`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from types import ModuleType

from tests.faults.breakages import BREAKAGES, find_breakage

from . import fault_control, lifecycle, toolchain
from .containers import engine, image
from .containers import lifecycle as containers
from .interface import APP_HOST, LOGSDB_HOST, ORACLE_HOST, WEB_HOST
from .paths import Paths
from .system import ReplicaError, remove_tree


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    os.umask(0o022)  # the application's user must reach what root makes
    options = _parser().parse_args(arguments)
    try:
        paths = Paths.of(options.name)
        return options.command(options, paths)
    except ReplicaError as error:
        print(f"replica: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("replica: interrupted; `replica up` or `replica down` puts things right", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="replica", description="A small Tank of real parts on this machine.")
    name = os.environ.get("TANK_REPLICA_NAME", "default")
    parser.add_argument("--name", default=name, help="instance (default: %(default)s; environment TANK_REPLICA_NAME)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(title: str, function: object, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(title, help=text, description=text)
        command.set_defaults(command=function)
        return command

    add("prepare", _prepare, "install the npm packages and build the applications")
    up = add("up", _up, "start what does not run, repair what is broken")
    up.add_argument("--keep-faults", action="store_true", help="leave a running instance as it is while faults are set")
    up.add_argument("--containers", action="store_true", help="as hosts with systemd, in containers (an instance stays what it is)")
    reboot = add("reboot", _reboot, "restart whole hosts (containers only) and wait until they are up")
    reboot.add_argument("hosts", nargs="*", metavar="HOST", help="app, web, logsdb, oracle; default: all")
    down = add("down", _down, "end every process of the instance")
    down.add_argument("--purge", action="store_true", help="remove the instance's folder too")
    add("clean", _clean, "remove what all instances share, the cache and the images, once there is no instance")
    status = add("status", _status, "show the parts; exit code 1 when one is not healthy")
    status.add_argument("--json", action="store_true", help="facts and parts as JSON")
    logs = add("logs", _logs, "show the end of the logs")
    logs.add_argument("part", nargs="?", choices=["backend", "worker", "nginx", "logsdb", "oracle", "pm2"], help="default: all")
    logs.add_argument("-n", type=int, default=20, help="lines of each file (default: 20)")
    fault = add("fault", _fault, "break something for real, and mend it")
    fault.add_argument("action", choices=["list", "set", "clear"])
    fault.add_argument("code", nargs="?", help="code or code:variant; clear without a code heals everything")
    return parser


def _prepare(options: argparse.Namespace, paths: Paths) -> int:
    toolchain.find_postgres()
    toolchain.find_nginx()
    cache = lifecycle.prepared_cache(paths)
    print(f"prepared    {cache.packages.parent}")
    return 0


def _up(options: argparse.Namespace, paths: Paths) -> int:
    begin = time.monotonic()
    kind = containers if options.containers else _kind(paths)
    with lifecycle.locked(paths):
        kept = fault_control.faults_set(paths) if options.keep_faults and kind.runs(paths) else []
        replica = kind.open_replica(paths) if kept else kind.up(paths)
        for part in kind.components(replica):
            print(f"{part.name:<12}{'ok' if part.healthy else 'NOT HEALTHY':<12} {part.where}")
    print(f"up in {time.monotonic() - begin:.1f} s")
    if kept:
        print(f"faults set: {', '.join(kept)}. They are left as they are; `make replica-heal` clears them", flush=True)
    return 0


def _kind(paths: Paths) -> ModuleType:
    """The functions for an instance as it was made: in containers or not."""
    return containers if containers.exists(paths) else lifecycle


def _reboot(options: argparse.Namespace, paths: Paths) -> int:
    begin = time.monotonic()
    with lifecycle.locked(paths):
        containers.reboot(containers.open_replica(paths), options.hosts)
    print(f"rebooted in {time.monotonic() - begin:.1f} s")
    return 0


def _down(options: argparse.Namespace, paths: Paths) -> int:
    begin = time.monotonic()
    with lifecycle.locked(paths):
        _kind(paths).down(paths, options.purge)
    print(f"down in {time.monotonic() - begin:.1f} s, no process left")
    return 0


def _clean(options: argparse.Namespace, paths: Paths) -> int:
    there = sorted(folder.name for folder in paths.base.glob("*/") if folder != paths.cache)
    if there:
        raise ReplicaError(f"there are instances in {paths.base} ({', '.join(there)}): first `replica --name {there[0]} down --purge`")
    missing = engine.missing()
    for name in [] if missing else image.remove_own():
        print(f"removed     {name}")
    remove_tree(paths.cache)
    print(f"removed     {paths.cache}")
    if missing:
        print(f"no images   {missing}")
    return 0


def _status(options: argparse.Namespace, paths: Paths) -> int:
    kind = _kind(paths)
    replica = kind.open_replica(paths)
    parts = kind.components(replica)
    healthy = all(part.healthy for part in parts)
    if options.json:
        answer = {
            "healthy": healthy,
            "parts": [asdict(part) for part in parts],
            "faults": fault_control.faults_set(paths),
            "facts": replica.facts,
        }
        print(json.dumps(answer, indent=2))
    else:
        for part in parts:
            print(f"{part.name:<12}{'ok' if part.healthy else 'NOT HEALTHY':<12} {part.where}")
        for code in fault_control.faults_set(paths):
            print(f"fault set   {code}")
    return 0 if healthy else 1


def _logs(options: argparse.Namespace, paths: Paths) -> int:
    replica = _kind(paths).open_replica(paths)
    facts = replica.facts
    files = {
        "backend": (APP_HOST, f"{facts['pm2_home']}/logs/backend-*.log"),
        "worker": (APP_HOST, f"{facts['pm2_home']}/logs/worker-*.log"),
        "nginx": (WEB_HOST, f"{facts['nginx']['error_log']} {facts['nginx']['access_log']}"),
        "logsdb": (LOGSDB_HOST, facts["logsdb"]["server_log"] or "/dev/null"),
        "oracle": (ORACLE_HOST, f"{facts['oracle']['server_log']} {facts['oracle']['login_log']}"),
        "pm2": (APP_HOST, f"{facts['pm2_home']}/pm2.log"),
    }
    for host, patterns in [found for part, found in files.items() if options.part in (None, part)]:
        for pattern in patterns.split():
            print(replica.at(host).run(["sh", "-c", f'tail -v -n "$0" {pattern}', str(options.n)]).stdout, end="")
    return 0


def _fault(options: argparse.Namespace, paths: Paths) -> int:
    if options.action == "list":
        return _fault_list(paths)
    kind, begin = _kind(paths), time.monotonic()
    if options.action == "set":
        if not options.code:
            raise ReplicaError("name a fault, as in `make replica-fault FAULT=pm2.stopped`; `make replica-faults` lists them")
        find_breakage(options.code)  # refuses an unknown one before the replica is started for it
    with lifecycle.locked(paths):
        replica = kind.open_replica(paths) if options.action == "clear" or kind.runs(paths) else kind.up(paths)
        if options.action == "set":
            fault_control.set_fault(replica, paths, options.code)
        elif options.code:
            fault_control.clear_fault(replica, paths, options.code)
        else:
            fault_control.clear_all(replica, paths)
    print(f"{options.action} {options.code or 'all faults'} in {time.monotonic() - begin:.1f} s")
    return 0


def _fault_list(paths: Paths) -> int:
    known = fault_control.faults_set(paths)
    offered = fault_control.offers("containers" if containers.exists(paths) else "local")
    for fault in BREAKAGES:
        missing = fault.needs - offered
        state = "SET" if fault.address in known else f"needs {','.join(sorted(missing))}" if missing else ""
        print(f"{fault.address:<28} {fault.subject:<10} {state:<12} {fault.description}")
    return 0
