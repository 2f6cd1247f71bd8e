"""Check mode printed the plan, and the bad release is still in place."""

from __future__ import annotations

import os
import re
from pathlib import Path

PLAN = (
    "/opt/tank-mail-app would be rolled back to release ",
    "stop worker, backend",
    "rename /opt/tank-mail-app to /opt/tank-mail-app-aside-",
    "record in the journal that it is in place",
    "start backend, wait for its health check",
    "start worker, see it work",
    "see that all of it lives on",
    "run the daily checks",
)


def test_every_step_was_printed_in_its_order():
    printed = (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "printed.log").read_text(encoding="utf-8")
    last = printed.rpartition("emergency_rollback : Show the steps")[2]
    message = re.search(r'"msg": \[\n(.*?)\n\s*\]', last, re.DOTALL)
    assert message, last
    steps = [line.strip().removesuffix(",").strip('"') for line in message[1].splitlines()]
    assert len(steps) == len(PLAN), steps
    assert [(step, begin) for step, begin in zip(steps, PLAN) if not step.startswith(begin)] == []


def test_nothing_was_moved(app):
    assert "a bad update" in app.file("/opt/tank-mail-app/backend/dist/main.js").content_string
    assert app.run("ls -d /opt/tank-mail-app-aside-*").rc != 0
    assert app.run("ls /var/lib/ops-remediation/tank-app/release-*.jsonl").rc != 0
