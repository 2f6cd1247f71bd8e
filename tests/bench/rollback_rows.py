# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bench asks of a rollback: the health check is away hardly longer than for PM2's own stop and start of both processes.

Both are measured from outside, by asking for the health check all the time. Needs root, as a rollback does.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from table import Row

ROUNDS = 5
BAR = 1.5
PAUSE = 0.01  # seconds between two looks at the health check


class Watcher:
    """Looks at the health check all the time and knows how long it was away."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.lost = self.back = 0.0
        self.over = False
        self.thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watcher:
        self.thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.over = True
        self.thread.join(timeout=5)

    def _look(self) -> None:
        while not self.over:
            try:
                with urllib.request.urlopen(self.url, timeout=2) as answer:  # noqa: S310 - an address of the replica
                    well = answer.status == 200
            except OSError:
                well = False
            now = time.perf_counter()
            if not well:
                self.lost, self.back = self.lost or now, 0.0
            elif self.lost:
                self.back = self.back or now
            time.sleep(PAUSE)

    def away(self) -> float:
        """Wait until the health check is back and return for how many seconds it was away."""
        give_up = time.perf_counter() + 60
        while not (self.lost and self.back):
            if time.perf_counter() > give_up:
                raise SystemExit("bench: the health check was not lost, or did not come back")
            time.sleep(0.05)
        return self.back - self.lost


@dataclass(frozen=True)
class Module:
    """What the module release_rollback consists of: its options, what makes a request of them, and what carries that out."""

    arguments: Mapping[str, Any]
    door: Callable[..., Any]
    roll_back: Callable[..., Any]


def rows(folder: Path, facts: Mapping[str, Any], module: Module) -> list[Row]:
    """Return the row of the bench."""
    app = Path(facts["app_dir"])
    other = app.with_name(f"{app.name}-backup-202601010000")
    subprocess.run(["cp", "-a", app, other], check=True)
    with (other / "backend/dist/main.js").open("a") as script:
        script.write("\n// another release\n")
    delivered = app.stat().st_ino
    pairs = []
    try:
        for _round in range(ROUNDS):
            reference = away(facts, lambda: by_hand(facts))
            name = next(path.name for path in app.parent.iterdir() if path.name.startswith(f"{app.name}-") and path.is_dir())
            pairs.append((away(facts, lambda name=name: roll_back(folder, facts, module, name.rsplit("-", 1)[1])), reference))
        if app.stat().st_ino != delivered:
            name = next(path.name for path in app.parent.iterdir() if path.stat().st_ino == delivered)
            roll_back(folder, facts, module, name.rsplit("-", 1)[1])
    finally:
        for path in app.parent.iterdir():
            if path != app and path.stat().st_ino != delivered:
                subprocess.run(["rm", "-rf", str(path)], check=True)
    ratio = statistics.median(ours / reference for ours, reference in pairs)
    return [
        Row(
            "rollback, health away / PM2's own stop and start",
            statistics.median(ours for ours, _ in pairs),
            statistics.median(reference for _, reference in pairs),
            ratio,
            BAR,
        )
    ]


def away(facts: Mapping[str, Any], function: Callable[[], None]) -> float:
    """Return for how long the health check was away."""
    with Watcher(facts["health_url"]) as watcher:
        function()
        return watcher.away()


def by_hand(facts: Mapping[str, Any]) -> None:
    """Stop and start both processes with PM2's own commands, as the user that runs it."""
    path = os.pathsep.join([*facts["path_prefix"], "/usr/bin", "/bin"])
    environment = {"PATH": path, "HOME": facts["home"], "PM2_HOME": facts["pm2_home"]}
    for verb in ("stop", "start"):
        argv = [facts["pm2_executable"], verb, "backend", "worker"]
        subprocess.run(argv, env=environment, user=facts["user"], cwd="/", capture_output=True, timeout=60, check=True)


def roll_back(folder: Path, facts: Mapping[str, Any], module: Module, identity: str) -> None:
    """Roll back to a release, in this process; Ansible's own start is no part of the time that the health check is away."""
    given = {name: spec.get("default") for name, spec in module.arguments.items()}
    given.update(app_dir=facts["app_dir"], state_dir=str(folder / "rollback"), to=identity, open_runs=0, settle=1, worker_sign="Scheduler")
    given.update(pm2_home=facts["pm2_home"], pm2_executable=facts["pm2_executable"], path_prefix=facts["path_prefix"])
    request, tools = module.door(given | {"health_url": facts["health_url"]})
    module.roll_back(request, tools, check_mode=False)
