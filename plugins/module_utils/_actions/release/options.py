# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that the release modules share, and the requests that they turn into."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..._core.errors import WrongQuestion
from ..._core.state import default_directory
from ..pm2_control.request import refuse_time, refuse_url
from .backup import Request as BackupRequest
from .layout import ENV, PARTS
from .nginx import Nginx
from .pm2 import Pm2Applications, Settings
from .rollback import Request, Result, Tools

PLACE: dict[str, dict[str, Any]] = {
    "app_dir": {"type": "path", "required": True},
    "state_dir": {"type": "path"},
    "host_name": {"type": "str", "default": "localhost"},
    "releases_dir": {"type": "path"},
    "backup_dirs": {"type": "list", "elements": "path", "default": []},
    "parts": {"type": "list", "elements": "str", "choices": list(PARTS), "default": list(PARTS)},
    "env_file": {"type": "str", "default": ENV},
}
TIMES = ("copy_timeout", "hash_timeout", "open_runs_valid", "health_timeout", "worker_timeout", "settle")


def where(given: Mapping[str, Any]) -> Request:
    """Return a request that only names the installation."""
    return Request(
        app_dir=given["app_dir"],
        to=None,
        state_dir=given["state_dir"] or default_directory(given["host_name"]),
        releases_dir=given["releases_dir"],
        backup_dirs=given["backup_dirs"],
        parts=given["parts"],
        env_file=given["env_file"],
    )


def rollback(given: Mapping[str, Any]) -> tuple[Request, Tools]:
    """Return the request and the tools of a rollback. Raises WrongQuestion for options that are missing or have unusable values."""
    nginx = Nginx(**given["nginx"]) if given["nginx"] is not None else None
    runs = {"backend", "worker"} & set(given["parts"])
    if runs and not given["pm2_home"]:
        raise WrongQuestion("pm2_home", None, "is needed to stop and start backend and worker", "give the PM2_HOME of the applications")
    if "backend" in given["parts"] and not given["health_url"]:
        raise WrongQuestion("health_url", None, "is needed to prove that the backend answers", "give the address of its health check")
    _refuse_values(given)
    names = ("to", "env_policy", "copy", "least_free_mb", "open_runs", "open_runs_unknown", "open_runs_valid", "override", "build_dir")
    base = where(given)
    request = Request(
        **{name: getattr(base, name) for name in ("app_dir", "state_dir", "releases_dir", "backup_dirs", "parts", "env_file")},
        **{name: given[name] for name in names},
        copy_within=given["copy_timeout"],
        hash_within=given["hash_timeout"],
        nginx_conf=nginx.conf if nginx else None,
    )
    same = ("pm2_home", "user", "pm2_executable", "path_prefix", "backend_process", "worker_process", "health_url", "health_timeout")
    settings = {name: given[name] for name in (*same, "worker_sign", "settle")}
    applications = Pm2Applications(Settings(**settings, worker_within=given["worker_timeout"])) if runs else None
    return request, Tools(applications, nginx)


def _refuse_values(given: Mapping[str, Any]) -> None:
    """Raise WrongQuestion for unusable values that would otherwise only fail after the stop, for either release."""
    if given["health_url"]:
        refuse_url("health_url", given["health_url"])
    if given["nginx"] and given["nginx"].get("page_url"):
        refuse_url("page_url", given["nginx"]["page_url"])
    for option in TIMES:
        refuse_time(option, given[option])
    if not (math.isfinite(given["least_free_mb"]) and given["least_free_mb"] >= 0):
        raise WrongQuestion("least_free_mb", given["least_free_mb"], "is not a valid size", "give a number of megabytes, 0 or more")
    try:
        re.compile(given["worker_sign"])
    except re.error as error:
        problem = f"is not a regular expression ({error})"
        raise WrongQuestion(
            "worker_sign", given["worker_sign"], problem, "put a backslash before each ( [ * + ? . that stands for itself"
        ) from error


def backup(given: Mapping[str, Any]) -> BackupRequest:
    """Return the request of a backup."""
    values = {name: value for name, value in given.items() if name not in ("state_dir", "host_name")}
    return BackupRequest(state_dir=given["state_dir"] or default_directory(given["host_name"]), **values)


def diff(result: Result, app_dir: str) -> dict[str, str]:
    """Return what ``--diff`` shows: the steps, and names of keys of .env."""
    keys = [f".env {what}: {name}" for what, names in result.environment.items() for name in names]
    after = [*result.steps, *keys] if result.changed else []
    return {"before": "", "after": "".join(f"{line}\n" for line in after), "before_header": app_dir, "after_header": app_dir}
