# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small installations with releases, and applications that really run from them: shell scripts under a stand-in for PM2."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from ansible_collections.ops.remediation.plugins.module_utils._actions.release import rollback as _release
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.files import Files, digest_of, manifest_of
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.layout import SCRIPTS
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import ActionFailed

SECRET = "planted-secret-77"
# A process writes which release it is, then lives on. What it says first is what a health check would answer.
_SCRIPT = '{first}\nprintf %s "{version}" >"$1"\n{then}\n'
LIVES = "exec sleep 300"
CRASHES = "exit 1"  # at once, before it says anything
CRASHES_LATER = "sleep 0.3; exit 1"  # after it has said which release it is
# A process that will end by itself, or that will never say anything, says so beside: it is waited for without a clock.
_WILL_END = ': >"$1.will_end"'
HANGS = ': >"$1.hangs"\nexec sleep 300\n'


def make_release(path, version, *, backend=LIVES, worker=LIVES, env=""):
    """Make a complete release whose processes say a version."""
    tree = Path(path)
    for part, then in (("backend", backend), ("worker", worker)):
        script = tree / SCRIPTS[part]
        script.parent.mkdir(parents=True)
        first = {CRASHES: CRASHES, CRASHES_LATER: _WILL_END}.get(then, "")
        script.write_text(_SCRIPT.format(version=version, first=first, then=then))
        (tree / part / "logs").mkdir()
    build = tree / "frontend/build"
    (build / "assets").mkdir(parents=True)
    (build / "index.html").write_text(f'<script src="/assets/app-{version}.js"></script><link href="/assets/app-{version}.css" rel="x">')
    (build / f"assets/app-{version}.js").write_text("x")
    (build / f"assets/app-{version}.css").write_text("x")
    (tree / "config").mkdir()
    (tree / "config/.env").write_text(f"PORT=3000\nORACLE_PASS={SECRET}-{version}\n{env}")
    (tree / "config/.env").chmod(0o600)
    return tree


class Applications:
    """What PM2 is for a release: it knows pids, starts what does not run, and outlives whoever talks to it."""

    uid = os.getuid()

    PATIENCE_S = 60  # on a machine that is busy; nothing that is expected waits for its end

    def __init__(self, run, hook=None):
        self.run = Path(run)
        self.run.mkdir(exist_ok=True)
        self.hook = hook or (lambda _name: None)
        self.refused = []

    def process_of(self, part):
        return part

    def pid(self, name):
        try:
            pid = int((self.run / f"{name}.pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return 0
        return pid if state not in "ZX" else 0

    def says(self, name):
        path = self.run / f"{name}.says"
        return path.read_text() if self.pid(name) and path.exists() else ""

    def ours(self, place_app):
        return [{"name": name, "pm_id": number, "status": "online" if self.pid(name) else "stopped"} for number, name in enumerate(SCRIPTS)]

    def problems(self, place, parts):
        return self.refused

    def stop(self, app):
        for name in ("worker", "backend"):
            self.hook(f"stop {name}")
            self._end(name)

    def _end(self, name):
        pid = self.pid(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
            while self.pid(name):
                time.sleep(0.001)

    def start(self, app, part, since=0.0):
        self.hook(f"start {part}")
        script = os.path.join(app, SCRIPTS[part])
        if self.pid(part) and (self.run / f"{part}.pid").stat().st_mtime < since:
            self._end(part)
        if not self.pid(part):
            self._spawn(part, script)
        end = time.monotonic() + self.PATIENCE_S
        while not self.says(part):
            if not self.pid(part) or self._marked(part, "hangs") or time.monotonic() > end:
                raise ActionFailed(f"{part} is not healthy")
            time.sleep(0.002)

    def _marked(self, name, mark):
        return (self.run / f"{name}.says.{mark}").exists()

    def _spawn(self, name, script):
        says, pid = self.run / f"{name}.says", self.run / f"{name}.pid"
        for path in (says, pid, self.run / f"{name}.says.will_end", self.run / f"{name}.says.hangs"):
            path.unlink(missing_ok=True)
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(["sh", script, says], start_new_session=True, **quiet)
        # No kill comes between these two: kills come with the hook's operations.
        pid.write_text(str(process.pid))

    def start_others(self, app, names, since=0.0):
        self.hook("start others")

    def ill(self, app, parts):
        silent = [name for name in SCRIPTS if not self.says(name)]
        return f"{silent[0]} is not healthy" if silent else ""

    def watch(self, app, parts, others=()):
        self.hook("watch")
        while True:
            dead = [name for name in SCRIPTS if not self.pid(name)]
            if dead:
                raise ActionFailed(f"{dead[0]} did not stay up")
            if not any(self._marked(name, "will_end") for name in SCRIPTS):
                return
            time.sleep(0.01)

    def end(self):
        self.hook = lambda _name: None
        self.stop("")


class Web:
    """A web server that takes its configuration unless told otherwise."""

    def __init__(self, hook=None):
        self.hook = hook or (lambda _name: None)
        self.said = ""
        self.reloads = 0
        self.page = []  # what is said of the page, one time after the other; nothing: no address of it is known

    def problem(self, conf=None):
        return self.said

    def served(self):
        return self.page.pop(0) if self.page else None

    def reload(self):
        self.hook("reload nginx")
        self.reloads += 1
        return True


class Installation:
    """An installation with a running release A, backups B (newer) and C (older), in a folder of its own."""

    def __init__(self, folder, layout="folder", **of_b):
        self.folder = Path(folder)
        self.layout = layout
        self.app = self.folder / ("current" if layout == "link" else "tank-mail-app")
        self.state = self.folder / "state"
        if layout == "link":
            self.paths = {name: self.folder / "releases" / day for name, day in (("A", "20261121"), ("B", "20261120"), ("C", "20261110"))}
        else:
            backup = "tank-mail-app-backup-"
            self.paths = {"A": self.app, "B": self.folder / f"{backup}202611200930", "C": self.folder / f"{backup}202611100930"}
        make_release(self.paths["A"], "A", env="ADDED_LATER=1\n")
        make_release(self.paths["B"], "B", **of_b)
        make_release(self.paths["C"], "C")
        if layout == "link":
            os.symlink("releases/20261121", self.app)
        self.id = {name: path.name[-12:] if layout == "folder" else path.name for name, path in self.paths.items()}
        self.digests = {name: digest(path) for name, path in self.paths.items()}
        self.codes = {name: digest_ignoring_env(path) for name, path in self.paths.items()}
        self.applications = Applications(self.folder / "run")
        self.web = Web()

    def start(self):
        for part in SCRIPTS:
            self.applications.start(str(self.app), part)
        return self

    def request(self, to, **options):
        given = {"app_dir": str(self.app), "to": to, "state_dir": str(self.state), "open_runs": 0, "least_free_mb": 0, **options}
        if self.layout == "link":
            given["releases_dir"] = str(self.folder / "releases")
        return _release.Request(**given)

    def roll_back(self, to, hook=None, *, check_mode=False, **options):
        """Roll back in this process; hook is called before each operation."""
        self.applications.hook = self.web.hook = hook or (lambda _name: None)
        tools = _release.Tools(self.applications, self.web, Files(hook), bounded=lambda function, deadline: function())
        return _release.roll_back(self.request(to, **options), tools, check_mode=check_mode)

    def running(self):
        """Return the version that both processes say, and that the code in place has: "" when they disagree."""
        said = {self.applications.says(part) for part in SCRIPTS}
        if len(said) != 1:
            return ""
        version = said.pop()
        if not version:
            return ""
        known = self.codes.get(version) or digest_ignoring_env(self.tree_of(version))
        return version if digest_ignoring_env(self.app) == known else ""

    def tree_of(self, version):
        """Return where a release of this version is now."""
        return next(tree for tree in self.trees() if f'"{version}"' in (tree / SCRIPTS["backend"]).read_text())

    def trees(self):
        """Return every folder that holds a release now."""
        found = [
            path for path in self.folder.rglob("*") if path.is_dir() and not path.is_symlink() and (path / SCRIPTS["backend"]).is_file()
        ]
        return [path for path in found if self.app not in path.parents or self.layout == "folder"]

    def lost(self):
        """Return the releases whose files are no longer anywhere as they were."""
        now = {digest(tree) for tree in self.trees()}
        return sorted(name for name, known in self.digests.items() if known not in now)

    def end(self):
        self.applications.end()
        shutil.rmtree(self.folder)


def digest(tree):
    """Return one hash of all files of a release, as they would be without what a rollback noted beside .env."""
    manifest = manifest_of(str(tree))
    kept = [path for path in manifest if path.startswith("config/.env.before-")]
    if kept:
        manifest["config/.env"] = manifest.pop(kept[0])
    return digest_of(manifest)


def digest_ignoring_env(tree):
    manifest = manifest_of(os.path.realpath(tree))
    return digest_of({path: entry for path, entry in manifest.items() if not path.startswith("config/.env")})


def operations(work):
    """Run work(hook) in a child to its end; returns the names of its operations in order."""
    receive, send = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(receive)
        try:
            work(lambda name: os.write(send, f"{name}\n".encode()))
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive) as pipe:
        names = pipe.read().splitlines()
    os.waitpid(pid, 0)
    return names


def killed_at(number, work):
    """Run work(hook) in a child that is killed at its n-th operation; returns the name of that operation, "" when it ended before."""
    receive, send = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(receive)
        counted = 0

        def hook(name):
            nonlocal counted
            counted += 1
            if counted == number:
                os.write(send, name.encode())
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            work(hook)
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive) as pipe:
        name = pipe.read()
    os.waitpid(pid, 0)
    return name
