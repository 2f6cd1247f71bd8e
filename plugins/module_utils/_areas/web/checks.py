# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about the health API and the served page: pure functions of what was read.

Manual 1 sections 3 and 8, manual 2 sections 4 and 10, product facts (p95, headers, certificate, secrets in the build).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.finding import Finding, ok, reporter, unknown
from ..._core.source import Asked
from ..._shared.http_client import MAX_BODY, SILENT, stamp
from ..backend.faults import FAULTS as BACKEND_FAULTS
from .faults import FAULTS

fault = reporter(FAULTS, BACKEND_FAULTS)

SLOW_MS = 150  # product facts: API p95 < 150 ms
REQUESTS = 20
WARN_DAYS = 30
DAY = 86400
MOST_NAMED = 10

_TIMEOUT = {"type": "float", "default": 5.0, "description": "Seconds for one answer, redirects included."}
_URL = {"type": "str", "required": True, "description": "Address of the served page, as browsers use it."}
_ADDRESS = {
    "type": "str",
    "description": "Connect to this address instead of the one that the name of the url has, such as 127.0.0.1 on the web host itself.",
}
HEALTH_PARAMETERS = {
    "url": {"type": "str", "required": True, "description": "Address of the health API, such as http://127.0.0.1:3000/api/health."},
    "process": {"type": "str", "default": "backend", "description": "PM2's name of the process that answers; the findings are about it."},
    "timeout": _TIMEOUT,
    "requests": {"type": "int", "default": REQUESTS, "description": "How often to ask; fewer times when four seconds are over."},
    "slow_ms": {"type": "int", "default": SLOW_MS, "description": "Milliseconds that 95 of 100 answers must stay below."},
    "healthy": {"type": "str", "default": "ok", "description": "What the status in the answer must be; an empty text accepts any body."},
}
PAGE_PARAMETERS = {
    "url": _URL,
    "address": _ADDRESS,
    "timeout": _TIMEOUT,
    "root_id": {
        "type": "str",
        "default": "root",
        "description": "Id of the element that the page is built in; an empty text asks for none.",
    },
    "build_dir": {"type": "path", "description": "Folder of the built page on this host, to say why it is not served."},
}
GATEWAY_PARAMETERS = {
    "url": _URL,
    "paths": {
        "type": "list",
        "elements": "str",
        "default": ["/api/health"],
        "description": "Paths that nginx passes on to the backend and that must answer.",
    },
    "address": _ADDRESS,
    "timeout": _TIMEOUT,
}
SECRETS_PARAMETERS = {"url": _URL, "address": _ADDRESS, "timeout": _TIMEOUT, "build_dir": PAGE_PARAMETERS["build_dir"]}
HEADERS_PARAMETERS = SECRETS_PARAMETERS
CERTIFICATE_PARAMETERS = {
    "url": {"type": "str", "description": "Address of the site; its certificate is asked for when it begins with https."},
    "address": _ADDRESS,
    "certificate_files": {
        "type": "list",
        "elements": "path",
        "description": "Certificate files on this host (PEM or DER); of a chain, the first end counts.",
    },
    "ca_file": {"type": "path", "description": "CA certificates to trust, by default the system's. Trust is evidence, not judged."},
    "timeout": _TIMEOUT,
    "warn_days": {"type": "int", "default": WARN_DAYS, "description": "Days before its end from which on it is reported."},
}


# --- backend.health


def health(asked: Asked) -> list[Finding]:
    """Say whether the health API answers, with what it should, and fast enough."""
    check, subject = "backend.health", asked.parameters["process"]
    said = asked.read("backend.health")
    evidence = {"url": said["url"], "status": said["status"]}
    if said["problem"]:
        more = {"problem": said["problem"], "detail": said["detail"], "waited": said["waited"], "answers": len(said["times"])}
        return [fault("backend.no_answer", check, subject, evidence={**evidence, **more})]
    if said["status"] >= 500:
        return [fault("backend.error_5xx", check, subject, evidence={**evidence, "sample": said["sample"]})]
    problem = _wrong_body(said, asked.parameters["healthy"])
    if problem:
        more = {"problem": problem, "said": said["said"], "wanted": asked.parameters["healthy"], "sample": said["sample"]}
        return [fault("backend.wrong_body", check, subject, evidence={**evidence, **more})]
    p95 = percentile(said["times"], 0.95)
    evidence.update(answers=len(said["times"]), median_ms=percentile(said["times"], 0.5), slowest_ms=max(said["times"]))
    measure = {"value": p95, "threshold": asked.parameters["slow_ms"], "unit": "ms"}
    if p95 > asked.parameters["slow_ms"]:
        return [fault("backend.slow", check, subject, evidence=evidence, **measure)]
    return [ok(check, subject, evidence=evidence, **measure)]


def _wrong_body(said: Mapping[str, Any], healthy: str) -> str:
    if not 200 <= said["status"] < 300:
        return "status"
    if not healthy:
        return ""
    if not said["json"]:
        return "not_json"
    return "" if said["said"].lower() == healthy.lower() else "said"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of some values."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


# --- web.page


def page(asked: Asked) -> list[Finding]:
    """Say whether the page is served and can show something, with all the files that it loads."""
    check, subject = "web.page", asked.parameters["url"]
    seen, build = asked.read("web.page"), asked.read("web.build")
    code = _status_code(seen, build)
    if code:
        return [fault(code, check, subject, evidence=_refusal(seen, build))]
    blank = _blank(seen, asked.parameters["root_id"])
    if blank:
        evidence = {
            "url": subject,
            "status": seen["status"],
            "problem": blank,
            "size": seen["size"],
            "root_id": asked.parameters["root_id"],
            **_build(build),
        }
        return [fault("web.blank", check, subject, evidence=evidence)]
    found = [*_broken_assets(seen, subject, build)]
    if found:
        return found
    if seen["unasked"]:
        named = ", ".join(seen["unasked"][:MOST_NAMED])
        return [unknown(check, f"{len(seen['unasked'])} files of the page were not asked for, for lack of time: {named}", subject=subject)]
    evidence = {
        "status": seen["status"],
        "ms": seen["ms"],
        "files": len(seen["assets"]),
        "bytes": seen["size"] + sum(asset["size"] for asset in seen["assets"]),
    }
    return [ok(check, subject, evidence={**evidence, "elsewhere": seen["elsewhere"]})]


def _status_code(seen: Mapping[str, Any], build: Mapping[str, Any] | None) -> str:
    """Return the code for an answer that is not the page, "" when it may be the page."""
    if seen["problem"]:
        return "web.no_answer"
    status = seen["status"]
    if status in (403, 404, 500) and _is_missing(build):
        return "web.build_missing"
    if status < 400:
        return "" if status == 200 else "web.no_answer"
    return {401: "web.forbidden", 403: "web.forbidden", 404: "web.not_found", 502: "web.bad_gateway", 504: "web.gateway_timeout"}.get(
        status, "web.no_answer"
    )


def _is_missing(build: Mapping[str, Any] | None) -> bool:
    """Whether the built page is surely not there: its folder lacks index.html, or is absent and no closed folder hides it."""
    if not build or not build["given"] or build["index"]["present"]:
        return False
    return build["present"] or build["closed"] is None


def _refusal(seen: Mapping[str, Any], build: Mapping[str, Any] | None = None) -> dict[str, Any]:
    evidence = {
        "url": seen["url"],
        "status": seen["status"] or None,
        "problem": seen["problem"],
        "detail": seen["detail"],
        "waited": seen["waited"],
    }
    return {key: value for key, value in {**evidence, **_build(build)}.items() if value not in (None, "")}


def _build(build: Mapping[str, Any] | None) -> dict[str, Any]:
    if not build or not build["given"]:
        return {}
    return {"build_dir": build["path"], "build_present": build["present"], "index": build["index"], "closed": build["closed"]}


def _blank(seen: Mapping[str, Any], root_id: str) -> str:
    if not seen["size"]:
        return "empty"
    if root_id and root_id not in seen["ids"]:
        return "no_root"
    return "" if seen["scripts"] else "no_script"


def _broken_assets(seen: Mapping[str, Any], subject: str, build: Mapping[str, Any]) -> list[Finding]:
    problems = {asset["path"]: _asset_problem(asset) for asset in seen["assets"]}
    found = []
    for code, kinds in (("web.asset_missing", ("absent", "fallback", "wrong_type", "no_answer")), ("web.asset_empty", ("empty",))):
        files = [{"path": path, "problem": problem} for path, problem in problems.items() if problem in kinds]
        if files:
            types = {asset["path"]: asset["content_type"] for asset in seen["assets"]}
            shown = [{**file, "content_type": types[file["path"]]} for file in files[:MOST_NAMED]]
            evidence = {"url": subject, "status": seen["status"], "files": shown, "more": max(0, len(files) - MOST_NAMED), **_build(build)}
            found.append(fault(code, "web.page", subject, evidence=evidence, value=len(files), unit="files"))
    return found


def _asset_problem(asset: Mapping[str, Any]) -> str:
    """Return how a file of the page fails a browser, "" when it does not."""
    if asset["problem"]:
        return "no_answer"
    if asset["status"] != 200:
        return "absent"
    if asset["wrong_type"]:
        return "fallback" if "html" in asset["content_type"] else "wrong_type"
    return "" if asset["size"] else "empty"


# --- web.gateway


def gateway(asked: Asked) -> list[Finding]:
    """Say for each path that nginx passes on whether it answers."""
    return [_passed_on(asked, entry) for entry in asked.read("web.paths")] or [ok("web.gateway")]


def _passed_on(asked: Asked, entry: Mapping[str, Any]) -> Finding:
    check, subject = "web.gateway", entry["url"]
    seen = asked.read("web.page")
    if entry["problem"] and seen["problem"]:
        return unknown(check, f"the site itself does not answer: {seen['detail']}", blocked_by="web.no_answer", subject=subject)
    evidence = _refusal(entry)
    if entry["problem"] == SILENT:
        # The page came at once: it is what nginx waits for that does not answer, and nginx is the more patient.
        return fault("web.gateway_timeout", check, subject, evidence=evidence)
    code = "" if 200 <= entry["status"] < 300 and not entry["problem"] else _status_code(entry, None) or "web.no_answer"
    if entry["status"] >= 500 and code == "web.no_answer":
        code = "web.bad_gateway"  # what nginx passes on is the backend's own failure
    if not code and entry["digest"] == seen.get("digest"):
        code, evidence["problem"] = "web.not_found", "fallback"
    if code:
        return fault(code, check, subject, evidence=evidence)
    return ok(check, subject, evidence={"status": entry["status"], "ms": entry["ms"]})


# --- web.secrets


def secrets(asked: Asked) -> list[Finding]:
    """Say whether a secret lies in what browsers are given, or in the folder that it comes from."""
    check, subject = "web.secrets", asked.parameters["url"]
    seen, build = asked.read("web.page"), asked.read("web.build")
    found = {(one["file"].lstrip("/"), one["kind"]) for one in (*build["secrets"], *seen["secrets"])}
    if found:
        files = [{"file": file, "kind": kind} for file, kind in sorted(found)]
        evidence = {"url": subject, "files": files[:MOST_NAMED], "more": max(0, len(files) - MOST_NAMED), **_build(build)}
        return [fault("web.secret_in_build", check, subject, evidence=evidence, value=len(files), unit="secrets")]
    if not build["files"] and _status_code(seen, build):
        return [
            unknown(check, "nothing could be looked through: the page is not served", blocked_by=_status_code(seen, build), subject=subject)
        ]
    evidence = {"files": build["files"] or 1 + len(seen["assets"])}
    unseen, failed = _not_looked_through(seen)
    if unseen and not build["files"]:
        cause = "web.asset_missing" if failed else ""
        return [unknown(check, f"not looked through: {_few(unseen)}; give build_dir on the web host", blocked_by=cause, subject=subject)]
    not_asked = []
    if build["unread"]:
        not_asked.append(f"{build['unread']} files of {build['path']}: too many, too large, or not readable by this user")
    if unseen:
        not_asked.append(f"what is served, beside the files of {build['path']}: {_few(unseen)}")
    return [ok(check, subject, evidence={**evidence, **({"not_asked": not_asked} if not_asked else {})})]


def _not_looked_through(seen: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Return the served files of which a secret could not be seen, with the reason, and whether one of them was not answered."""
    failed = [asset for asset in seen["assets"] if asset["problem"] or asset["status"] >= 500]
    named = [f"{path} (no time)" for path in seen["unasked"]]
    named += [f"{asset['path']} ({asset['problem'] or asset['status']})" for asset in failed]
    cut = [asset["path"] for asset in seen["assets"] if not asset["whole"]] + ([] if seen["whole"] else ["index.html"])
    return [*named, *(f"{path} (longer than {MAX_BODY // 1024 // 1024} MB)" for path in cut)], bool(failed)


def _few(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


# --- web.headers


def headers(asked: Asked) -> list[Finding]:
    """Say whether the page carries the headers that protect it, and whether the server keeps its version to itself."""
    check, subject = "web.headers", asked.parameters["url"]
    seen = asked.read("web.page")
    code = _status_code(seen, asked.read("web.build"))
    if code:
        return [unknown(check, "the page is not served", blocked_by=code, subject=subject)]
    there = seen["headers"]
    missing = []
    if "x-frame-options" not in there and "frame-ancestors" not in there.get("content-security-policy", ""):
        missing.append("X-Frame-Options")
    if there.get("x-content-type-options", "").strip().lower() != "nosniff":
        missing.append("X-Content-Type-Options")
    tells = [name for name in ("server", "x-powered-by") if any(sign.isdigit() for sign in there.get(name, ""))]
    evidence = {"url": subject, "missing": missing, "tells": [there[name] for name in tells]}
    if missing or tells:
        return [fault("web.headers_missing", check, subject, evidence=evidence)]
    return [ok(check, subject, evidence={"server": there.get("server", "")})]


# --- web.certificate


def certificate(asked: Asked) -> list[Finding]:
    """Say how long each certificate is valid; what a browser would think of it otherwise is evidence."""
    entries = asked.read("web.certificate")
    if not entries:
        return [ok("web.certificate", evidence={"tls": False})]
    return [_validity(asked, entry) for entry in entries]


def _validity(asked: Asked, entry: Mapping[str, Any]) -> Finding:
    check, subject = "web.certificate", entry["subject"]
    if entry["problem"]:
        cause = ("nginx.stopped" if entry.get("refused") else "web.no_answer") if entry["live"] else ""
        return unknown(check, entry["problem"], blocked_by=cause, subject=subject)
    left = math.floor((entry["not_after"] - asked.now) / DAY)
    evidence = {"not_before": stamp(entry["not_before"]), "not_after": stamp(entry["not_after"]), "live": entry["live"]}
    if entry["live"]:
        evidence.update(trusted=entry["trusted"], distrust=entry["distrust"])
    measure = {"value": left, "threshold": asked.parameters["warn_days"], "unit": "days"}
    if entry["not_before"] > asked.now:
        return fault("web.certificate_expired", check, subject, evidence={**evidence, "problem": "not_yet"}, **measure)
    if entry["not_after"] <= asked.now:
        return fault("web.certificate_expired", check, subject, evidence={**evidence, "problem": "expired"}, **measure)
    if left < asked.parameters["warn_days"]:
        return fault("web.certificate_30", check, subject, evidence=evidence, **measure)
    return ok(check, subject, evidence=evidence, **measure)
