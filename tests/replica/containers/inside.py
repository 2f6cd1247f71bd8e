"""What is done inside a host of the replica: `python3 -m replica.containers.inside app|web|logsdb|oracle`, as root, settings on stdin.

Puts the host's part of Tank there as delivered and starts what systemd starts. Doing it again repairs what is broken.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..delivery import Settings, deliver_applications, deliver_page
from ..host_parts import SERVICES, python
from ..logsdb import LogsDb
from ..oracle.client import Control, ControlError
from ..oracle_part import SERVICE, SID, SPREAD
from ..paths import SOURCES, Paths
from ..system import Account, account_of, give_to, replace_file, run, run_or_fail, wait_until
from ..toolchain import find_postgres
from ..web import Site
from .layout import (
    BUILD,
    CPU_LIMIT,
    HELPERS,
    LOG_FOLDER,
    LOGSDB_PORT,
    MEMORY_LIMIT,
    MODULES,
    NGINX,
    ORACLE,
    ORACLE_PORT,
    ORACLE_TLS_PORT,
    PEER_PORT,
    PG,
    SOURCES_MOUNT,
    SPARE_PORT,
    TIME_PORT,
    VOLUME,
)

_UNITS = Path("/etc/systemd/system")
_LISTENS_S = 30


@dataclass(frozen=True)
class Inside(Paths):
    """An installation that has a machine of its own begins at /."""

    @property
    def instance(self) -> Path:
        return Path("/")


PATHS = Inside(Path("/"), "host")


def app(given: Mapping[str, Any]) -> None:
    """Backend and worker with their configuration; the helpers of the host's checks."""
    account = account_of("tankmail")
    settings = Settings(**given["settings"])
    deliver_applications(PATHS.app, BUILD, MODULES, "/usr/bin/pm2", settings, account)
    give_to(account, PATHS.home)
    PATHS.home.chmod(0o700)
    _helpers(account, {"time": [TIME_PORT]})


def web(given: Mapping[str, Any]) -> None:
    """The page, nginx's configuration and certificate; nginx is started, or reloaded where they were not so."""
    deliver_page(PATHS.app, BUILD)
    site = Site(**{**NGINX, **{name: Path(NGINX[name]) for name in ("conf", "pid_file", "logs", "temp", "tls", "build")}})
    changed = site.configure()
    before = site.workers()
    if not before:
        run(["systemctl", "reset-failed", "nginx"])
        run_or_fail("start nginx", ["systemctl", "enable", "--now", "-q", "nginx"])
    elif changed:
        run_or_fail("reload nginx", ["systemctl", "reload", "nginx"])
        site.wait_for_new_workers(before)
    _helpers(account_of("tankmail"), {})


def logsdb(given: Mapping[str, Any]) -> None:
    """A cluster with eight weeks of history, run by systemd."""
    account = account_of("postgres")
    database = LogsDb(PG, account, find_postgres(), listen="*")
    made = database.complete()
    if not made:
        database.ensure(LOGSDB_PORT)
        database.stop()
    options = f"-D {database.data} -p {LOGSDB_PORT}"
    _unit("logsdb", f"{database.bin}/postgres {options}", "postgres", "Environment=PGTZ=Asia/Seoul\nKillSignal=SIGINT\n")
    wait_until(lambda: database.answers(LOGSDB_PORT), _LISTENS_S, "LogsDB does not answer; see `journalctl -u logsdb`")
    if made:
        database.fill_gap(LOGSDB_PORT)
    _helpers(account_of("tankmail"), {"peer": [PEER_PORT, "0.0.0.0"]})  # noqa: S104 - other hosts reach it


def oracle(given: Mapping[str, Any]) -> None:
    """The customer's database, run by systemd; nothing is caught up on after a pause."""
    account = account_of("oracle")
    ORACLE.mkdir(mode=0o700, exist_ok=True)
    give_to(account, ORACLE)
    control = Control(ORACLE)
    ran = oracle_answers(control)
    command = f"{python()} -m replica.oracle serve --data {ORACLE} --host 0.0.0.0 --port {ORACLE_PORT} --tcps-port {ORACLE_TLS_PORT}"
    environment = f"Environment=PYTHONPATH={SOURCES_MOUNT} PYTHONDONTWRITEBYTECODE=1\nUMask=0077\n"
    _unit("oracle", f"{command} --service {SERVICE} --sid {SID}", account.name, environment)
    wait_until(lambda: oracle_answers(control), _LISTENS_S, "Oracle does not answer; see `journalctl -u oracle`")
    if not ran:
        control.sql(SPREAD)


def oracle_answers(control: Control) -> bool:
    try:
        return bool(control.status())
    except ControlError:
        return False


def _helpers(account: Account, servers: Mapping[str, list[Any]]) -> None:
    """What the checks of the area host look at (see host_parts), as services that a reboot brings back."""
    for folder in (HELPERS, LOG_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCES / SERVICES, HELPERS / SERVICES)
    (HELPERS / "clock_offset").unlink(missing_ok=True)
    facts = {
        "folder": str(HELPERS),
        "python": python(),
        "volume": str(VOLUME),
        "cgroup": "",
        "cgroup_folders": [],
        "cpu_quota": CPU_LIMIT,
        "memory_limit": MEMORY_LIMIT,
        "log_folder": str(LOG_FOLDER),
        "spare_port": SPARE_PORT,
        "time_port": TIME_PORT,
        "peer_port": PEER_PORT,
    }
    replace_file(HELPERS / "facts.json", json.dumps(facts) + "\n")
    give_to(account, HELPERS, LOG_FOLDER)
    LOG_FOLDER.chmod(0o750)
    for name, arguments in servers.items():
        words = " ".join([python(), str(HELPERS / SERVICES), name, *map(str, arguments)])
        _unit(f"tank-{name}", words, account.name, "AmbientCapabilities=CAP_NET_BIND_SERVICE\n")


def _unit(name: str, command: str, user: str, more: str) -> None:
    """A service that runs now and after each start of the host; one that is so already is left alone."""
    text = f"[Unit]\nDescription={name}\nAfter=network.target\n\n[Service]\nUser={user}\nExecStart={command}\n{more}\n[Install]\nWantedBy=multi-user.target\n"
    path = _UNITS / f"{name}.service"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        replace_file(path, text)
        run_or_fail("systemctl", ["systemctl", "daemon-reload"])
    run_or_fail(f"start {name}", ["systemctl", "enable", "--now", "-q", name])


def main() -> None:
    """Do one host's part."""
    {"app": app, "web": web, "logsdb": logsdb, "oracle": oracle}[sys.argv[1]](json.load(sys.stdin))


if __name__ == "__main__":
    main()
