#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: web_check
short_description: Check a health API and a served page as a browser would
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Asks whether a page is served with every file that it loads, whether what nginx passes on answers, whether a health API answers well and
    fast, whether secrets lie in the page, whether its headers protect it, and how long its certificate is valid.
  - A single-page application hides a missing file behind C(index.html) and the status 200, so every file is asked for and its content type
    and size are checked.
  - The same checks as C(web.*) and C(backend.health) of M(ops.remediation.stack_check), without an inventory of checks.
  - A fault that was found is a successful run. The module fails only for a question that was wrongly put. It changes nothing.
attributes:
  check_mode:
    support: full
    description: Asks the same.
  diff_mode:
    support: none
    description: Nothing is changed, so there is nothing to show.
  idempotent:
    support: full
    description: Never reports a change.
  action:
    support: none
    description: Runs on the host only.
options:
  url:
    description: Address of the page, as browsers use it. Required unless O(health_url) or O(certificate_files) is given.
    type: str
  paths:
    description: Paths of the site that nginx passes on to the backend and that must answer, such as C(/api/health).
    type: list
    elements: str
  health_url:
    description: Address of a health API.
    type: str
  process:
    description: PM2's name of the process that answers O(health_url); its findings are about it.
    type: str
    default: backend
  healthy:
    description: What the status in the health API's answer must be. An empty text accepts any body.
    type: str
    default: ok
  requests:
    description: How often to ask the health API. It is asked fewer times when four seconds are over.
    type: int
    default: 20
  slow_ms:
    description: Milliseconds that 95 of 100 answers of the health API must stay below.
    type: int
    default: 150
  address:
    description: Connect to this address instead of the one that the name in O(url) has, such as V(127.0.0.1) on the web host itself.
    type: str
  root_id:
    description: Id of the element that the page is built in. An empty text asks for none.
    type: str
    default: root
  build_dir:
    description: Folder of the built page on this host, to find out why it is not served, and to search its files for secrets.
    type: path
  certificate_files:
    description: Certificate files on this host. Of a chain, the first end counts.
    type: list
    elements: path
  ca_file:
    description:
      - CA certificates to trust, by default the system's.
      - A certificate that is not trusted is said in the evidence and is no fault; the page is read all the same.
    type: path
  warn_days:
    description: Days before the end of a certificate from which on it is reported.
    type: int
    default: 30
  timeout:
    description: Seconds for one answer, redirects included.
    type: float
    default: 5
  deadline:
    description: Seconds for each of the readings, which run at the same time.
    type: float
    default: 10
  asked_from:
    description: Name of the host that asks, for the findings.
    type: str
    default: localhost
extends_documentation_fragment:
  - ops.remediation.attributes
seealso:
  - module: ops.remediation.stack_check
"""

EXAMPLES = r"""
- name: Ask whether the page is whole, and whether the API behind it answers
  ops.remediation.web_check:
    url: https://tank.example.com/
    address: 127.0.0.1
    paths:
      - /api/health
    build_dir: /opt/tank-mail-app/frontend/build
    asked_from: "{{ inventory_hostname }}"
  register: site

- name: Show what is not well
  ansible.builtin.debug:
    msg: "{{ site.findings | rejectattr('status', 'equalto', 'ok') }}"

- name: Ask the backend itself
  ops.remediation.web_check:
    health_url: http://127.0.0.1:3000/api/health
    slow_ms: 300

- name: Check certificate files only
  ops.remediation.web_check:
    certificate_files:
      - /etc/nginx/tls/site.crt
    warn_days: 60
"""

RETURN = r"""
findings:
  description: One entry or more for each check, in the form that M(ops.remediation.stack_check) returns.
  returned: always
  type: list
  elements: dict
  sample:
    - check: web.page
      code: web.asset_missing
      severity: P1
      status: critical
      subject: https://tank.example.com/
expected:
  description: Ids of all checks that were asked, for the run record.
  returned: always
  type: list
  elements: str
  sample: [backend.health, web.page]
page:
  description: The page in short, empty without O(url).
  returned: always
  type: dict
  contains:
    url:
      description: The page that was asked for.
      type: str
      sample: https://tank.example.com/
    served:
      description: Whether the page is whole.
      type: bool
      sample: true
    status:
      description: Status of the answer, null when there was none.
      type: int
      sample: 200
    ms:
      description: Milliseconds until the whole of C(index.html) was there, null when it was not.
      type: float
      sample: 4.2
    files:
      description: Number of files that the page loads, null when it is not whole.
      type: int
      sample: 2
    bytes:
      description: Size of the page with all its files, null when it is not whole.
      type: int
      sample: 221191
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ops.remediation.plugins.module_utils._areas.backend.check_health import CHECK as HEALTH_CHECK
from ansible_collections.ops.remediation.plugins.module_utils._areas.web.area import CHECKS as WEB_CHECKS
from ansible_collections.ops.remediation.plugins.module_utils._core import asking, questions
from ansible_collections.ops.remediation.plugins.module_utils._core.state import State, default_directory
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import result_of, run_module

REGISTRY = {"backend": lambda: (HEALTH_CHECK,), "web": lambda: WEB_CHECKS}
# The parameters of the checks under their own names, but for those that the module has differently.
ARGUMENTS = {
    **{name: spec for check in (*WEB_CHECKS, HEALTH_CHECK) for name, spec in check.argument_spec.items()},
    "url": {"type": "str"},
    "paths": {"type": "list", "elements": "str"},
    "health_url": {"type": "str"},
    "deadline": {"type": "float", "default": 10},
    "asked_from": {"type": "str", "default": "localhost"},
}


def main() -> None:
    """Run the checks, and return their findings."""
    module = AnsibleModule(argument_spec=ARGUMENTS, required_one_of=[("url", "health_url", "certificate_files")], supports_check_mode=True)
    # A password in an address must not be shown either.
    module.no_log_values.update(questions.misplaced_secrets(module.params))
    # Nothing is kept from run to run: these checks need no memory.
    state = State(default_directory("web_check"), read_only=True)
    asked = checks(module.params)

    def body() -> dict[str, Any]:
        parsed = questions.parse(asked, ArgumentSpecValidator, REGISTRY)
        answer = asking.ask(parsed, asked_from=module.params["asked_from"], state=state)
        return result_of(answer, page=page(answer.findings))

    run_module(module, body, failure=lambda _error: {"findings": [], "expected": [entry["check"] for entry in asked], "page": {}})


def checks(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the checks that the options select."""
    site = {name: given[name] for name in ("url", "address", "timeout")}
    wanted = []
    if given["health_url"]:
        own = {name: given[name] for name in ("process", "healthy", "requests", "slow_ms", "timeout")}
        wanted.append(("backend.health", {"url": given["health_url"], **own}))
    if given["url"]:
        build = {**site, "build_dir": given["build_dir"]}
        wanted += [("web.page", {**build, "root_id": given["root_id"]}), ("web.secrets", build), ("web.headers", build)]
        if given["paths"]:
            wanted.append(("web.gateway", {**site, "paths": given["paths"]}))
    if given["url"] or given["certificate_files"]:
        files = {name: given[name] for name in ("certificate_files", "ca_file", "warn_days")}
        wanted.append(("web.certificate", {**site, **files}))
    return [{"check": check, "params": _without_none(parameters), "deadline": given["deadline"]} for check, parameters in wanted]


def _without_none(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def page(findings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the page in short, {} when it was not checked."""
    about = next((finding for finding in findings if finding["check"] == "web.page"), None)
    if about is None:
        return {}
    evidence = about["evidence"]
    kept = {name: evidence.get(name) for name in ("status", "ms", "files", "bytes")}
    served = about["status"] == "ok"
    return {"url": about["subject"], "served": served, **kept, "files": kept["files"] if served else None}


if __name__ == "__main__":
    main()
