# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check is. Each area's ``area.py`` lists its own; ``_areas/registry.py`` finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .finding import Finding
from .masking import is_secret_name
from .source import Asked, Source

# What the role check_runtime brings to a host; both want Python 3.10 or newer.
DRIVERS = ("boto3", "oracledb")


@dataclass(frozen=True)
class Check:
    """One question.

    parameters: an Ansible argument spec, each entry with a ``description`` and, where an inventory fills it, the ``variable`` that does: a name, or
        several of which the first one defined counts.
    runs_on: app, web or checker. run_as: root, app (the application's user) or any.
    driver: a library of DRIVERS that its sources import, "" for none. Such a check is asked on the host with the Python that
    has it (``stack_check_python``) where there is one, otherwise by the checker.
    driver_of: names the library that some parameters need, for a check that only its host can ask: with ``stack_check_python``
    where there is one, otherwise with the host's usual Python, which may have it.
    """

    id: str
    question: str
    function: Callable[[Asked], list[Finding]]
    sources: tuple[Source, ...]
    parameters: Mapping[str, Mapping[str, Any]]
    runs_on: str = "app"
    run_as: str = "any"
    driver: str = ""
    driver_of: Callable[[Mapping[str, Any]], str] = lambda _parameters: ""

    def __post_init__(self) -> None:
        """Refuse a check that asks for secrets or says nothing about a parameter."""
        if self.driver and (self.driver not in DRIVERS or self.runs_on == "checker"):
            raise ValueError(f"{self.id}: driver {self.driver} is none of {', '.join(DRIVERS)}, or only a checker asks this anyway")
        for name, spec in self.parameters.items():
            if is_secret_name(name) or spec.get("no_log"):
                raise ValueError(f"{self.id}: parameter {name} is a secret; take a reference to it instead")
            if not spec.get("description"):
                raise ValueError(f"{self.id}: parameter {name} has no description")
            if not all(variable.startswith("stack_") for variable in variables_of(spec)):
                raise ValueError(f"{self.id}: parameter {name} is filled by a variable that does not describe the stack")
        for source in self.sources:
            strange = set(source.parameters) - set(self.parameters)
            if strange:
                raise ValueError(f"{self.id}: source {source.name} wants parameters that the check has not: {sorted(strange)}")

    @property
    def argument_spec(self) -> dict[str, dict[str, Any]]:
        """The parameters as an argument spec that a validator takes (without the descriptions)."""
        return {name: without_descriptions(spec) for name, spec in self.parameters.items()}


def variables_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the inventory variables that fill a parameter, the first one defined counts; () where none does."""
    named = spec.get("variable") or ()
    return (named,) if isinstance(named, str) else tuple(named)


def without_descriptions(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parameter as an argument spec has it."""
    kept = {key: value for key, value in spec.items() if key not in ("description", "variable")}
    if "options" in kept:
        kept["options"] = {name: without_descriptions(option) for name, option in kept["options"].items()}
    return kept
