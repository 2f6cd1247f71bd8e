"""The customer's Oracle as a part of the replica: the server of oracle/ in a process of its own, and what others know of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .oracle.client import Control, ControlError
from .paths import SOURCES
from .runtime import Runtime
from .server_process import Started, start
from .system import Account, ReplicaError, give_to

SERVICE, SID = "ORCLPDB1", "ORCL"
APP_USER, MONITOR_USER = "TANK", "TANK_MON"
MODULE = "tests.replica.oracle"
INSTANCE_QUERY = "SELECT INSTANCE_NAME, STATUS FROM V$INSTANCE"
UPDATE = "UPDATE TARGET SET SENT_YN = :1, SENT_AT = SYSTIMESTAMP, NEXT_DUE_AT = SYSDATE WHERE AUTO_ID = 1 AND CUST_ID = :2"
TARGET_QUERY = "SELECT COUNT(*) FROM TARGET_VIEW"
# Nothing is caught up on after a pause: who was due meanwhile is due within the next cycle, the first of each automation now.
SPREAD = """UPDATE TARGET SET NEXT_DUE_AT = SYSDATE + MOD(TO_NUMBER(SUBSTR(CUST_ID, -3)) * 7, CYCLE_MINUTES) / 1440
 WHERE NEXT_DUE_AT < SYSDATE AND AUTO_ID IN (1, 2)"""
_START_S = 30


def version() -> str:
    """Digest of the server's sources and of the data that it is filled with."""
    digest = hashlib.sha256()
    for path in [*sorted((SOURCES / "oracle").glob("*.py")), SOURCES / "customers.py"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def delivered_targets(oracle: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `stack_oracle_targets` is for a healthy replica, by its facts of Oracle: the application's account, and one that sees the instance.

    The checker asks: addresses and files are those that it knows.
    """
    where = {"host": oracle["address"], "port": oracle["port"], "service": oracle["service"]}
    return [
        {
            "name": "customers",
            **where,
            "user": oracle["user"],
            "password_from": {"file": oracle["password_file"]},
            "query": TARGET_QUERY,
            "statements": [UPDATE],
        },
        {
            "name": "monitor",
            **where,
            "user": oracle["monitor_user"],
            "password_from": {"file": oracle["monitor_password_file"]},
            "query": INSTANCE_QUERY,
        },
    ]


def is_well(status: Mapping[str, Any]) -> bool:
    """Whether a server, by its status ({} for none), has no fault and every account is open."""
    return bool(status) and not status["faults"] and set(status["accounts"].values()) == {"OPEN"}


@dataclass(frozen=True)
class OracleServer:
    """The server of one instance on this machine, with its data in `folder`."""

    folder: Path
    account: Account
    runtime: Runtime

    @property
    def control(self) -> Control:
        return Control(self.folder)

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    @property
    def password_file(self) -> Path:
        """Password of the application's account, nothing else in the file."""
        return self.folder / "password"

    @property
    def monitor_password_file(self) -> Path:
        """Password of the account that checks use; it may read and nothing else."""
        return self.folder / "monitor_password"

    @property
    def variables_file(self) -> Path:
        """What the inventory says of Oracle; faults of configuration change it."""
        return self.folder / "variables.json"

    def complete(self) -> bool:
        """False also after a run that was killed while it made the data."""
        return (self.folder / "complete").exists()

    def answers(self) -> bool:
        """Whether the server lives, whatever its listener does."""
        return bool(self._status())

    def well(self) -> bool:
        """Whether it lives, has no fault, and every account is open."""
        return is_well(self._status())

    def _status(self) -> dict[str, Any]:
        try:
            return self.control.status() if self.complete() else {}
        except ControlError:
            return {}

    def password(self) -> str:
        """Password of the application's account."""
        return self.control.passwords()[APP_USER]

    def start(self, port: int, tls_port: int) -> Started:
        """Start the server as the application's account."""
        self.folder.mkdir(parents=True, exist_ok=True)
        give_to(self.account, self.folder)
        where = ["--data", str(self.folder), "--port", str(port), "--tcps-port", str(tls_port), "--service", SERVICE, "--sid", SID]
        (self.folder / "control.json").unlink(missing_ok=True)
        return start("Oracle", self.runtime, self.account, self.log_file, ["-m", MODULE, "serve", *where])

    def wait(self, started: Started) -> None:
        """Wait until the started server answers."""

        def answers() -> bool:
            try:
                return bool(self.control.status())
            except ControlError:
                return False

        started.wait_until(answers, _START_S)
        (self.folder / "complete").touch()
        self.control.sql(SPREAD)

    def do(self, command: str, **options: Any) -> Any:
        """A command of the control; ReplicaError says why not."""
        try:
            return self.control.do(command, **options)
        except ControlError as error:
            raise ReplicaError(f"Oracle: {command}: {error}") from None
