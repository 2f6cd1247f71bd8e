# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of Redis's protocol (RESP2) that checks need: send a command, read one reply, bounded in bytes and in time.

Replies that are arrays are not read: no command of the checks has one.
"""

from __future__ import annotations

import re
import socket
import time
from typing import Protocol

from ..._core.errors import CannotRead

MAX_LINE = 1024  # bytes of a line, without its end
MAX_BULK = 256 * 1024  # bytes of one text; INFO has less than 10 kB
_PIECE = 16 * 1024
_NUMBER = re.compile(rb"-?[0-9]{1,19}")


class Refusal(Exception):
    """The server answered with an error. code: its first word, such as NOAUTH. text: the whole line."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.code = text.partition(" ")[0]


class Connected(Protocol):
    """What is used of a socket, with TLS or without."""

    def settimeout(self, value: float) -> None:
        """Bound the next call, in seconds."""

    def sendall(self, data: bytes) -> None:
        """Send all of it."""

    def recv(self, size: int) -> bytes:
        """Return some bytes, none at the end."""


class Conversation:
    """Commands and replies over one connection. place: names the server in errors. until: monotonic seconds."""

    def __init__(self, connection: Connected, place: str, until: float) -> None:
        self._connection, self._place, self._until = connection, place, until
        self._rest = b""

    def ask(self, *words: str) -> str:
        """Return the reply to a command as text, "" for none (nil).

        Raises Refusal for an error of the server, CannotRead for what is no reply of Redis, socket.timeout when the time is over, EOFError when
        the server closes the connection, and OSError.
        """
        parts = [word.encode() for word in words]
        command = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._connection.settimeout(self._left())
        self._connection.sendall(b"*%d\r\n%s" % (len(parts), command))
        return self._reply()

    def _reply(self) -> str:
        line = self._line()
        kind, content = line[:1], line[1:]
        if kind in (b"+", b"-"):
            text = content.decode("utf-8", "replace")
            if kind == b"-":
                raise Refusal(text)
            return text
        if kind not in (b":", b"$") or not _NUMBER.fullmatch(content):
            raise CannotRead(f"{self._place} does not speak the protocol of Redis: its reply begins with {line[:20]!r}")
        return content.decode() if kind == b":" else self._bulk(int(content))

    def _bulk(self, length: int) -> str:
        if length == -1:
            return ""
        if not 0 <= length <= MAX_BULK:
            raise CannotRead(f"{self._place} announces a reply of {length} bytes; at most {MAX_BULK} are read")
        while len(self._rest) < length + 2:
            self._more()
        content, end, self._rest = self._rest[:length], self._rest[length : length + 2], self._rest[length + 2 :]
        if end != b"\r\n":
            raise CannotRead(f"{self._place} sends a reply that is longer than the {length} bytes that it announced")
        return content.decode("utf-8", "replace")

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest[: MAX_LINE + 2]:
            if len(self._rest) >= MAX_LINE + 2:
                raise CannotRead(f"{self._place} does not speak the protocol of Redis: a line has more than {MAX_LINE} bytes")
            self._more()
        line, _end, self._rest = self._rest.partition(b"\r\n")
        return line

    def _more(self) -> None:
        self._connection.settimeout(self._left())
        piece = self._connection.recv(_PIECE)
        if not piece:
            raise EOFError
        self._rest += piece

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        return left
