"""The server's log of logins."""

from __future__ import annotations

import json

import testinfra
from conftest import facts, noted


def logged():
    """Return all attempts of this machine, oldest first; the worker's own logins come from the applications' host."""
    host = testinfra.get_host(f"{facts()['engine']}://{facts()['hosts']['oracle']['container']}")
    text = host.file(facts()["oracle"]["login_log"]).content_string
    others = {reached["address"] for reached in facts()["hosts"].values()}
    return [attempt for attempt in map(json.loads, text.splitlines()) if attempt["address"] not in others]


def outcomes():
    """Return how the logins of each account ended since the scenario began: `{account: [outcome...]}`."""
    found = {}
    for attempt in logged()[noted() :]:
        found.setdefault(attempt["user"].upper(), []).append(attempt["outcome"])
    return {user: ended for user, ended in found.items() if user}


def accounts():
    """Return the names of the accounts of both targets."""
    return {facts()["oracle"][name].upper() for name in ("user", "monitor_user")}
