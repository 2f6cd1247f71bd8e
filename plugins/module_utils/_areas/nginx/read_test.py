# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

from ..._core.children import Program, run
from ..._core.errors import CannotRead
from ..._core.masking import mask
from ..._core.source import Source
from . import conf as nginx_conf
from .layout import WHERE, layout

TEST_WITHIN = 6.0  # seconds for nginx -t: names of upstreams are looked up


_SAID = re.compile(r"\[(emerg|alert|crit|error|warn)\] (?:\d+#\d+: )?(.*?)(?: in (\S+):(\d+))?$")


def config_owner(conf: str | None = None, prefix: str | None = None, **_others: Any) -> int:
    """Return the user id to become for a test: who may write the configuration may name programs to load in it."""
    if os.geteuid() != 0 or not conf:
        return os.geteuid()
    try:
        return os.stat(os.path.join(prefix or "/", conf)).st_uid
    except OSError:
        return os.geteuid()


def read_test(executable: str | None = None, conf: str | None = None, prefix: str | None = None) -> dict[str, Any]:
    """Let nginx test a copy of the configuration whose pid file, logs and folders lead nowhere.

    Returns ``good`` (nginx would take it), ``denied`` (this user may not judge), ``parsed`` (syntax is ok), ``message``, ``file``, ``line`` (0 when it named
    none), ``warnings``, ``conf``. Its ports are not opened either, not even for a moment as ``nginx -t`` does: see ``ports`` of the state.
    Raises CannotRead when nginx gives no answer.
    """
    known = layout(executable, conf, prefix)
    tree = nginx_conf.read_tree(known["conf"])
    folder = tempfile.mkdtemp(prefix="ops-nginx-")
    try:
        names = nginx_conf.write_copy(tree, folder, dict.fromkeys(known["without"]))
        said = _test(known, folder)
    except OSError as error:
        raise CannotRead(f"{known['program']} cannot test {known['conf']}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if said.timed_out:
        raise CannotRead(f"{known['program']} -t did not end within {TEST_WITHIN:g} s; does it look up a name that does not answer?")
    return {"conf": known["conf"], **verdict(said.code, said.stderr, {**names, f"{folder}/0.conf": known["conf"]}, folder)}


def _test(known: Mapping[str, Any], folder: str) -> Program:
    copy = f"{folder}/0.conf"
    if not os.path.exists(copy):
        copy = known["conf"]  # it cannot be read: nginx says why, and opens nothing
    argv = [known["program"], "-t", "-p", f"{known['prefix'].rstrip('/')}/", "-c", copy]
    if _version_numbers(known["version"]) >= (1, 19, 5):
        argv += ["-e", "stderr"]
    return run(argv, deadline=TEST_WITHIN, max_output=256 * 1024)


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,6}", version)[:3])


def verdict(code: int | None, stderr: str, names: Mapping[str, str], folder: str) -> dict[str, Any]:
    """Judge the answer of ``nginx -t``.

    What another user may not open (the pid file of root, a key, a port below 1024) is no fault of the configuration.
    """
    worst: tuple[str, str, int] | None = None
    warnings = []
    for line in stderr.splitlines():
        match = _SAID.search(line)
        if match is None:
            continue
        said = (
            _real(match.group(2), names, folder),
            names.get(match.group(3) or "", match.group(3) or ""),
            int((match.group(4) or "0")[:9]),
        )
        if match.group(1) == "emerg" and worst is None:
            worst = said
        elif match.group(1) == "warn" and len(warnings) < 5 and '"user" directive' not in said[0]:
            warnings.append(mask(said[0], limit=200))
    if code == 0:
        return {"good": True, "denied": False, "parsed": True, "message": "", "file": "", "line": 0, "warnings": warnings}
    message, file, number = worst or (mask(stderr.strip()[-300:]) or f"nginx -t ended with {code}", "", 0)
    denied = bool(re.search(r"\((?:1|13): |Permission denied", message)) and os.geteuid() != 0
    parsed = bool(re.search(r"syntax is ok", stderr))
    shown = {"message": mask(message, limit=300), "file": file, "line": number, "warnings": warnings}
    return {"good": False, "denied": denied, "parsed": parsed, **shown}


def _real(text: str, names: Mapping[str, str], folder: str) -> str:
    for copy, path in names.items():
        text = text.replace(copy, path)
    return text.replace(folder, "(copy)")


TEST = Source("nginx.test", read_test, WHERE, owner=config_owner)
