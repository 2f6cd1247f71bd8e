"""The replica on this machine: one folder, one account, loopback ports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import web
from .cache import Cache
from .interface import APP, ROOT, Replica
from .logsdb import APP_ROLE, DATABASE, MONITOR_ROLE, LogsDb
from .paths import Paths
from .system import Account, ReplicaError, Result, clean_environment, give_to, is_root, remove_tree, replace_file, run, write_private
from .web import Web

_PM2_WORKER_INTERVAL_MS = "10000"  # PM2 looks at memory limits every 30 s by default
_HOLIDAYS = ["2026-01-01", "2026-03-01", "2026-05-05", "2026-08-15", "2026-10-03", "2026-10-09", "2026-12-25"]


@dataclass(frozen=True)
class Made:
    """How an instance was made: versions of its sources, its ports (backend, web, web_tls, logsdb), a secret of its own."""

    application: str
    data: str
    ports: dict[str, int]
    licence_key: str


class LocalReplica(Replica):
    """One instance."""

    def __init__(self, paths: Paths, account: Account, cache: Cache, node: Path, database: LogsDb, site: Web, made: Made):
        self.paths = paths
        self.account = account
        self.cache = cache
        self.node = node
        self.database = database
        self.site = site
        self.made = made
        self.ports = made.ports
        self.admin = ROOT if is_root() else APP
        self.facts = self._facts()

    def _facts(self) -> dict[str, Any]:
        p = self.paths
        scripts = {"backend": p.app / "backend/dist/main.js", "worker": p.app / "worker/dist/worker.js"}
        return {
            "name": p.name,
            "home": str(p.home),
            "app_dir": str(p.app),
            "user": self.account.name,
            "pm2_home": str(p.pm2_home),
            "pm2_executable": str(self.cache.pm2),
            "path_prefix": [str(self.node.parent)],
            "unit_dir": str(p.unit_dir),
            "ports": dict(self.ports),
            "health_url": f"http://127.0.0.1:{self.ports['backend']}/api/health",
            "web_url": f"http://127.0.0.1:{self.ports['web']}/",
            "web_tls_url": f"https://127.0.0.1:{self.ports.get('web_tls', 0)}/",
            "build_dir": str(p.app / "frontend/build"),
            "nginx": {
                "executable": str(self.site.executable),
                "conf": str(p.nginx_conf),
                "prefix": str(p.nginx),
                "pid_file": str(self.site.pid_file),
                "error_log": str(self.site.error_log),
                "access_log": str(self.site.access_log),
                "certificate": str(self.site.certificate),
            },
            "env_file": str(p.env_file),
            "nas_root": str(p.nas_root),
            "logsdb": {
                "host": "127.0.0.1",
                "port": self.ports["logsdb"],
                "database": DATABASE,
                "user": APP_ROLE,
                "password_file": str(self.database.password_file),
                "monitor_user": MONITOR_ROLE,
                "monitor_password_file": str(self.database.monitor_password_file),
                "programs": str(self.database.bin),
                "data": str(self.database.data),
                "server_log": str(self.database.log_file),
            },
            "processes": [{"name": name, "script": str(script), "exec_mode": "fork_mode"} for name, script in scripts.items()],
        }

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = APP,
        env: Mapping[str, str] | None = None,
        text_in: str | None = None,
        timeout: float = 30,
    ) -> Result:
        if user == ROOT and not is_root():
            raise ReplicaError("this needs root")
        account = self.account if user == APP else None
        environment = {**self._operator_environment(), **(env or {})}
        return run(argv, account=account, env=environment, cwd=self.paths.home, text_in=text_in, timeout=timeout)

    def _operator_environment(self) -> dict[str, str]:
        """The shell in which the application was started; the licence key stands for the secrets that PM2 keeps."""
        return clean_environment(
            self.facts["path_prefix"],
            HOME=str(self.paths.home),
            USER=self.account.name,
            PM2_HOME=str(self.paths.pm2_home),
            PM2_WORKER_INTERVAL=_PM2_WORKER_INTERVAL_MS,
            PM2_DISABLE_VERSION_CHECK="true",
            TANK_LICENSE_KEY=self.made.licence_key,
        )

    def can_reach(self, folder: Path) -> bool:
        """True when the application's account gets into the folder."""
        return run(["test", "-x", str(folder)], account=self.account).rc == 0

    def get(self, url: str) -> str:
        return web.body_of(url)

    def restore_web(self) -> None:
        changed = self.site.configure(self.ports)
        if not self.site.serving():
            self.site.start()
        elif changed:
            self.site.reload()

    def give_home_back(self) -> None:
        give_to(self.account, self.paths.home, self.paths.app)

    def deploy(self) -> None:
        app = self.paths.app
        for process, other in (("backend", "worker"), ("worker", "main")):
            self._replace_tree(self.cache.build / "dist", app / process / "dist", shutil.ignore_patterns(f"{other}.*", "*.map"))
            (app / process / "logs").mkdir(mode=0o700, exist_ok=True)
            package = {"name": f"tank-{process}", "version": "1.0.0", "private": True}
            replace_file(app / process / "package.json", json.dumps(package, indent=2) + "\n")
            modules = app / process / "node_modules"
            modules.unlink(missing_ok=True)
            modules.symlink_to(self.cache.modules)
        self._replace_tree(self.cache.build / "frontend/build", app / "frontend/build")
        (app / "worker/spool").mkdir(mode=0o700, exist_ok=True)
        (app / "config").mkdir(exist_ok=True)
        replace_file(app / "config/holidays.json", json.dumps(_HOLIDAYS) + "\n")
        replace_file(app / "config/.env.example", _ENV_EXAMPLE)
        replace_file(app / "start.sh", self._start_script(), 0o755)
        give_to(self.account, app)
        write_private(self.paths.env_file, self._env_text(), self.account)

    @staticmethod
    def _replace_tree(source: Path, target: Path, ignore: Any = None) -> None:
        remove_tree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, ignore=ignore)

    def _env_text(self) -> str:
        return _ENV.format(
            backend_port=self.ports["backend"],
            logsdb_port=self.ports["logsdb"],
            database=DATABASE,
            role=APP_ROLE,
            password=self.database.password(),
            nas_root=self.paths.nas_root,
        )

    def _start_script(self) -> str:
        pm2 = self.facts["pm2_executable"]
        starts = [f"{pm2} start {process['script']} --name {process['name']}" for process in self.facts["processes"]]
        return "\n".join(["#!/bin/sh", "set -e", "umask 077", *starts, f"{pm2} save", ""])

    def install_boot_unit(self) -> None:
        """From PM2's own template, with the values that `pm2 startup systemd` puts in."""
        template = (self.cache.modules / "pm2/lib/templates/init-scripts/systemd.tpl").read_text(encoding="utf-8")
        path = clean_environment(self.facts["path_prefix"])["PATH"]
        values = {
            "%PM2_PATH%": self.facts["pm2_executable"],
            "%NODE_PATH%": path,
            "%USER%": self.account.name,
            "%HOME_PATH%": str(self.paths.pm2_home),
        }
        for name, value in values.items():
            template = template.replace(name, value)
        unit = self.paths.unit_dir / f"pm2-{self.account.name}.service"
        link = self.paths.unit_dir / "multi-user.target.wants" / unit.name
        link.parent.mkdir(parents=True, exist_ok=True)
        replace_file(unit, template)
        link.unlink(missing_ok=True)
        link.symlink_to(f"../{unit.name}")


_ENV = """\
PORT={backend_port}
LOG_LEVEL=log

# LogsDB
LOGSDB_HOST=127.0.0.1
LOGSDB_PORT={logsdb_port}
LOGSDB_NAME={database}
LOGSDB_USER={role}
LOGSDB_PASS={password}
DB_POOL_SIZE=5

# Attachments
FILE_ROOT_PATH={nas_root}

# Worker
SCHEDULER_INTERVAL=5000
MAX_PARALLEL=10
"""

_ENV_EXAMPLE = """\
PORT=3000
LOG_LEVEL=log
LOGSDB_HOST=
LOGSDB_PORT=5432
LOGSDB_NAME=
LOGSDB_USER=
LOGSDB_PASS=
DB_POOL_SIZE=5
FILE_ROOT_PATH=/batch/report
SCHEDULER_INTERVAL=30000
MAX_PARALLEL=10
"""
