# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Call a PM2 daemon through its socket (axon-rpc). Never starts a daemon.

Every pm2 command starts a daemon when none runs, and hangs when the daemon hangs; the socket does neither. The framing is
the same in PM2 5, 6 and 7.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import time
from typing import Any

from .._core.children import user_name
from .._core.errors import CannotRead
from .._core.masking import mask, strip_ansi

ANSWER_WITHIN = 5.0  # seconds that a daemon may take to answer
MAX_FRAME = 16 * 1024 * 1024  # bytes
MAX_TEXT = 200  # characters of a name
UP, STOPPED, KILLED, DENIED, HUNG = "up", "stopped", "killed", "denied", "hung"  # states of a daemon


class DaemonAway(CannotRead):
    """The daemon gave no answer; ``details["state"]`` is stopped, killed, denied or hung."""


class Refused(CannotRead):
    """The daemon answered with an error of its own."""


def socket_path(pm2_home: str) -> str:
    """Return the path of the daemon's socket."""
    return os.path.join(pm2_home, "rpc.sock")


def nearest_owner(path: str) -> str:
    """Return the name of the owner of the nearest folder above a path that this process can read."""
    while True:
        path = os.path.dirname(path) or "/"
        try:
            return user_name(os.stat(path).st_uid)
        except PermissionError:
            continue
        except OSError:
            return "root"


def call(pm2_home: str, method: str, *arguments: Any, within: float = ANSWER_WITHIN) -> Any:
    """Call one method of the daemon and return the first value of its answer.

    within: seconds, connecting included.
    Raises DaemonAway when there is no daemon or no answer, Refused when the daemon answers with an error, CannotRead
    when the answer is not PM2's.
    """
    end = time.monotonic() + within
    with connect(pm2_home, end) as connection:
        return ask(connection, end, method, *arguments)


def connect(pm2_home: str, end: float) -> socket.socket:
    """Return a connection to the daemon; end: monotonic time at which to give up. Raises DaemonAway or CannotRead."""
    path = socket_path(pm2_home)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(max(0.05, end - time.monotonic()))
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise _away(path, error) from error
    return connection


def _away(path: str, error: OSError) -> CannotRead:
    # Before Python 3.10, socket.timeout is no TimeoutError.
    if isinstance(error, (TimeoutError, socket.timeout)) or error.errno in (errno.EAGAIN, errno.EINPROGRESS):
        return DaemonAway(f"the PM2 daemon behind {path} does not answer", state=HUNG)
    if error.errno == errno.ENOENT:
        return DaemonAway(f"no PM2 daemon runs: {path} does not exist", state=STOPPED)
    if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE):
        return DaemonAway(f"no PM2 daemon runs: nothing listens on {path}, which one left behind", state=KILLED)
    if error.errno in (errno.EACCES, errno.EPERM):
        keeper = _socket_keeper(path)
        whose = f"{path} belongs to {keeper} and" if keeper else path
        return DaemonAway(f"{whose} may not be opened by {user_name(os.geteuid())}", state=DENIED, keeper=keeper)
    return CannotRead(f"{path} cannot be used as PM2's socket: {error.strerror or error}")


def _socket_keeper(path: str) -> str:
    """Return the owner of a socket, or of the first folder above it where its owner cannot be read."""
    try:
        return user_name(os.lstat(path).st_uid)
    except OSError:
        return nearest_owner(path)


def ask(connection: socket.socket, end: float, method: str, *arguments: Any) -> Any:
    """Call one method over a connection and return the first value of the answer; end and errors as in :func:`call`."""
    path = str(connection.getpeername())
    request = {"type": "call", "method": method, "args": list(arguments)}
    try:
        connection.settimeout(max(0.05, end - time.monotonic()))
        connection.sendall(pack(b"j:" + json.dumps(request).encode(), b"s:1"))
        answer = read_message(connection, end)
    except OSError as error:
        raise _away(path, error) from error
    if not isinstance(answer, dict):
        raise CannotRead(f"what answers on {path} does not speak PM2's protocol: its answer to {method} is no object")
    if "error" in answer:
        raise Refused(f"PM2 refused {method}: {mask(plain_text(str(answer['error']), 2000))}")
    values = answer.get("args")
    return values[0] if isinstance(values, list) and values else None


def pack(*parts: bytes) -> bytes:
    """Build one frame: a byte with version and number of parts, then each part after its length (big-endian)."""
    return bytes([0x10 | len(parts)]) + b"".join(struct.pack(">I", len(part)) + part for part in parts)


def read_message(connection: socket.socket, end: float) -> Any:
    """Return the JSON of one frame, None for a frame of another kind; raises CannotRead, or OSError from the socket."""
    head = read_exactly(connection, 1, end)[0]
    if head >> 4 != 1 or not head & 0x0F:
        raise CannotRead(
            f"what answers on {connection.getpeername()} does not speak PM2's protocol: its answer begins with byte 0x{head:02x}"
        )
    parts = []
    for _number in range(head & 0x0F):
        length = struct.unpack(">I", read_exactly(connection, 4, end))[0]
        if length > MAX_FRAME:
            raise CannotRead(f"PM2's answer has {length} bytes, over {MAX_FRAME}")
        parts.append(read_exactly(connection, length, end))
    try:
        return json.loads(parts[0][2:]) if parts[0][:2] == b"j:" else None
    except (ValueError, RecursionError) as error:
        raise CannotRead(f"PM2's answer on {connection.getpeername()} is not JSON") from error


def read_exactly(connection: socket.socket, size: int, end: float) -> bytes:
    """Return so many bytes; raises TimeoutError after ``end``, CannotRead when the peer closes the connection earlier."""
    data = bytearray()
    while len(data) < size:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise CannotRead(f"{connection.getpeername()} was closed in the middle of an answer")
        data += piece
    return bytes(data)


def plain_text(value: Any, limit: int = MAX_TEXT) -> str:
    """Return a value of PM2 as printable text of limited length: no colours, control characters or broken Unicode."""
    if value is None or isinstance(value, (dict, list)):
        return ""
    clean = strip_ansi(str(value)[: limit * 4].encode("utf-8", "replace").decode("utf-8"))
    return "".join(letter if letter.isprintable() else "?" for letter in clean)[:limit]
