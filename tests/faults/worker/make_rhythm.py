"""Faults of the worker that only its silence tells."""

from __future__ import annotations

from collections.abc import Callable

from tests.replica.interface import LOGSDB_HOST, Replica
from tests.replica.pm2_processes import restart_and_settle

from ..breakage import Fault
from ..logsdb.make import sql

_SILENT_S = 32  # the inventory of the replica calls 20 s of silence too long, and five times the usual 5 s


def freeze_worker(replica: Replica) -> None:
    """The process is stopped while a job waits, which the scheduler had made just before."""
    replica.signal(replica.process("worker").pid, "STOP")
    waiting = "SELECT 1 FROM job_queue WHERE auto_id = 1 AND status = 'WAITING'"
    sql(replica, f"INSERT INTO job_queue (auto_id, status) SELECT 1, 'WAITING' WHERE NOT EXISTS ({waiting})")


def wake_worker(replica: Replica) -> None:
    replica.signal(replica.process("worker").pid, "CONT")
    restart_and_settle(replica, "worker")


def slow_scheduler(replica: Replica) -> None:
    """Somebody wrote 5000 s where milliseconds are meant, and restarted: one round, then none for over an hour."""
    path = replica.facts["env_file"]
    changed = ["SCHEDULER_INTERVAL=5000000" if line.startswith("SCHEDULER_INTERVAL=") else line for line in replica.read(path).splitlines()]
    replica.write(path, "\n".join(changed) + "\n", 0o600)
    restart_and_settle(replica, "worker")


def deliver_again(replica: Replica) -> None:
    replica.deploy()
    restart_and_settle(replica, "worker")


def lock_schedule(replica: Replica) -> None:
    """An operator's database tool keeps a transaction open that has locked SCHEDULER: the scheduler's next round waits for ever."""
    logsdb = replica.facts["logsdb"]
    target = (
        f"host={logsdb['host']} port={logsdb['port']} user={logsdb['user']} dbname={logsdb['database']} application_name=operator-session"
    )
    passwords = str(logsdb["password_file"]).rpartition("/")[0] + "/.pgpass"
    statements = "BEGIN; LOCK TABLE scheduler IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600);"
    argv = ["sh", "-c", 'setsid "$0" "$@" >/dev/null 2>&1 &', f"{logsdb['programs']}/psql", "-X", "-d", target, "-qc", statements]
    replica.at(LOGSDB_HOST).must(argv, env={"PGPASSFILE": passwords})
    held = "SELECT 1 FROM pg_locks WHERE relation = 'scheduler'::regclass AND mode = 'AccessExclusiveLock' AND granted"
    replica.wait_until(lambda: sql(replica, held), 10, "the lock is not held")


def end_session(replica: Replica) -> None:
    sql(replica, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'operator-session'")
    restart_and_settle(replica, "worker")


def _worker(code: str, description: str, make: Callable[[Replica], None], clear: Callable[[Replica], None], variant: str = "") -> Fault:
    return Fault(f"worker.{code}", "worker", description, "worker", make, clear, settle_s=_SILENT_S, variant=variant)


WORKER_RHYTHM_FAULTS = (
    _worker("stalled", "the worker is stopped by a signal while work waits", freeze_worker, wake_worker),
    _worker("scheduler_silent", "SCHEDULER_INTERVAL is far too long", slow_scheduler, deliver_again),
    _worker("scheduler_silent", "the table SCHEDULER is locked by an open transaction", lock_schedule, end_session, "locked"),
)
