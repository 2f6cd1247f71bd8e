"""Plausible past of LogsDB as COPY rows: the same for the same days, whoever asks.

Runs, mails and attachments follow the schedule of `customers`. Now and then something failed, and a few days were
bad ones; the last two days before the end went well, so that a fresh replica is healthy.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from .customers import AUTOMATIONS, BY_AUTOMATION, DEPARTMENTS, Automation, Customer

DAYS = 56
_CLEAN = timedelta(days=2)
_FAILURE_SHARE = 0.008
_BAD_DAY_SHARE = 0.06
_FAILURES = (
    ("FILE", "NOT_FOUND", "File not found: {file}", 5),
    ("FILE", "DUPLICATED", "2 files of this name", 1),
    ("FILE", "INVALID", "size is 0", 2),
    ("Throttling", "FOUND", "Maximum sending rate exceeded.", 3),
    ("MessageRejected", "FOUND", "Email address is not verified.", 1),
    ("InvalidParameter", "FOUND", "Invalid address", 2),
)
_OUTAGE = "ORA-12541: TNS:no listener"

RUN_COLUMNS = (
    "run_id, auto_id, org_id, start_at, end_at, status, total_target, success_count, fail_count, "
    "file_error_count, db_error_count, ses_error_count, message"
)
SEND_COLUMNS = (
    "run_id, auto_id, org_id, cust_id, email, subject, attach_file_name, status, error_type, error_message, "
    "ses_message_id, update_query_ok, send_at"
)
ATTACHMENT_COLUMNS = "run_id, auto_id, org_id, cust_id, file_name, status, message, created_at"
ERROR_COLUMNS = "auto_id, org_id, module, error_message, stack_trace, created_at"
EVENT_COLUMNS = "email, type, detail, received_at"

_TARGET_QUERY = (
    "SELECT CUST_ID, EMAIL_ADDR, ATTACH_FILE_NAME FROM TARGET_VIEW WHERE AUTO_ID = {} AND NEXT_DUE_AT <= SYSDATE ORDER BY CUST_ID"
)
_MAPPING_QUERY = "SELECT CUST_NAME FROM CUSTOMER WHERE CUST_ID = $(CUST_ID)"
_UPDATE_QUERY = (
    "UPDATE TARGET SET SENT_YN = $(SENT_YN), SENT_AT = SYSTIMESTAMP, NEXT_DUE_AT = SYSDATE + CYCLE_MINUTES / 1440 "
    "WHERE AUTO_ID = {} AND CUST_ID = $(CUST_ID)"
)
_TEMPLATE = "<html><body><p>Dear $(CUST_NAME),</p><p>please find $(ATTACH_FILE_NAME) attached.</p></body></html>"

Row = tuple[object, ...]


@dataclass
class History:
    """Rows by table, in the order of the column lists above."""

    next_run_id: int
    runs: list[Row] = field(default_factory=list)
    sends: list[Row] = field(default_factory=list)
    attachments: list[Row] = field(default_factory=list)
    errors: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)

    def copy_commands(self) -> str:
        """The rows as COPY statements for psql."""
        tables = (
            ("auto_run_log", RUN_COLUMNS, self.runs),
            ("email_send_log", SEND_COLUMNS, self.sends),
            ("attachment_log", ATTACHMENT_COLUMNS, self.attachments),
            ("system_error_log", ERROR_COLUMNS, self.errors),
            ("ses_event_log", EVENT_COLUMNS, self.events),
        )
        return "".join(copy_command(table, columns, rows) for table, columns, rows in tables)


def copy_command(table: str, columns: str, rows: Iterable[Row]) -> str:
    """One COPY ... FROM stdin with its rows; None becomes NULL. Values hold no tab, newline or backslash."""
    lines = ("\t".join("\\N" if value is None else str(value) for value in row) for row in rows)
    return f"COPY {table} ({columns}) FROM stdin;\n" + "".join(f"{line}\n" for line in lines) + "\\.\n"


def between(start: datetime, end: datetime, first_run_id: int) -> History:
    """What happened from `start` up to `end` (local times)."""
    history = History(first_run_id)
    day = start.date()
    while day <= end.date():
        for moment, automation, customers, luck in _runs_of(day):
            if start <= moment < end:
                clean = moment > end - _CLEAN
                _add_run(history, moment, automation, customers, luck, clean)
        day += timedelta(days=1)
    return history


def _runs_of(day: date) -> Iterator[tuple[datetime, Automation, tuple[Customer, ...], random.Random]]:
    """Runs of a day in the order of their start; `luck` is a generator of its own for each run."""
    luck = random.Random(f"tank {day.isoformat()}")
    midnight = datetime.combine(day, time())
    found: list[tuple[datetime, Automation, tuple[Customer, ...]]] = []
    for automation in AUTOMATIONS:
        customers = BY_AUTOMATION[automation.auto_id]
        if automation.type == "REALTIME":
            found += [(moment, automation, (customer,)) for customer in customers for moment in _moments(midnight, customer, luck)]
        elif _runs_on(automation, day):
            start = midnight + timedelta(hours=automation.hour, minutes=automation.minute, seconds=luck.uniform(1, 6))
            found.append((start, automation, customers))
    for moment, automation, chosen in sorted(found, key=lambda run: run[0]):
        yield moment, automation, chosen, random.Random(f"tank {moment.isoformat()} {automation.auto_id}")


def _moments(midnight: datetime, customer: Customer, luck: random.Random) -> Iterator[datetime]:
    minute = luck.uniform(0, customer.cycle_minutes)
    while minute < 24 * 60:
        yield midnight + timedelta(minutes=minute)
        minute += customer.cycle_minutes * luck.uniform(0.97, 1.03)


def _runs_on(automation: Automation, day: date) -> bool:
    if automation.type == "DAILY":
        return day.isoweekday() < 6
    if automation.type == "WEEKLY":
        return day.isoweekday() == automation.day
    return day.day == automation.day


def _add_run(
    history: History, start: datetime, automation: Automation, customers: tuple[Customer, ...], luck: random.Random, clean: bool
) -> None:
    run_id = history.next_run_id
    history.next_run_id += 1
    if not clean and len(customers) > 1 and luck.random() < _BAD_DAY_SHARE:
        _add_outage(history, run_id, start, automation, len(customers))
        return
    moment = start
    errors = {"FILE": 0, "SES": 0}
    for customer in customers:
        moment += timedelta(milliseconds=luck.uniform(20, 90))
        failure = None if clean or luck.random() > _FAILURE_SHARE else luck.choices(_FAILURES, [f[3] for f in _FAILURES])[0]
        _add_mail(history, run_id, moment, customer, failure, luck)
        if failure:
            errors["FILE" if failure[0] == "FILE" else "SES"] += 1
    failed = sum(errors.values())
    sent = len(customers) - failed
    status = "SUCCESS" if not failed else "PARTIAL" if sent else "FAIL"
    ids = (run_id, automation.auto_id, automation.org_id)
    counts = (len(customers), sent, failed, errors["FILE"], 0, errors["SES"])
    history.runs.append((*ids, start, moment + timedelta(milliseconds=40), status, *counts, None))


def _add_outage(history: History, run_id: int, start: datetime, automation: Automation, targets: int) -> None:
    end = start + timedelta(seconds=3)
    ids = (automation.auto_id, automation.org_id)
    history.runs.append((run_id, *ids, start, end, "FAIL", targets, 0, targets, 0, targets, 0, f"Oracle connection failed: {_OUTAGE}"))
    history.errors.append((*ids, "DBIO", f"Oracle connection failed: {_OUTAGE}", None, end))


def _add_mail(
    history: History, run_id: int, moment: datetime, customer: Customer, failure: tuple[str, str, str, int] | None, luck: random.Random
) -> None:
    automation = customer.automation
    ids = (run_id, automation.auto_id, automation.org_id, customer.cust_id)
    file = customer.attachment(moment.strftime("%Y%m%d"))
    error_type, found, text, _ = failure or (None, "FOUND", "", 0)
    message = text.format(file=file) or None
    history.attachments.append((*ids, file, found, message if found != "FOUND" else None, moment))
    message_id = None if failure else f"local-{luck.getrandbits(64):016x}"
    outcome = ("FAIL" if failure else "SUCCESS", error_type, message, message_id, "N" if failure else "Y")
    history.sends.append((*ids, customer.masked_email, automation.name, file, *outcome, moment))
    if failure and found == "FOUND":
        history.errors.append((automation.auto_id, automation.org_id, "SES", f"SES send error: {error_type}: {message}", None, moment))
    if not failure and luck.random() < 0.004:
        kind = "COMPLAINT" if luck.random() < 0.02 else "BOUNCE"
        history.events.append((customer.masked_email, kind, "mailbox full", moment + timedelta(seconds=30)))


def fixed_rows() -> str:
    """COPY statements for what does not change: departments, automations, queries, templates."""
    ids = [(automation.auto_id, automation.auto_id) for automation in AUTOMATIONS]
    tables: list[tuple[str, str, Iterable[Row]]] = [
        ("org_group", "org_id, org_name", DEPARTMENTS.items()),
        ("automation", "auto_id, org_id, auto_name, status", [(a.auto_id, a.org_id, a.name, "ACTIVE") for a in AUTOMATIONS]),
        (
            "scheduler",
            "scheduler_id, auto_id, type, day, hour, minute, status",
            [(a.auto_id, a.auto_id, a.type, a.day, a.hour, a.minute, "ACTIVE") for a in AUTOMATIONS],
        ),
        ("dbio_target", "target_id, auto_id, query_text", [(*pair, _TARGET_QUERY.format(pair[1])) for pair in ids]),
        ("dbio_mapping", "map_id, auto_id, query_text, map_type", [(*pair, _MAPPING_QUERY, "SIMPLE") for pair in ids]),
        ("dbio_update", "update_id, auto_id, query_text", [(*pair, _UPDATE_QUERY.format(pair[1])) for pair in ids]),
        ("template", "template_id, auto_id, html_content, valid_yn", [(*pair, _TEMPLATE, "Y") for pair in ids]),
        (
            "email_setting",
            "setting_id, auto_id, sender_email, subject_template",
            [(a.auto_id, a.auto_id, "notice@example.com", a.name) for a in AUTOMATIONS],
        ),
    ]
    return "".join(copy_command(*table) for table in tables)
