"""Faults that the worker reports in its log while it does its daily work."""

from __future__ import annotations

from collections.abc import Callable

from ..interface import LOGSDB_HOST, Replica
from ..pm2_processes import ensure_healthy, restart_and_settle
from .model import Fault

_WAIT_S = 60
# Automation 1 is REALTIME: its customers are looked for every few seconds.
_DUE = """UPDATE customer_target SET next_due_at = localtimestamp WHERE auto_id = 1
    AND cust_id IN (SELECT cust_id FROM customer_target WHERE auto_id = 1 ORDER BY cust_id LIMIT 4)"""
_ADDRESSES = "UPDATE customer_target SET email_addr = replace(email_addr, '{}', '{}') WHERE auto_id = 1"
_FILES = "UPDATE customer_target SET attach_pattern = replace(attach_pattern, '{}', '{}') WHERE auto_id = 1"
_TEMPLATE = "UPDATE template SET html_content = replace(html_content, '{}', '{}') WHERE template_id = 1"
_CYCLES = "UPDATE customer_target SET cycle = cycle {} interval '300000 years' WHERE auto_id = 1"


def _sql(replica: Replica, statement: str) -> None:
    """Run a statement with the application's own account."""
    facts = replica.facts["logsdb"]
    target = f"host={facts['host']} port={facts['port']} dbname={facts['database']} user={facts['user']}"
    command = 'PGPASSWORD=$(cat "$1") exec psql -X -q -v ON_ERROR_STOP=1 -d "$2" -c "$3"'
    replica.at(LOGSDB_HOST).must(["sh", "-c", command, "sh", facts["password_file"], target, statement])


def _make_due(replica: Replica) -> None:
    """Some customers of the automation get a mail at once."""
    _sql(replica, _DUE)


def _break(statement: str, text: str) -> Callable[[Replica], None]:
    """A set that changes what the worker reads, and waits for what it says about that."""

    def make(replica: Replica) -> None:
        path = replica.process("worker").error_log
        before = int(replica.run(["stat", "-c", "%s", path]).stdout.strip() or 0)
        _sql(replica, statement)
        _make_due(replica)
        replica.wait_until(
            lambda: text in replica.run(["tail", "-c", f"+{before + 1}", path]).stdout, _WAIT_S, f"worker has not logged {text!r}"
        )

    return make


def _mend(statement: str) -> Callable[[Replica], None]:
    def clear(replica: Replica) -> None:
        _sql(replica, statement)
        restart_and_settle(replica, "worker")

    return clear


def lose_oracle(replica: Replica) -> None:
    """The replica's customers are not in Oracle yet: its target source is made to ask a port where nothing listens, as the driver does."""
    path = f"{replica.facts['app_dir']}/worker/dist/processing/target-source.js"
    text = replica.read(path)
    begin = text.index("async targets(autoId) {") + len("async targets(autoId) {")
    ask = (
        "\n        await new Promise((resolve, reject) => require('net').connect(1, '127.0.0.1').on('connect', resolve).on('error', (error) =>"
        " reject(new TargetSourceUnavailable('NJS-503: connection to host 127.0.0.1 port 1 could not be established\\n' + error.message))));"
    )
    before = replica.process("worker").error_log
    replica.write(path, text[:begin] + ask + text[begin:])
    replica.restart("worker")
    _make_due(replica)
    replica.wait_until(
        lambda: "Oracle connection failed" in replica.run(["tail", "-n", "30", before]).stdout, _WAIT_S, "worker has not missed Oracle"
    )


def find_oracle(replica: Replica) -> None:
    replica.deploy()
    restart_and_settle(replica, "worker")
    ensure_healthy(replica)


def _worker(code: str, description: str, make: Callable[[Replica], None], clear: Callable[[Replica], None]) -> Fault:
    return Fault(f"worker.{code}", "worker", description, "worker", make, clear)


WORKER_FAULTS = (
    _worker("oracle_failed", "nothing listens where the customers are", lose_oracle, find_oracle),
    _worker(
        "ses_error",
        "customers have addresses that SES refuses",
        _break(_ADDRESSES.format("@example", " example"), "SES send error"),
        _mend(_ADDRESSES.format(" example", "@example")),
    ),
    _worker(
        "file_not_found",
        "the database names files that nobody makes",
        _break(_FILES.format("MERSTAT", "MERSTMT"), "File not found"),
        _mend(_FILES.format("MERSTMT", "MERSTAT")),
    ),
    _worker(
        "template_mismatch",
        "a template names a variable that is no column",
        _break(_TEMPLATE.format("$(CUST_NAME)", "$(CUST_GRADE)"), "Template variable mismatch"),
        _mend(_TEMPLATE.format("$(CUST_GRADE)", "$(CUST_NAME)")),
    ),
    _worker(
        "unknown_error",
        "an automation has an impossible cycle: an error that no signature knows",
        _break(_CYCLES.format("+"), "out of range"),
        _mend(_CYCLES.format("-")),
    ),
)
