"""The server process: ports for TCP and TCPS, the control port, start and stop."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from . import tls
from .control import ControlServer
from .database import Database, Settings
from .listener import Listener
from .seed import seed

_BACKLOG = 100
_FILLERS = 16
_FILL_SECONDS = 0.2
_ACCEPT_PAUSE = 0.1


@dataclass
class Ports:
    """Where the server is to be found. A port of 0 asks for any free one."""

    tcp: int = 0
    tcps: int = 0
    control: int = 0


@dataclass
class Server:
    """One instance with its listener."""

    folder: Path
    host: str = "127.0.0.1"
    ports: Ports = field(default_factory=Ports)
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database = Database(self.folder, self.settings)
        self._listener = Listener(self.database)
        self._bound: list[socket.socket] = []
        self._accepting: list[asyncio.Future[None]] = []
        self._stopped = asyncio.Event()
        self._tls: ssl.SSLContext | None = None

    async def start(self) -> Ports:
        """Ports that listen; the database is filled when it is new."""
        seed(self.database.store, self.folder)
        self._tls = tls.server_context(self.folder)
        self._open()
        control = ControlServer(self.database, self.listen, self._stopped.set)
        self._control, self.ports.control = await control.start(self.ports.control)
        return self.ports

    async def wait(self) -> None:
        """Until somebody asks it to stop."""
        await self._stopped.wait()

    async def stop(self) -> None:
        self._control.close()
        await self._close()
        await self._listener.stop()
        self.database.close()

    async def listen(self, state: str) -> None:
        """`up`, `down` (connections are refused) or `blackhole` (nothing answers, as behind a firewall)."""
        await self._close()
        if state == "up":
            self._open()
        elif state == "blackhole":
            for port in (self.ports.tcp, self.ports.tcps):
                self._choke(port)

    def _open(self) -> None:
        self.ports.tcp = self._listen_on(self.ports.tcp, None)
        self.ports.tcps = self._listen_on(self.ports.tcps, self._tls)

    def _listen_on(self, port: int, secure: ssl.SSLContext | None) -> int:
        """Accept connections on a port (0: any free one); gives the port."""
        bound = socket.create_server((self.host, port), backlog=_BACKLOG)
        bound.setblocking(False)
        self._bound.append(bound)
        self._accepting.append(asyncio.ensure_future(self._accept(bound, secure)))
        return bound.getsockname()[1]

    async def _accept(self, bound: socket.socket, secure: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(bound)
            except OSError:
                await asyncio.sleep(_ACCEPT_PAUSE)
                continue
            self._listener.accepted(connection, address[:2], secure)

    async def _close(self) -> None:
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for held in self._bound:
            held.close()
        self._accepting, self._bound = [], []

    def _choke(self, port: int) -> None:
        """Listen without ever accepting, with the queue full: the kernel drops what comes then."""
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((self.host, port))
        bound.listen(0)
        self._bound.append(bound)
        for _ in range(_FILLERS):
            filler = socket.socket()
            filler.settimeout(_FILL_SECONDS)
            self._bound.append(filler)
            try:
                filler.connect((self.host, port))
            except TimeoutError:
                return
        raise OSError("the listen queue does not fill up")
