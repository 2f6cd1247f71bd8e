# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a rollback: what is done one after the other, and how all of it is undone (manual 1, section 12, made safe).

Both are for a rollback that begins now, and for one that a killed run has left; see :mod:`_release_recover`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..._core.errors import ActionFailed, RemediationError
from . import preflight
from .journal import FINISHED, PLACED, STAGED, STOPPING, UNDOING, UNDONE, Journal
from .layout import LINK, Refused, inode_of, place_of
from .preflight import COPY
from .request import BACK, BROKEN, Request, Result, Tools, said, told
from .swap import FORMER, Swap

_STAMP = len("YYYYMMDDHHMM")  # of the id of a backup
Step = tuple[str, Callable[[], None]]  # a label, and the function that does the step


class Steps:
    """The steps of one rollback; what became of them is put into the result."""

    def __init__(self, request: Request, tools: Tools, journal: Journal, result: Result, app: str) -> None:
        """Take what is asked and what does it; nothing is done yet."""
        self.request = request
        self.tools = tools
        self.journal = journal
        self.result = result
        self.app = app
        self._down_since = 0.0
        self._told_at = tools.clock()  # LogsDB was asked just before

    # --- what runs

    def ill(self) -> str:
        """Say what of the parts does not run well at this moment, "" when all does, or where nothing of it runs here."""
        applications = self.tools.applications
        return applications.ill(self.app, self.request.parts) if applications else ""

    def runs(self, part: str) -> bool:
        """Whether a process of a part is there to be stopped; where that cannot be seen, it counts as there."""
        applications = self.tools.applications
        if not applications or part not in self.request.parts:
            return False
        try:
            found = applications.ours(self.app)
        except RemediationError:
            return True
        name = applications.process_of(part)
        return any(one["name"] == name and one["status"] not in ("stopped", "errored") for one in found)

    # --- the way

    def plan(self, entry: dict[str, Any]) -> list[Step]:
        """Return what is to be done, in order, each with its label. The labels are the plan that check mode shows."""
        swap = Swap(entry, self.tools.files)
        steps: list[Step] = []
        if entry["method"] == COPY:
            steps.append((f"copy {entry['target_path']} to {entry['staging']}, and have it on the disk", lambda: self._stage(entry)))
        if self.tools.applications:
            names = ", ".join(sorted(entry["before"], key=self._stops_last)) or "nothing (no process of it is in PM2's list)"
            steps.append((f"stop {names}", lambda: self._stop_in_time(entry)))
        steps.append((self._swap_label(entry, swap), swap.forward))
        steps += self.bring_up(entry, swap)
        return steps

    def _stops_last(self, name: str) -> tuple[bool, str]:
        applications = self.tools.applications
        return (applications is not None and name == applications.process_of("backend"), name)

    def _swap_label(self, entry: Mapping[str, Any], swap: Swap) -> str:
        if entry["layout"] == LINK:
            return f"point {entry['app']} to {entry['target_path']} (before: {entry['former_path'] or 'nothing'})"
        aside = f"rename {entry['app']} to {entry['aside']}, then " if entry["aside"] else ""
        return f"{aside}rename {swap.source} to {entry['app']}"

    def bring_up(self, entry: dict[str, Any], swap: Swap) -> list[Step]:
        """Return the steps from a release in place to one that is proved; they may be done twice."""
        applications, web, app = self.tools.applications, self.tools.web, entry["app"]
        others: list[str] = []
        steps: list[Step] = []
        if entry["env_keep"]:
            steps.append((f"keep the present {entry['env']} ({told(self.result.environment)})", swap.keep_env))
        elif any(self.result.environment.values()):
            steps.append((f"take the release's own {entry['env']} ({told(self.result.environment)})", lambda: None))
        steps.append(("note in the journal that it is in place", lambda: self._note(entry, PLACED)))
        if applications:
            if "backend" in self.request.parts:
                steps.append((f"start {applications.process_of('backend')}, wait for its health check", lambda: self._start_backend(app)))
            if "worker" in self.request.parts:
                steps.append((f"start {applications.process_of('worker')}, see it work", lambda: applications.start(app, "worker")))
            others = [name for name in self._others(entry["before"]) if name not in entry.get("absent", ())]
            if others:
                steps.append((f"start {', '.join(others)}", lambda: applications.start_others(app, others)))
        if web:
            steps.append(("test nginx's configuration, then have nginx read it anew", self._reload))
            if entry.get("served"):
                steps.append(("see that the page is served, as it was before", self._see_page))
        if applications:
            steps.append(("see that all of it lives on", lambda: applications.watch(app, self.request.parts, others)))
        return steps

    def _others(self, before: Mapping[str, str]) -> list[str]:
        """Return the installation's other processes that ran before."""
        applications = self.tools.applications
        main = {applications.process_of(part) for part in ("backend", "worker") if part in self.request.parts} if applications else set()
        return sorted(name for name, status in before.items() if name not in main and status != "stopped")

    def do(self, entry: dict[str, Any], steps: Sequence[Step]) -> None:
        """Do the steps and note the end; a failure puts the former release back and raises ActionFailed."""
        doing = "begin"
        try:
            try:
                for label, do in steps:
                    doing = label
                    do()
                self.tools.listen(False)
            except Exception:  # a request to end that comes just here is raised too, and caught outside
                self.tools.listen(False)
                raise
        except Refused:  # before anything was touched
            self._leave(entry)
            raise
        except Exception as error:  # whatever it is, the former release must come back
            why = f"could not {doing}: {said(error)}"
            raise ActionFailed(self.undo(entry, why), undone=True) from error
        self._note_end(entry)
        self.tools.listen(True)

    def _note_end(self, entry: Mapping[str, Any]) -> None:
        """Note it; a release that has proved itself stays, whatever the journal's disk says. The next run then notes it."""
        place = place_of(self.request.app_dir, self.request.releases_dir, self.request.backup_dirs)
        self._note(entry, FINISHED, in_place_inode=inode_of(place.live))

    def _note(self, entry: Mapping[str, Any], event: str, **details: Any) -> None:
        """Note what is so already; where that cannot be written, it is a warning."""
        try:
            self.journal.note(entry["id"], event, **details)
        except RemediationError as error:
            self.result.warnings.append(f"{error.message}; the next run looks at this rollback again")

    def _stage(self, entry: dict[str, Any]) -> None:
        """Copy the release beside its place, while the running one still serves."""
        files, source, target = self.tools.files, entry["target_path"], entry["staging"]

        def copy() -> str:
            try:
                files.copy_tree(source, target)
            except OSError as error:
                return said(error)
            return ""

        problem = self.tools.bounded(copy, self.request.copy_within)
        if problem:
            raise ActionFailed(problem)
        entry["target_inode"] = inode_of(target)
        self.journal.note(entry["id"], STAGED, target_inode=entry["target_inode"])

    def _stop_in_time(self, entry: dict[str, Any]) -> None:
        """Stop all, while what was said of open mail runs still holds; raises Refused otherwise, and nothing was touched."""
        request, age = self.request, self.tools.clock() - self._told_at
        late = preflight.of_the_answer(request.parts, age, request.open_runs_valid, request.override)
        if late:
            raise late[0]
        self.stop(entry)

    def _leave(self, entry: Mapping[str, Any]) -> None:
        """End a rollback that has touched nothing yet. A whole copy becomes a backup beside the installation: the next run renames it."""
        name = f"{entry['app']}-backup-{entry['target_id']}"
        if entry["staging"] and entry.get("target_inode") and len(entry["target_id"]) == _STAMP and not os.path.lexists(name):
            self.tools.files.rename(entry["staging"], name)
        elif entry["staging"]:
            self.tools.files.remove_copy(entry["staging"])
        self.journal.note(entry["id"], UNDONE, proved=True)
        self.result.changed = False
        self.result.steps = []

    def stop(self, entry: Mapping[str, Any]) -> None:
        """Stop all; the journal says first that from here on what runs may not be what is in place."""
        if STOPPING not in entry["events"]:
            self.journal.note(entry["id"], STOPPING)
            entry["events"].append(STOPPING)
        self._down_since = time.monotonic()
        if self.tools.applications:
            self.tools.applications.stop(self.app)

    def _start_backend(self, app: str) -> None:
        if self.tools.applications:
            self.tools.applications.start(app, "backend")
        if self._down_since:
            self.result.down_ms = round((time.monotonic() - self._down_since) * 1000)

    def _reload(self) -> None:
        web = self.tools.web
        if web is None:
            return
        problem = web.problem()
        if problem:
            raise ActionFailed(f"nginx would not take its configuration: {problem}")
        if not web.reload():
            self.result.warnings.append("nginx does not run here, so it was not reloaded")

    def _see_page(self) -> None:
        """Raise ActionFailed when the page that was served before is not any more."""
        problem = self.tools.web.served() if self.tools.web else ""
        if problem:
            raise ActionFailed(f"the page was served before and is not now: {problem}")

    # --- back

    def undo(self, entry: dict[str, Any], why: str) -> str:
        """Put the former release back, start it and see that it runs; returns what became of it, in one line.

        A journal that cannot be written (a full disk) must not keep the former release from coming back, nor must a request to end.
        """
        self.tools.listen(False)
        try:
            return self._undo(entry, why)
        finally:
            self.tools.listen(True)

    def _undo(self, entry: dict[str, Any], why: str) -> str:
        self.result.state = BROKEN
        with contextlib.suppress(RemediationError):
            self.journal.note(entry["id"], UNDOING, why=why[:500])
        swap = Swap(entry, self.tools.files)
        if not swap.former_tree():
            with contextlib.suppress(RemediationError):
                self.journal.note(entry["id"], UNDONE, proved=False)
            return f"{why}; there was no former release to put back: {entry['app']} is left as it is"
        self.result.failed = entry["target_path"] if STOPPING in entry["events"] and entry["method"] != COPY else ""
        trouble = self._bring_back(entry, swap)
        if swap.in_place() != FORMER:
            return f"{why}; the former release could not be put back ({trouble}): it is whole in {swap.former_tree()}; run this again"
        if trouble:
            self.result.warnings.append(f"the former release is back in {entry['app']}, but not all was put in order: {trouble}")
        problem = self._prove_former(entry)
        with contextlib.suppress(RemediationError):
            self.journal.note(entry["id"], UNDONE, proved=not problem)
        ill = ", ".join(f"{name} was {status}" for name, status in sorted(entry["before"].items()) if status != "online")
        before = f" (before the rollback {ill})" if ill else ""
        if problem:
            return f"{why}; the former release is back in {entry['app']}, but it does not run: {problem}{before}"
        self.result.state = BACK
        failed = f"; the logs of what failed are in {self.result.failed}" if self.result.failed else ""
        return f"{why}{failed}; the former release is back in {entry['app']} and runs"

    def _bring_back(self, entry: Mapping[str, Any], swap: Swap) -> str:
        """Do what brings the former release back, each of it whatever became of the one before; returns what failed, "" for nothing."""
        problems = []
        try:
            if swap.in_place() != FORMER:
                with contextlib.suppress(RemediationError):  # what does not stop now is started anew afterwards
                    self.stop(entry)
            swap.backward()
        except Exception as error:
            problems.append(said(error))
        return "; ".join(filter(None, [*problems, self.put_in_order(entry, swap)]))

    def put_in_order(self, entry: Mapping[str, Any], swap: Swap) -> str:
        """Give the target its own .env again and clear the copy; returns what failed, "" for nothing."""
        problems = []
        for part in (swap.give_env_back, lambda: self._clear_staging(entry)):
            try:
                part()
            except Exception as error:
                problems.append(said(error))
        return "; ".join(problems)

    def _prove_former(self, entry: Mapping[str, Any]) -> str:
        """Start the former release; returns why it does not run, "" when it does."""
        applications, app = self.tools.applications, entry["app"]
        # What was started before the former release came back may be a process of the other one that could not be stopped.
        since = _renamed_at(app) if STOPPING in entry["events"] else 0.0
        problems = []
        for part in (part for part in ("backend", "worker") if part in self.request.parts):
            if applications is None:
                break
            try:
                applications.start(app, part, since)
            except RemediationError as error:
                problems.append(error.message)
        try:
            if applications:
                applications.start_others(app, self._others(entry["before"]), since)
            self._reload()
            if applications and not problems:
                applications.watch(app, self.request.parts, self._others(entry["before"]))
        except RemediationError as error:
            problems.append(error.message)
        return "; ".join(problems)

    def _clear_staging(self, entry: Mapping[str, Any]) -> None:
        """Remove a copy that was not finished; one that was in place has logs, and goes to the attic."""
        staging = entry["staging"]
        if not staging:
            return
        if not entry.get("target_inode"):
            self.tools.files.discard(staging)
            return
        if not os.path.lexists(staging):
            return
        attic = f"{entry['app']}-attic"
        failed = os.path.join(attic, f"failed-{entry['target_id']}-{entry['id']}")
        self.tools.files.make_folder(attic, like=os.path.dirname(attic))
        self.tools.files.rename(staging, failed)
        self.result.failed = failed


def _renamed_at(app: str) -> float:
    """Return when what is in place came there, in epoch seconds: a rename and a new link both set the moment of change.

    It may be later, where something was made in the folder itself since; then more is started anew than must be.
    """
    try:
        return os.lstat(app).st_ctime
    except OSError:
        return time.time()
