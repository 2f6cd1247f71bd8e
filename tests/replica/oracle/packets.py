"""TNS packets: what listener and client send each other over TCP, before any database call is understood."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from enum import IntEnum

HEADER_SIZE = 8
DATA_HEADER_SIZE = HEADER_SIZE + 2
DEFAULT_SDU = 8192
_EOF_FLAG = 0x0040
# A request that fills its last packet looks unfinished; this is how long another packet is waited for.
_CONTINUATION_SECONDS = 0.05


class PacketType(IntEnum):
    CONNECT = 1
    ACCEPT = 2
    REFUSE = 4
    REDIRECT = 5
    DATA = 6
    RESEND = 11
    MARKER = 12
    CONTROL = 14


class MarkerType(IntEnum):
    BREAK = 1
    RESET = 2
    INTERRUPT = 3


class ConnectionLost(Exception):
    """The client is gone, said goodbye or does not speak TNS."""


@dataclass(frozen=True)
class Packet:
    """One packet; `body` is what follows the header of 8 bytes."""

    type: int
    flags: int
    body: bytes

    @property
    def data(self) -> bytes:
        """Payload of a data packet, without its flags."""
        return self.body[2:]

    @property
    def is_eof(self) -> bool:
        return self.type == PacketType.DATA and len(self.body) >= 2 and bool(struct.unpack_from(">H", self.body)[0] & _EOF_FLAG)

    @property
    def marker(self) -> int:
        return self.body[2] if len(self.body) > 2 else MarkerType.BREAK


class PacketStream:
    """Reads and writes packets of one connection. `large` once a new enough version is agreed: lengths have 4 bytes then."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader = reader
        self.writer = writer
        self.large = False
        self.sdu = DEFAULT_SDU

    async def read(self) -> Packet:
        """Next packet; raises ConnectionLost."""
        try:
            header = await self.reader.readexactly(HEADER_SIZE)
            length = struct.unpack(">I" if self.large else ">Hxx", header[:4])[0]
            if length < HEADER_SIZE:
                raise ConnectionLost("not a TNS packet")
            body = await self.reader.readexactly(length - HEADER_SIZE)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise ConnectionLost(type(error).__name__) from error
        return Packet(header[4], header[5], body)

    def write(self, packet_type: int, body: bytes, flags: int = 0) -> None:
        length = HEADER_SIZE + len(body)
        size = struct.pack(">I", length) if self.large else struct.pack(">HH", length, 0)
        self.writer.write(size + bytes([packet_type, flags, 0, 0]) + body)

    def write_data(self, payload: bytes) -> None:
        """A call's answer, cut into as many packets as the session data unit asks for."""
        room = self.sdu - DATA_HEADER_SIZE
        for start in range(0, max(len(payload), 1), room):
            self.write(PacketType.DATA, b"\x00\x00" + payload[start : start + room])

    def write_marker(self, marker: MarkerType) -> None:
        self.write(PacketType.MARKER, bytes([1, 0, marker]))

    async def flush(self) -> None:
        try:
            await self.writer.drain()
        except OSError as error:
            raise ConnectionLost(type(error).__name__) from error


class Inbox:
    """Packets of an accepted connection, read ahead so that a break is seen while a call is being worked on."""

    def __init__(self, stream: PacketStream):
        self._stream = stream
        self._data: asyncio.Queue[Packet | None] = asyncio.Queue()
        self._resets: asyncio.Queue[None] = asyncio.Queue()
        self.interrupted = asyncio.Event()
        self.closed = asyncio.Event()
        self._task = asyncio.create_task(self._pump())

    async def _pump(self) -> None:
        try:
            while True:
                packet = await self._stream.read()
                if packet.type == PacketType.MARKER:
                    if packet.marker == MarkerType.RESET:
                        self._resets.put_nowait(None)
                    else:
                        self.interrupted.set()
                elif packet.is_eof:
                    break
                elif packet.type == PacketType.DATA:
                    self._data.put_nowait(packet)
        except ConnectionLost:
            pass
        finally:
            self.closed.set()
            self._data.put_nowait(None)

    async def more(self) -> bytes:
        """Payload of the next data packet, with those that continue it; raises ConnectionLost."""
        packet = await self._data.get()
        parts = []
        while packet is not None:
            parts.append(packet.data)
            if len(packet.body) + HEADER_SIZE < self._stream.sdu:
                return b"".join(parts)
            try:
                packet = await asyncio.wait_for(self._data.get(), _CONTINUATION_SECONDS)
            except TimeoutError:
                return b"".join(parts)
        self._data.put_nowait(None)
        raise ConnectionLost("closed by the client")

    async def reset_received(self, seconds: float) -> bool:
        """True when the client's reset marker came within `seconds`."""
        try:
            await asyncio.wait_for(self._resets.get(), seconds)
        except TimeoutError:
            return False
        return True

    def discard(self) -> None:
        """Forget what the client sent before its reset."""
        while not self._data.empty():
            if self._data.get_nowait() is None:
                self._data.put_nowait(None)
                return

    def stop(self) -> None:
        self._task.cancel()
