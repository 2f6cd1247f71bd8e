"""Two-task common: how the values of a database call are written into data packets."""

from __future__ import annotations

LONG_LENGTH = 0xFE
_NULL_LENGTH = 0xFF
_SHORT_MAXIMUM = 252
_CHUNK = 32767


class NeedMore(Exception):
    """The call goes on in a packet that has not been read."""


class ProtocolError(Exception):
    """The client sent what this server does not know."""


class Reader:
    """Reads one call from the start of `data`; raises NeedMore at its end."""

    def __init__(self, data: bytes):
        self._data = data
        self._position = 0

    @property
    def at_end(self) -> bool:
        return self._position >= len(self._data)

    def raw(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise NeedMore
        value = self._data[self._position : end]
        self._position = end
        return value

    def byte(self) -> int:
        return self.raw(1)[0]

    def number(self) -> int:
        """Integer with its length before it; the length's highest bit is the sign."""
        length = self.byte()
        negative, length = length & 0x80, length & 0x7F
        if length > 8:
            raise ProtocolError(f"integer of {length} bytes")
        value = int.from_bytes(self.raw(length), "big")
        return -value if negative else value

    def chunked(self) -> bytes | None:
        """Bytes with their length before them, in chunks when they are long; None for null."""
        length = self.byte()
        if length in (0, _NULL_LENGTH):
            return None
        if length != LONG_LENGTH:
            return self.raw(length)
        chunks = []
        while chunk := self.number():
            chunks.append(self.raw(chunk))
        return b"".join(chunks)

    def sized(self) -> bytes:
        """Bytes after their length in both notations; empty when the first says so."""
        return (self.chunked() or b"") if self.number() else b""

    def null_terminated(self) -> bytes:
        end = self._data.find(b"\0", self._position)
        if end < 0:
            raise NeedMore
        value = self.raw(end - self._position)
        self.raw(1)
        return value


class Writer:
    """Builds an answer."""

    def __init__(self) -> None:
        self._data = bytearray()

    def __bytes__(self) -> bytes:
        return bytes(self._data)

    def raw(self, value: bytes) -> Writer:
        self._data += value
        return self

    def byte(self, *values: int) -> Writer:
        self._data += bytes(values)
        return self

    def number(self, *values: int) -> Writer:
        """Integers of any width, shortest notation."""
        for value in values:
            encoded = value.to_bytes((value.bit_length() + 7) // 8, "big")
            self._data.append(len(encoded))
            self._data += encoded
        return self

    def chunked(self, value: bytes | None) -> Writer:
        if not value:
            self._data.append(0)
        elif len(value) <= _SHORT_MAXIMUM:
            self._data.append(len(value))
            self._data += value
        else:
            self._data.append(LONG_LENGTH)
            for start in range(0, len(value), _CHUNK):
                chunk = value[start : start + _CHUNK]
                self.number(len(chunk)).raw(chunk)
            self._data.append(0)
        return self

    def sized(self, value: bytes | str | None) -> Writer:
        encoded = value.encode() if isinstance(value, str) else value or b""
        self.number(len(encoded))
        return self.chunked(encoded) if encoded else self
