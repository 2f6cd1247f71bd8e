# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory says of its hosts, as ansible-inventory sees it, and what of that the collection would not take."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ops.remediation.plugins.plugin_utils.run import variables

CHECKOUT = Path(__file__).resolve().parent.parent
# The project's own; what else lies in that folder is somebody's (see .gitignore), perhaps with a vault that nobody here can open.
INVENTORIES = ("example", "replica")
# A line of an inventory that is commented out, not prose: a variable, or what belongs to it and so is indented.
VARIABLE = re.compile(rf"# (?:ansible_|{'|'.join(variables.prefixes())})\w+:(?: |$)")
BELONGS_TO_IT = re.compile(r"#   +\S")


@dataclass
class Listed:
    """The end of ``ansible-inventory --list``: {host: its variables}, and what it complained of ("" when of nothing)."""

    code: int
    hosts: dict[str, dict[str, Any]]
    complaints: str


def listed(inventory: Path | str, *arguments: str, environment: Mapping[str, str] | None = None) -> Listed:
    """Return what ansible-inventory makes of an inventory."""
    command = ["ansible-inventory", "-i", str(inventory), "--list", *arguments]
    given = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", **(environment or {})}
    done = subprocess.run(command, cwd=CHECKOUT, env=given, capture_output=True, text=True, timeout=60, check=False)
    hosts = json.loads(done.stdout)["_meta"]["hostvars"] if done.returncode == 0 else {}
    return Listed(done.returncode, hosts, done.stderr.strip())


def wrong_variables(host: Mapping[str, Any]) -> list[str]:
    """Return a line for each variable of a host that is not known, or not what the argument specifications say."""
    known = variables.known()
    ours = {name: value for name, value in host.items() if name in known}
    # What a role requires it may get elsewhere, from -e or a play; which areas a host has, only its inventory can say.
    spec = {name: {**known[name], "required": name == "stack_areas"} for name in {*ours, "stack_areas"}}
    unknown = [f"{name} is not known" for name in variables.unknown(host)]
    return unknown + list(ArgumentSpecValidator(spec).validate(ours).error_messages)


def commented_out(text: str) -> list[bool]:
    """Return for each line of a file of variables whether it is one that is commented out, or a part of one."""
    found, inside = [], False
    for line in text.splitlines():
        inside = bool(VARIABLE.match(line) or (inside and BELONGS_TO_IT.match(line)))
        found.append(inside)
    return found


def uncommented(text: str) -> str:
    """Return a file of variables with those taken in that it has commented out."""
    lines = zip(text.splitlines(), commented_out(text), strict=True)
    return "\n".join(line[2:] if is_variable else line for line, is_variable in lines) + "\n"


def explanations(text: str) -> list[str]:
    """Return each explanation of a file of variables: comment lines that follow one another and are not commented out."""
    blocks: list[list[str]] = [[]]
    for line, is_variable in zip(text.splitlines(), commented_out(text), strict=True):
        if line.lstrip().startswith("#") and not is_variable:
            blocks[-1].append(line.strip())
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]
