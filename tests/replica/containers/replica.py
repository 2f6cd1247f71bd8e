"""The replica as hosts with systemd, each a container."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .. import pm2_processes
from ..delivery import Settings, operator_environment, processes
from ..interface import APP, APP_HOST, CHECKER_HOST, LOGSDB_HOST, ORACLE_HOST, ROOT, WEB_HOST, Replica
from ..logsdb import APP_ROLE, DATABASE, MONITOR_ROLE
from ..oracle_part import APP_USER as ORACLE_APP_USER
from ..oracle_part import MONITOR_USER, SERVICE, SID, is_well
from ..paths import Paths
from ..system import APP_USER, ReplicaError, Result, clean_environment, run, wait_until
from . import engine, layout
from .hosts import HOSTS, Hosts
from .inside import PATHS as INSIDE

_OWNERS = {APP_HOST: APP_USER, WEB_HOST: "root", LOGSDB_HOST: "postgres", ORACLE_HOST: "oracle"}
_ANSWER_S = 30
_SETTLES_S = 120  # systemd itself gives a unit that does not start 90 s


class ContainerReplica(Replica):
    """One instance, seen from `host`; `licence_key` stands for the secrets that PM2 keeps."""

    admin = ROOT

    def __init__(self, paths: Paths, programs: str, licence_key: str):
        self.paths = paths
        self.hosts = Hosts(paths)
        self.nas = self.hosts.nas
        self.host = APP_HOST
        self.licence_key = licence_key
        self.addresses = self.hosts.addresses()
        self.facts = self._facts(programs)

    def _facts(self, programs: str) -> dict[str, Any]:
        pg, site = layout.PG, layout.NGINX
        return {
            "name": self.paths.name,
            "kind": "containers",
            "hosts": {host: {"container": self.hosts.container(host), "address": self.addresses[host]} for host in HOSTS},
            "engine": engine.name(),
            "engine_executable": engine.executable(),
            "home": str(INSIDE.home),
            "app_dir": str(INSIDE.app),
            "user": APP_USER,
            "pm2_home": str(INSIDE.pm2_home),
            "pm2_executable": "/usr/bin/pm2",
            "path_prefix": [],
            "unit_dir": str(INSIDE.unit_dir),
            "ports": {
                "backend": layout.BACKEND_PORT,
                "web": layout.WEB_PORT,
                "web_tls": layout.WEB_TLS_PORT,
                "logsdb": layout.LOGSDB_PORT,
                "oracle": layout.ORACLE_PORT,
                "ssh": layout.SSH_PORT,
            },
            "health_url": f"http://127.0.0.1:{layout.BACKEND_PORT}/api/health",
            "web_url": "http://127.0.0.1/",
            "web_tls_url": "https://127.0.0.1/",
            "build_dir": site["build"],
            "nginx": {
                "executable": "/usr/sbin/nginx",
                "prefix": "/usr/share/nginx",
                "start": ["systemctl", "start", "nginx"],
                "reload": ["nginx", "-s", "reload"],
                "conf": site["conf"],
                "pid_file": site["pid_file"],
                "error_log": f"{site['logs']}/error.log",
                "access_log": f"{site['logs']}/access.log",
                "certificate": f"{site['tls']}/site.crt",
                "upstream": site["upstream"],
            },
            "host_folder": str(layout.HELPERS),
            "host_parts": {"volume": str(layout.VOLUME), "log_folder": str(layout.LOG_FOLDER), "peer_host": LOGSDB_HOST}
            | {"time_port": layout.TIME_PORT, "peer_port": layout.PEER_PORT, "spare_port": layout.SPARE_PORT},
            "state_dirs": [f"/var/lib/ops-remediation/tank-{host}" for host in HOSTS],
            "env_file": str(INSIDE.env_file),
            "nas_root": layout.NAS,
            "nas_source": self.nas.source,
            "batch_log_folder": str(layout.LOG_FOLDER),
            "logsdb": {
                "host": "127.0.0.1",
                "port": layout.LOGSDB_PORT,
                "database": DATABASE,
                "user": APP_ROLE,
                "password_file": f"{pg}/password",
                "monitor_user": MONITOR_ROLE,
                "monitor_password_file": str(self.paths.run / "monitor_password"),
                "programs": programs,
                "data": f"{pg}/data",
                "server_log": "",
            },
            "ses": {},
            "oracle": {
                "host": ORACLE_HOST,
                "address": self.addresses[ORACLE_HOST],
                "port": layout.ORACLE_PORT,
                "tls_port": layout.ORACLE_TLS_PORT,
                "service": SERVICE,
                "sid": SID,
                "user": ORACLE_APP_USER,
                "password_file": str(self.paths.run / "oracle_password"),
                "monitor_user": MONITOR_USER,
                "monitor_password_file": str(self.paths.run / "oracle_monitor_password"),
                "variables_file": str(self.paths.run / "oracle_variables.json"),
                "control": str(layout.ORACLE),
                "server_log": "/dev/null",
                "login_log": str(layout.ORACLE / "logins.jsonl"),
            },
            "ssh": {"user": "ops", "key": str(self.paths.run / "ssh" / "key"), "known_hosts": str(self.paths.run / "ssh" / "known_hosts")},
            "processes": processes(INSIDE.app),
        }

    def at(self, host: str) -> ContainerReplica:
        view = copy.copy(self)
        view.host = host
        return view

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "",
        env: Mapping[str, str] | None = None,
        text_in: str | None = None,
        timeout: float = 30,
    ) -> Result:
        if self.host == CHECKER_HOST:
            return run(argv, env=clean_environment(**(env or {})), text_in=text_in, timeout=timeout)
        account = {APP: APP_USER, ROOT: "root", "": _OWNERS[self.host]}[user]
        # The engine's own end does not end what it has started.
        bounded = ["sh", "-c", 'umask 077; exec timeout -k 2 "$@"', "sh", f"{timeout:g}", *argv]
        variables = {**self._environment(account), **(env or {})}
        folder = str(INSIDE.home) if self.host == APP_HOST else "/"
        command = engine.exec_argv(
            self.hosts.container(self.host), bounded, user=account, env=variables, folder=folder, stdin=text_in is not None
        )
        return engine.call(*command, text_in=text_in, timeout=timeout + 10)

    def _environment(self, account: str) -> dict[str, str]:
        environment = clean_environment()
        if self.host == APP_HOST and account == APP_USER:
            return {**environment, **operator_environment(APP_USER, str(INSIDE.home), self.licence_key)}
        if self.host == APP_HOST:
            # What `sudo pm2` in the application's PM2_HOME has.
            return {**environment, "HOME": "/root", "PM2_HOME": str(INSIDE.pm2_home)}
        return {**environment, "HOME": "/root" if account == "root" else str(layout.PG)}

    def deploy(self) -> None:
        password = self.at(LOGSDB_HOST).read(self.facts["logsdb"]["password_file"])
        settings = Settings(
            backend_host="0.0.0.0",  # noqa: S104 - nginx is on another host
            backend_port=layout.BACKEND_PORT,
            logsdb_host=LOGSDB_HOST,
            logsdb_port=layout.LOGSDB_PORT,
            logsdb_password=password,
            oracle_host=ORACLE_HOST,
            oracle_port=layout.ORACLE_PORT,
            oracle_service=SERVICE,
            oracle_user=ORACLE_APP_USER,
            oracle_password=self.oracle_password(ORACLE_APP_USER),
            nas_root=layout.NAS,
        )
        self.hosts.inside(APP_HOST, {"settings": vars(settings)})
        self.restore_web()

    def restore_parts(self) -> None:
        """No part of parts/ is here."""

    def restore_web(self) -> None:
        self.hosts.inside(WEB_HOST, {})

    def install_boot_unit(self) -> None:
        """With PM2's own command, as its manual says."""
        argv = [self.facts["pm2_executable"], "startup", "systemd", "-u", APP_USER, "--hp", str(INSIDE.home)]
        self.at(APP_HOST).must(argv, user=ROOT, env={"HOME": "/root", "PM2_HOME": "/root/.pm2"}, timeout=60)

    def stop_logsdb(self) -> None:
        self.at(LOGSDB_HOST).must(["systemctl", "stop", "logsdb"], user=ROOT)

    def start_logsdb(self) -> None:
        self.at(LOGSDB_HOST).must(["systemctl", "start", "logsdb"], user=ROOT)
        wait_until(self.logsdb_answers, _ANSWER_S, "LogsDB does not answer; see `journalctl -u logsdb`")

    def logsdb_answers(self) -> bool:
        facts = self.facts["logsdb"]
        return self.at(LOGSDB_HOST).run([f"{facts['programs']}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(facts["port"])]).rc == 0

    def oracle(self, command: str, **options: Any) -> Any:
        argv = ["python3", "-m", "replica.oracle", "do", "--data", str(layout.ORACLE)]
        environment = {"PYTHONPATH": layout.SOURCES_MOUNT, "PYTHONDONTWRITEBYTECODE": "1"}
        done = self.at(ORACLE_HOST).run(argv, env=environment, text_in=json.dumps({"do": command, **options}))
        if done.rc != 0:
            raise ReplicaError(f"Oracle: {command}: {(done.stderr.strip() or done.stdout.strip())[-300:]}")
        return json.loads(done.stdout)

    def aws(self, command: str, **options: Any) -> Any:
        raise ReplicaError("a replica in containers has no SES: its worker only logs what it would send")

    def oracle_well(self) -> bool:
        """Whether the server lives, has no fault, and every account is open."""
        try:
            return is_well(self.oracle("status"))
        except ReplicaError:
            return False

    def oracle_password(self, account: str) -> str:
        return json.loads(self.at(ORACLE_HOST).read(f"{layout.ORACLE}/passwords.json"))[account]

    def sees_nas(self) -> bool:
        """Whether what is mounted on this machine is mounted on the host of the applications too."""
        return f" {layout.NAS} " in self.at(APP_HOST).read("/proc/self/mountinfo")

    def give_home_back(self) -> None:
        self.at(APP_HOST).must(["chown", "-R", f"{APP_USER}:{APP_USER}", str(INSIDE.home), str(INSIDE.app)], user=ROOT)

    def reset_counters(self) -> None:
        """Only a restart makes a host forget that processes were killed."""
        counters = "cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null"
        if self.run(["sh", "-c", f"{counters} | grep -q '^oom_kill [1-9]'"]).rc == 0:
            self.hosts.reboot(self.host)
            pm2_processes.wait_ready(self)

    def get(self, url: str) -> str:
        done = self.run(["curl", "-s", "-f", "-m", "2", url], timeout=5)
        return done.stdout if done.rc == 0 else ""

    def end_daemon(self) -> None:
        """Through systemd: after a bare `pm2 kill` the unit's own `pm2 kill` starts a daemon to end it, and where that one is still there
        when systemd has waited for 90 s, systemd starts PM2 again.
        """
        app, unit = self.at(APP_HOST), f"pm2-{APP_USER}"
        if app.run(["systemctl", "is-active", "-q", unit], user=ROOT).rc == 0:
            app.must(["systemctl", "stop", unit], user=ROOT, timeout=_SETTLES_S)
        else:
            super().end_daemon()

    def settle_boot_unit(self) -> None:
        """The unit stops with `pm2 kill`, which would end a daemon that was started meanwhile, or take its pid file away."""
        app = self.at(APP_HOST)
        argv = ["systemctl", "show", "-p", "ActiveState", "--value", f"pm2-{APP_USER}"]
        wait_until(
            lambda: app.run(argv, user=ROOT).stdout.strip() in ("active", "inactive", "failed"), _SETTLES_S, "PM2's unit does not settle"
        )

    def hand_over_to_systemd(self) -> None:
        """Have PM2 run by its boot unit, as after any reboot, where it was started by hand."""
        unit = f"pm2-{APP_USER}"
        app = self.at(APP_HOST)
        if app.run(["systemctl", "is-active", "-q", unit], user=ROOT).rc != 0:
            self.pm2("kill")
            app.must(["systemctl", "start", unit], user=ROOT, timeout=60)
