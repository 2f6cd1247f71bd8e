# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Breakages of Redis, which only the replica without containers has."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.replica.interface import Replica

from ..breakage import Breakage

_WAIT_S = 10
_LOCAL = frozenset({"local"})


def ask(replica: Replica, *command: str) -> str:
    """What the default user gets for a command, "" for no answer."""
    redis = replica.facts["parts"]["redis"]
    argv = ["redis-cli", "-h", redis["host"], "-p", str(redis["port"]), "--no-auth-warning", *command]
    return replica.run(argv, env={"REDISCLI_AUTH": replica.read(redis["password_file"])}, timeout=5).stdout.strip()


def stop(replica: Replica) -> None:
    ask(replica, "SHUTDOWN", "NOSAVE")
    replica.wait_until(lambda: not ask(replica, "PING"), _WAIT_S, "Redis does not end")


def start(replica: Replica) -> None:
    redis = replica.facts["parts"]["redis"]
    if not ask(replica, "PING"):
        replica.must(["sh", "-c", 'cd / && setsid redis-server "$1" >>"$2" 2>&1 </dev/null &', "sh", redis["conf"], redis["log"]])
    replica.wait_until(lambda: ask(replica, "PING") == "PONG", _WAIT_S, "Redis does not answer")


def spoil_password(replica: Replica) -> None:
    """The password was changed in Redis and not where the checks find it."""
    replica.write(replica.facts["parts"]["redis"]["monitor_password_file"], "of-last-year", 0o600)


def mend_password(replica: Replica) -> None:
    redis = replica.facts["parts"]["redis"]
    replica.write(redis["monitor_password_file"], replica.read(redis["made_password_file"]), 0o600)


def fill(replica: Replica) -> None:
    """Some MB in one key, and a maxmemory that leaves 13 % of it free."""
    ask(replica, "SETRANGE", "filler", "8000000", "x")
    used = re.search(r"(?m)^used_memory:(\d+)", ask(replica, "INFO", "memory"))
    ask(replica, "CONFIG", "SET", "maxmemory", str(int(used[1]) * 100 // 87) if used else "0")


def empty(replica: Replica) -> None:
    ask(replica, "CONFIG", "SET", "maxmemory", "16mb")
    ask(replica, "DEL", "filler")


def _redis(code: str, description: str, make: Callable[[Replica], None], clear: Callable[[Replica], None]) -> Breakage:
    return Breakage(code, "redis", description, "", make, clear, needs=_LOCAL)


BREAKAGES = (
    _redis("redis.no_answer", "Redis is stopped", stop, start),
    _redis("redis.refused", "the account of the checks has another password now", spoil_password, mend_password),
    _redis("redis.memory_80", "Redis is nearly full", fill, empty),
)
