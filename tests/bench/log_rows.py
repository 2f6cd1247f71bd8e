# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bench asks of reading logs: speed against grep, memory, and a second run.

The log is one of a NestJS worker, 500 MB with one error in a thousand lines: Tank's own errors, causes of other areas,
stacks, and errors that no signature knows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from table import FRESH, Row

SIZE = 500 * 1000 * 1000
NEW = 1000 * 1000  # bytes that are appended before the second run, in whole lines
# The signatures of the logs as a person would hand them to grep, one a line.
GREP = r"""Nest can't resolve dependencies of the
Nest cannot create the .*instance
Config validation error: |Configuration key ".+" does not exist
EADDRINUSE: address already in use
Cannot find (module|package) '
NJS-[0-9]{3}|ORA-[0-9]{5}
Maximum sending rate exceeded|Daily message quota exceeded
not authorized to perform
InvalidClientTokenId|UnrecognizedClientException|ExpiredToken
SignatureDoesNotMatch|InvalidSignatureException|Signature expired:
MessageRejected: Email address is not verified
Sending paused for this account|SendingPausedException|MailFromDomainNotVerified
Unknown system error -[0-9]+
(EACCES|EIO|ENOENT|EROFS|ENOSPC|ENOTCONN|EHOSTDOWN): 
Oracle connection failed|SES send error|File not found|Template variable mismatch
 ERROR|FATAL|^[A-Za-z]*(Error|Exception)( \[[A-Z_]+\])?: """  # noqa: W291 - the space belongs to the pattern
_ERRORS = (
    "Oracle connection failed: NJS-503: connection to host db{n} port 1521 could not be established",
    "SES send error: Throttling: Maximum sending rate exceeded. (h***@example.com)",
    "File not found: BAC{n}V403R_MERSTAT_GID_2000{n}_20261121_1.pdf (NOT_FOUND: not in /batch/report)",
    "Template variable mismatch: Card notice {n}: $(GRADE) is not a column of the target query",
    "Cannot read properties of undefined (reading 'field{n}') for run {n}",
    "Job {n} has no owner",
)
_MEASURE = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.ops.remediation.plugins.module_utils._core import state as _state
from ansible_collections.ops.remediation.plugins.module_utils._modules import log_scan as _log_scan
options = {"pm2_home": None, "user": None, "app_dir": None, "processes": ["worker"], "process": "worker", "modules": False, "areas": None,
    "consumer": "bench", "first_read_mb": 1000, "read_mb": 1000, "quiet": 1 << 31, "deadline": 60.0, "answer_within": 3.0, "paths": [sys.argv[2]]}
started = time.perf_counter()
result = _log_scan.scan(options, _state.State(sys.argv[3], read_only=False), "bench")
took = time.perf_counter() - started
peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({"seconds": took, "mb": peak / 1024, "read": sum(file["read"] for file in result.files), "counts": result.counts}))
"""


def write_log(path: Path, size: int = SIZE) -> None:
    """Write the log; a line has about 140 bytes."""
    calm = "\x1b[32m[Nest] 26934  - \x1b[39m11/21/2026, 7:{m:02}:{s:02} PM \x1b[32m    LOG\x1b[39m \x1b[38;5;3m[Processor] \x1b[39m\x1b[32mProcessing job {n} (Account alert)\x1b[39m\n"
    bad = "\x1b[31m[Nest] 26934  - \x1b[39m11/21/2026, 7:{m:02}:{s:02} PM \x1b[31m  ERROR\x1b[39m \x1b[38;5;3m[Processor] \x1b[39m\x1b[31m{said}\x1b[39m\n"
    stack = "Error: {said}\n    at Processor.send (/opt/app/worker/dist/processor.js:12:3)\n"
    with path.open("w", encoding="utf-8") as file:
        first = 0
        while file.tell() < size:
            lines = []
            for number in range(first, first + 20000):
                at = {"n": number, "m": number // 60 % 60, "s": number % 60}
                if number % 1000:
                    lines.append(calm.format(**at))
                    continue
                said = _ERRORS[number // 1000 % len(_ERRORS)].format(n=number)
                lines.append(bad.format(said=said, **at) + (stack.format(said=said) if number % 3000 == 0 else ""))
            first += 20000
            file.write("".join(lines))


def scan(collections: Path, log: Path, state: Path) -> dict[str, Any]:
    """Scan in a Python of its own, as a module is; what it measured of itself."""
    command = [*FRESH, sys.executable, "-c", _MEASURE, str(collections), str(log), str(state)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)


def measure(folder: Path, collections: Path, rounds: int = 5, size: int = SIZE) -> dict[str, float]:
    """Return the medians: ``seconds`` and ``grep`` for the whole log, ``mb``, and ``second`` for 1 MB that is new.

    A run that does not see what is there ends the bench: its time would mean nothing.
    """
    log, pairs = folder / "worker-error.log", []
    write_log(log, size)
    environment = {**os.environ, "LC_ALL": "C"}
    for number in range(rounds):
        started = time.perf_counter()
        counted = subprocess.run(["grep", "-acE", "-e", GREP, str(log)], capture_output=True, text=True, env=environment, check=True)
        grep = time.perf_counter() - started
        told = scan(collections, log, folder / f"state{number}")
        if told["read"] != log.stat().st_size or not int(counted.stdout) * 0.5 < sum(told["counts"].values()) <= int(counted.stdout):
            raise SystemExit(f"bench: the scan did not see what grep sees: {told}, {counted.stdout}")
        pairs.append((told["seconds"], grep, told["mb"]))
    pairs.sort(key=lambda pair: pair[0] / pair[1])
    seconds, grep, peak = pairs[len(pairs) // 2]
    with log.open("ab") as file, log.open("rb") as first:
        new = file.write(first.read(NEW).rpartition(b"\n")[0] + b"\n")
    second = scan(collections, log, folder / "state0")
    if second["read"] != new or not second["counts"]:
        raise SystemExit(f"bench: the second run did not read the {new} bytes that are new, with their errors: {second}")
    return {"seconds": seconds, "grep": grep, "mb": peak, "second": second["seconds"]}


def rows(folder: Path, collections: Path) -> list[Row]:
    """Return the three rows of the bench."""
    told = measure(folder, collections)
    return [
        Row("log scan of 500 MB / grep -cE", told["seconds"], told["grep"], told["seconds"] / told["grep"], 2.0),
        Row("log scan of 500 MB, memory in MB / 60", told["mb"], 60.0, told["mb"] / 60, 1.0),
        Row("log scan, second run with 1 MB new / 0.2 s", told["second"], 0.2, told["second"] / 0.2, 1.0),
    ]
