# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a rollback, and how all of them are undone (manual 1, section 12, made safe).

A rollback that begins now uses them, and so does the recovery of one that was killed (``recover.py``).
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
from .request import BACK, BROKEN, Request, Result, Tools, env_text, message_of
from .swap import FORMER, Swap

_STAMP = len("YYYYMMDDHHMM")  # of the id of a backup
Step = tuple[str, Callable[[], None]]  # a label, and the function that does the step


class Steps:
    """The steps of one rollback; their outcome is put into the result."""

    def __init__(self, request: Request, tools: Tools, journal: Journal, result: Result, app: str) -> None:
        """Store the request and the tools; changes nothing."""
        self.request = request
        self.tools = tools
        self.journal = journal
        self.result = result
        self.app = app
        self._down_since = 0.0
        self._began_at = tools.clock()  # LogsDB was read just before

    # --- the running processes

    def ill(self) -> str:
        """Return which part does not run well now, "" when all do or none runs on this host."""
        applications = self.tools.applications
        return applications.ill(self.app, self.request.parts) if applications else ""

    def runs(self, part: str) -> bool:
        """Return whether a process of a part would have to be stopped; true where that cannot be read."""
        applications = self.tools.applications
        if not applications or part not in self.request.parts:
            return False
        try:
            found = applications.ours(self.app)
        except RemediationError:
            return True
        name = applications.process_of(part)
        return any(one["name"] == name and one["status"] not in ("stopped", "errored") for one in found)

    # --- the steps

    def plan(self, entry: dict[str, Any]) -> list[Step]:
        """Return the steps, in order. Their labels are the plan that check mode shows."""
        swap = Swap(entry, self.tools.files)
        steps: list[Step] = []
        if entry["method"] == COPY:
            steps.append((f"copy {entry['target_path']} to {entry['staging']}, and sync it to the disk", lambda: self._stage(entry)))
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
        """Return the steps that start and verify the release in place; they can be repeated."""
        applications, web, app = self.tools.applications, self.tools.web, entry["app"]
        others: list[str] = []
        steps: list[Step] = []
        if entry["env_keep"]:
            steps.append((f"keep the present {entry['env']} ({env_text(self.result.environment)})", swap.keep_env))
        elif any(self.result.environment.values()):
            steps.append((f"take the release's own {entry['env']} ({env_text(self.result.environment)})", lambda: None))
        steps.append(("record in the journal that it is in place", lambda: self._note(entry, PLACED)))
        if applications:
            if "backend" in self.request.parts:
                steps.append((f"start {applications.process_of('backend')}, wait for its health check", lambda: self._start_backend(app)))
            if "worker" in self.request.parts:
                steps.append((f"start {applications.process_of('worker')}, see it work", lambda: applications.start(app, "worker")))
            others = [name for name in self._others(entry["before"]) if name not in entry.get("absent", ())]
            if others:
                steps.append((f"start {', '.join(others)}", lambda: applications.start_others(app, others)))
        if web:
            steps.append(("test nginx's configuration, then reload nginx", self._reload))
            if entry.get("served"):
                steps.append(("verify that the page is served, as it was before", self._verify_page))
        if applications:
            steps.append(("see that all of it lives on", lambda: applications.watch(app, self.request.parts, others)))
        return steps

    def _others(self, before: Mapping[str, str]) -> list[str]:
        """Return the other processes of the installation that ran before."""
        applications = self.tools.applications
        main = {applications.process_of(part) for part in ("backend", "worker") if part in self.request.parts} if applications else set()
        return sorted(name for name, status in before.items() if name not in main and status != "stopped")

    def do(self, entry: dict[str, Any], steps: Sequence[Step]) -> None:
        """Do the steps and record the end. A failure puts the former release back and raises ActionFailed."""
        doing = "begin"
        try:
            try:
                for label, do in steps:
                    doing = label
                    do()
                self.tools.listen(False)
            except Exception:  # a signal that comes just here raises as well, and is caught below
                self.tools.listen(False)
                raise
        except Refused:  # before anything was touched
            self._leave(entry)
            raise
        except Exception as error:  # whatever the error, the former release must come back
            why = f"could not {doing}: {message_of(error)}"
            raise ActionFailed(self.undo(entry, why), undone=True) from error
        self._note_end(entry)
        self.tools.listen(True)

    def _note_end(self, entry: Mapping[str, Any]) -> None:
        """Record the end. A verified release stays even where the journal cannot be written; the next run then records it."""
        place = place_of(self.request.app_dir, self.request.releases_dir, self.request.backup_dirs)
        self._note(entry, FINISHED, in_place_inode=inode_of(place.live))

    def _note(self, entry: Mapping[str, Any], event: str, **details: Any) -> None:
        """Note what is so already; where that cannot be written, it is a warning."""
        try:
            self.journal.note(entry["id"], event, **details)
        except RemediationError as error:
            self.result.warnings.append(f"{error.message}; the next run examines this rollback again")

    def _stage(self, entry: dict[str, Any]) -> None:
        """Copy the release beside the installation, while the running one still serves. Raises ActionFailed."""
        files, source, target = self.tools.files, entry["target_path"], entry["staging"]

        def copy() -> str:
            try:
                files.copy_tree(source, target)
            except OSError as error:
                return message_of(error)
            return ""

        problem = self.tools.bounded(copy, self.request.copy_within)
        if problem:
            raise ActionFailed(problem)
        entry["target_inode"] = inode_of(target)
        self.journal.note(entry["id"], STAGED, target_inode=entry["target_inode"])

    def _stop_in_time(self, entry: dict[str, Any]) -> None:
        """Stop all processes. Raises Refused, with nothing changed, where the answer about open mail runs is too old."""
        request, age = self.request, self.tools.clock() - self._began_at
        late = preflight.of_the_answer(request.parts, age, request.open_runs_valid, request.override)
        if late:
            raise late[0]
        self.stop(entry)

    def _leave(self, entry: Mapping[str, Any]) -> None:
        """End a rollback that has changed nothing yet. A complete copy becomes a backup, which the next run only has to rename."""
        name = f"{entry['app']}-backup-{entry['target_id']}"
        if entry["staging"] and entry.get("target_inode") and len(entry["target_id"]) == _STAMP and not os.path.lexists(name):
            self.tools.files.rename(entry["staging"], name)
        elif entry["staging"]:
            self.tools.files.remove_copy(entry["staging"])
        self.journal.note(entry["id"], UNDONE, proved=True)
        self.result.changed = False
        self.result.steps = []

    def stop(self, entry: Mapping[str, Any]) -> None:
        """Stop all processes, after recording that from now on they may belong to another release than the one in place."""
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
            raise ActionFailed(f"nginx rejects its configuration: {problem}")
        if not web.reload():
            self.result.warnings.append("nginx does not run here, so it was not reloaded")

    def _verify_page(self) -> None:
        """Raise ActionFailed when the page is not served any more."""
        problem = self.tools.web.served() if self.tools.web else ""
        if problem:
            raise ActionFailed(f"the page was served before the rollback and is not now: {problem}")

    # --- undo

    def undo(self, entry: dict[str, Any], why: str) -> str:
        """Put the former release back, start it and verify that it runs; return the outcome in one line.

        Neither a journal that cannot be written (a full disk) nor a signal stops this.
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
            self.result.warnings.append(f"the former release is back in {entry['app']}, but not everything was cleaned up: {trouble}")
        problem = self._verify_former(entry)
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
        """Put the former release back and clean up, continuing after a failure; return what failed, "" for nothing."""
        problems = []
        try:
            if swap.in_place() != FORMER:
                with contextlib.suppress(RemediationError):  # a process that does not stop is restarted afterwards
                    self.stop(entry)
            swap.backward()
        except Exception as error:
            problems.append(message_of(error))
        return "; ".join(filter(None, [*problems, self.clean_up(entry, swap)]))

    def clean_up(self, entry: Mapping[str, Any], swap: Swap) -> str:
        """Restore the .env of the target and remove the copy; return what failed, "" for nothing."""
        problems = []
        for part in (swap.give_env_back, lambda: self._clear_staging(entry)):
            try:
                part()
            except Exception as error:
                problems.append(message_of(error))
        return "; ".join(problems)

    def _verify_former(self, entry: Mapping[str, Any]) -> str:
        """Start the former release; return why it does not run, "" when it does."""
        applications, app = self.tools.applications, entry["app"]
        # A process that started before the former release came back may belong to the other one, which could not be stopped.
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
        """Remove an unfinished copy; move one that was in place, and has logs, to the attic."""
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
    """Return when the release in place came there, in epoch seconds: a rename and a new link both set the time of change.

    It is later where something was made in the folder itself since; then more processes are restarted than necessary.
    """
    try:
        return os.lstat(app).st_ctime
    except OSError:
        return time.time()
