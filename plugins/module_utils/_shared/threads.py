# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that waits for a file system, done by as many threads as the waiting makes worth while, until a given time.

A warm local disk is read fastest by one thread; a NAS answers many questions at once. So one thread begins, and others
join when the kernel says that all of them sleep. A thread that hangs is left where it is: this is for the bounded child
of a source, which ends without it. Times are seconds of the monotonic clock.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

LOOK_EVERY = 0.01
ASLEEP = frozenset("SD")


class Crew:
    """Threads over a queue of items.

    work: called with one item, returns what came of it and a sequence of further items; what it raises ends the work and is raised again
    by :meth:`run`, lest a defect be taken for a file system that is silent.
    most: threads at most. until: when waiting ends; what is not done then stays in ``left``.
    """

    def __init__(self, work: Callable[[Any], tuple[Any, Sequence[Any]]], *, most: int, until: float) -> None:
        self.work = work
        self.most = most
        self.until = until
        self.done: list[Any] = []
        self.left: list[Any] = []
        self._waiting: deque[Any] = deque()
        self._hands: dict[int, Any] = {}  # what each thread has in hand
        self._threads: list[threading.Thread] = []
        # The lock is taken often, so by itself: the condition around it costs several times as much.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._over = False
        self._crash: Exception | None = None

    def run(self, items: Iterable[Any]) -> list[Any]:
        """Work on the items and on what they bring; returns what came of those that were done in time."""
        self._waiting.extend(items)
        asleep_before = False
        with self._lock:
            if self._waiting:
                self._hire()
            while (self._waiting or self._hands) and not self._crash and time.monotonic() < self.until:
                self._changed.wait(min(LOOK_EVERY, max(0.0, self.until - time.monotonic())))
                asleep = bool(self._waiting) and len(self._hands) == len(self._threads) and self._all_asleep()
                if asleep and asleep_before:
                    for _one in range(min(len(self._threads), len(self._waiting), self.most - len(self._threads))):
                        self._hire()
                asleep_before = asleep
            self._over = True
            self._changed.notify_all()
            given, self.done = self.done, []
            self.left = [*self._hands.values(), *self._waiting]
        if self._crash:
            raise self._crash
        return given

    def _hire(self) -> None:
        thread = threading.Thread(target=self._labour, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _all_asleep(self) -> bool:
        """Whether no thread runs or waits for a CPU: on a busy machine that is slow, but no reason for more threads."""
        return all(_state_of(thread.native_id) in ASLEEP for thread in self._threads)

    def _labour(self) -> None:
        me = threading.get_ident()
        while True:
            with self._lock:
                while not self._waiting and self._hands and not self._over:
                    self._changed.wait()
                if not self._waiting or self._over:
                    self._changed.notify_all()
                    return
                item = self._waiting.popleft()
                self._hands[me] = item
            try:
                result, more = self.work(item)
            except Exception as error:
                with self._lock:
                    self._crash, self._over = self._crash or error, True
                    self._changed.notify_all()
                return
            with self._lock:
                if self._over:
                    return
                del self._hands[me]
                self.done.append(result)
                if more:
                    self._waiting.extend(more)
                    self._changed.notify_all()


def _state_of(thread: int | None) -> str:
    """Return the state of a thread of this process as the kernel names it (R, S, D), "" when it cannot be told."""
    try:
        with open(f"/proc/self/task/{thread}/stat", encoding="ascii", errors="replace") as file:
            return file.read(512).rpartition(")")[2].strip()[:1]
    except OSError:
        return ""
