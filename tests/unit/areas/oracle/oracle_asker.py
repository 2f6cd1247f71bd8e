# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that has loaded one release of the driver and asks with it: a JSON line each way.

python oracle_asker.py COLLECTIONS DRIVER_FOLDER   (an empty text for the driver of this Python)

What asks is what the module calls, in a child for each request, which finds the driver loaded. It ends with its input.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

sys.path[:0] = [folder for folder in (sys.argv[2], sys.argv[1]) if folder]

import oracledb  # noqa: E402 - found through the line above
from ansible_collections.ops.remediation.plugins.module_utils._core import asking as _ask  # noqa: E402
from ansible_collections.ops.remediation.plugins.module_utils._core import state as _state  # noqa: E402
from ansible_collections.ops.remediation.plugins.module_utils._modules import oracle_connect_test as _oracle_door  # noqa: E402


def answer(request: dict) -> dict:
    """Return the findings, what was wrong, the seconds that it took, and what is left of descriptors and children."""
    given = {name: spec.get("default") for name, spec in _oracle_door.ARGUMENTS.items()}
    given.update(request["options"])
    state = _state.State(request["state_dir"] or "/nonexistent", read_only=not request["state_dir"])
    started = time.monotonic()
    with NamesAreSlow(request["slow_names"]):
        done = _ask.ask(_oracle_door.questions(given), asked_from="tank-app", state=state)
    return {
        "findings": done.findings,
        "targets": _oracle_door.in_short(given["targets"], done.findings),
        "wrong": done.wrong,
        "warnings": done.warnings,
        "seconds": time.monotonic() - started,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "children": open(f"/proc/self/task/{os.getpid()}/children").read().split(),
        "driver": oracledb.__version__,
    }


class NamesAreSlow:
    """A name server that does not answer for some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.former = socket.getaddrinfo

    def __enter__(self) -> None:
        def slow(*arguments, **options):
            time.sleep(self.seconds)
            return self.former(*arguments, **options)

        if self.seconds:
            socket.getaddrinfo = slow

    def __exit__(self, *details) -> None:
        socket.getaddrinfo = self.former


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
