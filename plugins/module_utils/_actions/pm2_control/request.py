# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request to pm2_control, its validation, and the files that it names."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

from ..._core.children import user_name
from ..._core.errors import ActionFailed, CannotRead, WrongQuestion
from ..._core.masking import mask
from ..._shared import pm2_list, pm2_rpc

STATES = ("started", "stopped", "restarted", "reloaded", "absent", "saved", "resurrected")
_NAMED = ("started", "stopped", "restarted", "reloaded", "absent")


@dataclass(frozen=True)
class Request:
    """The options of the module pm2_control."""

    pm2_home: str
    state: str
    name: str = ""
    user: str | None = None
    script: str | None = None
    ecosystem: str | None = None
    cwd: str | None = None
    args: Sequence[str] = ()
    exec_mode: str = "fork"
    instances: int = 1
    env_file: str | None = None
    update_env: bool = False
    wait_stable: float = 5.0
    health_url: str | None = None
    health_timeout: float = 30.0
    pm2_executable: str = "pm2"
    path_prefix: Sequence[str] = ()
    deadline: float = 120.0
    orphans: str = "refuse"
    answer_within: float = pm2_rpc.ANSWER_WITHIN


def validate(request: Request) -> None:
    """Raise WrongQuestion when the options cannot be used together."""
    if request.state in _NAMED and not request.name:
        raise WrongQuestion("name", request.name, f"is needed for state={request.state}", "give the name of a process, or all")
    if request.script and request.ecosystem:
        raise WrongQuestion("script", request.script, "is given together with ecosystem", "give one of the two")
    if request.script and request.name == "all":
        raise WrongQuestion("name", "all", "cannot be the name of one script", "give the name that the process gets")
    if request.update_env and not (request.env_file or request.ecosystem):
        raise WrongQuestion("update_env", True, "has nothing to update from", "give env_file or ecosystem")
    for option in ("script", "ecosystem", "env_file", "cwd", "pm2_home"):
        path = getattr(request, option)
        if path and not os.path.isabs(path):
            raise WrongQuestion(option, path, "is not an absolute path", "give the full path on the host")
    if request.ecosystem and not re.search(r"\.(?:json|ya?ml|config\.(?:js|cjs|mjs))$", request.ecosystem):
        raise WrongQuestion(
            "ecosystem", request.ecosystem, "is not a name that PM2 accepts for an ecosystem file", "name it *.config.js, *.json or *.yml"
        )
    if request.instances < 1:
        raise WrongQuestion("instances", request.instances, "is not a number of processes", "give 1 or more")
    for option in ("wait_stable", "health_timeout", "deadline"):
        refuse_time(option, getattr(request, option))
    if request.health_url is not None:
        refuse_url("health_url", request.health_url)
    if request.deadline <= request.wait_stable:
        raise WrongQuestion("deadline", request.deadline, f"is not longer than wait_stable ({request.wait_stable:g})", "give a longer one")


def refuse_time(option: str, seconds: float) -> None:
    """Raise WrongQuestion unless this is a number of seconds, 0 or more."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise WrongQuestion(option, seconds, "is not a valid time", "give a number of seconds, 0 or more")


def refuse_url(option: str, url: str) -> None:
    """Raise WrongQuestion unless this is an HTTP or HTTPS address."""
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good:
        raise WrongQuestion(option, mask(url), "is not the address of a page", "give http://host:port/path")


def starts(request: Request) -> bool:
    """Return whether the request names a file that can start the application."""
    return bool(request.script or request.ecosystem)


def owners(request: Request) -> tuple[int, int, int]:
    """Return three user ids: the one to act as, the owner of the PM2_HOME, and the owner of the daemon's socket (-1 for none)."""
    uid = pm2_list.owner(request.pm2_home, request.user)
    try:
        socket_uid = os.lstat(os.path.join(request.pm2_home, "rpc.sock")).st_uid
    except OSError:
        socket_uid = -1
    return uid, os.stat(request.pm2_home).st_uid, socket_uid


def refuse_mixed(request: Request, uid: int, home_uid: int, socket_uid: int) -> None:
    """Raise an error where the request would act as one user in the PM2_HOME of another: the owner cannot use files that root leaves there."""
    home, keeper, runner = request.pm2_home, user_name(home_uid), user_name(socket_uid)
    if socket_uid == 0 != home_uid:
        raise ActionFailed(
            f"a PM2 daemon of root runs in the PM2_HOME of {keeper}; end it first (sudo env PM2_HOME={quote(home)} pm2 kill),"
            f" give the files back (sudo chown -hR {quote(keeper)}: {quote(home)}), then state=resurrected"
        )
    if socket_uid not in (-1, home_uid) and not request.user:
        problem = f"is not given, and a PM2 daemon of {runner} runs in the PM2_HOME of {keeper}"
        raise WrongQuestion("user", request.user, problem, f"give {runner} if that is intended, otherwise end that daemon first")
    if uid == 0 and home_uid != 0:
        raise WrongQuestion(
            "user", request.user, f"would leave files of root in the PM2_HOME of {keeper}", f"leave it out, or give {keeper}"
        )


def write_ecosystem(request: Request) -> str:
    """Write an ecosystem file for one application with mode 0600, and return its path."""
    application = {
        "name": request.name,
        "script": request.script,
        "cwd": request.cwd or os.path.dirname(request.script or "") or "/",
        "args": list(request.args),
        "exec_mode": request.exec_mode,
        "instances": request.instances,
    }
    if request.exec_mode == "fork" and request.instances == 1:
        del application["instances"]
    os.makedirs(request.pm2_home, mode=0o700, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=request.pm2_home, prefix="start-", suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"apps": [application]}, file)
    return path


def remove(path: str) -> None:
    """Remove a file if it exists."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def read_env_file(path: str) -> dict[str, str]:
    """Return the KEY=VALUE lines of a file as a dictionary; the values never leave the host."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 20).splitlines()
    except OSError as error:
        raise CannotRead(f"cannot be read ({error.strerror})") from error
    variables = {}
    for line in lines:
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$", line)
        if match:
            value = match.group(2)
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            variables[match.group(1)] = value[1:-1] if quoted else value
    return variables


OWN_VARIABLES = re.compile(
    r"(?:PM2_.*|pm_.*|PATH|HOME|USER|LOGNAME|SHELL|ENV|BASH_ENV|IFS|PWD|NODE_OPTIONS|NODE_PATH|NODE_REPL_.*|NODE_CHANNEL_.*"
    r"|NODE_APP_INSTANCE|NODE_V8_COVERAGE|NODE_UNIQUE_ID|OPENSSL_CONF|SSLKEYLOGFILE|LD_.*|GCONV_PATH|LOCPATH|MALLOC_.*|KEYMETRICS_.*)$",
    re.I,
)
