# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let nginx test its configuration without changing anything.

``nginx -t`` reports ok although a port is taken, so the ports are read with the state.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any, TypedDict

from ..._core.children import Program, run
from ..._core.errors import CannotRead
from ..._core.masking import mask
from ..._core.source import Source
from . import configuration
from .layout import WHERE, Layout, layout

TEST_WITHIN = 6.0  # seconds for nginx -t, which resolves the names of upstreams
_SAID = re.compile(r"\[(emerg|alert|crit|error|warn)\] (?:\d+#\d+: )?(.*?)(?: in (\S+):(\d+))?$")


class Verdict(TypedDict):
    """The answer of ``nginx -t``."""

    good: bool  # nginx would accept it
    denied: bool  # this user has not the rights to judge it
    parsed: bool  # the syntax is right
    message: str
    file: str  # "" when the answer names none
    line: int  # 0 when the answer names none
    warnings: list[str]


class ConfigTest(Verdict):
    """The test of a configuration."""

    conf: str


def config_owner(conf: str | None = None, prefix: str | None = None, **_others: Any) -> int:
    """Return the user id to become for a test: the owner of the configuration, which can name modules that the test loads."""
    if os.geteuid() != 0 or not conf:
        return os.geteuid()
    try:
        return os.stat(os.path.join(prefix or "/", conf)).st_uid
    except OSError:
        return os.geteuid()


def read_test(executable: str | None = None, conf: str | None = None, prefix: str | None = None) -> ConfigTest:
    """Return the result of ``nginx -t`` for a copy of the configuration whose pid file, logs and folders lead into a temporary folder.

    Its ports are not opened either, not even for a moment as ``nginx -t`` does. Raises CannotRead when nginx gives no answer.
    """
    known = layout(executable, conf, prefix)
    tree = configuration.read_tree(known["conf"])
    folder = tempfile.mkdtemp(prefix="ops-nginx-")
    try:
        names = configuration.write_copy(tree, folder, dict.fromkeys(known["without"]))
        said = _test(known, folder)
    except OSError as error:
        raise CannotRead(f"{known['program']} cannot test {known['conf']}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if said.timed_out:
        raise CannotRead(
            f"{known['program']} -t did not end within {TEST_WITHIN:g} s; does it resolve a name at a name server that does not answer?"
        )
    return {"conf": known["conf"], **verdict(said.code, said.stderr, {**names, f"{folder}/0.conf": known["conf"]}, folder)}


def _test(known: Layout, folder: str) -> Program:
    copy = f"{folder}/0.conf"
    if not os.path.exists(copy):
        copy = known["conf"]  # it cannot be read: nginx reports why, and opens nothing
    argv = [known["program"], "-t", "-p", f"{known['prefix'].rstrip('/')}/", "-c", copy]
    if _version_numbers(known["version"]) >= (1, 19, 5):
        argv += ["-e", "stderr"]
    return run(argv, deadline=TEST_WITHIN, max_output=256 * 1024)


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,6}", version)[:3])


def verdict(code: int | None, stderr: str, names: Mapping[str, str], folder: str) -> Verdict:
    """Return the verdict of an answer of ``nginx -t``.

    names: {path of a copy: real path}. A file that another user may not open (the pid file of root, a key, a port below 1024) is not a fault of
    the configuration.
    """
    worst: tuple[str, str, int] | None = None
    warnings: list[str] = []
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
    text = mask(message, limit=300)
    return {"good": False, "denied": denied, "parsed": parsed, "message": text, "file": file, "line": number, "warnings": warnings}


def _real(text: str, names: Mapping[str, str], folder: str) -> str:
    for copy, path in names.items():
        text = text.replace(copy, path)
    return text.replace(folder, "(copy)")


TEST = Source("nginx.test", read_test, WHERE, owner=config_owner)
