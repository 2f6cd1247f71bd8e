"""How NUMBER, DATE and TIMESTAMP values look on the wire, and how the store keeps them.

The store keeps NUMBER as an integer or a float, DATE as `YYYY-MM-DD HH:MM:SS`, TIMESTAMP with six more digits after a point,
TIMESTAMP WITH TIME ZONE with an offset behind that, RAW as bytes. An empty string is NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

MAX_DIGITS = 40
MAX_STRING = 32767
_LARGEST_EXPONENT = 125
_SMALLEST_EXPONENT = -130
_NEGATIVE_END = 102


@dataclass(frozen=True)
class SqlType:
    """Type of a column, an expression or a bind. `size` counts bytes of text, or digits of a second for TIMESTAMP."""

    name: str
    size: int = 0
    precision: int = 0
    scale: int = -127

    @property
    def is_text(self) -> bool:
        return self.name in ("VARCHAR2", "CHAR")

    @property
    def is_time(self) -> bool:
        return self.name in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")


NUMBER = SqlType("NUMBER")
INTEGER = SqlType("NUMBER", 22, 38, 0)
DATE = SqlType("DATE", 7)
TIMESTAMP = SqlType("TIMESTAMP", 6)
TIMESTAMP_TZ = SqlType("TIMESTAMP WITH TIME ZONE", 6)
RAW = SqlType("RAW", 2000)
INTERVAL = SqlType("INTERVAL DAY TO SECOND")
NULL = SqlType("NULL")


def varchar(size: int) -> SqlType:
    return SqlType("VARCHAR2", max(size, 1))


# Numbers of the types on the wire: what a client binds, and what a column is described as.
WIRE_VARCHAR, WIRE_NUMBER, WIRE_INTEGER, WIRE_LONG, WIRE_DATE, WIRE_RAW, WIRE_LONG_RAW = 1, 2, 3, 8, 12, 23, 24
WIRE_CHAR, WIRE_FLOAT, WIRE_DOUBLE, WIRE_TIMESTAMP, WIRE_TIMESTAMP_TZ, WIRE_TIMESTAMP_LTZ = 96, 100, 101, 180, 181, 231
_TEXT_WIRE = (WIRE_VARCHAR, WIRE_LONG, WIRE_CHAR)
_TIME_WIRE = {WIRE_DATE: DATE, WIRE_TIMESTAMP: TIMESTAMP, WIRE_TIMESTAMP_TZ: TIMESTAMP_TZ, WIRE_TIMESTAMP_LTZ: TIMESTAMP_TZ}
COLUMN_WIRE = {
    "VARCHAR2": WIRE_VARCHAR,
    "CHAR": WIRE_CHAR,
    "NUMBER": WIRE_NUMBER,
    "DATE": WIRE_DATE,
    "TIMESTAMP": WIRE_TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": WIRE_TIMESTAMP_TZ,
    "RAW": WIRE_RAW,
    "NULL": WIRE_VARCHAR,
}


def bind_type(wire: int, size: int) -> SqlType | None:
    """Type of a bind variable; None when this server has no such type."""
    if wire in _TEXT_WIRE:
        return varchar(size)
    if wire in (WIRE_NUMBER, WIRE_INTEGER, WIRE_FLOAT, WIRE_DOUBLE):
        return NUMBER
    if wire in (WIRE_RAW, WIRE_LONG_RAW):
        return RAW
    return _TIME_WIRE.get(wire)


def encode_number(value: float | Decimal) -> bytes:
    """Oracle's NUMBER; raises ValueError beyond 40 digits or its range of exponents."""
    exact = Decimal(format(value, ".15g")) if isinstance(value, float) else Decimal(value)
    if not exact:
        return b"\x80"
    sign, digit_tuple, exponent = exact.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("neither infinity nor NaN is a NUMBER")
    digits = list(digit_tuple)
    while digits[-1] == 0:
        digits.pop()
        exponent += 1
    if len(digits) > MAX_DIGITS or not _SMALLEST_EXPONENT <= len(digits) + exponent - 1 <= _LARGEST_EXPONENT:
        raise ValueError("beyond the range of NUMBER")
    if exponent % 2:
        digits.append(0)
        exponent -= 1
    if len(digits) % 2:
        digits.insert(0, 0)
    pairs = [digits[index] * 10 + digits[index + 1] for index in range(0, len(digits), 2)]
    power = len(pairs) + exponent // 2 + 192
    if not sign:
        return bytes([power, *(pair + 1 for pair in pairs)])
    end = [_NEGATIVE_END] if len(pairs) < MAX_DIGITS // 2 else []
    return bytes([~power & 0xFF, *(101 - pair for pair in pairs), *end])


def decode_number(data: bytes) -> int | Decimal:
    """An int when it is whole, else exact."""
    if data == b"\x80":
        return 0
    positive = bool(data[0] & 0x80)
    power = (data[0] if positive else ~data[0] & 0xFF) - 192
    body = data[1:]
    if not positive and body.endswith(bytes([_NEGATIVE_END])):
        body = body[:-1]
    mantissa = 0
    for byte in body:
        mantissa = mantissa * 100 + (byte - 1 if positive else 101 - byte)
    exponent = (power - len(body)) * 2
    if not positive:
        mantissa = -mantissa
    if exponent >= 0:
        return mantissa * 10**exponent
    exact = Decimal(f"{mantissa}e{exponent}")  # the constructor does not round
    return int(exact) if exact == int(exact) else exact


def stored_number(value: float | Decimal) -> int | float:
    """As the store keeps it: whole numbers of 64 bits exactly, others with 15 digits."""
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if value == int(value) and abs(value) < 2**63:
        return int(value)
    return float(value)


def encode_time(text: str, wire: int) -> bytes:
    """From the notation of the store."""
    moment, offset = parse_time(text)
    if wire == WIRE_TIMESTAMP_TZ:
        moment -= offset or timedelta(0)
    parts = (moment.year // 100 + 100, moment.year % 100 + 100, moment.month, moment.day)
    encoded = bytes([*parts, moment.hour + 1, moment.minute + 1, moment.second + 1])
    if wire == WIRE_DATE or (wire == WIRE_TIMESTAMP and not moment.microsecond):
        return encoded
    encoded += (moment.microsecond * 1000).to_bytes(4, "big")
    if wire == WIRE_TIMESTAMP_TZ:
        minutes = int((offset or timedelta(0)).total_seconds()) // 60
        hours = abs(minutes) // 60 * (1 if minutes >= 0 else -1)
        encoded += bytes([hours + 20, minutes - hours * 60 + 60])
    return encoded


def decode_time(data: bytes, wire: int, session_offset: timedelta) -> str:
    """In the notation of the store. A local time stamp comes in the database's zone, which is UTC, and becomes the session's."""
    year = (data[0] - 100) * 100 + data[1] - 100
    micros = int.from_bytes(data[7:11], "big") // 1000 if len(data) >= 11 else 0
    moment = datetime(year, data[2], data[3], data[4] - 1, data[5] - 1, data[6] - 1, micros)
    if wire == WIRE_DATE:
        return moment.isoformat(" ", "seconds")
    if wire == WIRE_TIMESTAMP:
        return moment.isoformat(" ", "microseconds")
    offset = session_offset
    if wire == WIRE_TIMESTAMP_TZ and len(data) >= 13:
        offset = timedelta(hours=data[11] - 20, minutes=data[12] - 60)
    return zoned_text(moment.replace(tzinfo=UTC), offset)


def zoned_text(moment: datetime, offset: timedelta) -> str:
    """A moment as TIMESTAMP WITH TIME ZONE of the store."""
    return moment.astimezone(timezone(offset)).isoformat(" ", "microseconds")


def parse_time(text: str) -> tuple[datetime, timedelta | None]:
    """Local time and offset of a value of the store."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=None), moment.utcoffset()


def parse_offset(text: str) -> timedelta | None:
    """`+09:00` as an offset; None for a name."""
    sign = -1 if text.startswith("-") else 1
    hours, _, minutes = text.lstrip("+-").partition(":")
    if not hours.isdigit() or (minutes and not minutes.isdigit()):
        return None
    return sign * timedelta(hours=int(hours), minutes=int(minutes or 0))
