# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find nginx and what it was built with: its folders, its configuration, its log."""

from __future__ import annotations

import os
import re
import shutil
from typing import TypedDict

from ..._core.children import run
from ..._core.errors import CannotRead, WrongQuestion

PROGRAM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/local/nginx/sbin", "/usr/bin", "/opt/nginx/sbin")
VERSION_WITHIN = 3.0  # seconds for nginx -V
WHERE = ("executable", "conf", "prefix")  # the parameters that select an nginx
_PATH_REMEDY = "give the path of nginx.conf on this host"


class Layout(TypedDict):
    """Where an nginx has its files."""

    program: str
    version: str
    prefix: str
    conf: str
    default_conf: str
    pid_file: str
    error_log: str
    without: list[str]  # the temporary paths of modules that it was built without


def layout(executable: str | None, conf: str | None, prefix: str | None) -> Layout:
    """Return what this nginx was built with; the given values replace its own.

    Raises WrongQuestion for a configuration that does not exist, CannotRead when nginx is not installed.
    """
    program = _program(executable)
    built = _built_with(program)
    prefix = prefix or built.get("prefix", "/usr/local/nginx")
    conf = os.path.join(prefix, conf or built.get("conf-path", "conf/nginx.conf"))
    if not os.path.lexists(conf):
        raise WrongQuestion("conf", conf, "does not exist on this host, or may not be seen", _PATH_REMEDY)
    without = [f"{name}_temp_path" for name in ("proxy", "fastcgi", "uwsgi", "scgi") if f"without-http_{name}_module" in built]
    return {
        "program": program,
        "version": built.get("version", ""),
        "prefix": prefix,
        "conf": conf,
        "default_conf": os.path.join(prefix, built.get("conf-path", "conf/nginx.conf")),
        "pid_file": built.get("pid-path", "logs/nginx.pid"),
        "error_log": built.get("error-log-path", "logs/error.log"),
        "without": without,
    }


def _program(executable: str | None) -> str:
    wanted = executable or "nginx"
    found = shutil.which(wanted) or next(
        (one for one in (f"{folder}/{wanted}" for folder in PROGRAM_FOLDERS) if os.access(one, os.X_OK)), None
    )
    if found:
        return found
    if executable:
        raise WrongQuestion("executable", executable, "is not a program on this host", "give the path of nginx, usually /usr/sbin/nginx")
    raise CannotRead("there is no program nginx on this host; give its path as executable")


def _built_with(program: str) -> dict[str, str]:
    try:
        said = run([program, "-V"], deadline=VERSION_WITHIN)
    except OSError as error:
        raise CannotRead(f"{program} cannot be started: {error.strerror}") from error
    text = said.stderr or said.stdout
    built = {"version": "".join(re.findall(r"^nginx version: \S+?/([\d.]+)", text, re.M)[:1])}
    for name, value in re.findall(r"--([\w-]+)(?:=('[^']*'|\S+))?", text):
        built.setdefault(name, value.strip("'"))
    return built
