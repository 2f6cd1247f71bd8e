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
        self._servers: list[asyncio.Server] = []
        self._choked: list[socket.socket] = []
        self._stopped = asyncio.Event()
        self._tls: ssl.SSLContext | None = None

    async def start(self) -> Ports:
        """Ports that listen; the database is filled when it is new."""
        seed(self.database.store, self.folder)
        self._tls = tls.server_context(self.folder)
        await self._open()
        control = ControlServer(self.database, self.listen, self._stopped.set)
        self._control, self.ports.control = await control.start(self.ports.control)
        return self.ports

    async def wait(self) -> None:
        """Until somebody asks it to stop."""
        await self._stopped.wait()

    async def stop(self) -> None:
        self._control.close()
        await self._close()
        self._listener.stop()
        await asyncio.sleep(0)
        self.database.close()

    async def listen(self, state: str) -> None:
        """`up`, `down` (connections are refused) or `blackhole` (nothing answers, as behind a firewall)."""
        await self._close()
        if state == "up":
            await self._open()
        elif state == "blackhole":
            for port in (self.ports.tcp, self.ports.tcps):
                self._choke(port)

    async def _open(self) -> None:
        plain = await asyncio.start_server(self._listener.serve, self.host, self.ports.tcp, backlog=_BACKLOG)
        secure = await asyncio.start_server(self._serve_tls, self.host, self.ports.tcps, backlog=_BACKLOG)
        self._servers = [plain, secure]
        self.ports.tcp, self.ports.tcps = (server.sockets[0].getsockname()[1] for server in self._servers)

    async def _serve_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._listener.serve(reader, writer, self._tls)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for held in self._choked:
            held.close()
        self._servers, self._choked = [], []

    def _choke(self, port: int) -> None:
        """Listen without ever accepting, with the queue full: the kernel drops what comes then."""
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((self.host, port))
        bound.listen(0)
        self._choked.append(bound)
        for _ in range(_FILLERS):
            filler = socket.socket()
            filler.settimeout(_FILL_SECONDS)
            self._choked.append(filler)
            try:
                filler.connect((self.host, port))
            except TimeoutError:
                return
        raise OSError("the listen queue does not fill up")
