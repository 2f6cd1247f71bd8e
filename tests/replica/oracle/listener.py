"""The listener: takes connections, knows services and SIDs, refuses, redirects or accepts."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import traceback

from .database import Attempt, Database, StageFault
from .packets import ConnectionLost, PacketStream, PacketType
from .session import Session

_ACCEPT_VERSION, _TOO_OLD_VERSION = 318, 312
_LARGE_LENGTHS_SINCE = 315
_NO_NETWORK_SERVICES, _NETWORK_SERVICES_REQUIRED = 0x04, 0x10
_SMALLEST_SDU, _LARGEST_SDU = 512, 65535
_NETWORK_SERVICES_MAGIC = 0xDEADBEEF
_SERVICES_VERSION = 0x13000000
_ENCRYPTION = 2
_READ_LIMIT = 1 << 20
_LISTENER_CODES = (12516, 12519, 12520)


class Refused(Exception):
    """The listener says no, with this number."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


class Listener:
    """Handles each connection until its end."""

    def __init__(self, database: Database):
        self._database = database
        self._tasks: set[asyncio.Task[None]] = set()

    def accepted(self, connection: socket.socket, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        """Serve a connection that was just accepted, in a task of its own."""
        task = asyncio.ensure_future(self._serve(connection, address, tls))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        """One connection. TLS is begun before anything is read. Never raises."""
        attempt = self._database.attempt(*address)
        outcome, reset = "closed by the client", False
        writer: asyncio.StreamWriter | None = None
        try:
            await self._database.stage("accept")
            attempt.stage = "tls" if tls else "accept"
            stream = await _open_stream(connection, tls, self._database.settings.connect_seconds)
            writer = stream.writer
            await self._handle(stream, attempt)
        except Refused as refused:
            outcome = f"ORA-{refused.code:05d}"
        except StageFault as fault:
            outcome, reset = f"closed by a fault at {attempt.stage}", fault.reset
        except (ConnectionLost, OSError, TimeoutError, ssl.SSLError) as error:
            outcome = f"{error or type(error).__name__} at {attempt.stage}"
        except Exception as error:
            outcome = f"server failed with {type(error).__name__} at {attempt.stage}"
            traceback.print_exc()
        except asyncio.CancelledError:
            outcome = f"server stopped at {attempt.stage}"
        finally:
            self._database.finish(attempt, outcome)
            _end(connection, writer, reset)

    async def stop(self) -> None:
        """End all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, stream: PacketStream, attempt: Attempt) -> None:
        settings, faults = self._database.settings, self._database.faults
        packet = await asyncio.wait_for(stream.read(), settings.connect_seconds)
        if packet.type != PacketType.CONNECT or len(packet.body) < 50:
            raise ConnectionLost("no connect packet")
        attempt.stage = "connect"
        length, offset = struct.unpack_from(">HH", packet.body, 16)
        data = packet.body[offset - 8 : offset - 8 + length]
        if len(data) < length:
            data = (await asyncio.wait_for(stream.read(), settings.connect_seconds)).data
        client = connect_data(data.decode("utf-8", "replace"))
        attempt.service = client.get("SERVICE_NAME") or client.get("SID", "")
        attempt.program = client.get("PROGRAM", "")
        await self._database.stage("connect")
        await self._refuse_or_redirect(stream, attempt, client)
        requested = struct.unpack_from(">I", packet.body, 50)[0] if len(packet.body) >= 54 else 0
        stream.sdu = min(max(requested or 8192, _SMALLEST_SDU), _LARGEST_SDU)
        await self._accept(stream)
        if faults.take("encryption_required") is not None:
            await self._demand_encryption(stream)
        session = Session(self._database, stream, attempt, client)
        await session.run()

    async def _refuse_or_redirect(self, stream: PacketStream, attempt: Attempt, client: dict[str, str]) -> None:
        if client.get("COMMAND", "").lower() == "ping":
            # What tnsping asks; the answer is a refusal without an error.
            text = b"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR=0)(ALIAS=LISTENER))"
            stream.write(PacketType.REFUSE, bytes([4, 0]) + struct.pack(">H", len(text)) + text)
            await stream.flush()
            raise ConnectionLost("ping")
        code = self._refusal(client)
        if code:
            text = f"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR={code})(ERROR_STACK=(ERROR=(CODE={code})(EMFI=4))))".encode()
            stream.write(PacketType.REFUSE, bytes([34, 0]) + struct.pack(">H", len(text)) + text)
            await stream.flush()
            raise Refused(code)
        target = self._database.faults.take("redirect")
        if target:
            address = f"(ADDRESS=(PROTOCOL=TCP)(HOST={target['host']})(PORT={target['port']}))"
            text = address.encode() + b"\0" + client["DESCRIPTOR"].encode()
            stream.write(PacketType.REDIRECT, struct.pack(">H", len(text)), flags=2)
            stream.write(PacketType.DATA, b"\0\0" + text)
            await stream.flush()
            self._database.finish(attempt, "redirected")
            raise ConnectionLost("redirected")

    def _refusal(self, client: dict[str, str]) -> int:
        """Number of the refusal, 0 for none."""
        database = self._database
        fault = database.faults.take("refuse")
        if fault:
            return fault["code"]
        service, sid = client.get("SERVICE_NAME", "").upper(), client.get("SID", "").upper()
        if service and service not in (name.upper() for name in database.settings.services):
            return 12514
        if not service and sid not in (name.upper() for name in database.settings.sids):
            return 12505
        limit, code = database.session_limit()
        if code in _LISTENER_CODES and len(database.live) >= limit:
            database.faults.take("max_sessions")
            return code
        return 0

    async def _accept(self, stream: PacketStream) -> None:
        old = self._database.faults.take("old_protocol") is not None
        version = _TOO_OLD_VERSION if old else _ACCEPT_VERSION
        flags = _NETWORK_SERVICES_REQUIRED if self._database.faults.look("encryption_required") is not None else _NO_NETWORK_SERVICES
        small = min(stream.sdu, _LARGEST_SDU)
        body = struct.pack(">HHHHHHHBB8x", version, 1, small, small, 1, 0, 32 if old else 45, flags, flags)
        if not old:
            body += struct.pack(">IIBI", stream.sdu, stream.sdu, 0, 0)
        stream.write(PacketType.ACCEPT, body)
        await stream.flush()
        stream.large = version >= _LARGE_LENGTHS_SINCE

    async def _demand_encryption(self, stream: PacketStream) -> None:
        """Answer the client's offer of network services, which is without encryption, with ORA-12660."""
        await asyncio.wait_for(stream.read(), self._database.settings.connect_seconds)
        service = struct.pack(">HHI", _ENCRYPTION, 0, 12660)
        header = struct.pack(">IHIHB", _NETWORK_SERVICES_MAGIC, 13 + len(service), _SERVICES_VERSION, 1, 0)
        stream.write_data(header + service)
        await stream.flush()
        raise Refused(12660)


async def _open_stream(connection: socket.socket, tls: ssl.SSLContext | None, seconds: float) -> PacketStream:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_READ_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    limits = {"ssl": tls, "ssl_handshake_timeout": seconds} if tls else {}
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, **limits)
    return PacketStream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


def _end(connection: socket.socket, writer: asyncio.StreamWriter | None, reset: bool) -> None:
    """Close; with `reset` the client gets no goodbye."""
    if reset and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if writer is None:
        connection.close()
    elif reset:
        writer.transport.abort()
    else:
        writer.close()


def connect_data(descriptor: str) -> dict[str, str]:
    """What a connect descriptor names, by its keywords, and the text itself as DESCRIPTOR."""
    found = {key.upper(): value for key, value in re.findall(r"\(\s*(\w+)\s*=\s*([^()\s]+)\s*\)", descriptor)}
    inner = descriptor[descriptor.upper().find("CONNECT_DATA") :]
    found |= {key.upper(): value for key, value in re.findall(r"\(\s*(HOST|USER|PROGRAM)\s*=\s*([^()]*?)\s*\)", inner, re.IGNORECASE)}
    return {**found, "DESCRIPTOR": descriptor}
