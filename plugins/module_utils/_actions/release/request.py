# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request to a rollback, the tools that do the work, and the result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..._core.children import call, describe_crash
from ..._core.errors import RemediationError, WrongQuestion
from . import preflight
from .files import Files
from .layout import ENV, PARTS, Place

KEEP, TAKE = "keep", "take"
ROLLED_BACK, ALREADY, PLANNED, FINISHED_EARLIER = "rolled_back", "already", "planned", "finished_earlier"
REFUSED, BACK, BROKEN = "refused", "undone", "broken"  # a failure leaves the host unchanged, as before, or not running


@dataclass(frozen=True)
class Request:
    """The options of the module release_rollback. Sizes are megabytes, times seconds."""

    app_dir: str
    to: str | None
    state_dir: str
    releases_dir: str | None = None
    backup_dirs: Sequence[str] = ()
    parts: Sequence[str] = PARTS
    env_policy: str = TAKE
    env_file: str = ENV
    copy: bool = False
    copy_within: float = 1800.0
    hash_within: float = 120.0
    least_free_mb: float = 200.0
    open_runs: int | None = None
    open_runs_unknown: str = ""
    open_runs_valid: float = 120.0
    override: Sequence[str] = ()
    nginx_conf: str | None = None
    build_dir: str | None = None


@dataclass
class Tools:
    """The tools of a rollback; tests replace them. bounded: runs a function in a child process that can be abandoned.

    listen: called with True where SIGTERM and SIGINT may stop the work (they raise ActionFailed), with False where they must not.
    """

    applications: preflight.Applications | None = None
    web: preflight.Web | None = None
    files: Files = field(default_factory=Files)
    bounded: Callable[[Callable[[], Any], float], Any] = lambda function, deadline: call(function, deadline, ends_with_caller=True).get()
    now: Callable[[], float] = time.time
    listen: Callable[[bool], None] = lambda _listen: None
    clock: Callable[[], float] = time.monotonic


@dataclass
class Result:
    """The outcome, in check mode the planned one. steps: one line each. environment: names of keys that differ, never values."""

    changed: bool = False
    state: str = ""
    message: str = ""
    steps: list[str] = field(default_factory=list)
    release: str = ""
    path: str = ""
    former: str = ""
    environment: dict[str, list[str]] = field(default_factory=dict)
    refusals: list[Mapping[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    down_ms: int = 0
    failed: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the values that the module returns; ``release_path``, because Ansible adds the state of a file to a value named ``path``."""
        found = {name: value for name, value in asdict(self).items() if name != "warnings"}
        found["release_path"], found["failed_release"] = found.pop("path"), found.pop("failed")  # ``failed`` is Ansible's own word
        return found


def validate(request: Request) -> None:
    """Raise WrongQuestion for parts and overrides that do not exist."""
    strange = [part for part in request.parts if part not in PARTS]
    if strange or not request.parts:
        raise WrongQuestion("parts", list(request.parts), f"is not among {', '.join(PARTS)}", "name what this host has of a release")
    unknown = [name for name in request.override if name not in preflight.OVERRIDES]
    if unknown:
        raise WrongQuestion("override", unknown[0], "cannot be overridden", f"choose from {', '.join(preflight.OVERRIDES)}")


def env_of(request: Request, place: Place) -> str:
    """Return the path of .env within a release. Raises WrongQuestion for a path outside the installation."""
    path = request.env_file
    if not os.path.isabs(path):
        return os.path.normpath(path)
    for base in (place.app, place.live):
        if base and path.startswith(base + "/"):
            return os.path.relpath(path, base)
    if "env" not in request.parts:
        return ENV
    raise WrongQuestion("env_file", path, f"is not in {place.app}, so no release holds it", "leave env out of parts")


def env_text(environment: Mapping[str, Sequence[str]]) -> str:
    """Return the difference of two .env as a text, with the names of keys only."""
    words = [f"{what}: {', '.join(names)}" for what, names in environment.items() if names]
    return "; ".join(words) or "no difference"


def message_of(error: Exception) -> str:
    """Return the message of an error in one line."""
    if isinstance(error, RemediationError):
        return error.message
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
    return describe_crash(error)
