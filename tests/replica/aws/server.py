"""Everything in one process: the HTTP door, DNS, what stands for SMTP, and the control."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import socket
import socketserver
import threading
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core import DEFAULT_ACCOUNT_ID
from werkzeug.serving import WSGIRequestHandler, make_server

from ..oracle.client import CONTROL_FILE
from . import dns_server
from .account import Account, History, Identity
from .front import Front
from .people import MONITOR, SENDER, People

REGION = "ap-southeast-1"
_KEYS_FILE = "keys.json"


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def send_response(self, code: int, message: str | None = None) -> None:
        """The status line alone: the application says the date, which may be another one than this machine's."""
        self.send_response_only(code, message)

    def log_request(self, *_arguments: Any) -> None:
        """Nothing: headers and paths of requests are nobody's business."""


class Aws:
    """The stand-in with its data in a folder; ports of 0 are chosen freely."""

    def __init__(self, folder: Path, port: int = 0, dns_port: int = 0, smtp_port: int = 0):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.account, self.people = Account(), People(self._keys())
        self.front = Front(self.account, self.people, REGION)
        self.zone = dns_server.Zone(REGION)
        self._keep_keys()
        self.reputation()
        self._http = make_server("127.0.0.1", port, self.front, threaded=True, request_handler=_Quiet)
        self._http.daemon_threads = True
        self._dns = dns_server.serve(self.zone, dns_port)
        self.port, self.dns_port = self._http.server_port, self._dns[0].server_address[1]
        self._smtp: socket.socket | None = None
        self.smtp_port = smtp_port
        self.smtp("open")
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.over = threading.Event()
        self._tell()
        self._control = self._serve_control()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        for server in (self._http, self._control, *self._dns):
            server.shutdown()
            server.server_close()
        self.smtp("closed")

    # Keys

    def _keys(self) -> dict[str, list[str]]:
        try:
            return json.loads((self.folder / _KEYS_FILE).read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return {}

    def _keep_keys(self) -> None:
        _write_private(self.folder / _KEYS_FILE, json.dumps(self.people.keys))

    def _tell(self) -> None:
        """Files for those who ask: where everything is, and .env files with the keys; one has a key that nobody has."""
        told = {"url": self.url, "resolver": f"127.0.0.1:{self.dns_port}", "smtp": f"127.0.0.1:{self.smtp_port}", "region": REGION}
        _write_private(self.folder / "places.json", json.dumps(told))
        keys = {
            "monitor": self.people.keys[MONITOR],
            "sender": self.people.keys[SENDER],
            "nobody": ["AKIANOBODY0000000000", "not-to-be-seen"],
        }
        for name, (key, secret) in keys.items():
            lines = f"AWS_ACCESS_KEY={key}\nAWS_SECRET_KEY={secret}\nAWS_REGION={REGION}\n"
            _write_private(self.folder / f"{name}.env", lines)

    # Conditions

    def smtp(self, state: str) -> None:
        """A port that takes connections, or none."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None
        if state == "open":
            self._smtp = socket.create_server(("127.0.0.1", self.smtp_port), reuse_port=False)
            self.smtp_port = self._smtp.getsockname()[1]

    def reputation(self, bounce: float = 0.006, complaint: float = 0.0001, *, none: bool = False) -> None:
        """What CloudWatch says: fractions of an hour ago, or no datapoint."""
        backend = cloudwatch_backends[DEFAULT_ACCOUNT_ID][REGION]
        backend.metric_data.clear()
        if none:
            return
        moment = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)
        values = (("Reputation.BounceRate", bounce), ("Reputation.ComplaintRate", complaint))
        backend.put_metric_data(
            "AWS/SES", [{"MetricName": name, "Value": value, "Timestamp": moment, "Dimensions": []} for name, value in values]
        )

    def restore(self) -> None:
        """All as delivered."""
        self.front.conditions.clear()
        self.front.switched_off.clear()
        self.account.restore()
        self.people.restore()
        self.zone.restore()
        self.reputation()
        if self._smtp is None:
            self.smtp("open")

    def change(self, *, identity: dict[str, Any] | None = None, history: dict[str, Any] | None = None, **values: Any) -> None:
        """Change the account: limit, rate, used_before, enforcement, sending, production; an identity; the history."""
        with self.account.lock:
            for name, value in values.items():
                if not hasattr(self.account, name):
                    raise ValueError(f"the account has no {name}")
                setattr(self.account, name, value)
            if history is not None:
                self.account.history = History(**history)
            if identity is not None:
                one = self.account.identities[identity.pop("name")]
                for name, value in identity.items():
                    if name not in {each.name for each in fields(Identity)}:
                        raise ValueError(f"an identity has no {name}")
                    setattr(one, name, value)

    def record(self, name: str, kind: str, values: list[str]) -> None:
        """Set a record of the zone; none takes it away."""
        if values:
            self.zone.records[name, kind] = values
        else:
            self.zone.records.pop((name, kind), None)

    def status(self) -> dict[str, Any]:
        healthy = not self.front.conditions and self.zone.mode == "" and self._smtp is not None
        return {"conditions": self.front.conditions, "healthy": healthy, "calls": dict(self.front.calls), "sent": len(self.account.sent)}

    # Control

    def do(self, command: str, options: dict[str, Any]) -> Any:
        """Have a command of the control done."""
        if command == "fault.set":
            self.front.conditions[options.pop("kind")] = options
            return None
        if command == "fault.clear":
            self.front.conditions.pop(options["kind"], None)
            return None
        commands: dict[str, Any] = {
            "status": self.status,
            "change": self.change,
            "restore": self.restore,
            "record": self.record,
            "reputation": self.reputation,
            "smtp": self.smtp,
            "allow": self.people.allow,
            "key": self.people.change_key,
            "keys": lambda: {"sender": self.people.keys[SENDER], "monitor": self.people.keys[MONITOR]},
            "dns": lambda mode: setattr(self.zone, "mode", mode),
            "calls.forget": self.front.calls.clear,
            "stop": lambda: self.over.set(),
        }
        return commands[command](**options)

    def _serve_control(self) -> socketserver.ThreadingTCPServer:
        token, aws = secrets.token_hex(16), self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 10

            def handle(self) -> None:
                try:
                    request = json.loads(self.rfile.readline())
                    if not hmac.compare_digest(str(request.pop("token", "")), token):
                        raise ValueError("wrong token")
                    answer = {"ok": True, "answer": aws.do(request.pop("do"), request)}
                except (KeyError, TypeError, ValueError, OSError) as error:
                    answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
                with contextlib.suppress(OSError):
                    self.wfile.write(json.dumps(answer).encode() + b"\n")

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _write_private(self.folder / CONTROL_FILE, json.dumps({"port": server.server_address[1], "token": token}))
        return server


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as stream:
        stream.write(text)
