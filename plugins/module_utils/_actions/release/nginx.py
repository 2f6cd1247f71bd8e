# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test and reload nginx in a rollback, and check that the page is served (manual 1, section 12, step 6).

The test has no side effects. After a reload with a bad configuration nginx keeps the old one and reports the error in error.log only, so
a reload waits for new workers. The reload is a signal to the master, so that nothing of the configuration runs as root.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import Any

from ..._areas.nginx import read_state, read_test
from ..._core.children import call
from ..._core.errors import ActionFailed
from ..._core.masking import mask
from ..._shared import http_client as _web

STATE_WITHIN = 10.0
TEST_WITHIN = 12.0
RELOADED_WITHIN = 10.0
PAGE_WITHIN = 10.0
PAGE_TRY = 3.0
POLL = 0.1


@dataclass(frozen=True)
class Nginx:
    """One nginx of this host; None stands for the default of its build."""

    executable: str | None = None
    conf: str | None = None
    prefix: str | None = None
    pid_file: str | None = None
    page_url: str | None = None

    def served(self) -> str | None:
        """Return why the page is not served, "" when it is, None where its address is not known. Accepts any certificate."""
        url = self.page_url
        if not url:
            return None
        outcome = call(lambda: _page_problem(url), PAGE_WITHIN + 2)
        return outcome.error.message if outcome.error else str(outcome.value)

    def problem(self, conf: str | None = None) -> str:
        """Return why nginx rejects its configuration, or another one; "" when it accepts it."""
        given = {"executable": self.executable, "conf": conf or self.conf, "prefix": self.prefix}
        outcome = call(lambda: read_test.read_test(**given), TEST_WITHIN, user=lambda: read_test.config_owner(given["conf"], self.prefix))
        if outcome.error is not None:
            return outcome.error.message
        found = outcome.value
        if found["good"] or (found["denied"] and found["parsed"]):
            return ""
        where = f" in {found['file']}:{found['line']}" if found["line"] else ""
        return f"{found['message']}{where}"

    def reload(self) -> bool:
        """Reload nginx and wait for new workers; return False when nginx does not run. Raises ActionFailed."""
        before = self._master()
        if before is None:
            return False
        old = {worker["pid"] for worker in before["workers"]}
        try:
            os.kill(before["pid"], signal.SIGHUP)
        except OSError as error:
            raise ActionFailed(f"nginx (process {before['pid']}) cannot be reloaded: {error.strerror}; run as root") from error
        give_up = time.monotonic() + RELOADED_WITHIN
        while True:
            now = self._master()
            if now and any(worker["pid"] not in old for worker in now["workers"]):
                return True
            if time.monotonic() >= give_up:
                raise ActionFailed("nginx has no new workers after the reload; its error log says why")
            time.sleep(POLL)

    def _master(self) -> dict[str, Any] | None:
        given = {"executable": self.executable, "conf": self.conf, "prefix": self.prefix, "pid_file": self.pid_file}
        found = call(lambda: read_state.read_state(**given), STATE_WITHIN).get()
        return dict(found["master"]) if found["master"] else None


def _page_problem(url: str) -> str:
    """Return why a page is not served, "" when its status is below 400; retries until then or until PAGE_WITHIN."""
    give_up = time.monotonic() + PAGE_WITHIN - PAGE_TRY
    while True:
        answer = _web.get(url, within=PAGE_TRY)
        if not answer.problem and answer.status < 400:
            return ""
        if time.monotonic() >= give_up:
            problem = f"no answer ({answer.detail or answer.problem})" if answer.problem else f"it answers {answer.status}"
            return mask(f"{url}: {problem}")
        time.sleep(POLL * 5)
