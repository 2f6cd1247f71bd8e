"""Client of a running server's control; needs the standard library alone."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTROL_FILE = "control.json"
_LARGEST_ANSWER = 64 * 1024 * 1024


class ControlError(Exception):
    """The server said no, or is not there."""


@dataclass(frozen=True)
class Control:
    """A running server, by its data folder. Every method raises ControlError."""

    folder: Path
    seconds: float = 10.0

    def do(self, command: str, **options: Any) -> Any:
        try:
            known = json.loads((self.folder / CONTROL_FILE).read_text(encoding="ascii"))
            with socket.create_connection(("127.0.0.1", known["port"]), self.seconds) as connection:
                request = json.dumps({"do": command, "token": known["token"], **options})
                connection.sendall(request.encode() + b"\n")
                with connection.makefile("rb") as stream:
                    answer = json.loads(stream.readline(_LARGEST_ANSWER) or b'{"ok": false, "error": "no answer"}')
        except (OSError, ValueError) as error:
            raise ControlError(f"no server answers for {self.folder}: {error}") from error
        if not answer["ok"]:
            raise ControlError(answer["error"])
        return answer["answer"]

    def set_fault(self, kind: str, **options: Any) -> dict[str, Any]:
        return self.do("fault.set", kind=kind, **options)

    def clear_faults(self, kind: str = "", stage: str = "") -> int:
        return self.do("fault.clear", kind=kind, stage=stage)

    def logins(self, **filters: str) -> list[dict[str, Any]]:
        return self.do("logins", **filters)

    def account(self, name: str, **changes: Any) -> dict[str, Any]:
        return self.do("account", name=name, **changes)

    def sql(self, statement: str, user: str = "CUST") -> dict[str, Any]:
        """Rows and count of one statement, executed and committed as an account."""
        return self.do("sql", statement=statement, user=user)

    def restore(self, name: str = "") -> None:
        """An account as it was made; without a name all of them, and no fault."""
        self.do("restore", name=name)

    def kill(self, **chosen: Any) -> int:
        return self.do("kill", **chosen)

    def status(self) -> dict[str, Any]:
        return self.do("status")

    def passwords(self) -> dict[str, str]:
        return json.loads((self.folder / "passwords.json").read_text(encoding="ascii"))
