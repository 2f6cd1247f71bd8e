# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the parameters of checks from the variables of an inventory: each parameter names its own (see docs/checks.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import find
from ansible_collections.ops.remediation.plugins.module_utils._core.check import variables_of

# Returns the value of a variable, None where the host has none or it is null.
Lookup = Callable[[str], Any]


def filled(checks: Iterable[Mapping[str, Any]], value_of: Lookup) -> list[dict[str, Any]]:
    """Return ``{check, params, deadline}`` entries with the parameters that they leave out filled in.

    A parameter that an entry has wins; one that it has as null is left out, so that the check's own default holds. An unknown check stays
    as it is: it is refused by name later.
    """
    return [_filled(entry, value_of) for entry in checks]


def _filled(entry: Mapping[str, Any], value_of: Lookup) -> dict[str, Any]:
    check, given = find(entry.get("check")), entry.get("params") or {}
    if check is None or not isinstance(given, Mapping):
        return dict(entry)
    found = {name: _first(variables_of(spec), value_of) for name, spec in check.parameters.items() if name not in given}
    parameters = {name: value for name, value in {**found, **given}.items() if value is not None}
    return {**entry, "params": parameters}


def _first(variables: Iterable[str], value_of: Lookup) -> Any:
    return next((value for value in map(value_of, variables) if value is not None), None)
