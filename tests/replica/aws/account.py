"""The SES account of one region: quota, rate, identities, history; what a mail does to them, and what refuses it."""

from __future__ import annotations

import math
import re
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

STEP, HOUR, DAY = 900, 3600, 86400
DOMAIN = "example.com"  # what the replica's mails are sent from
_ADDRESS = re.compile(r"^[^\s@<>,]+@[^\s@<>,]+\.[^\s@<>,]+$")
_KST = 9 * HOUR


class SesError(Exception):
    """SES refuses; code of version 1 and of version 2, and the HTTP status."""

    def __init__(self, code: str, message: str, code_v2: str = "", status: int = 400):
        super().__init__(message)
        self.code, self.message, self.code_v2, self.status = code, message, code_v2 or code, status


@dataclass
class Identity:
    """A domain or address, as SES keeps it."""

    name: str
    verified: bool = True
    dkim_status: str = "SUCCESS"
    signing: bool = True
    tokens: list[str] = field(default_factory=list)
    mail_from: str = ""
    mail_from_status: str = "SUCCESS"
    on_mx_failure: str = "USE_DEFAULT_VALUE"


def delivered_identities() -> dict[str, Identity]:
    tokens = [f"{letter * 3}replicatoken{number}" for number, letter in enumerate("abc", 1)]
    return {DOMAIN: Identity(DOMAIN, tokens=tokens, mail_from=f"bounce.{DOMAIN}")}


@dataclass
class History:
    """How the points of the last 14 days are made: mails of a day in hours of work (Korean), rates in percent, and the last hours otherwise."""

    daily: int = 20000
    bounces: float = 0.6
    complaints: float = 0.01
    rejects: float = 0.0
    days: int = 14
    last_hours: float = 0.0
    last_attempts: int = 0
    last_bounces: float = 0.0
    last_complaints: float = 0.0
    last_rejects: float = 0.0

    def points(self, now: float) -> list[dict[str, Any]]:
        """Whole periods of 15 minutes, the newest first, as unsorted as SES gives them."""
        end = now // STEP * STEP
        made, carried = [], [0.0, 0.0, 0.0]
        recent = end - self.last_hours * HOUR
        start = end - self.days * DAY
        while start < end:
            last = self.last_hours and start >= recent
            attempts = round(self.last_attempts * STEP / HOUR / self.last_hours) if last else self._usual(start)
            rates = (self.last_bounces, self.last_complaints, self.last_rejects) if last else (self.bounces, self.complaints, self.rejects)
            if attempts:
                counts = []
                for number, rate in enumerate(rates):
                    carried[number] += attempts * rate / 100
                    whole = math.floor(carried[number])
                    carried[number] -= whole
                    counts.append(whole)
                made.append(
                    {"Timestamp": start, "DeliveryAttempts": attempts, "Bounces": counts[0], "Complaints": counts[1], "Rejects": counts[2]}
                )
            start += STEP
        return made[::2] + made[1::2][::-1]

    def _usual(self, start: float) -> int:
        hour = (start + _KST) % DAY / HOUR
        return round(self.daily / 48) if 8 <= hour < 20 else 0


def _covering(address: str) -> list[str]:
    """The names whose verification covers an address: itself, its domain, and the domains above that."""
    labels = address.rpartition("@")[2].split(".")
    return [address, *(".".join(labels[number:]) for number in range(len(labels) - 1))]


class Account:
    """One region's account. Thread-safe; times are epoch seconds."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.sent: deque[tuple[float, int]] = deque()  # time, recipients
        self.live: dict[int, list[int]] = {}  # period to attempts, bounces, complaints, rejects
        self.restore()

    def restore(self) -> None:
        """All as delivered; what was sent stays sent, with its bounces."""
        with self.lock:
            self.limit, self.rate, self.used_before = 50000.0, 100.0, 12000.0
            self.enforcement, self.sending, self.production = "HEALTHY", True, True
            self.identities = delivered_identities()
            self.history = History()
            self.live.clear()

    def used(self, now: float) -> float:
        while self.sent and self.sent[0][0] < now - DAY:
            self.sent.popleft()
        return self.used_before + sum(count for _time, count in self.sent)

    def statistics(self, now: float) -> list[dict[str, Any]]:
        with self.lock:
            points = {point["Timestamp"]: point for point in self.history.points(now)}
            for start, counts in self.live.items():
                point = points.setdefault(start, {"Timestamp": start, "DeliveryAttempts": 0, "Bounces": 0, "Complaints": 0, "Rejects": 0})
                for name, count in zip(("DeliveryAttempts", "Bounces", "Complaints", "Rejects"), counts):
                    point[name] += count
            return list(points.values())

    def send(self, sender: str, recipients: list[str], region: str, now: float | None = None) -> str:
        """Take a mail; returns its id. Raises SesError as SES does."""
        now = time.time() if now is None else now
        with self.lock:
            self._may_send()
            for address in recipients:
                if not _ADDRESS.match(address):
                    raise SesError("InvalidParameterValue", "Missing final '@domain'", "BadRequestException")
            self._must_be_verified([sender] if self.production else [sender, *recipients], region)
            self._within_limits(len(recipients), now)
            self.sent.append((now, len(recipients)))
            counts = self.live.setdefault(int(now // STEP * STEP), [0, 0, 0, 0])
            for address in recipients:
                local = address.partition("@")[0]
                counts[0] += 1
                counts[1] += local.startswith("bounce")
                counts[2] += local.startswith("complaint")
        return f"{uuid.uuid4().hex[:16]}-{uuid.uuid4()}-000000"

    def _may_send(self) -> None:
        if self.enforcement == "SHUTDOWN":
            said = "Sending paused for this account. For more information, please check the inbox of the email address associated with your AWS account."
            raise SesError("MessageRejected", said, "SendingPausedException")
        if not self.sending:
            raise SesError("AccountSendingPausedException", "Email sending is disabled for this account.", "SendingPausedException")

    def _must_be_verified(self, addresses: list[str], region: str) -> None:
        failed = [address for address in addresses if not self._verified(address)]
        if failed:
            said = (
                f"Email address is not verified. The following identities failed the check in region {region.upper()}: {', '.join(failed)}"
            )
            raise SesError("MessageRejected", said)
        sender = self.identities.get(self.identity_of(addresses[0]))
        if sender and sender.mail_from and sender.mail_from_status != "SUCCESS" and sender.on_mx_failure == "REJECT_MESSAGE":
            said = f"The MAIL FROM domain {sender.mail_from} is not verified."
            raise SesError("MailFromDomainNotVerifiedException", said)

    def identity_of(self, address: str) -> str:
        """The identity that a mail from this address goes out from: the address, its domain or one above, the nearest that there is."""
        return next((name for name in _covering(address) if name in self.identities), address.rpartition("@")[2])

    def _verified(self, address: str) -> bool:
        known = [self.identities.get(name) for name in _covering(address)]
        return any(identity is not None and identity.verified for identity in known)

    def _within_limits(self, count: int, now: float) -> None:
        if self.limit >= 0 and self.used(now) + count > self.limit:
            raise SesError("Throttling", "Daily message quota exceeded.", "TooManyRequestsException")
        last_second = sum(number for moment, number in self.sent if moment > now - 1)
        if last_second + count > self.rate:
            raise SesError("Throttling", "Maximum sending rate exceeded.", "TooManyRequestsException")
