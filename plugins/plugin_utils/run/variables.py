# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of this collection, and remarks about those of an inventory that only look like one of them.

Known is what an argument specification of a role has, and what ``run_variables.yml`` says of the run itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._core.masking import strip_ansi
from ansible_collections.ops.remediation.plugins.plugin_utils.texts.catalogue import load_yaml

PREFIXES = ("stack_", "remediation_")  # and those of the roles, such as daily_check_
RUN_VARIABLES = Path(__file__).parent / "run_variables.yml"
ROLES = Path(__file__).parents[3] / "roles"
MOST_OF_A_NAME = 100
_LEAST_ALIKE = 0.66  # a ratio of difflib: one letter of three may be missing; below it, a suggestion would be a guess
_AS_ALIKE = 0.05  # what is that near to the best is suggested too
_MOST_SUGGESTIONS = 2


@functools.cache
def of_the_run() -> dict[str, dict[str, Any]]:
    """Return {name: specification} of the run's own variables."""
    return load_yaml(RUN_VARIABLES)["options"]


@functools.cache
def known() -> dict[str, dict[str, Any]]:
    """Return {name: specification} of every variable that this collection reads."""
    found = dict(of_the_run())
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        for entry_point in load_yaml(path)["argument_specs"].values():
            found.update(entry_point.get("options") or {})
    return found


@functools.cache
def prefixes(cadence: str = "") -> tuple[str, ...]:
    """Return how variables of this collection begin: those of the stack, of the run, and of each role, run now or not."""
    roles = {f"{path.parents[1].name}_" for path in ROLES.glob("*/meta/argument_specs.yml")}
    return (*PREFIXES, *sorted(roles | ({f"{cadence}_"} if cadence else set())))


def unknown(names: Iterable[Any], cadence: str = "") -> list[str]:
    """Return those of the names that look like a variable of this collection and are none."""
    begin = prefixes(cadence)
    return [str(name) for name in names if isinstance(name, str) and name.startswith(begin) and name not in known()]


def nearest(name: str, cadence: str = "") -> list[str]:
    """Return the known names that a misspelt one may stand for, the nearest first; [] when none is near.

    Compared is what follows the prefix, with names of the same prefix alone: the prefix says nothing about how alike they are.
    """
    prefix = next((prefix for prefix in prefixes(cadence) if name.startswith(prefix)), "")
    rest = name[len(prefix) :]
    alike = [
        (SequenceMatcher(None, rest, candidate[len(prefix) :], autojunk=False).ratio(), candidate)
        for candidate in known()
        if candidate.startswith(prefix)
    ]
    best = max((ratio for ratio, _candidate in alike), default=0)
    near = [(ratio, candidate) for ratio, candidate in alike if ratio >= max(_LEAST_ALIKE, best - _AS_ALIKE)]
    return [candidate for _ratio, candidate in sorted(near, key=lambda pair: (-pair[0], pair[1]))][:_MOST_SUGGESTIONS]


def remarks(
    names_by_host: Mapping[str, Iterable[Any]],
    groups: Mapping[str, Sequence[str]] | None = None,
    given: Iterable[str] = (),
    cadence: str = "",
) -> list[dict[str, Any]]:
    """Return a remark of the run record for each unknown variable, in the order in which they are met.

    names_by_host: the variables' names; their values are never looked at. groups: the inventory's, to say where a
    variable is set. given: names of extra variables, which hold for all hosts.
    """
    extra = unknown(given, cadence)
    set_on: dict[str, list[str]] = {name: [] for name in extra}
    for host, names in names_by_host.items():
        for name in unknown(names, cadence):
            if name not in extra:
                set_on.setdefault(name, []).append(str(host))
    return [_remark(name, nearest(name, cadence), sorted(hosts), groups or {}) for name, hosts in set_on.items()]


def _remark(name: str, suggestions: list[str], hosts: list[str], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    shown = strip_ansi(" ".join(name.split()))[:MOST_OF_A_NAME]
    where = _where(hosts, groups)
    english = f"{shown} ({where['en']}) is not a variable of this collection"
    korean = f"{shown} ({where['ko']}): 이 컬렉션에 없는 변수입니다."
    if suggestions:
        english += f"; did you mean {' or '.join(suggestions)}?"
        korean += f" {' 또는 '.join(suggestions)}의 오타인지 확인하십시오."
    return {
        "kind": "variable_unknown",
        "subject": shown,
        "hosts": hosts,
        "suggestions": suggestions,
        "texts": {"en": english, "ko": korean},
    }


def _where(hosts: list[str], groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Say where a variable is set, by the group that has just these hosts where there is one."""
    if not hosts:
        return {"en": "given with -e", "ko": "-e로 지정"}
    if len(hosts) == 1:
        return {"en": f"on {hosts[0]}", "ko": hosts[0]}
    same = [str(group) for group, members in groups.items() if group != "ungrouped" and set(members) == set(hosts)]
    if same and same != ["all"]:
        group = next(group for group in same if group != "all")
        return {"en": f"on all of {group}", "ko": f"{group} 그룹 전체"}
    if same:
        return {"en": "on all hosts", "ko": "모든 호스트"}
    more = len(hosts) - 1
    return {"en": f"on {hosts[0]} and {more} more", "ko": f"{hosts[0]} 외 {more}대"}
