# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guard against refused passwords: a database locks an account after a few of them, so none is tried twice.

The state folder of the host that connects keeps a salted hash of refused credentials, never the password. Runs at the same time
(hosts that delegate to one checker) share that memory: the first login holds a lock of the account, and a refusal is kept before
the lock goes.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import RemediationError
from .references import fingerprint
from .state import Kept

Entries = Mapping[str, Any]  # by account
_NEEDED = {"salt", "hash", "at"}


def refusal(*credentials: str) -> dict[str, str]:
    """Return the salt and the hash that are kept of refused credentials; the caller adds ``at``, the time."""
    salt = secrets.token_hex(16)
    return {"salt": salt, "hash": fingerprint(salt, *credentials)}


def is_of(entry: Any, *credentials: str) -> bool:
    """Whether a kept refusal is of these very credentials; a damaged entry is of none."""
    if not isinstance(entry, Mapping) or not set(entry) >= _NEEDED:
        return False
    try:
        hashed = fingerprint(str(entry["salt"]), *credentials)
    except ValueError:  # a salt that is not hexadecimal
        return False
    return secrets.compare_digest(hashed.encode(), str(entry["hash"]).encode())


def without(entries: Entries, forgotten: Iterable[str]) -> dict[str, Any]:
    """Return the refusals whose hash is not among the forgotten ones."""
    gone = set(forgotten)
    return {name: entry for name, entry in entries.items() if not gone or _hash_of(entry) not in gone}


def _hash_of(entry: Any) -> str:
    return str(entry.get("hash") or "") if isinstance(entry, Mapping) else ""


class Refusals:
    """The refusals that one run knows, and how it shares them with other runs.

    ``recalled``: what the memory held when the run began, by account. ``forgotten``: the hashes of it that do not count any more; a
    refusal that another run adds meanwhile counts. ``known``: what of it counts.
    """

    def __init__(self, memory: Any, entries: Callable[[Mapping[str, Any]], Entries], *, forget: bool = False) -> None:
        """Use what the former run kept.

        memory: other runs share a :class:`state.Kept`; a plain mapping (or None) belongs to this run alone.
        entries: returns the refusals in a memory. forget: try refused credentials once more.
        """
        self._kept = memory if isinstance(memory, Kept) else None
        self._entries = entries
        self.recalled: Entries = dict(entries(memory)) if isinstance(memory, Mapping) else {}
        self.forgotten = [_hash_of(entry) for entry in self.recalled.values() if _hash_of(entry)] if forget else []
        self.known: Entries = without(self.recalled, self.forgotten)

    @property
    def shared(self) -> bool:
        """Whether other runs use the same memory."""
        return self._kept is not None

    def again(self) -> Entries:
        """Return the refusals that count by now, with those that other runs have added."""
        return self.known if self._kept is None else without(self._entries(self._kept.again()), self.forgotten)

    def alone(self, account: str, give_up: Callable[[], bool]) -> contextlib.AbstractContextManager[bool]:
        """Keep other runs from logging in to an account; yields what :meth:`state.Kept.alone` does. Raises Busy."""
        return contextlib.nullcontext(False) if self._kept is None else self._kept.alone(account, give_up)

    def keep(self, change: Callable[[Any], Any]) -> None:
        """Change what is kept at once. The end of the run reports a folder that cannot be written."""
        if self._kept is not None:
            with contextlib.suppress(OSError, RemediationError):
                self._kept.keep(change)
