"""What can be made to go wrong while the server runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

STAGES = ("accept", "connect", "protocol", "datatypes", "auth1", "auth2", "execute", "fetch", "ping", "commit", "rollback", "logoff")
MODES = ("close", "reset", "silent", "slow")

# Kind -> (options that must be given, options that may be given with their defaults). Every kind also takes `times`.
KINDS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "refuse": (("code",), {}),
    "redirect": (("host", "port"), {}),
    "old_protocol": ((), {}),
    "encryption_required": ((), {}),
    "instance": (("state",), {}),
    "login_error": (("code",), {"user": ""}),
    "stage": (("stage", "mode"), {"seconds": 0.0}),
    "slow_query": (("seconds",), {"match": ""}),
    "query_error": (("code",), {"match": ""}),
    "max_sessions": (("limit",), {"code": 18}),
    "failed_logins": (("limit",), {}),
    "ignore_break": ((), {}),
    "listener": (("state",), {}),
}
_CHOICES = {"state": ("down", "starting", "blackhole"), "stage": STAGES, "mode": MODES}


class FaultError(ValueError):
    """A fault that there is not, or an option that it does not have."""


@dataclass
class Fault:
    """A fault that is set. `left` is how often it may still happen; None is for ever."""

    kind: str
    options: dict[str, Any]
    left: int | None = None
    hits: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **self.options, "left": self.left, "hits": self.hits}


@dataclass
class Faults:
    """The faults that are set, at most one of each kind (of each stage)."""

    active: dict[str, Fault] = field(default_factory=dict)

    def set(self, kind: str, options: dict[str, Any]) -> Fault:
        """Set or replace a fault; raises FaultError."""
        if kind not in KINDS:
            raise FaultError(f"no fault {kind!r}: there are {', '.join(sorted(KINDS))}")
        required, optional = KINDS[kind]
        times = options.pop("times", None)
        missing = [name for name in required if name not in options]
        unknown = [name for name in options if name not in required and name not in optional]
        if missing or unknown:
            raise FaultError(f"{kind}: " + "; ".join(filter(None, [_listed("needs", missing), _listed("has no", unknown)])))
        made = {**optional, **options}
        for name, allowed in _CHOICES.items():
            if name in made and made[name] not in allowed:
                raise FaultError(f"{kind}: {name} is one of {', '.join(allowed)}")
        for name in ("code", "port", "limit"):
            if name in made:
                made[name] = int(made[name])
        if "seconds" in made:
            made["seconds"] = float(made["seconds"])
        re.compile(made.get("match", ""))
        fault = Fault(kind, made, None if times is None else int(times))
        self.active[_key(kind, made)] = fault
        return fault

    def clear(self, kind: str = "", stage: str = "") -> list[Fault]:
        """Take away faults of a kind (of a stage), or all; gives what was taken away."""
        chosen = [key for key, fault in self.active.items() if kind in ("", fault.kind) and stage in ("", fault.options.get("stage"))]
        return [self.active.pop(key) for key in chosen]

    def take(self, kind: str, stage: str = "") -> dict[str, Any] | None:
        """Options of a fault that happens now, or None. Counts it."""
        fault = self.active.get(_key(kind, {"stage": stage} if stage else {}))
        if fault is None or fault.left == 0:
            return None
        fault.hits += 1
        if fault.left is not None:
            fault.left -= 1
        return fault.options

    def is_set(self, kind: str, stage: str = "") -> bool:
        """True until the fault is cleared, also when it has happened as often as it should."""
        return _key(kind, {"stage": stage} if stage else {}) in self.active

    def look(self, kind: str) -> dict[str, Any] | None:
        """Options of a fault without counting it."""
        fault = self.active.get(kind)
        return fault.options if fault and fault.left != 0 else None

    def take_matching(self, kind: str, sql: str) -> dict[str, Any] | None:
        """As `take`, when the fault's pattern is in the statement."""
        fault = self.active.get(kind)
        if fault and re.search(fault.options.get("match", ""), sql, re.IGNORECASE):
            return self.take(kind)
        return None


def _key(kind: str, options: dict[str, Any]) -> str:
    return f"{kind}:{options['stage']}" if "stage" in options else kind


def _listed(verb: str, names: list[str]) -> str:
    return f"{verb} {', '.join(names)}" if names else ""
