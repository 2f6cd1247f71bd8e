# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback that was killed: what is to become of it, and bringing that about; see :mod:`_release`.

Where its release is in place it is finished when it is still wanted, or runs well already; otherwise it is undone. What somebody else
has put in place since is left alone. Whether any of this may be done is asked before, by :mod:`_release`.
"""

from __future__ import annotations

import os
from typing import Any

from ..._core.errors import ActionFailed
from .journal import ABANDONED, PLACED, STOPPING, UNDOING
from .layout import ENV, LINK, READ_WITHIN, code_of, env_difference
from .request import BACK, FINISHED_EARLIER, said
from .steps import Step, Steps
from .swap import FORMER, NOTHING, OTHER, TARGET, Swap

FINISH, UNDO, ABANDON = "finish", "undo", "abandon"


class Recovery:
    """One rollback that the journal says was begun and has no end. what: finish, undo or abandon."""

    def __init__(self, opened: dict[str, Any], steps: Steps) -> None:
        """Look at what is where, and decide what is to be done; changes nothing. Raises RemediationError where that cannot be seen."""
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
        """Return by which id the former release would be asked for, "" where it has none."""
        if self.opened["layout"] == LINK:
            return os.path.basename(self.opened["former_path"])
        return str(self.opened["aside"].rpartition("-aside-")[2])

    def _really_in_place(self) -> str:
        """Return what is in place; a folder that somebody made anew can have the number of one that was deleted, so its code counts too."""
        there, app = self.swap.in_place(), self.opened["app"]
        expected = {TARGET: self.opened["code"], FORMER: self.opened["former_code"]}.get(there)
        if expected is not None and self.steps.tools.bounded(lambda: code_of(os.path.realpath(app)), READ_WITHIN) != expected:
            return OTHER
        return there

    def _decide(self) -> str:
        if self.there == OTHER:
            return ABANDON
        if not self.swap.former_tree():  # there was none, or somebody took it away: what is left is the target
            return FINISH if self.swap.target_tree() else ABANDON
        if self.there == TARGET and UNDOING not in self.opened["events"] and not self._other_env_wanted():
            return FINISH if self.wanted or self._runs_well() else UNDO
        return UNDO

    def _other_env_wanted(self) -> bool:
        """Whether the same release is wanted, but with the other .env: then it is undone and begun anew."""
        return self.wanted and self.opened.get("env_differs", False) and self.opened["env_policy"] != self.steps.request.env_policy

    def _runs_well(self) -> bool:
        return PLACED in self.opened["events"] and not self.steps.ill()

    @property
    def ends(self) -> bool:
        """Whether what was asked for is reached by this alone."""
        return (self.what == FINISH and self.wanted) or (self.what == UNDO and self.back)

    @property
    def stops(self) -> bool:
        """Whether this would stop a worker that runs: then a mail run that is open forbids it (rule 7 of the architecture)."""
        begun = {
            FINISH: PLACED not in self.opened["events"],
            UNDO: self.there != FORMER or STOPPING in self.opened["events"],
            ABANDON: False,
        }
        return begun[self.what] and self.steps.runs("worker")

    # --- doing it

    def labels(self) -> list[str]:
        """Return what :meth:`go` would do, in order."""
        self._tell_environment()
        if self.what == FINISH:
            return [f"finish the interrupted rollback: {label}" for label, _do in self._steps()]
        if self.what == UNDO:
            there = (
                ""
                if self.there == FORMER
                else f": put {self.swap.former_tree()} back in {self.opened['app']}, start it and see that it runs"
            )
            return [f"undo the interrupted rollback to {self.id}{there}"]
        return [f"leave the interrupted rollback to {self.id} as it is: {self._why_abandoned()}"]

    def go(self) -> None:
        """Do it. Raises ActionFailed when neither release could be brought in place, or when what was asked for is not reached."""
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
        """Leave what is in place; only what this rollback itself has left beside it is put in order."""
        if self.swap.in_place() != TARGET:
            problem = self.steps.put_in_order(self.opened, self.swap)
            if problem:
                self.steps.result.warnings.append(f"not all that a rollback to {self.id} left could be put in order: {problem}")
        self.steps.journal.note(self.opened["id"], ABANDONED)
        self.steps.result.warnings.append(f"a rollback to {self.id} was interrupted; left as it is: {self._why_abandoned()}")

    def _why_abandoned(self) -> str:
        if self.there == OTHER:
            return f"{self.opened['app']} is another release since"
        return f"neither its release nor the former one is where it was ({self.swap.source}, {self.opened['aside'] or self.opened['former_path']})"

    def _undo(self) -> None:
        told = self.steps.undo(self.opened, f"a rollback to {self.id} was interrupted")
        if self.swap.in_place() != FORMER or (self.ends and self.steps.result.state != BACK):
            raise ActionFailed(told)
        self.steps.result.warnings.append(told)
        if self.ends:
            self.steps.result.state, self.steps.result.message = FINISHED_EARLIER, told

    def _steps(self) -> list[Step]:
        steps = self.steps.bring_up(self.opened, self.swap)
        if PLACED not in self.opened["events"] and self.steps.tools.applications:
            # A reboot may have started them meanwhile, before .env was what it shall be.
            steps.insert(0, ("stop what runs", lambda: self.steps.stop(self.opened)))
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
            result.warnings.append(said(error))
            return
        result.state = FINISHED_EARLIER
        result.message = f"the interrupted rollback is finished: release {self.id} runs in {opened['app']}"
        if not self.wanted:
            result.warnings.append(result.message)

    def _tell_environment(self) -> None:
        """Put into the result which keys of .env differ between the former release and the target's own."""
        former, target, env = self.swap.former_tree(), self.swap.target_tree(), self.opened.get("env", ENV)
        if former and target and "env" in self.steps.request.parts:
            self.steps.result.environment = env_difference(os.path.join(former, env), self.swap.own_env())
