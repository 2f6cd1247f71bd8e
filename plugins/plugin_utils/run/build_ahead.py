# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provide the archive of stack_check in a child process while the run begins.

Ansible builds the archive of a module when the first task needs it, and keeps it until the run ends. That of stack_check holds all areas
and takes a second of one processor. So a run keeps it for the next one, which takes it as long as no source has changed; the first run
builds it while the other processor reads the playbook. A task that comes early waits at Ansible's own lock. A child that fails is of no
consequence: the task builds the archive itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.release import __version__ as ansible_version
from ansible_collections.ops.remediation.plugins.plugin_utils.run.playbook_tasks import names_module

MODULE = "ops.remediation.stack_check"
BUILD_WITHIN = 30  # seconds
KILLED_WITHIN = 1.0
POLL = 0.01
KEPT = 4  # archives: of several checkouts, and of several versions of Ansible
PLUGINS = Path(__file__).resolve().parents[2]


def begin(playbook: Any) -> int:
    """Start the child where a play of ``playbook`` asks checks; returns its process id, 0 without one."""
    if not names_module(playbook, MODULE):
        return 0
    try:
        child = os.fork()
    except OSError:  # no more processes are allowed; the task will tell
        return 0
    if child:
        return child
    with contextlib.suppress(BaseException):
        signal.alarm(BUILD_WITHIN)  # ends the child also when the run is gone
        _provide()
    os._exit(0)


def end(child: int) -> None:
    """Kill a child that is still at work, and abandon it when it does not end (a dead file system)."""
    if child and not _has_ended(child):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        until = time.monotonic() + KILLED_WITHIN
        while not _has_ended(child) and time.monotonic() < until:
            time.sleep(POLL)


def _has_ended(child: int) -> bool:
    try:
        return bool(os.waitpid(child, os.WNOHANG)[0])
    except ChildProcessError:
        return True


def _provide() -> None:
    """Put the kept archive where Ansible looks for it, or build it and keep it."""
    ansibles = Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"
    shelf = Path(constants.config.get_config_value("ANSIBLE_HOME")) / "ops-remediation" / "archives"
    kept = shelf / _fingerprint()
    if _is_ours_alone(shelf) and kept.is_dir():
        ansibles.mkdir(exist_ok=True)
        for file in kept.iterdir():
            _put(file, ansibles / file.name)
        os.utime(kept)
        return
    _build()
    if not context.CLIARGS.get("check"):
        _keep(ansibles, shelf, kept)


def _fingerprint() -> str:
    """Return a text that changes with every source from which Ansible builds the archive."""
    digest = hashlib.sha256(f"{ansible_version} {sys.version} {constants.__file__}".encode())
    folders = [PLUGINS / "module_utils", *map(Path, constants.DEFAULT_MODULE_UTILS_PATH)]
    sources = [PLUGINS / "modules" / "stack_check.py", *(file for folder in folders for file in sorted(folder.rglob("*.py")))]
    for file in sources:
        digest.update(f"{file} {file.stat().st_size}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def _is_ours_alone(folder: Path) -> bool:
    """Whether only this user may write in a folder. Hosts run what is kept there."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _keep(ansibles: Path, shelf: Path, kept: Path) -> None:
    built = [file for file in ansibles.glob("*stack_check*") if file.suffix != ".lock"]
    shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not built or not _is_ours_alone(shelf):
        return
    new = Path(tempfile.mkdtemp(dir=shelf, prefix="new-"))
    for file in built:
        shutil.copy(file, new)
    try:
        new.rename(kept)
    except OSError:  # another run was faster
        shutil.rmtree(new, ignore_errors=True)
    for old in sorted(shelf.iterdir(), key=lambda folder: -folder.stat().st_mtime)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _put(file: Path, place: Path) -> None:
    """Copy a file so that it is there as a whole or not at all."""
    part = place.with_name(f"{place.name}.part")
    shutil.copy(file, part)
    part.rename(place)


def _build() -> None:
    from ansible.executor.module_common import modify_module
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import module_loader
    from ansible.template import Templar

    modify_module(
        module_name=MODULE,
        module_path=module_loader.find_plugin_with_context(MODULE).plugin_resolved_path,
        module_args={"checks": []},
        templar=Templar(loader=DataLoader(), variables={}),
        task_vars={"ansible_python_interpreter": sys.executable},
        module_compression=constants.config.get_config_value("DEFAULT_MODULE_COMPRESSION"),
    )
