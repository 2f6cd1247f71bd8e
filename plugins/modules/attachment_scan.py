#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: attachment_scan
short_description: Check for each wanted attachment whether it is there, once and whole
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Looks for wanted files in folders of a NAS or a local disk, or under a prefix in S3, before a mail run or after it. Each wanted
    name gets exactly one outcome, V(FOUND), V(NOT_FOUND), V(DUPLICATED) or V(INVALID), and the reason as a fault code; V(UNKNOWN) where a
    folder did not answer.
  - The state of the mount comes first, from the kernel's list of mounts, then the right to read each part of the path as the user of the
    worker (O(as_user)). A mount that does not answer is not read; the other O(roots) are
    read, and a name that they do not hold is V(UNKNOWN).
  - The module distinguishes a missing file from one whose name differs in case, blanks or Unicode normalisation, and from one with a similar name.
    It distinguishes a batch that has not run, or failed, from single missing files.
  - Contents are judged by their structure, PDF, XLSX, XLS and CSV, from their first and last 16 kB.
  - Wanted names are compared with names in the folders and never used as paths. Links to folders are not followed, and folders
    whose names end with an allowed extension are not read.
  - However the mount behaves, the module returns within O(deadline) with what was found by then, and leaves no process that the next run would
    wait for; while one is still blocked in the kernel, another run does not start a second one.
  - O(state=renamed) renames files whose names differ only in case or blanks to the wanted names. It overwrites nothing, and keeps a journal from which
    O(state=undone) restores all names.
attributes:
  check_mode:
    support: full
    description: Runs the same checks, writes nothing, and returns what would be renamed.
  diff_mode:
    support: full
    description: Shows the paths before and after a rename, one a line.
  idempotent:
    support: full
    description: Files that have the wanted names are not changed.
  action:
    support: none
    description: Runs on the host only.
options:
  state:
    description:
      - V(present) only checks.
      - V(renamed) renames where the match is unambiguous, then checks again. It needs a writable mount, and should be approved by a person.
      - V(undone) gives the files of all renames of the same O(state_dir) their old names back. It checks nothing, and uses no other options than
        O(deadline) and O(rename_as). While the file system that held a file is not mounted, that file stays in the journal and
        the task fails; run it again when it is mounted.
    type: str
    choices: [present, renamed, undone]
    default: present
  roots:
    description:
      - Folders or S3 prefixes that attachments lie in, such as C(/batch/report/AC/statement/%Y%m%d) or C(s3://bucket/statement/%Y%m%d).
      - C(%Y), C(%m), C(%d), C(%y) and C(%j) are filled in from O(date); C(%%) is a percent sign.
      - Required unless O(state=undone).
    type: list
    elements: str
    default: []
  wanted:
    description:
      - Wanted file names, or dictionaries with C(name) and C(group), the customer group that outcomes are counted for.
      - Without this, O(wanted_file) and O(wanted_query), the module only checks whether there are files at all.
    type: list
    elements: raw
  wanted_file:
    description:
      - A file on the host with the wanted names, such as an export of the target query.
      - C(.csv) has a line of column names, C(.jsonl) an object (or a name) a line, any other a name a line. UTF-8 or CP949.
      - A date in the path is filled in as in O(roots).
    type: str
  wanted_query:
    description:
      - A query in a database for the wanted names, run on the host of the task. Only the name and the group of a row are kept.
      - A database that cannot be used leaves the names unknown, with the code of the fault that explains it; whether there are files at all
        is asked then. A password that was refused is not tried again before it changes.
    type: dict
    suboptions:
      query:
        description:
          - A C(SELECT) with the column O(name_column), such as a target query of Tank. C(:day) in it becomes O(date) as C(YYYYMMDD).
          - Required for Oracle. From LogsDB, by default, the names in C(EMAIL_SEND_LOG) of the mails of that day, with C(ORG_ID) as the group.
        type: str
      oracle:
        description:
          - The customer's database, given as one of O(ops.remediation.oracle_connect_test#module:targets), with a reference to the password.
          - Needs the package oracledb. Mutually exclusive with O(wanted_query.logsdb).
        type: dict
        suboptions:
          host:
            description: Host of the listener, as the host of the task sees it.
            type: str
          port:
            description: Port of the listener.
            type: int
            default: 1521
          protocol:
            description: V(tcps) is TLS from the first byte.
            type: str
            default: tcp
            choices: [tcp, tcps]
          service:
            description: Name of the service. One of service, sid and dsn is needed.
            type: str
          sid:
            description: SID of the instance.
            type: str
          dsn:
            description: Instead of host and service, an Easy Connect string, a connect descriptor, or an alias. Never with a password in it.
            type: str
          config_dir:
            description: Folder with the tnsnames.ora that knows the alias, by default C(TNS_ADMIN).
            type: path
          user:
            description: The account.
            type: str
            required: true
          password_from:
            description: Where its password is found on the host.
            type: dict
            suboptions:
              file:
                description: A file that holds the password and nothing else.
                type: path
              env_file:
                description: A file of NAME=value lines, such as C(config/.env).
                type: path
              key:
                description: The name in that file whose value is the password, such as C(ORACLE_PASS).
                type: str
          mode:
            description: Administrative mode of the login.
            type: str
            default: default
            choices: [default, sysdba, sysoper, sysbackup, sysdg, syskm, sysrac]
          wallet_location:
            description: Folder with the ewallet.pem that a TLS connection needs.
            type: path
          wallet_password_from:
            description: Where the password of ewallet.pem is found.
            type: dict
            suboptions:
              file:
                description: A file that holds the password and nothing else.
                type: path
              env_file:
                description: A file of NAME=value lines, such as C(config/.env).
                type: path
              key:
                description: The name in that file whose value is the password, such as C(ORACLE_PASS).
                type: str
          match_certificate:
            description: Whether the name in the server's certificate must be the host's.
            type: bool
            default: true
          lib_dir:
            description: Folder of Oracle's Instant Client, for thick mode. Thin mode needs none.
            type: path
      logsdb:
        description: LogsDB. Needs SQLAlchemy and the driver of the dialect.
        type: dict
        suboptions:
          dialect:
            description: Kind of database. V(mysql) stands for MariaDB as well.
            type: str
            default: postgresql
            choices: [postgresql, mysql, oracle, sqlite]
          host:
            description: Server of LogsDB, as the host of the task sees it. None for SQLite.
            type: str
          port:
            description: Its port, by default the usual one of the dialect.
            type: int
          database:
            description: Name of the database. The service name for Oracle, the file for SQLite.
            type: str
            required: true
          user:
            description: An account that may read and nothing else.
            type: str
          login:
            description: Where its password is found on the host.
            type: dict
            suboptions:
              file:
                description: A file that holds the password and nothing else.
                type: path
              env_file:
                description: A file of NAME=value lines, such as C(config/.env).
                type: path
              key:
                description: The name in that file whose value is the password, such as C(LOGSDB_PASS).
                type: str
  name_column:
    description: Column of O(wanted_file) or O(wanted_query) that holds the name. A CSV or a query with one column needs none.
    type: str
    default: ATTACH_FILE_NAME
  group_column:
    description: Column of O(wanted_file) or O(wanted_query) that holds the customer group.
    type: str
  date:
    description: The day, V(today), V(tomorrow) (before its run starts), V(yesterday), or as C(YYYY-MM-DD).
    type: str
    default: today
  timezone:
    description: Zone in which that day begins.
    type: str
    default: Asia/Seoul
  as_user:
    description: The user that the worker runs as. Folders and files are read as this one. Needs root, or that user.
    type: str
  rename_as:
    description:
      - The user that renames, by default the one of the task. Over NFS, root usually counts as nobody (C(root_squash)) and may not rename; name the
        owner of the files then. Needs root, or that user.
      - With O(state=undone), give the same again.
    type: str
  mounts:
    description:
      - Mount points that must be mounted, as paths or as dictionaries with C(path), C(source) and C(type).
      - The source is as C(/proc/self/mountinfo) shows it, such as C(nas-01:/mti/report) or C(//nas-01/mti/report).
    type: list
    elements: raw
    default: []
  read_only:
    description: Whether the worker must be unable to write to O(roots).
    type: bool
    default: true
  depth:
    description: Levels of folders below a root that are looked into.
    type: int
    default: 3
  extensions:
    description: Extensions that are allowed, in whatever case.
    type: list
    elements: str
    default: [.pdf, .xls, .xlsx, .csv]
  name_pattern:
    description: Regular expression of the names that are allowed.
    type: str
    default: ^[A-Za-z0-9._-]+$
  contents:
    description: Whether the contents of the files are judged.
    type: bool
    default: true
  deep:
    description: Whether files are read wholly, up to 256 MB each, and unpacked, instead of their first and last 16 kB. All that are read at the same
      time take 256 MB of memory together.
    type: bool
    default: false
  parallel_reads:
    description: Files that are read at the same time, at most.
    type: int
    default: 5
  settle:
    description: Seconds since its last change for which a file may still be written. Such a file is looked at twice, a second apart.
    type: float
    default: 10
  s3:
    description: How S3 is reached, by default as the AWS configuration of the user of the task says. Needs boto3.
    type: dict
    suboptions:
      endpoint:
        description: Address of a service other than AWS.
        type: str
      region:
        description: Region of the bucket, by default C(AWS_REGION) of O(s3.env_file).
        type: str
      profile:
        description: Profile of the AWS configuration.
        type: str
      env_file:
        description: The applications' C(.env), whose C(AWS_ACCESS_KEY) and C(AWS_SECRET_KEY) are used. They stay on the host.
        type: path
  batch_marker:
    description: A file that the batch writes when it has finished. A date in it is filled in.
    type: str
  batch_log:
    description: The log of the batch. A date in it is filled in.
    type: str
  batch_failed:
    description: Regular expression of a line of O(batch_log) that tells a failure. By default words such as C(error) and C(failed) do.
    type: str
  batch_finished:
    description: Regular expression of a line of O(batch_log) that tells the end.
    type: str
  batch_hours_before:
    description:
      - Hours before the begin of the day from which an O(batch_marker) or an O(batch_log) without a date in its path is that day's. An older one
        means that the batch has not run.
      - Of such a log only the lines from then on count, where the lines begin with their date.
    type: float
    default: 6
  keep_days:
    description: Days that attachments are kept. When given, what is older is named; the age is told by the dates in O(roots), else by the files, down to three
      levels below. Not looked at is S3.
    type: int
  deadline:
    description:
      - Seconds that everything may take. With O(state=renamed) at most two fifths of it go to the first look, and the second look is part of it.
      - Files that the time does not reach keep their names, and are in RV(not_moved) with C(no_time).
    type: float
    default: 60
  details:
    description: Names that are returned one by one, at most, those in trouble first.
    type: int
    default: 100
  details_file:
    description:
      - A file on the host that all names are written to, with mode 0600; C(.csv) makes it CSV, any other JSON lines.
      - It is a change when its content differs from what it was.
    type: path
  state_dir:
    description:
      - Folder on the host for locks, the forecast of the disk and the journal of renames (mode 0700).
      - By default C(/var/lib/ops-remediation/HOST) for root and C(~/.local/state/ops-remediation/HOST) for others.
    type: path
  asked_from:
    description: Inventory name of the host, for the findings and the default of O(state_dir).
    type: str
    default: localhost
extends_documentation_fragment:
  - ops.remediation.attributes
seealso:
  - module: ops.remediation.stack_check
"""

EXAMPLES = r"""
- name: Are the attachments of tomorrow's run there
  ops.remediation.attachment_scan:
    roots:
      - /batch/report/AC/statement/%Y%m%d
    date: tomorrow
    wanted_file: /opt/tank-mail-app/export/targets-%Y%m%d.csv
    group_column: ORG_ID
    as_user: tankmail
    mounts:
      - path: /batch/report
        source: nas-01:/mti/report
        type: nfs
    batch_log: /var/log/batch/statement-%Y%m%d.log
    details_file: /var/lib/ops-remediation/attachments.csv
  register: attachments

- name: The same with the names that the target query wants now
  ops.remediation.attachment_scan:
    roots:
      - /batch/report/AC/statement/%Y%m%d
    wanted_query:
      query: SELECT CUST_ID, EMAIL_ADDR, ATTACH_FILE_NAME FROM TARGET_VIEW
      oracle:
        host: oracle.example.com
        service: ORCLPDB1
        user: TANK_MON
        password_from:
          file: /etc/ops-remediation/oracle-password
  vars:
    ansible_python_interpreter: /opt/ops-remediation/runtime/bin/python

- name: The same in S3
  ops.remediation.attachment_scan:
    roots:
      - s3://reports/statement/%Y%m%d
    wanted:
      - BAC04V403R_MERSTAT_GID_20001024_20170120_1.xls
    s3:
      env_file: /opt/tank-mail-app/config/.env

- name: Give files the wanted names where they differ in case or blanks alone (first with --check --diff)
  ops.remediation.attachment_scan:
    state: renamed
    roots:
      - /batch/report/AC/statement/%Y%m%d
    wanted_file: /opt/tank-mail-app/export/targets-%Y%m%d.csv

- name: Put the old names back
  ops.remediation.attachment_scan:
    state: undone
"""

RETURN = r"""
findings:
  description: What was found about mounts, folders and files, in the finding's published form (see M(ops.remediation.stack_check)).
  returned: always
  type: list
  elements: dict
  sample:
    - check: attachments.present
      area: attachments
      code: attachments.not_found
      status: warning
      severity: P2
      value: 3
expected:
  description: Ids of all checks that were asked, for the run record.
  returned: when O(state) is not V(undone), which asks nothing
  type: list
  elements: str
  sample: [nas.mount, attachments.present]
counts:
  description: How many wanted names have each outcome.
  returned: always
  type: dict
  sample:
    FOUND: 996
    NOT_FOUND: 3
    DUPLICATED: 0
    INVALID: 1
    UNKNOWN: 0
codes:
  description: How many have each fault code.
  returned: always
  type: dict
  sample:
    attachments.not_found: 3
    attachments.empty: 1
details:
  description: One entry for each wanted name, those in trouble first, as many as O(details).
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The wanted name. What cannot be printed is escaped.
      type: str
      sample: BAC04V403R_MERSTAT_GID_20001024_20170120_1.xls
    group:
      description: The customer group, may be empty.
      type: str
    outcome:
      description: The outcome.
      type: str
      sample: NOT_FOUND
    code:
      description: The fault code, empty when it is found.
      type: str
      sample: attachments.case_differs
    paths:
      description: Where files of exactly this name lie.
      type: list
      elements: str
    candidates:
      description: Where files lie that could be meant.
      type: list
      elements: str
    differs:
      description: In what the candidates differ, V(case), V(blanks) or V(normalisation).
      type: list
      elements: str
    equal:
      description: Whether duplicates have equal contents, V(yes), V(no) or V(unknown). Compared are sizes, then the first and last 16 kB.
      type: str
    why:
      description: What is wrong with the content, or the kernel's name of the error.
      type: str
    kind:
      description: What the content is, when it is not what the extension says.
      type: str
    size:
      description: Size in bytes.
      type: int
    looked:
      description: V(false) for a file that is there, and that the time did not allow to be looked at, so that it is not known to be whole.
      type: bool
    shared:
      description: Whether one of the candidates is a candidate of another name too.
      type: bool
    times:
      description: How often the name is wanted, when more than once.
      type: int
details_left:
  description: How many names are not in RV(details).
  returned: always
  type: int
folders:
  description: The roots, and the folders with wanted files or a problem, at most 100, with the number of files and of each outcome.
  returned: always
  type: list
  elements: dict
  sample:
    - path: /batch/report/AC/statement/20261121
      files: 1000
      problem: ""
      FOUND: 996
groups:
  description: Outcomes by customer group, at most 100, those with most trouble first. Empty when no groups are given.
  returned: always
  type: dict
batch:
  description: What is known of the batch, C(state) with marker, log, the line that tells, and when they were last written if on an earlier day.
  returned: always
  type: dict
  sample:
    state: failed
    log: /var/log/batch/statement-20261121.log
    line: "2026-11-21 03:10:02 ERROR disk quota exceeded"
    marker: ""
    at: 1795198202.0
complete:
  description: Whether every folder answered in time.
  returned: always
  type: bool
date:
  description: The day that was looked for.
  returned: always
  type: str
  sample: "2026-11-21"
files:
  description: How many files lie in the folders, wanted or not.
  returned: always
  type: int
unread:
  description: How many wanted files are there, and were not looked at because the time was over.
  returned: always
  type: int
similar:
  description:
    - For how many missing names similar ones were looked for (C(looked)), for how many not, because there are more than 500 or the time was over
      (C(left)), and whether all files were among those that were compared (C(whole)).
  returned: always
  type: dict
  sample:
    looked: 3
    left: 0
    whole: true
moves:
  description: What was renamed, or in check mode would be.
  returned: always
  type: list
  elements: dict
  sample:
    - from: /batch/report/AC/statement/20261121/BAC04V403R_MERSTAT_GID_20001024_20261121_1.XLS
      to: /batch/report/AC/statement/20261121/BAC04V403R_MERSTAT_GID_20001024_20261121_1.xls
not_moved:
  description:
    - What could not be renamed, and why, by the kernel's name of the error (V(EEXIST), V(EROFS), V(EACCES)) or a word.
    - V(no_time) was not reached within O(deadline). V(broken_off) was begun when the process that renames was killed. V(no_folder) and
      V(another_file_system) mean that the file system which held the file is not mounted there. V(not_a_file) is no plain file.
  returned: always
  type: list
  elements: dict
gone:
  description: With O(state=undone), what could not be put back because it is not there any more, or is another file by now.
  returned: always
  type: list
  elements: dict
took:
  description: Seconds that walking the folders, and all, took inside the reader.
  returned: always
  type: dict
  sample:
    walk: 0.021
    all: 0.194
diff:
  description: The paths before and after.
  returned: in diff mode
  type: dict
  sample:
    before: |
      /batch/report/AC/statement/20261121/A_1.XLS
    after: |
      /batch/report/AC/statement/20261121/A_1.xls
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments.parameters import QUERY_OPTIONS, QUERY_RULES
from ansible_collections.ops.remediation.plugins.module_utils._core.check import without_descriptions
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import RemediationError
from ansible_collections.ops.remediation.plugins.module_utils._core.state import State, default_directory
from ansible_collections.ops.remediation.plugins.module_utils._modules import attachment_scan
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import run_module

ARGUMENTS = {
    "state": {"type": "str", "choices": list(attachment_scan.STATES), "default": "present"},
    "roots": {"type": "list", "elements": "str", "default": []},
    "wanted": {"type": "list", "elements": "raw"},
    "wanted_file": {"type": "str"},
    "wanted_query": without_descriptions({"type": "dict", "options": QUERY_OPTIONS, **QUERY_RULES}),
    "name_column": {"type": "str", "default": "ATTACH_FILE_NAME"},
    "group_column": {"type": "str"},
    "date": {"type": "str", "default": "today"},
    "timezone": {"type": "str", "default": "Asia/Seoul"},
    "as_user": {"type": "str"},
    "rename_as": {"type": "str"},
    "mounts": {"type": "list", "elements": "raw", "default": []},
    "read_only": {"type": "bool", "default": True},
    "depth": {"type": "int", "default": 3},
    "extensions": {"type": "list", "elements": "str", "default": [".pdf", ".xls", ".xlsx", ".csv"]},
    "name_pattern": {"type": "str", "default": "^[A-Za-z0-9._-]+$"},
    "contents": {"type": "bool", "default": True},
    "deep": {"type": "bool", "default": False},
    "parallel_reads": {"type": "int", "default": 5},
    "settle": {"type": "float", "default": 10},
    "s3": {
        "type": "dict",
        "options": {
            "endpoint": {"type": "str"},
            "region": {"type": "str"},
            "profile": {"type": "str"},
            "env_file": {"type": "path"},
        },
    },
    "batch_marker": {"type": "str"},
    "batch_log": {"type": "str"},
    "batch_failed": {"type": "str"},
    "batch_finished": {"type": "str"},
    "batch_hours_before": {"type": "float", "default": 6},
    "keep_days": {"type": "int"},
    "deadline": {"type": "float", "default": 60},
    "details": {"type": "int", "default": 100},
    "details_file": {"type": "path"},
    "state_dir": {"type": "path"},
    "asked_from": {"type": "str", "default": "localhost"},
}


def main() -> None:
    """Check, or rename, and return what was found."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("wanted", "wanted_file", "wanted_query")],
        required_if=[("state", "renamed", ("wanted", "wanted_file", "wanted_query"), True)],
        supports_check_mode=True,
    )
    directory = module.params["state_dir"] or default_directory(module.params["asked_from"])
    state = State(directory, read_only=module.check_mode)

    def result(done: attachment_scan.Result) -> dict[str, Any]:
        values = {**done.as_dict(module.params["details"]), "warnings": done.warnings}
        if module.params["state"] != attachment_scan.UNDONE:
            values["expected"] = list(dict.fromkeys([*(finding["check"] for finding in done.findings), "attachments.present"]))
        if module._diff:
            values["diff"] = {"before": done.before, "after": done.after}
        return {**values, "failed": True, "msg": "; ".join(done.wrong)} if done.wrong else values

    def failure(error: RemediationError) -> dict[str, Any]:
        return result(error.details.get("partial") or attachment_scan.Result())

    run_module(module, lambda: result(attachment_scan.run(module.params, state, module.params["asked_from"])), failure)


if __name__ == "__main__":
    main()
