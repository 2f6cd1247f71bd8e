"""python -m tests.replica.aws serve --data FOLDER --port N --dns-port N --smtp-port N
python -m tests.replica.aws do --data FOLDER COMMAND [OPTIONS AS JSON]     the commands of server.py, for a running one
"""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path

from ..oracle.client import Control


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["serve", "do"])
    parser.add_argument("--data", type=Path, required=True)
    for name in ("--port", "--dns-port", "--smtp-port"):
        parser.add_argument(name, type=int, default=0)
    parser.add_argument("words", nargs="*", metavar="COMMAND [JSON]")
    options = parser.parse_intermixed_args()
    if options.command == "do":
        command, *given = options.words
        print(json.dumps(Control(options.data).do(command, **(json.loads(given[0]) if given else {}))))
        return 0
    # Not for `do`: loading moto takes seconds.
    from .front import load_moto
    from .server import Aws

    load_moto()
    aws = Aws(options.data, options.port, options.dns_port, options.smtp_port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_arguments: aws.over.set())
    aws.over.wait()
    aws.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
