"""Faults of the worker that its log shows: errors of its daily work, and silence."""

from __future__ import annotations

from collections.abc import Callable

from tests.replica.interface import LOGSDB_HOST, Replica
from tests.replica.pm2_processes import restart_and_settle

from ..breakage import Breakage
from ..logsdb.make import sql
from ..oracle.make import errors_since, make_due, on_server

_WAIT_S = 60
# Automation 1 is REALTIME: its customers are queried every few seconds.
ADDRESSES = """UPDATE CUSTOMER SET EMAIL_ADDR = REPLACE(EMAIL_ADDR, '{}', '{}')
 WHERE CUST_ID IN (SELECT CUST_ID FROM TARGET WHERE AUTO_ID = 1)"""
_FILES = "UPDATE TARGET SET ATTACH_PATTERN = REPLACE(ATTACH_PATTERN, '{}', '{}') WHERE AUTO_ID = 1"
_TEMPLATE = "UPDATE template SET html_content = replace(html_content, '{}', '{}') WHERE template_id = 1"
# PostgreSQL rejects text that contains this character.
_NUL = "UPDATE TARGET SET ATTACH_PATTERN = REPLACE(ATTACH_PATTERN, {}) WHERE AUTO_ID = 1"
Run = Callable[[Replica, str], object]
_SILENT_S = 32  # the inventory of the replica calls 20 s of silence too long, and five times the usual 5 s


def in_oracle(replica: Replica, statement: str) -> None:
    """Run a statement as the owner of the customers' tables."""
    replica.oracle("sql", statement=statement)


def _break(run: Run, statement: str, text: str) -> Callable[[Replica], None]:
    """Return a function that changes the data of the worker and waits for its error message."""

    def make(replica: Replica) -> None:
        logged = errors_since(replica)
        run(replica, statement)
        make_due(replica)
        replica.wait_until(lambda: logged(text), _WAIT_S, f"worker has not logged {text!r}")

    return make


def _restore(run: Run, statement: str) -> Callable[[Replica], None]:
    def clear(replica: Replica) -> None:
        run(replica, statement)
        restart_and_settle(replica, "worker")

    return clear


def forget_failures(replica: Replica) -> None:
    """Delete the rows of mails that SES refused recently, since a surge in LogsDB ends only with its window of hours."""
    sql(
        replica,
        "DELETE FROM email_send_log WHERE status = 'FAIL' AND error_type <> 'FILE' AND send_at > localtimestamp - interval '3 hours'",
    )


def restore_addresses(replica: Replica) -> None:
    _restore(in_oracle, ADDRESSES.format(" example", "@example"))(replica)
    forget_failures(replica)


def freeze_worker(replica: Replica) -> None:
    """Stop the process while a job waits that the scheduler created just before."""
    replica.signal(replica.process("worker").pid, "STOP")
    waiting = "SELECT 1 FROM job_queue WHERE auto_id = 1 AND status = 'WAITING'"
    sql(replica, f"INSERT INTO job_queue (auto_id, status) SELECT 1, 'WAITING' WHERE NOT EXISTS ({waiting})")


def wake_worker(replica: Replica) -> None:
    replica.signal(replica.process("worker").pid, "CONT")
    restart_and_settle(replica, "worker")


def slow_scheduler(replica: Replica) -> None:
    """Set the interval to 5000 s instead of ms and restart: one round, then none for over an hour."""
    path = replica.facts["env_file"]
    changed = ["SCHEDULER_INTERVAL=5000000" if line.startswith("SCHEDULER_INTERVAL=") else line for line in replica.read(path).splitlines()]
    replica.write(path, "\n".join(changed) + "\n", 0o600)
    restart_and_settle(replica, "worker")


def deliver_again(replica: Replica) -> None:
    replica.deploy()
    restart_and_settle(replica, "worker")


def lock_schedule(replica: Replica) -> None:
    """Keep a transaction open that locks SCHEDULER, as a database tool might: the scheduler's next round waits for ever."""
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


def _worker(
    code: str,
    description: str,
    make: Callable[[Replica], None],
    clear: Callable[[Replica], None],
    variant: str = "",
    settle_s: float = 0.0,
) -> Breakage:
    return Breakage(f"worker.{code}", "worker", description, "worker", make, clear, variant=variant, settle_s=settle_s)


BREAKAGES = (
    _worker("oracle_failed", "nothing listens where the customers are", *on_server("listener", "Oracle connection failed", state="down")),
    _worker(
        "ses_error",
        "customers have addresses that SES refuses",
        _break(in_oracle, ADDRESSES.format("@example", " example"), "SES send error"),
        restore_addresses,
    ),
    _worker(
        "file_not_found",
        "the database names files that no batch creates",
        _break(in_oracle, _FILES.format("MERSTAT", "MERSTMT"), "File not found"),
        _restore(in_oracle, _FILES.format("MERSTMT", "MERSTAT")),
    ),
    _worker(
        "template_mismatch",
        "a template has a variable without a column",
        _break(sql, _TEMPLATE.format("$(CUST_NAME)", "$(CUST_GRADE)"), "Template variable mismatch"),
        _restore(sql, _TEMPLATE.format("$(CUST_GRADE)", "$(CUST_NAME)")),
    ),
    _worker(
        "unknown_error",
        "file names contain a NUL character, which LogsDB rejects: an error that matches no signature",
        _break(in_oracle, _NUL.format("'MERSTAT', 'MERS' || CHR(0)"), "invalid byte sequence"),
        _restore(in_oracle, _NUL.format("'MERS' || CHR(0), 'MERSTAT'")),
    ),
    _worker("stalled", "the worker is stopped by a signal while work waits", freeze_worker, wake_worker, settle_s=_SILENT_S),
    _worker("scheduler_silent", "SCHEDULER_INTERVAL is far too long", slow_scheduler, deliver_again, settle_s=_SILENT_S),
    _worker("scheduler_silent", "the table SCHEDULER is locked by an open transaction", lock_schedule, end_session, "locked", _SILENT_S),
)
