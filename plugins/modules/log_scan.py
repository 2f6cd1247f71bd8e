#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_scan
short_description: Read what is new in application logs and report the known errors in it
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Reads logs of PM2's applications (O(pm2_home)) or any others (O(paths)) against the collection's signatures of NestJS, Oracle, SES, NAS,
    LogsDB and nginx errors, and groups the errors that match no signature by their shape.
  - Error lines are those of the levels ERROR and FATAL, and bare stack traces. One error that is logged several times (message, stack, handler)
    counts once. The module reads colours, dates of any locale and messages of several lines. Samples are masked.
  - Each run continues where the last run of the same O(consumer) ended, across rotation by renaming, by copying and truncating, and by
    gzip. A first read is limited to O(first_read_mb), from the end.
  - An error counts until its process is restarted on purpose, or has run steadily since a later start. Errors of the daily work and
    those of O(paths) also end after O(quiet).
  - It changes nothing on the host except its cursors in O(state_dir), and in check mode not even those.
attributes:
  check_mode:
    support: full
    description: Reads and returns the same, and moves no cursor.
  diff_mode:
    support: none
    description: Nothing changes, so there is no difference to show.
  idempotent:
    support: full
    description: Never reports a change. A second run reads what is new since the first.
  action:
    support: none
    description: Runs on the host only.
options:
  pm2_home:
    description: The PM2_HOME of the user that runs the applications. The paths of their logs come from PM2's list; they are read as that user.
    type: path
  user:
    description: The user that runs PM2, by default the owner of O(pm2_home).
    type: str
  app_dir:
    description: The installation. Logs in its folders C(<process>/logs) are read besides those of PM2's list.
    type: path
  processes:
    description: The applications of O(pm2_home) whose start is checked, as names or dictionaries with C(name).
    type: list
    elements: raw
    default: [backend, worker]
  process:
    description: Name of the worker in PM2's list.
    type: str
    default: worker
  modules:
    description: Whether to read the logs of PM2's own modules too. Their errors are counted, and never reported as findings.
    type: bool
    default: false
  paths:
    description: Absolute paths of further logs, or patterns such as C(/var/log/nginx/*.log). Read as the user of the task.
    type: list
    elements: str
    default: []
  areas:
    description: Areas whose findings and counts are returned; by default all.
    type: list
    elements: str
    choices: [backend, worker, oracle, ses, nas, logsdb, nginx, web, runtime, unknown]
  consumer:
    description: Name of the owner of the cursors. Two consumers read the same logs independently.
    type: str
    default: log_scan
  first_read_mb:
    description: Megabytes of each log that a first run reads, from its end.
    type: int
    default: 50
  read_mb:
    description: Megabytes of each log that any run reads at most, from its end.
    type: int
    default: 1024
  quiet:
    description: Seconds without a new occurrence after which an error is over.
    type: int
    default: 86400
  deadline:
    description: Seconds that the reading may take. The next run reads what is left.
    type: float
    default: 30
  answer_within:
    description: Seconds that the PM2 daemon may take to answer before it counts as hung.
    type: float
    default: 3
  state_dir:
    description:
      - Folder on the host for the cursors (mode 0700).
      - By default C(/var/lib/ops-remediation/HOST) for root and C(~/.local/state/ops-remediation/HOST) for others.
    type: path
  asked_from:
    description: Inventory name of the host, used in the findings and in the default of O(state_dir).
    type: str
    default: localhost
extends_documentation_fragment:
  - ops.remediation.attributes
"""

EXAMPLES = r"""
- name: Scan the logs of the applications
  ops.remediation.log_scan:
    pm2_home: /home/tankmail/.pm2
    app_dir: /opt/tank-mail-app
    asked_from: "{{ inventory_hostname }}"
  register: logs

- name: Count the errors of nginx, at most 200 MB of each log
  ops.remediation.log_scan:
    paths:
      - /var/log/nginx/error.log
    areas:
      - nginx
      - web
    consumer: triage
    first_read_mb: 200

- name: Show how often each error occurred since the last scan
  ansible.builtin.debug:
    var: logs.counts
"""

RETURN = r"""
findings:
  description:
    - The faults in the logs, in the finding's published form (see M(ops.remediation.stack_check)).
    - Errors of Oracle, SES and files in a named log are reported as failures of the application that wrote it (V(worker.oracle_failed) and
      others); errors that match no signature are V(worker.unknown_error).
    - A log without errors has a finding V(ok), with the parts that were not read in C(evidence.not_asked). A log of O(paths) that
      cannot be read, and a pattern that no file matches, has a finding V(unknown).
    - When O(areas) leave no finding, there is one of C(run.log_scan) with the status V(ok).
  returned: always
  type: list
  elements: dict
  sample:
    - check: worker.log
      area: worker
      code: worker.oracle_failed
      subject: worker
      status: critical
      severity: P1
expected:
  description: Ids of all checks that were run, for the run record.
  returned: always
  type: list
  elements: str
  sample: [backend.log, worker.log]
counts:
  description: Errors that are new since the last scan, by fault code, or by the signature's name when no fault has a code for it.
  returned: always
  type: dict
  sample:
    worker.oracle_failed: 3
    unknown: 1
signatures:
  description: All groups of errors that are kept; those with the most new errors come first.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the signature, V(unknown) for an error that matches none.
      type: str
      sample: worker_oracle
    code:
      description: Code of the fault that it is or points to, may be empty.
      type: str
      sample: worker.oracle_failed
    area:
      description: Area that it belongs to.
      type: str
      sample: worker
    subject:
      description: The process, or the path for a log of O(paths).
      type: str
      sample: worker
    count:
      description: Number of errors since RV(signatures[].first).
      type: int
      sample: 3
    new:
      description: Number of them that are new since the last scan.
      type: int
      sample: 1
    first:
      description: Time of the first, RFC 3339 in UTC.
      type: str
      sample: "2026-11-21T07:16:12Z"
    last:
      description: Time of the last.
      type: str
      sample: "2026-11-21T07:16:40Z"
    estimated:
      description: Whether RV(signatures[].last) is an estimate, since the lines carry no date.
      type: bool
      sample: false
    sample:
      description: One of them, masked.
      type: str
      sample: "Oracle connection failed: NJS-503: connection to host db1 port 1521 could not be established"
    details:
      description: Names in the messages (variables, modules, kinds of files, templates, shapes), with counts.
      type: dict
    causes:
      description: Codes of other signatures in the same messages, with counts.
      type: dict
      sample:
        ORA-12541: 3
    path:
      description: The log of the last one.
      type: str
      sample: /home/tankmail/.pm2/logs/worker-error.log
files:
  description: How far each log was read.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The log.
      type: str
    process:
      description: Its process, or its own path.
      type: str
    size:
      description: Its size in bytes.
      type: int
    read:
      description: Bytes that were read, including rotated files.
      type: int
    skipped:
      description: Bytes that were left out because of the limits.
      type: int
    truncated:
      description: Whether it was replaced or shrank since the last scan.
      type: bool
    rotated:
      description: Rotated files whose rest was read.
      type: list
      elements: str
    behind:
      description: Whether the deadline came before its end; the next scan continues.
      type: bool
    lost:
      description: Whether the rest of its former content could not be found.
      type: bool
    problem:
      description: Reason why it could not be read, otherwise empty.
      type: str
    records:
      description: Errors that were found in it.
      type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ops.remediation.plugins.module_utils._core import state as states
from ansible_collections.ops.remediation.plugins.module_utils._modules.log_scan import AREAS, Scan, scan
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import run_module


def main() -> None:
    """Scan the logs and return the findings."""
    module = AnsibleModule(
        argument_spec={
            "pm2_home": {"type": "path"},
            "user": {"type": "str"},
            "app_dir": {"type": "path"},
            "processes": {"type": "list", "elements": "raw", "default": ["backend", "worker"]},
            "process": {"type": "str", "default": "worker"},
            "modules": {"type": "bool", "default": False},
            "paths": {"type": "list", "elements": "str", "default": []},
            "areas": {"type": "list", "elements": "str", "choices": list(AREAS)},
            "consumer": {"type": "str", "default": "log_scan"},
            "first_read_mb": {"type": "int", "default": 50},
            "read_mb": {"type": "int", "default": 1024},
            "quiet": {"type": "int", "default": 86400},
            "deadline": {"type": "float", "default": 30},
            "answer_within": {"type": "float", "default": 3},
            "state_dir": {"type": "path"},
            "asked_from": {"type": "str", "default": "localhost"},
        },
        required_one_of=[("pm2_home", "paths")],
        supports_check_mode=True,
    )
    directory = module.params["state_dir"] or states.default_directory(module.params["asked_from"])
    state = states.State(directory, read_only=module.check_mode)

    def result(done: Scan) -> dict[str, Any]:
        expected = list(dict.fromkeys(finding["check"] for finding in done.findings))
        found = {"counts": done.counts, "signatures": done.signatures, "files": done.files}
        return {"findings": done.findings, "expected": expected, **found, "warnings": done.warnings}

    def body() -> dict[str, Any]:
        return {"changed": False, **result(scan(module.params, state, module.params["asked_from"]))}

    run_module(module, body, failure=lambda _error: result(Scan()))


if __name__ == "__main__":
    main()
