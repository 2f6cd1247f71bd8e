"""Check mode logs in once with each account, and keeps nothing."""

from __future__ import annotations

import os
from pathlib import Path

from logins import accounts, outcomes


def test_each_account_logged_in_once():
    assert outcomes() == {user: ["OK"] for user in accounts()}


def test_nothing_was_kept():
    assert not (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "oracle").exists()
