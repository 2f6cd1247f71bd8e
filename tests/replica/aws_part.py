"""Amazon as a part of the replica: the server of aws/ in a process of its own, and what others know of it."""

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

REGION = "ap-southeast-1"
IDENTITY = "example.com"
MODULE = "tests.replica.aws"
SERVICES = ("ses", "sesv2", "iam", "sts", "cloudwatch")
_START_S = 60


def version() -> str:
    """Digest of the server's sources."""
    digest = hashlib.sha256()
    for path in sorted((SOURCES / "aws").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def delivered_variables(ses: Mapping[str, Any]) -> dict[str, Any]:
    """What the inventory says of SES for a healthy replica, by its facts."""
    return {
        "stack_ses_region": ses["region"],
        "stack_ses_credentials_from": {"env_file": ses["credentials_file"]},
        "stack_ses_sender_from": {"env_file": ses["env_file"]},
        "stack_ses_endpoint_urls": dict.fromkeys(SERVICES, ses["url"]),
        "stack_ses_identities": [IDENTITY],
        "stack_ses_resolver": [ses["resolver"]],
        "stack_ses_smtp_endpoint": ses["smtp"],
    }


@dataclass(frozen=True)
class AwsServer:
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

    def facts(self, ports: Mapping[str, int]) -> dict[str, Any]:
        """What others must know; the application's .env and the checker's file are on this machine."""
        folder = self.folder
        return {
            "region": REGION,
            "identity": IDENTITY,
            "url": f"http://127.0.0.1:{ports.get('aws', 0)}",
            "resolver": f"127.0.0.1:{ports.get('dns', 0)}",
            "smtp": f"127.0.0.1:{ports.get('smtp', 0)}",
            "credentials_file": str(folder / "checker.env"),
            "env_file": str(folder.parent / "opt/tank-mail-app/config/.env"),
            "variables_file": str(folder / "variables.json"),
            "server_log": str(self.log_file),
        }

    def env_lines(self, port: int) -> str:
        """The lines of the application's .env."""
        key, secret = self.do("keys")["sender"]
        lines = {"AWS_REGION": REGION, "AWS_ACCESS_KEY": key, "AWS_SECRET_KEY": secret, "SES_ENDPOINT": f"http://127.0.0.1:{port}"}
        return "".join(f"{name}={value}\n" for name, value in lines.items())

    def answers(self) -> bool:
        return bool(self._status())

    def well(self) -> bool:
        """Whether it lives, and nothing is set against it."""
        return bool(self._status().get("healthy"))

    def _status(self) -> dict[str, Any]:
        try:
            return self.control.do("status")
        except ControlError:
            return {}

    def start(self, port: int, dns_port: int, smtp_port: int) -> Started:
        """Start the server as the application's account."""
        self.folder.mkdir(parents=True, exist_ok=True)
        give_to(self.account, self.folder)
        ports = ["--port", str(port), "--dns-port", str(dns_port), "--smtp-port", str(smtp_port)]
        (self.folder / "control.json").unlink(missing_ok=True)
        arguments = ["-m", MODULE, "serve", "--data", str(self.folder), *ports]
        return start("the replica of AWS", self.runtime, self.account, self.log_file, arguments)

    def wait(self, started: Started) -> None:
        """Wait until the started server answers."""
        started.wait_until(self.answers, _START_S, interval=0.1)

    def do(self, command: str, **options: Any) -> Any:
        """A command of the control; ReplicaError says why not."""
        try:
            return self.control.do(command, **options)
        except ControlError as error:
            raise ReplicaError(f"AWS: {command}: {error}") from None
