#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: oracle_connect_test
short_description: Test connections to Oracle databases, stage by stage
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Says for each target how far a connection gets (V(name), V(tcp), V(listener), V(login), V(query)), how long each stage takes, and why it gets
    no further, with the ORA code that Oracle's manuals know it by.
  - All targets are checked at the same time. Nothing hangs, whatever a peer does or does not answer; the call ends within O(timeout) and leaves no
    process behind.
  - A wrong password is tried once for all targets with the same account, and not again in later runs before the credentials change, since
    accounts lock. A salted hash of what was refused is kept in O(state_dir). Check mode keeps nothing, so each run in check mode tries it once.
  - Where the account may see them, the sessions in use, the date at which its password expires, and its privileges are checked. What it may not
    see is named in C(evidence.not_asked) and is no fault.
  - The same checks as C(oracle.connect) and C(oracle.privileges) of M(ops.remediation.stack_check), without an inventory of checks.
  - A fault that was found is a successful run. The module fails only for a question that was wrongly put. It changes nothing in any database.
attributes:
  check_mode:
    support: full
    description: Asks the same, and keeps no notes for the next run.
  diff_mode:
    support: none
    description: Nothing is changed, so there is nothing to show.
  idempotent:
    support: full
    description: Never reports a change.
  action:
    support: none
    description: Runs on the host only.
requirements:
  - Python 3.10 or newer where the module runs (C(ansible_python_interpreter)), such as the virtual environment that the role
    C(ops.remediation.check_runtime) makes
  - oracledb (python-oracledb, 2.0 or newer)
  - Oracle Instant Client, for O(lib_dir) only; thick mode is not covered by the tests of this collection
options:
  targets:
    description: The databases, 50 at most.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What findings call this target, such as V(customer-db).
        type: str
        required: true
      host:
        description: Host of the listener, as the host that runs the module reaches it. Required unless O(targets[].dsn) is given.
        type: str
      port:
        description: Port of the listener.
        type: int
        default: 1521
      protocol:
        description: V(tcps) is TLS from the first byte.
        type: str
        choices:
          - tcp
          - tcps
        default: tcp
      service:
        description: Name of the service. One of O(targets[].service), O(targets[].sid) and O(targets[].dsn) is required.
        type: str
      sid:
        description: SID of the instance.
        type: str
      dsn:
        description:
          - An Easy Connect string, a connect descriptor, or an alias of the C(tnsnames.ora) in O(targets[].config_dir), instead of host and service.
          - A password in it is refused.
        type: str
      config_dir:
        description: Folder with C(tnsnames.ora), by default what the environment variable E(TNS_ADMIN) names.
        type: path
      user:
        description: The account.
        type: str
        required: true
      password:
        description: Its password, from a vault, for use from a checker. On a host of the stack use O(targets[].password_from).
        type: str
      password_from:
        description: Where the password is found on the host. It never leaves that host.
        type: dict
        suboptions:
          file:
            description: A file that holds the password and nothing else.
            type: path
          env_file:
            description: A file of C(NAME=value) lines, such as C(config/.env).
            type: path
          key:
            description: The name in that file whose value is the password, such as V(ORACLE_PASS).
            type: str
      mode:
        description: Administrative mode of the login.
        type: str
        choices:
          - default
          - sysdba
          - sysoper
          - sysbackup
          - sysdg
          - syskm
          - sysrac
        default: default
      query:
        description:
          - A query whose rows are counted, 30000 at most, such as a target query of Tank. It is slow when it takes longer than the product's targets,
            1 s for 1000 rows, 3 s for 10000, 8 s for 30000.
        type: str
        default: SELECT 1 FROM DUAL
      statements:
        description: >-
          Statements that the account must be able to run, with binds as in Tank's queries. The database parses them and never runs them, so that an
          UPDATE is safe here.
        type: list
        elements: str
        default: []
      wallet_location:
        description: Folder with the C(ewallet.pem) that a TLS connection needs.
        type: path
      wallet_password:
        description: The password of C(ewallet.pem).
        type: str
      wallet_password_from:
        description: Where the password of C(ewallet.pem) is found on the host.
        type: dict
        suboptions:
          file:
            description: A file that holds the password and nothing else.
            type: path
          env_file:
            description: A file of C(NAME=value) lines.
            type: path
          key:
            description: The name in that file whose value is the password.
            type: str
      match_certificate:
        description: Whether the name in the server's certificate must be the host's.
        type: bool
        default: true
  timeout:
    description: Seconds for all targets together.
    type: float
    default: 15
  stage_timeout:
    description: Seconds for one stage of one target.
    type: float
    default: 5
  lib_dir:
    description: >-
      Folder of Oracle Instant Client, for thick mode. The dynamic loader must know it too (E(LD_LIBRARY_PATH) of the task's environment, or ldconfig).
      Not covered by the tests of this collection.
    type: path
  slow_login:
    description: Seconds from which on a login is slow.
    type: float
    default: 1
  sessions_percent:
    description: Percent of the limit of sessions or processes from which on it is near.
    type: float
    default: 80
  expiry_days:
    description: Days before the end of the password from which on it is reported.
    type: float
    default: 14
  allowed:
    description: Rights besides those that sending mail needs which accounts may have, such as V(CREATE VIEW).
    type: list
    elements: str
    default: []
  forget_refused:
    description: Forget the passwords that were refused in earlier runs, and try them once more.
    type: bool
    default: false
  state_dir:
    description:
      - Folder on the host for what one run keeps for the next (mode 0700).
      - By default C(/var/lib/ops-remediation/HOST) for root and C(~/.local/state/ops-remediation/HOST) for others, with O(asked_from) as C(HOST).
    type: path
  asked_from:
    description: Name of the host that runs the module, for the findings; with the inventory name, the memory of refused passwords is that of the daily check.
    type: str
    default: localhost
extends_documentation_fragment:
  - ops.remediation.attributes
seealso:
  - module: ops.remediation.stack_check
"""

EXAMPLES = r"""
- name: Test the customer's database from an application host, with the password of the application
  ops.remediation.oracle_connect_test:
    targets:
      - name: customer-db
        host: db.example.com
        service: ORCLPDB1
        user: tank
        password_from:
          env_file: /opt/tank-mail-app/config/.env
          key: ORACLE_PASS
        query: SELECT CUST_ID, EMAIL_ADDR FROM CUST.TARGET_VIEW
        statements:
          - UPDATE CUST.TARGET SET SENT_YN = 'Y' WHERE CUST_ID = :1
    asked_from: "{{ inventory_hostname }}"
  vars:
    ansible_python_interpreter: "{{ stack_check_python }}"
  register: oracle

- name: Show how far each target got
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.stage }} {{ item.code }}"
  loop: "{{ oracle.targets }}"
  loop_control:
    label: "{{ item.name }}"

- name: Test two databases from a checker, with passwords from a vault
  ops.remediation.oracle_connect_test:
    targets:
      - name: customer-db
        host: db.example.com
        sid: ORCL
        user: tank_mon
        password: "{{ vault_tank_mon_password }}"
      - name: archive-db
        dsn: ARCHIVE
        config_dir: /etc/oracle
        wallet_location: /etc/oracle/wallet
        user: tank_mon
        password: "{{ vault_tank_mon_password }}"
    stage_timeout: 3
  delegate_to: checker.example.com
"""

RETURN = r"""
findings:
  description: One entry or more for each target and check, in the form that M(ops.remediation.stack_check) returns. The subject is the target's name.
  returned: always
  type: list
  elements: dict
  sample:
    - check: oracle.connect
      code: ORA-12514
      severity: P0
      status: critical
      subject: customer-db
expected:
  description: Ids of all checks that were asked, for the run record.
  returned: always
  type: list
  elements: str
  sample: [oracle.connect, oracle.privileges]
targets:
  description: Each target in short.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the target.
      type: str
      sample: customer-db
    stage:
      description: >-
        The last stage that was begun, V(name), V(tcp), V(listener), V(login) or V(query); empty when none was. It was reached in full when
        RV(targets[].times) has it and RV(targets[].code) is not one of this stage.
      type: str
      sample: login
    times:
      description: Milliseconds of each stage that ended.
      type: dict
      sample:
        name: 0.4
        tcp: 1.2
        listener: 0.9
    version:
      description: Release of the database, empty when the login did not succeed.
      type: str
      sample: 19.21.0.0.0
    code:
      description: Code of the fault, by the manuals, empty when the connection is good.
      type: str
      sample: ORA-12514
    driver_code:
      description: What the driver or the database called it, empty when neither said anything.
      type: str
      sample: DPY-6001
    status:
      description: The worst of V(ok), V(warning), V(unknown) and V(critical) that C(oracle.connect) found.
      type: str
      sample: critical
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ops.remediation.plugins.module_utils._core.asking import ask
from ansible_collections.ops.remediation.plugins.module_utils._core.questions import misplaced_secrets
from ansible_collections.ops.remediation.plugins.module_utils._core.state import State, default_directory
from ansible_collections.ops.remediation.plugins.module_utils._modules.oracle_connect_test import ARGUMENTS, in_short, questions
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import result_of, run_module


def main() -> None:
    """Run the checks, and return their findings."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    # A secret in the wrong option must not be shown either.
    module.no_log_values.update(misplaced_secrets(module.params))
    directory = module.params["state_dir"] or default_directory(module.params["asked_from"])
    state = State(directory, read_only=module.check_mode)

    def body() -> dict[str, Any]:
        answer = ask(questions(module.params), asked_from=module.params["asked_from"], state=state)
        return result_of(answer, targets=in_short(module.params["targets"], answer.findings))

    run_module(module, body, failure=lambda _error: {"findings": [], "expected": [], "targets": []})


if __name__ == "__main__":
    main()
