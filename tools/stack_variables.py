# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory variables that fill parameters of checks, as the argument specifications of the roles have them.

A parameter of a check is the one place that knows type, default and meaning; `make docs` writes the specifications from here.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._areas import registry
from ansible_collections.ops.remediation.plugins.module_utils._core.check import Check, variables_of

BEGIN = "      # Made by `make docs` from the parameters of the checks; change them there."
END = "      # End of what `make docs` makes."
KEPT = ("type", "elements", "choices")
WIDTH = 128
AREAS = re.compile(r"(\n      stack_areas:\n(?:        .*\n)*?        choices: )\[[^\]]*\]")


class Disagreement(Exception):
    """Two parameters that one variable fills are of different types."""


def variables() -> dict[str, dict[str, Any]]:
    """Return {variable: specification} in the order of the areas; raises Disagreement."""
    found: dict[str, dict[str, Any]] = {}
    for first in (True, False):  # a variable is described by the parameter that it is meant for, not by one that falls back to it
        for check in registry.every():
            for name, spec in check.parameters.items():
                for variable in variables_of(spec)[:1] if first else variables_of(spec)[1:]:
                    _add(found, variable, check, name, spec)
    return found


def _add(found: dict[str, dict[str, Any]], variable: str, check: Check, name: str, spec: Mapping[str, Any]) -> None:
    made = {key: spec[key] for key in KEPT if key in spec}
    made.setdefault("type", "str")
    if variable not in found:
        found[variable] = {"description": described(check, spec), **made}
    elif {key: found[variable].get(key) for key in KEPT} != {key: made.get(key) for key in KEPT}:
        raise Disagreement(f"{variable} fills {check.id}: {name}, which is {made}, and a parameter that is {found[variable]}")


def described(check: Check, spec: Mapping[str, Any]) -> str:
    """Return what a variable means: the parameter's description, its default, what else may fill it, and where it is needed."""
    given = spec["description"]
    text = given if isinstance(given, str) else " ".join(given)
    default, others = spec.get("default"), variables_of(spec)[1:]
    if others:
        text += f" By default {' or '.join(f'O({other})' for other in others)}."
    elif default not in (None, "", [], {}) and "default" not in text:
        text += f" By default {', '.join(f'V({one})' for one in default) if isinstance(default, (list, tuple)) else f'V({default})'}."
    if spec.get("required"):
        text += f" Needed where V({check.id.partition('.')[0]}) is in O(stack_areas)."
    return text


def written(names: Iterable[str], specs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the lines of YAML for these variables."""
    lines = []
    for name in names:
        spec = specs[name]
        lines += [f"      {name}:", "        description: >-"]
        lines += textwrap.wrap(spec["description"], WIDTH, initial_indent=" " * 10, subsequent_indent=" " * 10, break_long_words=False)
        lines.append(f"        type: {spec['type']}")
        lines += [f"        elements: {spec['elements']}"] if "elements" in spec else []
        lines += [f"        choices: [{', '.join(map(str, spec['choices']))}]"] if "choices" in spec else []
    return lines


def specification(text: str, used: Iterable[str]) -> str:
    """Return an argument specification with its part about the stack brought up to date.

    used: the variables that the role reads. Those that the specification describes by hand stay as they are there.
    """
    text = AREAS.sub(lambda match: f"{match[1]}[{', '.join(registry.REGISTERED)}]", text)
    before, found, rest = text.partition(BEGIN + "\n")
    _old, ended, after = rest.partition(END + "\n")
    if not (found and ended):
        return text
    specs = variables()
    wanted = set(used) - set(re.findall(r"(?m)^      (stack_\w+):$", before + after))
    return "\n".join([before + BEGIN, *written((name for name in specs if name in wanted), specs), END + "\n" + after])
