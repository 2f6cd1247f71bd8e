"""What the server saw after the account was locked: one login for each question, but a wrong password once."""

from __future__ import annotations

from conftest import facts
from logins import outcomes

GOOD = ["OK"] * 3  # before the account was locked


def test_the_locked_account_was_asked_for_once():
    assert outcomes()[facts()["oracle"]["user"].upper()] == [*GOOD, "ORA-28000"]


def test_the_wrong_password_was_tried_once_although_it_was_given_twice():
    assert outcomes()[facts()["oracle"]["monitor_user"].upper()] == [*GOOD, "OK", "ORA-01017"]
