# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the connect test inside the module, beside the driver alone: python oracle_measure.py COLLECTIONS < request > times.

The request is JSON: ``distinct`` and ``shared`` (ten targets each), ``one`` (a target) and ``rounds``. Each test runs in a child of
its own, as in the module, and loads the driver there. For one target both sides load it; for ten, whose reference is the slowest of
them, it is loaded before the clock starts.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from typing import Any

sys.path.insert(0, sys.argv[1])

from ansible.module_utils.basic import AnsibleModule  # noqa: F401 - the module's memory has it
from ansible_collections.ops.remediation.plugins.module_utils._core import asking as _ask
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
from ansible_collections.ops.remediation.plugins.module_utils._core import state as _state
from ansible_collections.ops.remediation.plugins.module_utils._modules import oracle_connect_test as _oracle_door
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import client as _oracle_client


def ask(targets: list[dict], folder: str) -> tuple[float, float]:
    """Return the seconds of the whole and those of the slowest target."""
    given = {name: spec.get("default") for name, spec in _oracle_door.ARGUMENTS.items()}
    questions = _oracle_door.questions({**given, "targets": targets})
    started = time.perf_counter()
    answer = _ask.ask(questions, asked_from="bench", state=_state.State(folder, read_only=True))
    whole = time.perf_counter() - started
    found = [finding for finding in answer.findings if finding["check"] == "oracle.connect"]
    bad = [finding for finding in found if finding["status"] != "ok"]
    if bad or len(found) != len(targets):
        raise SystemExit(f"bench: not all targets are well: {bad or answer.findings}")
    return whole, max(finding["duration_ms"] for finding in found) / 1000


def driver_alone(target: dict) -> float:
    """Return the seconds of the driver's own connect and select, loading it included, in a child too."""

    def connect_and_select() -> None:
        import oracledb

        place = {"host": target["host"], "port": target["port"], "service_name": target["service"]}
        with oracledb.connect(user=target["user"], password=target["password"], **place) as connection:
            connection.cursor().execute("SELECT 1 FROM DUAL").fetchall()

    started = time.perf_counter()
    _process.call(connect_and_select, 10).get()
    return time.perf_counter() - started


def main() -> None:
    request = json.load(sys.stdin)
    folder, rounds = request["folder"], request["rounds"]
    pairs = {"one": [(ask([request["one"]], folder)[0], driver_alone(request["one"])) for _round in range(rounds + 1)]}
    ask(request["distinct"], folder)
    told: dict[str, Any] = {"mb": max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024}
    # Loaded once, however many targets there are: from here on the children find it loaded.
    _oracle_client.load()
    for name in ("distinct", "shared"):
        pairs[name] = [ask(request[name], folder) for _round in range(rounds + 1)]
    for name, measured in pairs.items():
        counted = measured[1:]
        told[name] = [statistics.median(values) for values in (*zip(*counted), [ours / reference for ours, reference in counted])]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
