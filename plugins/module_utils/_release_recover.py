# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback that was killed: finish it where its release is in place and still wanted, undo it otherwise; see :mod:`_release`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ._errors import ActionFailed
from ._release_journal import ABANDONED, PLACED, UNDOING, Journal
from ._release_layout import READ_WITHIN, code_of
from ._release_request import FINISHED_EARLIER, PLANNED, Request, Result, Tools
from ._release_swap import FORMER, NOTHING, OTHER, TARGET, Swap
from ._release_way import Way


class Recovery:
    """One rollback that the journal says was begun and has no end."""

    def __init__(self, opened: dict[str, Any], way: Way) -> None:
        """Take the journal's entry and what does the work; nothing is looked at yet."""
        self.opened = opened
        self.way = way
        self.request: Request = way.request
        self.tools: Tools = way.tools
        self.journal: Journal = way.journal
        self.result: Result = way.result
        self.swap = Swap(opened, way.tools.files)

    def go(self) -> bool:
        """Finish what was interrupted where its release is in place and still wanted, else undo it; True when all is done."""
        opened, swap = self.opened, self.swap
        there, same = self._really_in_place(opened, swap), self.request.to in (opened["target_id"], opened["asked"])
        if there == OTHER:
            self.journal.note(opened["id"], ABANDONED)
            self.result.warnings.append(
                f"a rollback to {opened['target_id']} was interrupted, and {opened['app']} is another release since; left so"
            )
            return False
        self.result.changed = True
        if not opened["former_inode"] and there == NOTHING and swap.target_tree():
            swap.forward()
            there = TARGET
        if there == TARGET and UNDOING not in opened["events"] and (same or not opened["former_inode"]):
            self._finish(opened, swap)
            return same
        told = self.way.undo(opened, f"a rollback to {opened['target_id']} was interrupted")
        self.result.steps.append(f"undo the interrupted rollback to {opened['target_id']}")
        if swap.in_place() not in (FORMER, NOTHING if not opened["former_inode"] else FORMER):
            raise ActionFailed(told)
        self.result.warnings.append(told)
        return False

    def _really_in_place(self, opened: Mapping[str, Any], swap: Swap) -> str:
        """Return what is in place; a folder that somebody made anew can have the number of one that was deleted, so its code counts too."""
        there = swap.in_place()
        expected = {TARGET: opened["code"], FORMER: opened["former_code"]}.get(there)
        app = opened["app"]
        if expected is not None and self.tools.bounded(lambda: code_of(os.path.realpath(app)), READ_WITHIN) != expected:
            return OTHER
        return there

    def _finish(self, opened: dict[str, Any], swap: Swap) -> None:
        self.result.release, self.result.path = opened["target_id"], opened["target_path"]
        self.result.former = opened["aside"] or opened["former_path"]
        steps = self.way.bring_up(opened, swap)
        if PLACED not in opened["events"] and self.tools.applications:
            # A reboot may have started them meanwhile, before .env was what it shall be.
            steps.insert(0, ("stop what runs", lambda: self.way.stop(opened)))
        self.result.steps += [f"finish the interrupted rollback: {label}" for label, _do in steps]
        self.way.do(opened, steps)
        self.result.state = FINISHED_EARLIER
        self.result.message = f"the interrupted rollback is finished: release {opened['target_id']} runs in {opened['app']}"

    def plan(self) -> Result:
        """Say what :meth:`go` would do."""
        opened, swap = self.opened, self.swap
        finish = (
            self._really_in_place(opened, swap) == TARGET
            and UNDOING not in opened["events"]
            and self.request.to in (opened["target_id"], opened["asked"])
        )
        what = "finished" if finish else "undone, and then a new one planned"
        self.result.changed, self.result.state = True, PLANNED
        self.result.release, self.result.path = opened["target_id"], opened["target_path"]
        self.result.steps = [f"{'finish' if finish else 'undo'} the interrupted rollback to {opened['target_id']}"]
        if finish:
            self.result.steps += [label for label, _do in self.way.bring_up(opened, swap)]
        self.result.message = f"a rollback to {opened['target_id']} was interrupted; it would be {what}"
        return self.result
