"""Where the hosts of the container replica have their things, and on which ports they listen: as at a customer's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SOURCES_MOUNT = "/usr/lib/tank-replica"  # this package, read-only
BUILD = Path("/usr/lib/tank-build")  # the built applications, read-only
MODULES = Path("/usr/lib/tank/node_modules")
HELPERS = Path("/var/lib/tank-host")
LOG_FOLDER = Path("/var/log/batch")
VOLUME = Path("/data")  # a small file system
NAS = "/batch/report"
PG = Path("/var/lib/postgresql/logsdb")
ORACLE = Path("/var/lib/oracle")

BACKEND_PORT = 3000
WEB_PORT = 80
WEB_TLS_PORT = 443
LOGSDB_PORT = 5432
SSH_PORT = 22
TIME_PORT = 10123
PEER_PORT = 1521  # on the host of LogsDB, for the checks of outbound connections
ORACLE_PORT = 1521
ORACLE_TLS_PORT = 2484
SPARE_PORT = 28999

NGINX: dict[str, Any] = {
    "conf": "/etc/nginx/nginx.conf",
    "pid_file": "/run/nginx.pid",
    "logs": "/var/log/nginx",
    "temp": "/var/lib/nginx",
    "tls": "/etc/nginx/tls",
    "build": "/opt/tank-mail-app/frontend/build",
    "address": "0.0.0.0",  # noqa: S104 - other hosts reach it
    "port": WEB_PORT,
    "tls_port": WEB_TLS_PORT,
    "upstream": f"app:{BACKEND_PORT}",
    "first": "user www-data;\n",
}
# What the host of the applications may use.
MEMORY_LIMIT = 1 << 30  # bytes
CPU_LIMIT = 0.8  # cores; less than one, so that a single process can use it up
