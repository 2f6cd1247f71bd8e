# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An emergency rollback that cannot lose a release (manual 1, section 12, made safe). One transaction on one host.

All checks (``preflight.py``) come before the first change. Then a journal is begun, the processes stop, the running release is put aside
(never deleted), the wanted one is put in place and started, and it must answer, work and stay up. Any failure puts the former release
back. A run that was killed leaves the journal open; the next one finishes or undoes it first. The tools that stop and start processes
and serve the page are parameters, so that tests can replace them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..._core.errors import RemediationError
from . import preflight
from .files import Files
from .journal import BEGUN, Journal
from .layout import READ_WITHIN, Candidate, Refused, candidates, choose, code_of, env_difference, inode_of, place_of, running_unknown
from .preflight import COPY, SWITCH
from .recover import ABANDON, FINISH, UNDO, Recovery
from .request import ALREADY, FINISHED_EARLIER, KEEP, PLANNED, REFUSED, ROLLED_BACK, Request, Result, Tools, env_of, env_text, validate
from .steps import Step, Steps
from .swap import FORMER, OTHER

__all__ = ["REFUSED", "Request", "Result", "Rollback", "Tools", "listing", "roll_back"]

DONE = {FINISH: "finished", UNDO: "undone", ABANDON: "left as it is"}


def listing(request: Request) -> dict[str, Any]:
    """Return the candidates for a rollback: ``layout live candidates lines interrupted``; changes nothing."""
    place = place_of(request.app_dir, request.releases_dir, request.backup_dirs)
    journal = Journal(request.state_dir, place.app, Files())
    found = candidates(place, request.parts, journal.finished(), env_of(request, place))
    live = None if any(one.running for one in found) else running_unknown(place, request.parts, env_of(request, place))
    found = [live, *found] if live else found
    opened = journal.interrupted()
    return {
        "layout": place.layout,
        "live": place.live,
        "candidates": [one.as_dict() for one in found],
        "lines": [one.line() for one in found],
        "interrupted": opened["target_id"] if opened else "",
    }


def roll_back(request: Request, tools: Tools, *, check_mode: bool) -> Result:
    """Roll back. Raises RemediationError; its ``details["partial"]`` is the result so far."""
    work = Rollback(request, tools, check_mode=check_mode)
    try:
        if check_mode:
            return work.go()
        with work.journal.alone():
            return work.go()
    except RemediationError as error:
        if isinstance(error, Refused):
            work.result.state = REFUSED
            work.result.refusals = work.result.refusals or preflight.details([error])
            if work.result.changed and not check_mode:  # an interrupted rollback was finished or undone before
                work.result.refusals = [{**each, "touched": "; ".join(work.result.warnings)} for each in work.result.refusals]
        error.details["partial"] = work.result
        raise


class Rollback:
    """One rollback in progress."""

    def __init__(self, request: Request, tools: Tools, *, check_mode: bool) -> None:
        """Read the layout of the installation; changes nothing. Raises WrongQuestion."""
        validate(request)
        self.request = request
        self.tools = tools
        self.check_mode = check_mode
        self.place = place_of(request.app_dir, request.releases_dir, request.backup_dirs)
        self.env = env_of(request, self.place)
        self.journal = Journal(request.state_dir, self.place.app, tools.files)
        self.result = Result()
        self.steps = Steps(request, tools, self.journal, self.result, self.place.app)

    def go(self) -> Result:
        """Finish or undo an interrupted rollback, then choose a release, check and act."""
        opened = self.journal.interrupted()
        if opened:
            recovery = Recovery(opened, self.steps)
            if self._recovered(recovery):
                return self.result
            if self.check_mode and recovery.wanted and recovery.there not in (FORMER, OTHER):
                self.result.steps.append(f"then begin the rollback to {recovery.id} again")  # its folder is not where a plan would find it
                return self.result
        target = self._chosen()
        if target.running:
            return self._nothing_to_do(target)
        self._must_be_possible(target)
        method = preflight.method_of(self.place, target, copy=self.request.copy)
        entry = self._entry(target, method)
        self.result.former = entry["aside"] or entry["former_path"]
        steps = self.steps.plan(entry)
        self.result.steps += [label for label, _do in steps]
        self.result.changed = True
        if self.check_mode:
            self.result.state, self.result.message = PLANNED, f"{self.place.app} would be rolled back to release {target.id}"
            return self.result
        self._run(entry, steps)
        return self.result

    def _chosen(self) -> Candidate:
        finished = self.journal.finished()
        found = candidates(self.place, self.request.parts, finished, self.env)
        target = choose(self.request.to, found, self.place, finished)
        self.result.release, self.result.path = target.id, target.path
        return target

    def _nothing_to_do(self, target: Candidate) -> Result:
        finished = self.journal.finished()
        if self.result.changed:  # by the end of an interrupted rollback
            self.result.state = FINISHED_EARLIER
            self.result.message = f"{'; '.join(self.result.warnings)}; release {target.id} runs in {self.place.app}"
            return self.result
        if not (finished and finished[-1]["target_id"] == target.id):
            remedy = "name another one (the playbook rollback_list shows them)"
            raise Refused("running", f"release {target.id} is the one that runs; {remedy}", path=target.path)
        self.result.state, self.result.message = ALREADY, f"release {target.id} is in {self.place.app} already; nothing was changed"
        ill = self.steps.ill()
        if ill:
            remedy = (
                "start it with ops.remediation.pm2_control (state=started, or restarted), or go back to another release (rollback_list)"
            )
            self.result.warnings.append(f"release {target.id} does not run well: {ill}; {remedy}")
            self.result.message += f"; but it does not run well: {ill}; {remedy}"
        return self.result

    # --- a rollback that was interrupted

    def _recovered(self, recovery: Recovery) -> bool:
        """Finish or undo it, where the present request allows that; return whether nothing is left to do."""
        if recovery.what == UNDO:  # the checks compare with the release that will be in place
            self.place = replace(self.place, live=recovery.swap.former_tree())
        try:
            self._may_recover(recovery)
        except Refused as error:
            left = f"a rollback to {recovery.id} was interrupted and is left as it is; emergency_rollback_to={recovery.id} finishes or undoes it"
            self.result.refusals = [{**each, "interrupted": recovery.id} for each in self.result.refusals or preflight.details([error])]
            raise Refused(error.details["reason"], f"{error.message}; {left}") from error
        if self.check_mode:
            self._plan_recovery(recovery)
        else:
            recovery.go()
            self.place = place_of(self.request.app_dir, self.request.releases_dir, self.request.backup_dirs)
        return recovery.ends

    def _may_recover(self, recovery: Recovery) -> None:
        """Raise Refused, with nothing changed, for a missing, unknown or impossible target, and for an open mail run."""
        if not (recovery.wanted or recovery.back):
            target = self._chosen()
            if not target.running:
                self._must_be_possible(target)
        elif recovery.stops:
            self._refuse(self._mail_runs())

    def _plan_recovery(self, recovery: Recovery) -> None:
        self.result.changed = recovery.what != ABANDON
        self.result.steps += recovery.labels()
        self.result.release, self.result.path = recovery.id, recovery.opened["target_path"]
        self.result.state = PLANNED
        self.result.message = f"a rollback to {recovery.id} was interrupted; it would be {DONE[recovery.what]}"

    # --- the checks

    def _must_be_possible(self, target: Candidate) -> None:
        """Raise Refused with all reasons against the rollback."""
        self._refuse(self._refusals(target, preflight.method_of(self.place, target, copy=self.request.copy)))

    def _refuse(self, refused: Sequence[Refused]) -> None:
        if refused:
            self.result.refusals = preflight.details(refused)
            raise Refused(refused[0].details["reason"], preflight.in_one_line(refused))

    def _mail_runs(self) -> list[Refused]:
        request = self.request
        return preflight.of_mail_runs(request.parts, request.open_runs, request.open_runs_unknown, request.override)

    def _refusals(self, target: Candidate, method: str) -> list[Refused]:
        request, applications = self.request, self.tools.applications
        refused = preflight.of_the_release(self.place, target, self.env, request.override, request.hash_within)
        if request.env_policy == KEEP and "env" in request.parts:
            refused += preflight.of_the_env(self.place, self.env)
        uid = applications.uid if applications else os.stat(self.place.live or target.path).st_uid
        if not target.missing and not target.problem:
            refused += preflight.of_the_owner(self.place, target, request.parts, self.env, uid)
            refused += preflight.of_the_page(self.place, target) if "frontend" in request.parts else []
        refused += preflight.of_the_disk(self.place, target, method, request.least_free_mb, request.state_dir)
        refused += applications.problems(self.place, request.parts) if applications else []
        refused += preflight.of_nginx(self.place, target, self.tools.web, request.nginx_conf)
        refused += preflight.of_what_is_served(self.place, request.parts, request.build_dir)
        return refused + self._mail_runs()

    def _entry(self, target: Candidate, method: str) -> dict[str, Any]:
        """Return the first entry of the journal."""
        place, now = self.place, self.tools.now()
        number = f"{int(now * 1000)}"
        present, other = (os.path.join(tree, self.env) for tree in (place.live, target.path))
        self.result.environment = env_difference(present, other) if place.live and "env" in self.request.parts else {}
        differs = any(self.result.environment.values())
        code = self.tools.bounded(lambda: code_of(target.path), READ_WITHIN)
        processes = self.tools.applications.ours(place.app) if self.tools.applications else []
        absent = _without_script(processes, place.app, target.path)
        self._warn(target, absent, differs=differs)
        return {
            "id": number,
            "events": [],
            "asked": self.request.to,
            "app": place.app,
            "layout": place.layout,
            "method": method,
            "target_id": target.id,
            "target_path": target.path,
            "target_inode": 0 if method == COPY else inode_of(target.path),
            "staging": os.path.join(place.releases, f".{place.name}.rollback-{number}") if method == COPY else "",
            "former_path": place.live,
            "former_inode": inode_of(place.live) if place.live else 0,
            "former_link": os.readlink(place.app) if os.path.islink(place.app) else "",
            "aside": "" if method == SWITCH or not place.live else self._aside(now),
            "env": self.env,
            "env_keep": self.request.env_policy == KEEP and differs,
            "env_policy": self.request.env_policy,
            "env_differs": differs,
            "before": {one["name"]: one["status"] for one in processes},
            "absent": absent,
            "served": self.tools.web is not None and "frontend" in self.request.parts and self.tools.web.served() == "",
            "code": code,
            "former_code": self.tools.bounded(lambda: code_of(place.live), READ_WITHIN) if place.live else "",
        }

    def _aside(self, now: float) -> str:
        """Return a free path for the running release."""
        while True:
            path = f"{self.place.app}-aside-{time.strftime('%Y%m%d%H%M%S', time.localtime(now))}"
            if not os.path.lexists(path):
                return path
            now += 1

    def _warn(self, target: Candidate, absent: Sequence[str], *, differs: bool) -> None:
        """Add warnings that do not block the rollback, in check mode as well."""
        warnings = self.result.warnings
        if differs and self.request.env_policy != KEEP:
            keys = env_text(self.result.environment)
            warnings.append(
                f"{self.env} of release {target.id} differs and is taken ({keys}); emergency_rollback_env=keep keeps the present one"
            )
        warnings += [f"release {target.id} has no script for PM2's process {name}, so it stays stopped" for name in absent]
        if "worker" not in self.request.parts:
            return
        number = preflight.waiting_mails(target.path)
        if number:
            warnings.append(
                f"{target.path}/{preflight.SPOOL} holds {number} files: mails that were sent since would be sent again; empty it first"
            )
        number = preflight.waiting_mails(self.place.live) if self.place.live else 0
        if number:
            warnings.append(
                f"{number} files in {preflight.SPOOL} of the running release are not sent yet; they stay in it when it is put aside"
            )

    def _run(self, entry: dict[str, Any], steps: Sequence[Step]) -> None:
        self.journal.note(entry["id"], BEGUN, **{name: value for name, value in entry.items() if name not in ("id", "events")})
        self.steps.do(entry, steps)
        self.result.state = ROLLED_BACK
        self.result.message = (
            f"release {entry['target_id']} runs in {entry['app']}; the former one is in {self.result.former or 'no place'}"
        )


def _without_script(processes: Sequence[Mapping[str, Any]], app: str, tree: str) -> list[str]:
    """Return the names of running processes of the installation whose scripts another release does not have."""
    absent = []
    for one in processes:
        script = str(one.get("script", ""))
        inside = script.startswith(app + "/") and one["status"] != "stopped"
        if inside and not os.path.exists(os.path.join(tree, script[len(app) + 1 :])):
            absent.append(one["name"])
    return absent
