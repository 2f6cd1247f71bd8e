"""The replica on this machine: one folder, one account, loopback ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .aws_part import AwsServer
from .cache import Cache
from .delivery import Settings, deliver_applications, deliver_page, operator_environment, processes
from .host_parts import folder_of, logs_of, reset_cgroup
from .interface import APP, ROOT, Replica
from .logsdb import APP_ROLE, DATABASE, MONITOR_ROLE, LogsDb
from .nas import Nas
from .oracle_part import APP_USER, MONITOR_USER, SERVICE, SID, OracleServer
from .parts import Part, Place, parts
from .paths import Paths
from .system import Account, ReplicaError, Result, clean_environment, give_to, is_root, replace_file, run
from .web import Web, body_of


@dataclass(frozen=True)
class Made:
    """How an instance was made: versions of its sources, its ports (backend, web, web_tls, logsdb, oracle, oracle_tls), a secret of its own,
    its node and its Python."""

    application: str
    data: str
    oracle: str
    aws: str
    ports: dict[str, int]
    licence_key: str
    node: str
    runtime: str


class LocalReplica(Replica):
    """One instance."""

    def __init__(
        self,
        paths: Paths,
        account: Account,
        cache: Cache,
        node: Path,
        database: LogsDb,
        oracle: OracleServer,
        aws: AwsServer,
        web: Web,
        made: Made,
    ):
        self.paths = paths
        self.account = account
        self.cache = cache
        self.node = node
        self.database = database
        self.oracle_server = oracle
        self.aws_server = aws
        self.web = web
        self.made = made
        self.ports = made.ports
        self.nas = Nas(paths)
        self.admin = ROOT if is_root() else APP
        self.facts = self._facts()

    def _facts(self) -> dict[str, Any]:
        p = self.paths
        return {
            "name": p.name,
            "kind": "local",
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
                "executable": str(self.web.executable),
                "prefix": str(p.nginx),
                "start": self.web.argv(),
                "reload": self.web.argv("-s", "reload"),
                **self.web.site.facts(),
            },
            "host_folder": str(folder_of(p)),
            "state_dirs": [str(p.instance / "state")],
            "env_file": str(p.env_file),
            "nas_root": str(p.nas_root),
            "nas_source": self.nas.source,
            "batch_log_folder": str(logs_of(p)),
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
            "ses": self.aws_server.facts(self.ports),
            "oracle": {
                "host": "127.0.0.1",
                "address": "127.0.0.1",
                "port": self.ports["oracle"],
                "tls_port": self.ports["oracle_tls"],
                "service": SERVICE,
                "sid": SID,
                "user": APP_USER,
                "password_file": str(self.oracle_server.password_file),
                "monitor_user": MONITOR_USER,
                "monitor_password_file": str(self.oracle_server.monitor_password_file),
                "variables_file": str(self.oracle_server.variables_file),
                "control": str(self.oracle_server.folder),
                "server_log": str(self.oracle_server.log_file),
                "login_log": str(self.oracle_server.folder / "logins.jsonl"),
            },
            "processes": processes(p.app),
            "parts": {part.name: part.facts(self.place(part)) for part in parts()},
        }

    def place(self, part: Part) -> Place:
        """Where a part lives."""
        return Place(self.paths.instance / "parts" / part.name, self.account, {name: self.ports.get(name, 0) for name in part.ports})

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "",
        env: Mapping[str, str] | None = None,
        text_in: str | None = None,
        timeout: float = 30,
    ) -> Result:
        if user == ROOT and not is_root():
            raise ReplicaError("this needs root")
        account = None if user == ROOT else self.account
        environment = {**self._operator_environment(), **(env or {})}
        return run(argv, account=account, env=environment, cwd=self.paths.home, text_in=text_in, timeout=timeout)

    def _operator_environment(self) -> dict[str, str]:
        prefix = self.facts["path_prefix"]
        return clean_environment(prefix, **operator_environment(self.account.name, str(self.paths.home), self.made.licence_key))

    def at(self, host: str) -> Replica:
        """All hosts are this machine."""
        return self

    def can_reach(self, folder: Path) -> bool:
        """True when the application's account gets into the folder."""
        return run(["test", "-x", str(folder)], account=self.account).rc == 0

    def get(self, url: str) -> str:
        return body_of(url)

    def restore_web(self) -> None:
        changed = self.web.configure()
        if not self.web.site.workers():
            self.web.start()
        elif changed:
            self.web.reload()

    def restore_parts(self) -> None:
        for part in parts():
            part.restore(self.place(part))

    def stop_logsdb(self) -> None:
        self.database.stop()

    def start_logsdb(self) -> None:
        self.database.start(self.ports["logsdb"])

    def oracle(self, command: str, **options: Any) -> Any:
        return self.oracle_server.do(command, **options)

    def aws(self, command: str, **options: Any) -> Any:
        return self.aws_server.do(command, **options)

    def oracle_password(self, account: str) -> str:
        return self.oracle_server.control.passwords()[account]

    def give_home_back(self) -> None:
        give_to(self.account, self.paths.home, self.paths.app)

    def settle_boot_unit(self) -> None:
        """No systemd runs the unit here; it is only a file."""

    def reset_counters(self) -> None:
        reset_cgroup(self.paths)

    def deploy(self) -> None:
        settings = Settings(
            backend_host="127.0.0.1",
            backend_port=self.ports["backend"],
            logsdb_host="127.0.0.1",
            logsdb_port=self.ports["logsdb"],
            logsdb_password=self.database.password(),
            oracle_host="127.0.0.1",
            oracle_port=self.ports["oracle"],
            oracle_service=SERVICE,
            oracle_user=APP_USER,
            oracle_password=self.oracle_server.password(),
            nas_root=str(self.paths.nas_root),
            ses=self.aws_server.env_lines(self.ports["aws"]),
        )
        deliver_page(self.paths.app, self.cache.build)
        deliver_applications(self.paths.app, self.cache.build, self.cache.modules, str(self.cache.pm2), settings, self.account)

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
