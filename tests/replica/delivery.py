"""What an installation of Tank is delivered with: the built applications, the page, .env and start.sh."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .logsdb import APP_ROLE, DATABASE
from .system import Account, give_to, remove_tree, replace_file, write_private

PM2_WORKER_INTERVAL_MS = "10000"  # PM2 looks at memory limits every 30 s by default
_HOLIDAYS = ["2026-01-01", "2026-03-01", "2026-05-05", "2026-08-15", "2026-10-03", "2026-10-09", "2026-12-25"]


@dataclass(frozen=True)
class Settings:
    """What stands in .env and differs from installation to installation."""

    backend_host: str
    backend_port: int
    logsdb_host: str
    logsdb_port: int
    logsdb_password: str
    oracle_host: str
    oracle_port: int
    oracle_service: str
    oracle_user: str
    oracle_password: str
    nas_root: str
    ses: str = ""  # lines of .env, none where nothing is sent


def scripts(app: Path) -> dict[str, str]:
    """Script of each process."""
    return {"backend": str(app / "backend/dist/main.js"), "worker": str(app / "worker/dist/worker.js")}


def processes(app: Path) -> list[dict[str, str]]:
    """The processes as the facts of a replica list them."""
    return [{"name": name, "script": script, "exec_mode": "fork_mode"} for name, script in scripts(app).items()]


def operator_environment(account: str, home: str, licence_key: str) -> dict[str, str]:
    """The shell in which the application is started; the licence key stands for the secrets that PM2 keeps."""
    return {
        "HOME": home,
        "USER": account,
        "PM2_HOME": f"{home}/.pm2",
        "PM2_WORKER_INTERVAL": PM2_WORKER_INTERVAL_MS,
        "PM2_DISABLE_VERSION_CHECK": "true",
        "TANK_LICENSE_KEY": licence_key,
    }


def deliver_applications(app: Path, build: Path, modules: Path, pm2: str, settings: Settings, account: Account) -> None:
    """Put backend, worker and their configuration there as delivered; logs and other folders stay."""
    for process, other in (("backend", "worker"), ("worker", "main")):
        replace_tree(build / "dist", app / process / "dist", shutil.ignore_patterns(f"{other}.*", "*.map"))
        (app / process / "logs").mkdir(mode=0o700, exist_ok=True)
        package = {"name": f"tank-{process}", "version": "1.0.0", "private": True}
        replace_file(app / process / "package.json", json.dumps(package, indent=2) + "\n")
        link = app / process / "node_modules"
        link.unlink(missing_ok=True)
        link.symlink_to(modules)
    (app / "worker/spool").mkdir(mode=0o700, exist_ok=True)
    (app / "config").mkdir(exist_ok=True)
    replace_file(app / "config/holidays.json", json.dumps(_HOLIDAYS) + "\n")
    replace_file(app / "config/.env.example", _ENV_EXAMPLE)
    replace_file(app / "start.sh", _start_script(app, pm2), 0o755)
    give_to(account, app)
    write_private(app / "config/.env", _ENV.format_map(_env_values(settings)), account)


def deliver_page(app: Path, build: Path) -> None:
    """Put the React build there as delivered."""
    replace_tree(build / "frontend/build", app / "frontend/build")


def replace_tree(source: Path, target: Path, ignore: Any = None) -> None:
    """Copy a folder to where another one may be."""
    remove_tree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target, ignore=ignore)


def _env_values(settings: Settings) -> Mapping[str, Any]:
    return {**vars(settings), "database": DATABASE, "role": APP_ROLE}


def _start_script(app: Path, pm2: str) -> str:
    starts = [f"{pm2} start {script} --name {name}" for name, script in scripts(app).items()]
    return "\n".join(["#!/bin/sh", "set -e", "umask 077", *starts, f"{pm2} save", ""])


_ENV = """\
HOST={backend_host}
PORT={backend_port}
LOG_LEVEL=log

# LogsDB
LOGSDB_HOST={logsdb_host}
LOGSDB_PORT={logsdb_port}
LOGSDB_NAME={database}
LOGSDB_USER={role}
LOGSDB_PASS={logsdb_password}
DB_POOL_SIZE=5

# Oracle
ORACLE_HOST={oracle_host}
ORACLE_PORT={oracle_port}
ORACLE_SERVICE={oracle_service}
ORACLE_USER={oracle_user}
ORACLE_PASS={oracle_password}

# Attachments
FILE_ROOT_PATH={nas_root}

# Worker
SCHEDULER_INTERVAL=5000
MAX_PARALLEL=10

# SES
{ses}"""

_ENV_EXAMPLE = """\
HOST=127.0.0.1
PORT=3000
LOG_LEVEL=log
LOGSDB_HOST=
LOGSDB_PORT=5432
LOGSDB_NAME=
LOGSDB_USER=
LOGSDB_PASS=
DB_POOL_SIZE=5
ORACLE_HOST=
ORACLE_PORT=1521
ORACLE_SERVICE=
ORACLE_USER=
ORACLE_PASS=
FILE_ROOT_PATH=/batch/report
AWS_REGION=ap-southeast-1
AWS_ACCESS_KEY=
AWS_SECRET_KEY=
SCHEDULER_INTERVAL=30000
MAX_PARALLEL=10
"""
