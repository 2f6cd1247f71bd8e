"""Breakages of sending: the SES account, its statistics, the keys, DNS, and the errors that the worker receives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.replica.interface import Replica

from ..breakage import Breakage
from ..logsdb.make import sql as logsdb_sql
from ..oracle.make import errors_since, make_due, settle
from ..worker.make import ADDRESSES, forget_failures, in_oracle

_WAIT_S = 60
_REGION, _DOMAIN = "ap-southeast-1", "example.com"
_NEEDS = frozenset({"local"})
Step = Callable[[Replica], None]


def _with_errors(said: str, act: Step) -> Step:
    """Return a step after which the worker logs `said`, since mails are due and fail."""

    def make(replica: Replica) -> None:
        has_logged = errors_since(replica)
        act(replica)
        make_due(replica)
        replica.wait_until(lambda: has_logged(said), _WAIT_S, f"worker has not logged {said!r}")

    make.by_worker = True
    return make


def _aws(command: str, **options: Any) -> Step:
    return lambda replica: replica.aws(command, **options) and None


def restore(replica: Replica) -> None:
    """Restore the delivered state; the worker has not noticed the breakage."""
    replica.restore_aws()


def restore_and_settle(replica: Replica) -> None:
    """Restore the delivered state, restart the worker, and remove the rows of mails that failed meanwhile."""
    replica.restore_aws()
    settle(replica)
    forget_failures(replica)


def change(said: str = "", **values: Any) -> tuple[Step, Step]:
    """Return make and restore of a changed account, after which the worker logs `said` ("" where it logs nothing)."""
    return logged(said, _aws("change", **values))


def logged(said: str, act: Step) -> tuple[Step, Step]:
    """Return make and restore of any step, after which the worker logs `said` ("" where it logs nothing)."""
    return (_with_errors(said, act), restore_and_settle) if said else (act, restore)


def history(**values: Any) -> tuple[Step, Step]:
    return change(history=values)


def break_addresses(replica: Replica) -> None:
    in_oracle(replica, ADDRESSES.format("@example", " @example"))


def repair_addresses(replica: Replica) -> None:
    in_oracle(replica, ADDRESSES.format(" @example", "@example"))
    settle(replica)
    forget_failures(replica)


def throttle_more_than_usual(replica: Replica) -> None:
    """Add far more throttled mails to LogsDB than in the same hours of former weeks, without lines in the log of the worker."""
    logsdb_sql(
        replica,
        """INSERT INTO email_send_log (run_id, auto_id, org_id, cust_id, email, subject, status, error_type, error_message, update_query_ok, send_at)
        SELECT run_id, auto_id, org_id, cust_id, email, subject, 'FAIL', 'Throttling', 'Maximum sending rate exceeded.', 'N',
               localtimestamp - (row_number() OVER ()) * interval '1 second'
          FROM (SELECT * FROM email_send_log WHERE status = 'SUCCESS' ORDER BY send_id DESC LIMIT 200) AS last_ones""",
    )


def _ses(code: str, description: str, pair: tuple[Step, Step], variant: str = "", subject: str = _REGION) -> Breakage:
    return Breakage(f"ses.{code}", "ses", description, subject, *pair, variant=variant, needs=_NEEDS)


_ALL_FAIL = {"name": _DOMAIN, "mail_from_status": "FAILED", "on_mx_failure": "REJECT_MESSAGE"}
_DENIED = "not authorized to perform"
_KEY = "sending key"

BREAKAGES = (
    _ses("quota_80", "82 % of the 24 hour quota is used", change(used_before=41000.0)),
    _ses(
        "quota_forecast",
        "more mails are sent than on any former day, and the quota is too small",
        change(used_before=30000.0, history={"last_hours": 2, "last_attempts": 24000}),
    ),
    _ses("quota_exhausted", "the quota is used up", change("Daily message quota exceeded", used_before=50000.0)),
    _ses(
        "rate_near_limit",
        "a run is sent nearly at the send rate",
        change(limit=-1.0, history={"last_hours": 1, "last_attempts": 306000, "last_bounces": 0.1}),
    ),
    _ses(
        "throttled",
        "SES throttles the worker",
        logged("Throttling", _aws("fault.set", kind="throttle", actions=["ses:SendRawEmail"])),
        subject="worker",
    ),
    _ses(
        "throttled",
        "LogsDB has far more throttled mails than usual",
        (throttle_more_than_usual, lambda replica: forget_failures(replica)),
        "logsdb",
        subject="LogsDB",
    ),
    _ses("bounce_5", "6 % bounce", history(bounces=6.0)),
    _ses("bounce_5", "AWS's own rate of bounces is 6 %", logged("", _aws("reputation", bounce=0.06)), "aws"),
    _ses("bounce_10", "11 % bounce", history(bounces=11.0)),
    _ses("bounce_rising", "bounces rise from 0.6 to 4 % within two hours", history(last_hours=2, last_attempts=3000, last_bounces=4.0)),
    _ses("complaint_01", "0.2 % complain", history(complaints=0.2)),
    _ses("complaint_05", "0.6 % complain", history(complaints=0.6)),
    _ses(
        "complaint_rising",
        "complaints rise within two hours",
        change(
            limit=-1.0, history={"complaints": 0.005, "last_hours": 2, "last_attempts": 20000, "last_complaints": 0.07, "last_bounces": 0.5}
        ),
    ),
    _ses("reject_5", "6 % are rejected", history(rejects=6.0)),
    _ses("account_paused", "AWS has stopped the account", change("Sending paused", enforcement="SHUTDOWN")),
    _ses("account_paused", "sending is switched off", change("AccountSendingPaused", sending=False), "switched_off"),
    _ses("account_probation", "AWS is reviewing the account", change(enforcement="PROBATION")),
    _ses("sandbox", "the account is in the sandbox", change(production=False)),
    _ses(
        "identity_unverified",
        "the domain is not verified",
        change("Email address is not verified", identity={"name": _DOMAIN, "verified": False}),
        subject=_DOMAIN,
    ),
    _ses(
        "spf",
        "the SPF record does not name SES",
        logged("", _aws("record", name=_DOMAIN, kind="TXT", values=['"v=spf1 mx -all"'])),
        subject=_DOMAIN,
    ),
    _ses(
        "spf",
        "there are two SPF records",
        logged("", _aws("record", name=_DOMAIN, kind="TXT", values=['"v=spf1 include:amazonses.com -all"', '"v=spf1 mx -all"'])),
        "several",
        subject=_DOMAIN,
    ),
    _ses(
        "dkim",
        "one of three DKIM records is missing",
        logged("", _aws("record", name=f"bbbreplicatoken2._domainkey.{_DOMAIN}", kind="CNAME", values=[])),
        subject=_DOMAIN,
    ),
    _ses("dkim", "signing is switched off", change(identity={"name": _DOMAIN, "signing": False}), "switched_off", subject=_DOMAIN),
    _ses(
        "mail_from",
        "the MX of the MAIL FROM domain is missing",
        logged("", _aws("record", name=f"bounce.{_DOMAIN}", kind="MX", values=[])),
        subject=_DOMAIN,
    ),
    _ses(
        "mail_from",
        "the MAIL FROM domain is not verified, and SES refuses",
        change("MailFromDomainNotVerified", identity=_ALL_FAIL),
        "refused",
        subject=_DOMAIN,
    ),
    _ses(
        "access_denied",
        "the policy of the sending key was changed",
        logged(_DENIED, _aws("allow", name="tank-sender", actions=["s3:GetObject"])),
        subject=_KEY,
    ),
    _ses(
        "policy_too_wide", "the sending key has all permissions", logged("", _aws("allow", name="tank-sender", actions=["*"])), subject=_KEY
    ),
    _ses(
        "key_invalid",
        "the sending key was deleted",
        logged("InvalidClientTokenId", _aws("key", name="tank-sender", delete=True)),
        subject=_KEY,
    ),
    _ses(
        "key_inactive",
        "the sending key was made inactive",
        logged("InvalidClientTokenId", _aws("key", name="tank-sender", status="Inactive")),
        subject=_KEY,
    ),
    _ses("clock", "the clock is 1000 seconds ahead of AWS's", logged("", _aws("fault.set", kind="date", offset=-1000)), subject=""),
    _ses("key_old", "the sending key is 200 days old", logged("", _aws("key", name="tank-sender", days_old=200)), subject=_KEY),
    _ses("key_old", "the sending key is 160 days old", logged("", _aws("key", name="tank-sender", days_old=160)), "warning", subject=_KEY),
    _ses(
        "invalid_address",
        "addresses of customers contain a blank",
        (_with_errors("InvalidParameter", break_addresses), repair_addresses),
        subject="worker",
    ),
    _ses(
        "unreachable",
        "the API accepts connections and gives no answer",
        (_aws("fault.set", kind="hang", seconds=20), restore_and_settle),
        subject="",
    ),
    _ses(
        "unreachable",
        "only SES gives no answer, as behind a firewall that allows the rest of AWS",
        (_aws("fault.set", kind="hang", actions=["ses:*"], seconds=20), restore_and_settle),
        "ses_alone",
        subject="",
    ),
    _ses("unreachable", "nothing listens on the SMTP port", logged("", _aws("smtp", state="closed")), "smtp", subject=""),
)
