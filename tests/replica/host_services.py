"""Small servers and loads of the replica's machine, each a process of its own. Copied into run/host of an instance and run there.

    host_services.py time [<port>]          a time server (SNTP) on a free UDP port, off by the seconds in clock_offset
    host_services.py peer [<port> [<addr>]] a TCP server on a free port that stands for what the applications need to reach
    host_services.py listen <port>          a TCP server on all addresses
    host_services.py spin <part>            uses a part (0 to 1) of a core
    host_services.py hold <file> <bytes>    takes memory until the number in a file reaches that many bytes

Each writes <name>.ready into its folder, a server with its port, and ends soon after that folder is removed.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
from pathlib import Path

_NTP_EPOCH = 2208988800
_CHUNK = 1 << 20
_FOLDER = Path(__file__).resolve().parent


def _ready(name: str, said: int = 0) -> None:
    new = _FOLDER / f".{name}.ready"
    new.write_text(f"{said}\n", encoding="ascii")
    new.replace(_FOLDER / f"{name}.ready")


def _stamp(moment: float) -> bytes:
    return struct.pack("!II", int(moment) + _NTP_EPOCH, int(moment % 1 * (1 << 32)))


def serve_time(port: int) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", port))
    _ready("time", server.getsockname()[1])
    while _FOLDER.is_dir():
        if not select.select([server], [], [], 2)[0]:
            continue
        with contextlib.suppress(OSError):
            question, client = server.recvfrom(512)
            now = time.time() + _offset()
            if len(question) >= 48 and question[0] & 7 == 3:
                head = struct.pack("!BBbb", question[0] & 0x38 | 4, 2, 6, -20) + bytes(8) + b"TANK"
                server.sendto(head + _stamp(now) + question[40:48] + _stamp(now) + _stamp(time.time() + _offset()), client)


def _offset() -> float:
    try:
        return float((_FOLDER / "clock_offset").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0


def serve(name: str, address: str, port: int) -> None:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(1)
    _ready(name, server.getsockname()[1])
    while _FOLDER.is_dir():
        if select.select([server], [], [], 2)[0]:
            with contextlib.suppress(OSError):
                server.accept()[0].close()


def spin(part: float) -> None:
    _ready("spin")
    while _FOLDER.is_dir():
        began, used = time.monotonic(), time.process_time()
        while time.monotonic() < began + 1:
            if time.process_time() - used > part * (time.monotonic() - began):
                time.sleep(0.002)


def hold(counter: Path, wanted: int) -> None:
    held = []
    while int(counter.read_text(encoding="ascii")) < wanted:
        held.append(bytearray(b"x" * _CHUNK))
    _ready("hold", len(held))
    while _FOLDER.is_dir():
        time.sleep(2)


def main() -> None:
    """Be one of them."""
    kind, arguments = sys.argv[1], sys.argv[2:]
    if kind == "time":
        serve_time(int(arguments[0]) if arguments else 0)
    elif kind == "peer":
        serve("peer", arguments[1] if len(arguments) > 1 else "127.0.0.1", int(arguments[0]) if arguments else 0)
    elif kind == "listen":
        serve("listen", "0.0.0.0", int(arguments[0]))  # noqa: S104 - that is the fault
    elif kind == "spin":
        spin(float(arguments[0]))
    elif kind == "hold":
        hold(Path(arguments[0]), int(arguments[1]))


if __name__ == "__main__":
    main()
