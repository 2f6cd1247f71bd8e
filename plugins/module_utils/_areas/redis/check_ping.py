# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""redis.ping: can Redis be reached and written to, is there memory left, and did its last save work (an addition of ours)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.references import LOGIN_OPTIONS
from ..._core.source import Asked
from ..._shared.units import size_text
from .faults import fault
from .read_server import SERVER, Facts

_CHECK = "redis.ping"
# States in which nothing else can be judged.
_CODES = {"no_answer": "redis.no_answer", "refused": "redis.refused", "loading": "redis.loading"}
PARAMETERS: dict[str, dict[str, Any]] = {
    "host": {"type": "str", "default": "127.0.0.1", "variable": "stack_redis_host", "description": "Name or address of the Redis server."},
    "port": {"type": "int", "default": 6379, "variable": "stack_redis_port", "description": "Its port."},
    "user": {
        "type": "str",
        "variable": "stack_redis_user",
        "description": "User of the ACL that logs in; it needs PING and INFO only. Default: the user default.",
    },
    "login": {
        "type": "dict",
        "options": LOGIN_OPTIONS,
        "variable": "stack_redis_login",
        "description": "Where the password is, on the host. Default: no password.",
    },
    "tls": {
        "type": "bool",
        "default": False,
        "variable": "stack_redis_tls",
        "description": "Connect with TLS, and verify the certificate.",
    },
    "ca_file": {
        "type": "path",
        "variable": "stack_redis_ca_file",
        "description": "CA certificates to trust with TLS. Default: those of the system.",
    },
    "timeout": {
        "type": "float",
        "default": 5.0,
        "variable": "stack_redis_timeout",
        "description": "Seconds for the connection and all answers together; less than the deadline of the check.",
    },
    "writable": {
        "type": "bool",
        "default": True,
        "variable": "stack_redis_writable",
        "description": "Whether the applications write to this server, so that it must not be a replica of another one.",
    },
    "memory_warning": {
        "type": "float",
        "default": 80,
        "variable": "stack_redis_memory_warning",
        "description": "Percent of maxmemory in use that is a warning.",
    },
    "memory_critical": {
        "type": "float",
        "default": 95,
        "variable": "stack_redis_memory_critical",
        "description": "Percent of maxmemory in use that is critical.",
    },
    "save_age_warning": {
        "type": "int",
        "default": 0,
        "variable": "stack_redis_save_age_warning",
        "description": "Seconds since the last save, with changes since, that are a warning. 0: the age is not judged.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Return a finding for each thing that is wrong with the server, or that all is well."""
    facts: Facts = asked.read("redis.server")
    given, place = asked.parameters, facts["place"]
    evidence = _evidence(facts, given)
    if facts["state"] in _CODES:
        return [fault(_CODES[facts["state"]], _CHECK, place, evidence=evidence)]
    found = [_read_only(facts, given, evidence), _memory(facts, given, evidence), _save(facts, given, evidence)]
    return [finding for finding in found if finding] or [ok(_CHECK, place, evidence=evidence, **_use(facts, given["memory_warning"]))]


def _evidence(facts: Facts, given: Mapping[str, Any]) -> dict[str, Any]:
    words, numbers = facts["words"], facts["numbers"]
    named = {
        "host": given["host"],
        "port": given["port"],
        "user": given.get("user"),
        "reason": facts["reason"],
        "said": facts["said"],
        "waited": given["timeout"] if facts["reason"] in ("timeout", "silent") else None,
        "version": words.get("redis_version"),
        "role": words.get("role"),
        "policy": words.get("maxmemory_policy"),
        "eta": numbers.get("loading_eta_seconds") if facts["state"] == "loading" else None,
        "not_asked": facts["not_asked"],
    }
    return {name: value for name, value in named.items() if value not in (None, "", [])}


def _use(facts: Facts, limit: float) -> dict[str, Any]:
    """Return value, threshold and unit of a finding about memory; {} for a server without a limit."""
    most, used = facts["numbers"].get("maxmemory", 0), facts["numbers"].get("used_memory")
    return {"value": round(100 * used / most, 1), "threshold": limit, "unit": "%"} if most > 0 and used is not None else {}


def _read_only(facts: Facts, given: Mapping[str, Any], evidence: dict[str, Any]) -> Finding | None:
    if facts["words"].get("role") != "slave" or not given["writable"]:
        return None
    return fault("redis.read_only", _CHECK, facts["place"], evidence={**evidence, "link": facts["words"].get("master_link_status", "")})


def _memory(facts: Facts, given: Mapping[str, Any], evidence: dict[str, Any]) -> Finding | None:
    for code, limit in (("redis.memory_95", given["memory_critical"]), ("redis.memory_80", given["memory_warning"])):
        use = _use(facts, limit)
        if use and use["value"] >= limit:
            numbers = facts["numbers"]
            sizes = {"used": size_text(numbers["used_memory"]), "most": size_text(numbers["maxmemory"])}
            return fault(code, _CHECK, facts["place"], evidence={**evidence, **sizes}, **use)
    return None


def _save(facts: Facts, given: Mapping[str, Any], evidence: dict[str, Any]) -> Finding | None:
    words, numbers, limit = facts["words"], facts["numbers"], given["save_age_warning"]
    changes, age = numbers.get("rdb_changes_since_last_save", 0), facts["save_age"]
    snapshot = words.get("rdb_last_bgsave_status", "ok") != "ok"
    log = bool(numbers.get("aof_enabled")) and words.get("aof_last_write_status", "ok") != "ok"
    fields: dict[str, Any] = {}
    if snapshot or log or facts["state"] == "misconf":
        how = "log" if log and not snapshot else "snapshot"
    elif limit > 0 and changes > 0 and age is not None and age > limit:
        how = "age"
        fields = {"value": age, "threshold": limit, "unit": "s"}
    else:
        return None
    why = {"how": how, "changes": changes, "refuses": facts["state"] == "misconf"}
    return fault("redis.save_failed", _CHECK, facts["place"], evidence={**evidence, **why}, **fields)


CHECK = Check(
    _CHECK,
    "Can Redis be reached and written to, has it memory left, and did its last save work?",
    judge,
    (SERVER,),
    PARAMETERS,
)
