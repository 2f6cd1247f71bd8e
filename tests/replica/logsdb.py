"""LogsDB: a PostgreSQL cluster in the instance, with the schema of Tank and eight weeks of history."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from . import history
from .paths import SOURCES
from .system import Account, ReplicaError, Result, clean_environment, give_to, progress, remove_tree, run, run_or_fail, write_private

DATABASE = "logsdb"
APP_ROLE = "tank_app"
MONITOR_ROLE = "tank_monitor"
_ADMIN = "logsdb_admin"
_GAP = timedelta(minutes=10)
KST = timezone(timedelta(hours=9))
_SETTINGS = """
unix_socket_directories = ''
timezone = 'Asia/Seoul'
log_timezone = 'Asia/Seoul'
max_connections = 40
shared_buffers = 32MB
# A replica may lose its data: speed and a small folder count more.
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
min_wal_size = 32MB
max_wal_size = 64MB
"""


@dataclass(frozen=True)
class LogsDb:
    """The cluster of one instance in the folder `pg`; `bin` is the folder of PostgreSQL's programs."""

    pg: Path
    account: Account
    bin: Path
    listen: str = "127.0.0.1"

    @property
    def data(self) -> Path:
        return self.pg / "data"

    @property
    def log_file(self) -> Path:
        return self.pg / "server.log"

    @property
    def password_file(self) -> Path:
        """Password of the application's role, nothing else in the file."""
        return self.pg / "password"

    @property
    def monitor_password_file(self) -> Path:
        """Password of the role that checks use; it may read and nothing else."""
        return self.pg / "monitor_password"

    @property
    def _pgpass(self) -> Path:
        return self.pg / ".pgpass"

    def password(self) -> str:
        return self.password_file.read_text(encoding="ascii")

    def ensure(self, port: int) -> None:
        """A running cluster with history up to now."""
        if not self.complete():
            self._create(port)
        elif not self.answers(port):
            self.start(port)
        else:
            return
        self.fill_gap(port)

    def complete(self) -> bool:
        """False also after a run that was killed while it made the cluster."""
        return (self.pg / "complete").exists()

    def answers(self, port: int) -> bool:
        return self.complete() and self._psql(port, "SELECT 1", timeout=5).rc == 0

    def _create(self, port: int) -> None:
        """initdb, role, database, schema, history; the file `complete` is written last."""
        progress("creating LogsDB with 56 days of history (about 5 s) ...")
        remove_tree(self.pg)
        self.pg.mkdir(parents=True, mode=0o700)
        give_to(self.account, self.pg)
        admin, application, monitor = (secrets.token_hex(16) for _ in range(3))
        write_private(self.password_file, application, self.account)
        write_private(self.monitor_password_file, monitor, self.account)
        lines = [f"127.0.0.1:*:*:{_ADMIN}:{admin}", f"127.0.0.1:*:*:{APP_ROLE}:{application}"]
        write_private(self._pgpass, "\n".join(lines) + "\n", self.account)
        first = self.pg / "admin"
        write_private(first, admin, self.account)
        options = ["--auth=scram-sha-256", f"--pwfile={first}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._program("initdb", f"--pgdata={self.data}", f"--username={_ADMIN}", *options)
        first.unlink()
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as stream:
            stream.write(f"listen_addresses = '{self.listen}'\n{_SETTINGS}")
        if self.listen == "*":
            with (self.data / "pg_hba.conf").open("a", encoding="utf-8") as stream:
                stream.write("host all all samenet scram-sha-256\n")
        self.start(port)
        roles = f"CREATE ROLE {APP_ROLE} LOGIN PASSWORD '{application}';\nCREATE ROLE {MONITOR_ROLE} LOGIN PASSWORD '{monitor}';\n"
        setup = f"{roles}CREATE DATABASE {DATABASE};\n"
        self._script(port, setup, "postgres")
        schema = (SOURCES / "schema.sql").read_text(encoding="utf-8")
        self._script(port, "BEGIN;\n" + schema + history.fixed_rows() + "COMMIT;\n")
        (self.pg / "complete").touch()

    def start(self, port: int) -> None:
        options = f"-p {port}"
        log = f"--log={self.log_file}"
        self._program("pg_ctl", "start", f"--pgdata={self.data}", log, "--wait", "--timeout=30", "--silent", "-o", options)

    def stop(self) -> None:
        self._run([str(self.bin / "pg_ctl"), "stop", f"--pgdata={self.data}", "--mode=fast", "--wait", "--timeout=15", "--silent"])

    def fill_gap(self, port: int) -> None:
        """History from the last run up to now, and the next times of the schedule: nothing is caught up on."""
        answer = self._psql(port, "SELECT coalesce(max(start_at)::text, ''), coalesce(max(run_id), 0) + 1 FROM auto_run_log").stdout
        last, next_run_id = answer.strip().split("|")
        now = local_now()
        oldest = now - timedelta(days=history.DAYS)
        start = max(datetime.fromisoformat(last), oldest) if last else oldest
        rows = history.between(start + timedelta(seconds=1), now, int(next_run_id)) if now - start > _GAP else None
        copies = rows.copy_commands() + f"SELECT setval('auto_run_log_run_id_seq', {rows.next_run_id});\n" if rows else ""
        self._script(port, f"BEGIN;\n{copies}{_NEXT_TIMES}COMMIT;\n" + ("ANALYZE;\n" if rows else ""))

    def _psql(self, port: int, query: str, timeout: float = 30) -> Result:
        return self._run([*self._psql_argv(port, DATABASE), "-Atc", query], timeout=timeout)

    def _script(self, port: int, text: str, database: str = DATABASE) -> None:
        argv = [*self._psql_argv(port, database), "--quiet", "-At", "-f", "-"]
        run_or_fail("psql", argv, account=self.account, env=self._environment(), text_in=text)

    def _psql_argv(self, port: int, database: str) -> list[str]:
        target = f"host=127.0.0.1 port={port} user={_ADMIN} dbname={database} connect_timeout=3"
        return [str(self.bin / "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-d", target]

    def _program(self, name: str, *arguments: str) -> None:
        # Its output goes to a file: the server would keep a pipe open for ever.
        argv = ["sh", "-c", 'exec "$@" >"$0" 2>&1', str(self.pg / f"{name}.log"), str(self.bin / name), *arguments]
        done = self._run(argv)
        if done.rc != 0:
            lines = (self.pg / f"{name}.log").read_text(errors="replace").strip().splitlines()[-3:]
            raise ReplicaError(f"{name} failed (rc {done.rc}): {' | '.join(lines)}")

    def _run(self, argv: list[str], timeout: float = 60) -> Result:
        return run(argv, account=self.account, env=self._environment(), timeout=timeout)

    def _environment(self) -> dict[str, str]:
        return clean_environment(HOME=str(self.pg), PGPASSFILE=str(self._pgpass), PGTZ="Asia/Seoul")


def local_now() -> datetime:
    """Now in Korea, without a zone, as LogsDB keeps it."""
    return datetime.now(UTC).astimezone(KST).replace(tzinfo=None)


_NEXT_TIMES = """
UPDATE automation a SET
  last_run_at = (SELECT max(start_at) FROM auto_run_log r WHERE r.auto_id = a.auto_id),
  next_run_at = CASE s.type
    WHEN 'REALTIME' THEN localtimestamp
    WHEN 'DAILY' THEN next_daily_run(localtimestamp::timestamp, s.hour, s.minute, '{}')
    WHEN 'WEEKLY' THEN (SELECT min(t) FROM generate_series(0, 1) n, LATERAL (SELECT date_trunc('week', localtimestamp)
        + make_interval(weeks => n, days => s.day - 1, hours => s.hour, mins => s.minute) AS t) x WHERE t > localtimestamp)
    ELSE (SELECT min(t) FROM generate_series(0, 1) n, LATERAL (SELECT date_trunc('month', localtimestamp)
        + make_interval(months => n, days => s.day - 1, hours => s.hour, mins => s.minute) AS t) x WHERE t > localtimestamp) END
  FROM scheduler s WHERE s.auto_id = a.auto_id;
"""
