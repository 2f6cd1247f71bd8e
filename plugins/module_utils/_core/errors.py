# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that host logic raises. Each message says what was wrong, where, and what to do."""

from __future__ import annotations

from typing import Any

from .masking import mask_all


class RemediationError(Exception):
    """Base of all errors of this collection; ``kind`` survives the way out of a child process."""

    kind = "error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form, read back by :func:`from_dict`."""
        return {"kind": self.kind, "message": self.message, "details": self.details}


class WrongQuestion(RemediationError):
    """An option cannot be used as given: the caller must change the question. What was given is masked: its message is printed."""

    kind = "wrong_question"

    def __init__(self, option: str, given: Any, problem: str, remedy: str) -> None:
        given = mask_all(given)
        super().__init__(f"{option}: {given!r} {problem}; {remedy}", option=option, given=given, problem=problem, remedy=remedy)

    @classmethod
    def from_details(cls, details: dict[str, Any]) -> WrongQuestion:
        """Build the error again from the details that crossed a pipe."""
        return cls(details["option"], details["given"], details["problem"], details["remedy"])


class NeedsUser(RemediationError):
    """Only another user may read this, and this process cannot become that user."""

    kind = "needs_user"

    def __init__(self, user: str, why: str) -> None:
        remedy = "run as root (become: true)" if user == "root" else f"run as root or as {user} (become: true, or become_user: {user})"
        super().__init__(f"{why}; {remedy}", user=user, why=why)

    @classmethod
    def from_details(cls, details: dict[str, Any]) -> NeedsUser:
        """Build the error again from the details that crossed a pipe."""
        return cls(details["user"], details["why"])


class CannotRead(RemediationError):
    """A source could not be read; the message says which and why."""

    kind = "cannot_read"


class TooSlow(RemediationError):
    """Nothing came back within the deadline; the child was killed and abandoned."""

    kind = "too_slow"


class Busy(RemediationError):
    """An earlier reader of the same source is still stuck, so no second one was started."""

    kind = "busy"


class Crashed(RemediationError):
    """Our own code failed; the message carries the place."""

    kind = "crashed"


class DriverMissing(RemediationError):
    """The Python that asks lacks a library; ``details``: ``libraries``, and ``install``, the command that brings them."""

    kind = "driver_missing"


class ActionFailed(RemediationError):
    """A change was tried and its goal was not reached; the message says why and what to do."""

    kind = "action_failed"


_KINDS: dict[str, type[RemediationError]] = {
    error.kind: error for error in (CannotRead, TooSlow, Busy, Crashed, DriverMissing, ActionFailed, RemediationError)
}


def from_dict(data: dict[str, Any]) -> RemediationError:
    """Turn the answer of :meth:`RemediationError.as_dict` into an error again."""
    for rebuilt in (WrongQuestion, NeedsUser):
        if data["kind"] == rebuilt.kind:
            return rebuilt.from_details(data["details"])
    return _KINDS.get(data["kind"], RemediationError)(data["message"], **data["details"])
