"""`python -m tests.replica.oracle serve --data DIR`, and `... fault`, `account`, `logins`, `kill`, `status`, `stop` for a running one.

`do` reads a request as JSON from the standard input, `{"do": "account", "name": "TANK", ...}`: for what nobody else should see.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from .control import Control, ControlError
from .database import Settings
from .faults import KINDS
from .server import Ports, Server
from .values import parse_offset


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.command == "serve":
        return asyncio.run(_serve(options))
    try:
        print(json.dumps(_command(options), indent=2, default=str))
    except ControlError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM, SIGINT or `stop`. The first line of the output names the ports."""
    offset = parse_offset(options.time_zone)
    if offset is None:
        print("--time-zone is an offset such as +09:00", file=sys.stderr)
        return 2
    settings = Settings(
        services=tuple(options.service), sids=tuple(options.sid), database_offset=offset, sessions=options.sessions,
        failed_logins=options.failed_logins,
    )  # fmt: skip
    server = Server(options.data, options.host, Ports(options.port, options.tcps_port, options.control_port), settings)
    ports = await server.start()
    loop = asyncio.get_running_loop()
    waiting = asyncio.ensure_future(server.wait())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, waiting.cancel)
    ready = {"port": ports.tcp, "tcps_port": ports.tcps, "control_port": ports.control, "services": options.service, "sids": options.sid}
    print(json.dumps(ready), flush=True)
    await asyncio.wait([waiting])
    await server.stop()
    return 0


def _command(options: argparse.Namespace) -> Any:
    control = Control(options.data)
    given = dict(_pair(text) for text in getattr(options, "pairs", []))
    if options.command == "fault":
        if options.action == "list":
            return control.do("fault.list")
        if options.action == "clear":
            return control.clear_faults(options.kind, **given)
        return control.set_fault(options.kind, **given)
    if options.command == "do":
        request = json.load(sys.stdin)
        return control.do(request.pop("do"), **request)
    if options.command == "account":
        return control.account(options.name, **given)
    return control.do(options.command, **given)


def _pair(text: str) -> tuple[str, Any]:
    """`name=value`; the value may be JSON."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.replica.oracle", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the database")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=0)
    serve.add_argument("--tcps-port", type=int, default=0)
    serve.add_argument("--control-port", type=int, default=0)
    serve.add_argument("--service", nargs="+", default=["ORCLPDB1"])
    serve.add_argument("--sid", nargs="+", default=["ORCL"])
    serve.add_argument("--time-zone", default="+09:00")
    serve.add_argument("--sessions", type=int, default=300)
    serve.add_argument("--failed-logins", type=int, default=10, help="failed logins that lock an account; 0 for never")
    fault = commands.add_parser("fault", help="set, clear or list faults")
    fault.add_argument("action", choices=["set", "clear", "list"])
    fault.add_argument("kind", nargs="?", default="", choices=["", *KINDS])
    account = commands.add_parser("account", help="create or change an account")
    account.add_argument("name")
    commands.add_parser("do", help="execute a request from the standard input")
    for name, about in (("logins", "who tried to log in"), ("kill", "end sessions"), ("status", "state"), ("stop", "end the server")):
        commands.add_parser(name, help=about)
    for name, command in commands.choices.items():
        command.add_argument("--data", type=Path, required=True, help="folder of the database")
        if name not in ("serve", "do"):
            command.add_argument("pairs", nargs="*", metavar="name=value")
    return parser


if __name__ == "__main__":
    sys.exit(main())
