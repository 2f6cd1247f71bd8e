# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finish or undo a rollback that was killed.

It is finished where its release is in place and is still wanted or runs well; otherwise it is undone. A release that somebody else has
put in place since is left alone. The rollback itself checks first whether the recovery is allowed.
"""

from __future__ import annotations

import os
from typing import Any

from ..._core.errors import ActionFailed
from .journal import ABANDONED, PLACED, STOPPING, UNDOING
from .layout import ENV, LINK, READ_WITHIN, code_of, env_difference
from .request import BACK, FINISHED_EARLIER, message_of
from .steps import Step, Steps
from .swap import FORMER, NOTHING, OTHER, TARGET, Swap

FINISH, UNDO, ABANDON = "finish", "undo", "abandon"


class Recovery:
    """One rollback that has no end in the journal. what: finish, undo or abandon."""

    def __init__(self, opened: dict[str, Any], steps: Steps) -> None:
        """Read where each release is, and decide what to do; changes nothing. Raises RemediationError where that cannot be read."""
        self.opened = opened
        self.steps = steps
        self.swap = Swap(opened, steps.tools.files)
        self.id = str(opened["target_id"])
        wanted = steps.request.to
        self.wanted = bool(wanted) and wanted in (self.id, opened["asked"])
        self.back = bool(wanted) and wanted == self._id_of_former()
        self.there = self._really_in_place()
        self.what = self._decide()

    def _id_of_former(self) -> str:
        """Return the id of the former release, "" where it has none."""
        if self.opened["layout"] == LINK:
            return os.path.basename(self.opened["former_path"])
        return str(self.opened["aside"].rpartition("-aside-")[2])

    def _really_in_place(self) -> str:
        """Return which release is in place. Compares the code as well: a new folder can have the inode number of a deleted one."""
        there, app = self.swap.in_place(), self.opened["app"]
        expected = {TARGET: self.opened["code"], FORMER: self.opened["former_code"]}.get(there)
        if expected is not None and self.steps.tools.bounded(lambda: code_of(os.path.realpath(app)), READ_WITHIN) != expected:
            return OTHER
        return there

    def _decide(self) -> str:
        if self.there == OTHER:
            return ABANDON
        if not self.swap.former_tree():  # there was none, or it was removed: only the target is left
            return FINISH if self.swap.target_tree() else ABANDON
        if self.there == TARGET and UNDOING not in self.opened["events"] and not self._other_env_wanted():
            return FINISH if self.wanted or self._runs_well() else UNDO
        return UNDO

    def _other_env_wanted(self) -> bool:
        """Return whether the same release is wanted with the other .env: then it is undone and begun again."""
        return self.wanted and self.opened.get("env_differs", False) and self.opened["env_policy"] != self.steps.request.env_policy

    def _runs_well(self) -> bool:
        return PLACED in self.opened["events"] and not self.steps.ill()

    @property
    def ends(self) -> bool:
        """Return whether the recovery alone reaches the wanted release."""
        return (self.what == FINISH and self.wanted) or (self.what == UNDO and self.back)

    @property
    def stops(self) -> bool:
        """Return whether this would stop a running worker, which an open mail run forbids (rule 7 of the architecture)."""
        begun = {
            FINISH: PLACED not in self.opened["events"],
            UNDO: self.there != FORMER or STOPPING in self.opened["events"],
            ABANDON: False,
        }
        return begun[self.what] and self.steps.runs("worker")

    # --- the recovery

    def labels(self) -> list[str]:
        """Return the steps of :meth:`go`, in order."""
        self._add_environment()
        if self.what == FINISH:
            return [f"finish the interrupted rollback: {label}" for label, _do in self._steps()]
        if self.what == UNDO:
            there = (
                ""
                if self.there == FORMER
                else f": put {self.swap.former_tree()} back in {self.opened['app']}, start it and verify that it runs"
            )
            return [f"undo the interrupted rollback to {self.id}{there}"]
        return [f"leave the interrupted rollback to {self.id} as it is: {self._why_abandoned()}"]

    def go(self) -> None:
        """Finish, undo or abandon. Raises ActionFailed when neither release could be put in place, or the wanted one was not reached."""
        result = self.steps.result
        steps = self.labels()
        if self.what == ABANDON:
            self._abandon()
            return
        result.changed = True
        result.steps += steps
        if self.what == FINISH:
            self._finish()
        else:
            self._undo()

    def _abandon(self) -> None:
        """Leave the release in place, and clean up what this rollback has left beside it."""
        if self.swap.in_place() != TARGET:
            problem = self.steps.clean_up(self.opened, self.swap)
            if problem:
                self.steps.result.warnings.append(f"leftovers of a rollback to {self.id} could not be cleaned up: {problem}")
        self.steps.journal.note(self.opened["id"], ABANDONED)
        self.steps.result.warnings.append(f"a rollback to {self.id} was interrupted; left as it is: {self._why_abandoned()}")

    def _why_abandoned(self) -> str:
        if self.there == OTHER:
            return f"{self.opened['app']} holds another release now"
        return f"neither its release nor the former one is where it was ({self.swap.source}, {self.opened['aside'] or self.opened['former_path']})"

    def _undo(self) -> None:
        outcome = self.steps.undo(self.opened, f"a rollback to {self.id} was interrupted")
        if self.swap.in_place() != FORMER or (self.ends and self.steps.result.state != BACK):
            raise ActionFailed(outcome)
        self.steps.result.warnings.append(outcome)
        if self.ends:
            self.steps.result.state, self.steps.result.message = FINISHED_EARLIER, outcome

    def _steps(self) -> list[Step]:
        steps = self.steps.bring_up(self.opened, self.swap)
        if PLACED not in self.opened["events"] and self.steps.tools.applications:
            # A reboot may have started them with the wrong .env.
            steps.insert(0, ("stop the running processes", lambda: self.steps.stop(self.opened)))
        if self.there == NOTHING:
            steps.insert(0, (f"put {self.swap.target_tree()} in {self.opened['app']}", self.swap.forward))
        return steps

    def _finish(self) -> None:
        opened, result = self.opened, self.steps.result
        result.release, result.path = opened["target_id"], opened["target_path"]
        result.former = self.swap.former_tree()
        try:
            self.steps.do(opened, self._steps())
        except ActionFailed as error:
            if self.wanted or (self.swap.former_tree() and self.swap.in_place() != FORMER):
                raise
            result.warnings.append(message_of(error))
            return
        result.state = FINISHED_EARLIER
        result.message = f"the interrupted rollback is finished: release {self.id} runs in {opened['app']}"
        if not self.wanted:
            result.warnings.append(result.message)

    def _add_environment(self) -> None:
        """Put the keys of .env that differ between the former release and the target into the result."""
        former, target, env = self.swap.former_tree(), self.swap.target_tree(), self.opened.get("env", ENV)
        if former and target and "env" in self.steps.request.parts:
            self.steps.result.environment = env_difference(os.path.join(former, env), self.swap.own_env())
