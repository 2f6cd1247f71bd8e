"""Faults that the worker reports in its log while it does its daily work."""

from __future__ import annotations

from collections.abc import Callable

from tests.replica.interface import Replica
from tests.replica.pm2_processes import restart_and_settle

from ..breakage import Fault
from ..logsdb.make import sql
from ..oracle.make import errors_since, make_due, on_server

_WAIT_S = 60
# Automation 1 is REALTIME: its customers are looked for every few seconds.
ADDRESSES = """UPDATE CUSTOMER SET EMAIL_ADDR = REPLACE(EMAIL_ADDR, '{}', '{}')
 WHERE CUST_ID IN (SELECT CUST_ID FROM TARGET WHERE AUTO_ID = 1)"""
_FILES = "UPDATE TARGET SET ATTACH_PATTERN = REPLACE(ATTACH_PATTERN, '{}', '{}') WHERE AUTO_ID = 1"
_TEMPLATE = "UPDATE template SET html_content = replace(html_content, '{}', '{}') WHERE template_id = 1"
# PostgreSQL keeps no text with this character in it.
_NUL = "UPDATE TARGET SET ATTACH_PATTERN = REPLACE(ATTACH_PATTERN, {}) WHERE AUTO_ID = 1"
Run = Callable[[Replica, str], object]


def in_oracle(replica: Replica, statement: str) -> None:
    """Run a statement as the owner of the customers' tables."""
    replica.oracle("sql", statement=statement)


def _break(run: Run, statement: str, text: str) -> Callable[[Replica], None]:
    """A set that changes what the worker reads, and waits for what it says about that."""

    def make(replica: Replica) -> None:
        logged = errors_since(replica)
        run(replica, statement)
        make_due(replica)
        replica.wait_until(lambda: logged(text), _WAIT_S, f"worker has not logged {text!r}")

    return make


def _mend(run: Run, statement: str) -> Callable[[Replica], None]:
    def clear(replica: Replica) -> None:
        run(replica, statement)
        restart_and_settle(replica, "worker")

    return clear


def forget_failures(replica: Replica) -> None:
    """Take away the rows of mails that SES refused lately: a surge in LogsDB ends with its window, which is hours."""
    sql(
        replica,
        "DELETE FROM email_send_log WHERE status = 'FAIL' AND error_type <> 'FILE' AND send_at > localtimestamp - interval '3 hours'",
    )


def mend_addresses(replica: Replica) -> None:
    _mend(in_oracle, ADDRESSES.format(" example", "@example"))(replica)
    forget_failures(replica)


def _worker(code: str, description: str, make: Callable[[Replica], None], clear: Callable[[Replica], None]) -> Fault:
    return Fault(f"worker.{code}", "worker", description, "worker", make, clear)


WORKER_FAULTS = (
    _worker("oracle_failed", "nothing listens where the customers are", *on_server("listener", "Oracle connection failed", state="down")),
    _worker(
        "ses_error",
        "customers have addresses that SES refuses",
        _break(in_oracle, ADDRESSES.format("@example", " example"), "SES send error"),
        mend_addresses,
    ),
    _worker(
        "file_not_found",
        "the database names files that nobody makes",
        _break(in_oracle, _FILES.format("MERSTAT", "MERSTMT"), "File not found"),
        _mend(in_oracle, _FILES.format("MERSTMT", "MERSTAT")),
    ),
    _worker(
        "template_mismatch",
        "a template names a variable that is no column",
        _break(sql, _TEMPLATE.format("$(CUST_NAME)", "$(CUST_GRADE)"), "Template variable mismatch"),
        _mend(sql, _TEMPLATE.format("$(CUST_GRADE)", "$(CUST_NAME)")),
    ),
    _worker(
        "unknown_error",
        "names of files hold a NUL character, which LogsDB refuses: an error that no signature knows",
        _break(in_oracle, _NUL.format("'MERSTAT', 'MERS' || CHR(0)"), "invalid byte sequence"),
        _mend(in_oracle, _NUL.format("'MERS' || CHR(0), 'MERSTAT'")),
    ),
)
