"""What the server saw: as many logins as there were questions, and no failed one."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import facts
from logins import accounts, logged, outcomes

QUESTIONS = 3  # in check mode, converge, idempotence


def test_each_account_logged_in_once_for_each_question():
    assert outcomes() == {user: ["OK"] * QUESTIONS for user in accounts()}


def test_no_secret_is_in_the_log_of_logins():
    words = [Path(facts()["oracle"][name]).read_text(encoding="utf-8").strip() for name in ("password_file", "monitor_password_file")]
    text = json.dumps(logged())
    assert [word for word in words if word in text] == []
