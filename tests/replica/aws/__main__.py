"""python -m tests.replica.aws serve --data FOLDER --port N --dns-port N --smtp-port N"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from .server import Aws


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--data", type=Path, required=True)
    for name in ("--port", "--dns-port", "--smtp-port"):
        parser.add_argument(name, type=int, default=0)
    options = parser.parse_args()
    aws = Aws(options.data, options.port, options.dns_port, options.smtp_port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_arguments: aws.over.set())
    aws.over.wait()
    aws.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
