# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cadence is data: a list of checks that an inventory extends, tunes or switches off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import REGISTERED, find
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import area_of


class WrongCadence(ValueError):
    """An entry of the inventory names a check that the cadence does not have, or is no check at all."""


def choose(
    checks: Iterable[str | Mapping[str, Any]],
    areas: Sequence[str],
    extra: Iterable[str | Mapping[str, Any]] = (),
    off: Iterable[str] = (),
    tune: Mapping[str, Mapping[str, Any]] | None = None,
    name: str = "",
    by: str = "host",
    runtime: bool = False,
) -> list[dict[str, Any]]:
    """Return the ``{check, params, deadline}`` entries for a host.

    checks, extra: check ids, or such entries. Kept are the checks of the host's areas and all extra ones, without those switched off;
    ``tune`` maps a check id to ``{params, deadline}`` that replace single values. A parameter that is null stays so: the check's own default
    then holds, whatever the inventory says. Raises WrongCadence for an id that the cadence does not know, and for an area that has no
    checks; with ``name`` (the role's) the message names the variable.

    by: the checks that the ``host`` itself asks, or those that a ``checker`` asks about it. runtime: whether the host has a
    Python with the drivers (``stack_check_python``); without it, the checker asks what needs one.
    """
    prefix = f"{name}_" if name else ""
    own = [_entry(f"{prefix}checks", check) for check in checks]
    added = [_entry(f"{prefix}extra", check) for check in extra]
    tune = tune or {}
    for area in areas:
        _must_be_an_area(area)
    known = [entry["check"] for entry in [*own, *added]]
    for option, ids in ((f"{prefix}off", off), (f"{prefix}tune", tune)):
        for identifier in ids:
            _must_be_known(option, identifier, known)
    chosen = [entry for entry in own if area_of(entry["check"]) in areas] + added
    chosen = [entry for entry in chosen if _asked_by(entry["check"], runtime) == by]
    return [_tuned(f"{prefix}tune", entry, tune.get(entry["check"], {})) for entry in chosen if entry["check"] not in set(off)]


def _entry(option: str, check: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(check, str) and check:
        return {"check": check}
    if not isinstance(check, Mapping) or not check.get("check"):
        raise WrongCadence(f"{option}: {check!r} is not a check; write its id, or {{check: <id>, params: {{...}}, deadline: <seconds>}}")
    return dict(check)


def _asked_by(identifier: str, runtime: bool) -> str:
    """Return ``host`` or ``checker``; an unknown check stays with the host, where it is refused by name."""
    check = find(identifier)
    by_checker = check is not None and (check.runs_on == "checker" or (check.driver and not runtime))
    return "checker" if by_checker else "host"


def _must_be_an_area(area: str) -> None:
    if area in REGISTERED:
        return
    close = get_close_matches(str(area), REGISTERED, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(REGISTERED)}"
    raise WrongCadence(f"stack_areas: {area!r} is not an area that has checks; {hint}")


def _must_be_known(option: str, identifier: str, known: Sequence[str]) -> None:
    if identifier in known:
        return
    close = get_close_matches(str(identifier), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
    raise WrongCadence(f"{option}: {identifier!r} is not in this list of checks; {hint}")


def _tuned(option: str, entry: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(change, Mapping):
        raise WrongCadence(f"{option}: {entry['check']} has {change!r}; write {{params: {{...}}, deadline: <seconds>}}")
    strange = set(change) - {"params", "deadline"}
    if strange:
        raise WrongCadence(f"{option}: {entry['check']} has {', '.join(sorted(strange))}; only params and deadline can be tuned")
    params = {**(entry.get("params") or {}), **(change.get("params") or {})}
    tuned = {**entry, **change, "params": params}
    return {name: value for name, value in tuned.items() if value is not None}
