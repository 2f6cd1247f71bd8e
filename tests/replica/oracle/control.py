"""Control of a running server: JSON lines over a loopback port, known to those who may read the data folder."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from .catalog import OPEN, STATUSES, Account
from .client import CONTROL_FILE, Control, ControlError
from .database import Database
from .dictionary import Dictionary
from .engine import Outcome, SqlSession
from .errors import OraError
from .faults import FaultError
from .login import VERIFIERS, make_verifier
from .seed import OWNER, restore

__all__ = ["Control", "ControlError", "ControlServer"]

_ACCOUNT_FIELDS = ("status", "expires_at", "rights", "grants", "sysdba")


class ControlServer:
    """Answers commands. `listen` opens, closes or chokes the listener's ports."""

    def __init__(self, database: Database, listen: Callable[[str], Awaitable[None]], stop: Callable[[], None]):
        self._database = database
        self._listen = listen
        self._stop = stop
        self._token = secrets.token_hex(16)

    async def start(self, port: int = 0) -> tuple[asyncio.Server, int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        bound = server.sockets[0].getsockname()[1]
        path = self._database.folder / CONTROL_FILE
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as stream:
            json.dump({"port": bound, "token": self._token}, stream)
        return server, bound

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await asyncio.wait_for(reader.readline(), 10))
            if not hmac.compare_digest(str(request.pop("token", "")), self._token):
                raise ControlError("wrong token")
            answer = {"ok": True, "answer": await self._do(request.pop("do"), request)}
        except (ControlError, FaultError, KeyError, TypeError, ValueError, TimeoutError) as error:
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        try:
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def _do(self, command: str, options: dict[str, Any]) -> Any:
        commands: dict[str, Callable[..., Any]] = {
            "status": self._status,
            "fault.set": self._set_fault,
            "fault.clear": self._clear_faults,
            "fault.list": self._list_faults,
            "logins": self._logins,
            "account": self._account,
            "restore": self._restore,
            "sql": self._sql,
            "kill": self._database.kill,
            "stop": self._stop,
        }
        if command not in commands:
            raise ControlError(f"no command {command!r}: there are {', '.join(commands)}")
        answer = commands[command](**options)
        return await answer if asyncio.iscoroutine(answer) else answer

    def _status(self) -> dict[str, Any]:
        return {
            "services": list(self._database.settings.services),
            "sids": list(self._database.settings.sids),
            "sessions": [info.__dict__ | {"started": info.started.isoformat(" ")} for info in self._database.instance.sessions.values()],
            "accounts": {name: account.status for name, account in self._database.store.accounts.items()},
            "faults": self._list_faults(),
        }

    async def _set_fault(self, kind: str, **options: Any) -> dict[str, Any]:
        fault = self._database.faults.set(kind, options)
        if kind == "listener":
            await self._listen(fault.options["state"])
        self._database.refresh_usage()
        return fault.to_dict()

    async def _clear_faults(self, kind: str = "", stage: str = "") -> int:
        cleared = self._database.faults.clear(kind, stage)
        if any(fault.kind == "listener" for fault in cleared):
            await self._listen("up")
        self._database.refresh_usage()
        return len(cleared)

    async def _restore(self, name: str = "") -> None:
        """An account is as it was made; without a name all are, and no fault is set."""
        if not name:
            await self._clear_faults()
        restore(self._database.store, self._database.folder, name.upper())

    async def _sql(self, statement: str, user: str = OWNER) -> dict[str, Any]:
        """Execute one statement as an account and commit: what somebody does who is logged in as that account."""
        try:
            outcome = await asyncio.get_running_loop().run_in_executor(self._database.executor, self._execute, statement, user)
        except OraError as error:
            raise ControlError(str(error)) from None
        return {"rows": outcome.rows, "count": outcome.count}

    def _execute(self, statement: str, user: str) -> Outcome:
        database = self._database
        account = database.store.accounts[user.upper()]
        session = SqlSession(database.store, account, Dictionary(database.store, database.instance, account).view, {})
        try:
            outcome = session.run(session.translate(statement, ()), [[]])
            session.commit()
            return outcome
        finally:
            session.close()

    def _list_faults(self) -> list[dict[str, Any]]:
        return [fault.to_dict() for fault in self._database.faults.active.values()]

    def _logins(self, user: str = "", outcome: str = "", since: str = "") -> list[dict[str, Any]]:
        """Connections and logins since the start of this server, oldest first."""
        chosen = [attempt.to_dict() for attempt in self._database.attempts if attempt.time >= since]
        return [item for item in chosen if user.upper() in ("", item["user"]) and outcome in ("", item["outcome"])]

    def _account(self, name: str, password: str = "", verifier: str = "", **changes: Any) -> dict[str, Any]:
        """Create or change an account. A changed password opens it."""
        store = self._database.store
        unknown = [field for field in changes if field not in _ACCOUNT_FIELDS]
        if unknown or changes.get("status", OPEN) not in STATUSES or verifier not in ("", *VERIFIERS):
            raise ControlError(f"an account has {', '.join(_ACCOUNT_FIELDS)}; status: {', '.join(STATUSES)}; verifier: {VERIFIERS}")
        account = store.accounts.get(name.upper())
        if account is None and not password:
            raise ControlError("a new account needs a password")
        if account is None:
            account = store.create_account(name, password, verifier or "12c", rights=["CREATE SESSION"])
        elif password or verifier:
            if not password:
                raise ControlError("another verifier needs the password")
            account.verifier = make_verifier(verifier or account.verifier.kind, password)
            account.failed_logins = 0
        for field, value in changes.items():
            setattr(account, field, value)
        if changes.get("status") == OPEN:
            account.failed_logins, account.locked_at = 0, ""
        store.save_account(account)
        return _shown(account)


def _shown(account: Account) -> dict[str, Any]:
    """An account without its verifier."""
    return {key: value for key, value in account.__dict__.items() if key != "verifier"} | {"verifier": account.verifier.kind}
