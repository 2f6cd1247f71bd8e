"""What a fault may do to a replica. The local replica and one in containers differ in `run` only."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import attachments
from .aws_part import delivered_variables
from .logsdb import local_now
from .nas import Nas
from .oracle_part import delivered_targets
from .system import ReplicaError, Result, wait_until

# Accounts: the application's, and root. What a host's commands run as by default is the owner of what runs there.
APP = "app"
ROOT = "root"
# Hosts: where the applications run, where nginx runs, where LogsDB runs, the customer's Oracle, and where the checks of LogsDB are asked from.
APP_HOST = "app"
WEB_HOST = "web"
LOGSDB_HOST = "logsdb"
ORACLE_HOST = "oracle"
CHECKER_HOST = "checker"


@dataclass(frozen=True)
class ManagedProcess:
    """One entry of PM2's list."""

    name: str
    pm_id: int
    pid: int
    status: str
    restarts: int
    script: str
    exec_mode: str
    exit_code: int | None
    autorestart: bool
    age_s: float  # since its creation, not since its last restart
    memory_limit: int | None
    out_log: str
    error_log: str


@dataclass(frozen=True)
class Daemon:
    """PM2's daemon: pid 0 when none lives; the account that it runs as."""

    pid: int
    frozen: bool
    user: str


_DAEMON = """pid=$(cat "$1" 2>/dev/null) && grep -aq "God Daemon" "/proc/$pid/cmdline" 2>/dev/null || exit 0
echo "$pid" $(sed 's/.*) //; s/ .*//' "/proc/$pid/stat") $(stat -c %U "/proc/$pid")
"""


class Replica(ABC):
    """A running Tank, as seen from one of its hosts.

    `facts` is the content of run/replica.json; paths and addresses are those inside the replica. Everything is done on the
    host that this is the view from; only what concerns PM2 is done where PM2 runs.
    """

    facts: Mapping[str, Any]
    admin: str  # ROOT where root is to be had, else APP
    nas: Nas  # a machine of its own; what is done with it is done from here

    @abstractmethod
    def at(self, host: str) -> Replica:
        """The same replica as seen from another of its hosts."""

    @abstractmethod
    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "",
        env: Mapping[str, str] | None = None,
        text_in: str | None = None,
        timeout: float = 30,
    ) -> Result:
        """Run a command as APP, as ROOT or as the owner of what runs on the host, with an operator's environment and umask 077."""

    @abstractmethod
    def deploy(self) -> None:
        """Put the application's files, folders and configuration there again as they were delivered; restarts nothing."""

    @abstractmethod
    def install_boot_unit(self) -> None:
        """What `pm2 startup` leaves: the unit of the application's user, enabled."""

    @abstractmethod
    def restore_web(self) -> None:
        """Put nginx's configuration and certificate there as they were delivered; start nginx, or reload it where they were not so."""

    @abstractmethod
    def restore_parts(self) -> None:
        """Have the parts of parts/ as they were delivered; nothing to do where there are none."""

    @abstractmethod
    def stop_logsdb(self) -> None:
        """Stop LogsDB's server; returns when it has ended."""

    @abstractmethod
    def start_logsdb(self) -> None:
        """Start LogsDB's server; returns when it answers."""

    @abstractmethod
    def oracle(self, command: str, **options: Any) -> Any:
        """Have the control of the Oracle server do something: the commands of oracle/client.py."""

    @abstractmethod
    def oracle_password(self, account: str) -> str:
        """Password that an account of Oracle was made with."""

    @abstractmethod
    def aws(self, command: str, **options: Any) -> Any:
        """Have the control of the stand-in for AWS do something: the commands of aws/server.py."""

    @abstractmethod
    def give_home_back(self) -> None:
        """Make the application's user the owner of all in PM2_HOME and in the application's log folders."""

    @abstractmethod
    def reset_counters(self) -> None:
        """Have the counters of CPU and memory that the checks read begin at nothing; ends what runs in the instance's cgroup."""

    @abstractmethod
    def get(self, url: str) -> str:
        """Body of a good HTTP answer, "" when there is none."""

    # Commands

    def must(self, argv: Sequence[str], **options: Any) -> str:
        """Standard output of a command that must succeed."""
        done = self.run(argv, **options)
        if done.rc != 0:
            raise ReplicaError(f"{' '.join(argv[:4])}: rc {done.rc}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout

    def pm2(self, *arguments: str, user: str = APP, timeout: float = 30) -> Result:
        done = self.at(APP_HOST).run([self.facts["pm2_executable"], *arguments], user=user, timeout=timeout)
        if arguments[0] == "kill":
            self.settle_boot_unit()
        return done

    def must_pm2(self, *arguments: str, **options: Any) -> str:
        done = self.pm2(*arguments, **options)
        if done.rc != 0:
            raise ReplicaError(f"pm2 {' '.join(arguments[:3])}: rc {done.rc}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout

    def end_daemon(self) -> None:
        """Stop PM2 with all its processes, through its boot unit where that runs it."""
        self.must_pm2("kill")

    @abstractmethod
    def settle_boot_unit(self) -> None:
        """Until systemd has done what it does when PM2's daemon ends; nothing where systemd does not run it."""

    def signal(self, pid: int, name: str, *, user: str = "") -> None:
        """Send a signal, named as `kill` names it (STOP, CONT, TERM, KILL)."""
        self.must(["kill", "-s", name, str(pid)], user=user)

    # Files

    def read(self, path: str, *, user: str = "") -> str:
        return self.must(["cat", path], user=user)

    def write(self, path: str, text: str, mode: int = 0o644, *, user: str = "") -> None:
        self.must(["sh", "-c", 'cat >"$1" && chmod "$2" "$1"', "sh", path, f"{mode:o}"], text_in=text, user=user)

    def remove(self, *paths: str, user: str = "") -> None:
        self.must(["rm", "-rf", *paths], user=user)

    def chmod(self, path: str, mode: int, *, user: str = "") -> None:
        self.must(["chmod", f"{mode:o}", path], user=user)

    def exists(self, path: str) -> bool:
        return self.run(["test", "-e", path]).rc == 0

    def wait_until(self, condition: Callable[[], object], timeout: float, what: str) -> None:
        wait_until(condition, timeout, what, interval=0.2)

    # Oracle

    def restore_oracle(self) -> None:
        """No fault, the accounts as they were made, and what the checker knows of them."""
        self.oracle("restore")
        oracle = self.facts["oracle"]
        self.tell_checker({"stack_oracle_targets": delivered_targets(oracle)}, self.oracle_password(oracle["user"]))
        self.at(CHECKER_HOST).write(oracle["monitor_password_file"], self.oracle_password(oracle["monitor_user"]), 0o600)

    def tell_checker(self, variables: Mapping[str, Any], password: str) -> None:
        """What the inventory says of Oracle from now on, and the password of the application's account."""
        oracle, checker = self.facts["oracle"], self.at(CHECKER_HOST)
        checker.write(oracle["variables_file"], json.dumps(variables, indent=2) + "\n", 0o600)
        checker.write(oracle["password_file"], password, 0o600)

    # SES

    def restore_aws(self) -> None:
        """The account, its users, their keys and the zone as they were made; nothing to do where there is no SES."""
        if not self.facts["ses"]:
            return
        self.aws("restore")
        self.tell_of_ses({})

    def tell_of_ses(self, changed: Mapping[str, Any]) -> None:
        """What the inventory says of SES from now on, and the file with the key that the checker asks with."""
        ses, checker = self.facts["ses"], self.at(CHECKER_HOST)
        key, secret = self.aws("keys")["monitor"]
        checker.write(ses["credentials_file"], f"AWS_ACCESS_KEY={key}\nAWS_SECRET_KEY={secret}\nAWS_REGION={ses['region']}\n", 0o600)
        checker.write(ses["variables_file"], json.dumps({**delivered_variables(ses), **changed}, indent=2) + "\n", 0o600)

    # The NAS and the attachments on it

    def restore_nas(self) -> None:
        """The NAS mounted as delivered, the files of the day on it."""
        self.nas.ensure()
        attachments.deliver(self.nas.disk, local_now())

    def restore_attachments(self) -> None:
        """That, and beside it what the batch has logged and the names that Oracle's target queries want."""
        self.restore_nas()
        self.export_targets()
        now = local_now()
        for day in attachments.days_of(now):
            self.at(APP_HOST).write(self.batch_log(day), attachments.batch_log(day, now), 0o600)

    def export_targets(self) -> None:
        """Write the wanted names of the day, as Oracle has them now, to where the checks look for them."""
        app, folder = self.at(APP_HOST), f"{self.facts['app_dir']}/export"
        rows = self.oracle("sql", statement=attachments.WANTED)["rows"]
        app.must(["mkdir", "-p", folder])
        for day in attachments.days_of(local_now()):
            app.write(f"{folder}/targets-{day:%Y%m%d}.csv", attachments.export_of(rows, day), 0o600)

    def batch_log(self, day: datetime) -> str:
        """The log of the batch that makes the files of a day."""
        return f"{self.facts['batch_log_folder']}/statement-{day:%Y%m%d}.log"

    # PM2

    def daemon(self) -> Daemon:
        """PM2's daemon as /proc shows it; asking starts none."""
        asked = self.at(APP_HOST).run(["sh", "-c", _DAEMON, "sh", f"{self.facts['pm2_home']}/pm2.pid"], user=self.admin)
        pid, state, user = [*asked.stdout.split(), "", "", ""][:3]
        return Daemon(int(pid), state == "T", user) if pid.isdigit() else Daemon(0, False, "")

    def daemon_pid(self) -> int:
        """Pid of the living PM2 daemon by its pid file, 0 when none lives."""
        return self.daemon().pid

    def daemon_stopped(self) -> bool:
        """True when the daemon lives and is frozen (SIGSTOP)."""
        return self.daemon().frozen

    def processes(self) -> list[ManagedProcess]:
        """PM2's list; empty when no daemon lives (and none is started by asking)."""
        daemon = self.daemon()
        if not daemon.pid or daemon.frozen:
            return []
        user = APP if daemon.user == self.facts["user"] else self.admin
        answer = self.must_pm2("jlist", "-s", user=user, timeout=10)
        return [_process(entry) for entry in json.loads(answer)]

    def process(self, name: str) -> ManagedProcess:
        for entry in self.processes():
            if entry.name == name:
                return entry
        raise ReplicaError(f"{name} is not in PM2's list")

    def restart(self, name: str) -> None:
        """As an operator does it; the exit code does not tell whether it stays up."""
        self.must_pm2("restart", name)

    def script(self, name: str) -> str:
        """Full path of the script that a process of the healthy replica runs."""
        return next(wanted["script"] for wanted in self.facts["processes"] if wanted["name"] == name)


def _process(entry: Mapping[str, Any]) -> ManagedProcess:
    environment = entry["pm2_env"]
    created_ms = environment.get("created_at")  # null while PM2 counts unstable restarts
    return ManagedProcess(
        name=entry["name"],
        pm_id=entry["pm_id"],
        pid=entry.get("pid") or 0,
        status=environment["status"],
        restarts=environment.get("restart_time", 0),
        script=environment["pm_exec_path"],
        exec_mode=environment["exec_mode"],
        exit_code=environment.get("exit_code"),
        autorestart=environment.get("autorestart", True),
        age_s=time.time() - created_ms / 1000 if created_ms else 0,
        memory_limit=environment.get("max_memory_restart"),
        out_log=environment["pm_out_log_path"],
        error_log=environment["pm_err_log_path"],
    )
