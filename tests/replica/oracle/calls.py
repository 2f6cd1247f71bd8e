"""Database calls as a client sends them, and the answers to them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from . import formats, values
from .catalog import Column
from .engine import rowid_parts
from .errors import OraError
from .ttc import ProtocolError, Reader, Writer
from .values import SqlType

# Numbers of messages and functions.
PROTOCOL, DATA_TYPES, FUNCTION, ERROR, ROW_HEADER, ROW_DATA, PARAMETER, STATUS = 1, 2, 3, 4, 6, 7, 8, 9
WARNING, DESCRIBE, PIGGYBACK = 15, 16, 17
REEXECUTE, FETCH, LOGOFF, COMMIT, ROLLBACK, REEXECUTE_FETCH, EXECUTE, AUTH_TWO, AUTH_ONE, PING = 4, 5, 9, 14, 15, 78, 94, 115, 118, 147
_CLOSE_CURSORS, _CANCEL_CURSORS, _END_TO_END, _SET_SCHEMA, _KEY_VALUE = 105, 120, 135, 152, 154
_NCHAR = 2
_IN_TRANSACTION = 2
# Execute options.
PARSE, BIND, DEFINE, RUN, WITH_FETCH, WITH_COMMIT, DESCRIBE_ONLY, BATCH_ERRORS = 0x01, 0x08, 0x10, 0x20, 0x40, 0x100, 0x20000, 0x80000
_COMMIT_REEXECUTED = 0x1


@dataclass(frozen=True)
class BindColumn:
    """How a client writes one bind variable."""

    wire: int
    size: int
    form: int


@dataclass
class Call:
    """One call; what its function does not use stays empty."""

    function: int
    close_cursors: list[int] = field(default_factory=list)
    cancel_cursors: list[int] = field(default_factory=list)
    module: str = ""
    schema: str = ""
    options: int = 0
    cursor: int = 0
    sql: str = ""
    rows: int = 0
    executions: int = 1
    bind_columns: tuple[BindColumn, ...] = ()
    binds: list[list[bytes | None]] = field(default_factory=list)
    user: str = ""
    mode: int = 0
    pairs: dict[str, str] = field(default_factory=dict)


def read_call(reader: Reader, known_binds: dict[int, tuple[BindColumn, ...]]) -> Call:
    """The next call with the piggybacks before it. Raises NeedMore, ProtocolError."""
    call = Call(0)
    while True:
        message, function = reader.byte(), reader.byte()
        reader.byte()  # the call's number in the session
        if message == PIGGYBACK:
            _read_piggyback(reader, function, call)
        elif message == FUNCTION:
            break
        else:
            raise ProtocolError(f"message {message}")
    call.function = function
    if function in (AUTH_ONE, AUTH_TWO):
        _read_login(reader, call)
    elif function == EXECUTE:
        _read_execute(reader, call)
    elif function in (REEXECUTE, REEXECUTE_FETCH):
        call.cursor, call.rows, first, second = (reader.number() for _ in range(4))
        call.executions = 1 if function == REEXECUTE_FETCH else max(call.rows, 1)
        call.options = RUN | first | (WITH_COMMIT if second & _COMMIT_REEXECUTED else 0)
        call.bind_columns = known_binds.get(call.cursor, ())
        _read_bind_rows(reader, call)
    elif function == FETCH:
        call.cursor, call.rows = reader.number(), reader.number()
    elif function not in (PING, COMMIT, ROLLBACK, LOGOFF):
        raise ProtocolError(f"function {function}")
    return call


def _read_piggyback(reader: Reader, function: int, call: Call) -> None:
    if function == _CLOSE_CURSORS:
        reader.byte()
        call.close_cursors += [reader.number() for _ in range(reader.number())]
    elif function == _CANCEL_CURSORS:
        reader.byte()
        call.cancel_cursors += [reader.number() for _ in range(reader.number())]
    elif function == _SET_SCHEMA:
        reader.byte()
        call.schema = reader.sized().decode()
    elif function == _END_TO_END:
        _read_end_to_end(reader, call)
    elif function == _KEY_VALUE:
        reader.byte()
        reader.number()
        reader.byte()
        pairs = reader.number()
        reader.number()
        reader.byte()
        reader.chunked()
        for _ in range(pairs):
            reader.sized()
            reader.sized()
            reader.number()
    else:
        raise ProtocolError(f"piggyback {function}")


def _read_end_to_end(reader: Reader, call: Call) -> None:
    """Names that a client gives to what it does."""
    reader.raw(2)
    reader.number()
    lengths = [(reader.byte(), reader.number())[1] for _ in range(4)]  # client identifier, module, action, context
    reader.byte()
    reader.number()
    lengths.append((reader.byte(), reader.number())[1])  # client info
    for _ in range(2):
        reader.byte()
        reader.number()
    lengths.append((reader.byte(), reader.number())[1])  # operation
    texts = [(reader.chunked() or b"").decode() if length else "" for length in lengths]
    call.module = texts[1]


def _read_login(reader: Reader, call: Call) -> None:
    named = reader.byte()
    reader.number()
    call.mode = reader.number()
    reader.byte()
    pairs = reader.number()
    reader.raw(2)
    call.user = (reader.chunked() or b"").decode() if named else ""
    for _ in range(pairs):
        key, value = reader.sized().decode(), reader.sized().decode()
        reader.number()
        call.pairs[key.rstrip("\0")] = value.rstrip("\0")


def _read_execute(reader: Reader, call: Call) -> None:
    call.options, call.cursor = reader.number(), reader.number()
    has_sql = reader.byte()
    reader.number()
    reader.byte()
    vector = reader.number()
    reader.raw(2)
    reader.number()
    call.rows = reader.number()
    reader.number()
    reader.byte()
    binds = reader.number()
    reader.raw(5)
    reader.byte()
    defines = reader.number()
    reader.number()
    reader.raw(3)
    reader.number()
    reader.byte()
    reader.number()
    reader.number()
    reader.byte()  # row counts of an array DML: pointer, length, pointer to the length
    reader.number()
    reader.byte()
    reader.byte()  # signature of the SQL
    reader.number()
    reader.byte()  # identifier of the SQL, with a pointer to its length
    reader.number()
    reader.byte()
    reader.byte()  # chunks
    reader.number()
    if has_sql:
        call.sql = (reader.chunked() or b"").decode()
    numbers = [reader.number() for _ in range(vector)]
    call.executions = numbers[1] if not numbers[7] else 1
    if call.options & DEFINE:
        for _ in range(defines):
            _read_column(reader)
    elif binds:
        call.bind_columns = tuple(_read_column(reader) for _ in range(binds))
        _read_bind_rows(reader, call)


def _read_column(reader: Reader) -> BindColumn:
    wire = reader.byte()
    reader.raw(3)
    size = reader.number()
    reader.number()
    reader.number()
    reader.sized()
    reader.number()
    reader.number()
    form = reader.byte()
    reader.number()
    reader.number()
    if values.bind_type(wire, size) is None:
        raise ProtocolError(f"bind of type {wire}")
    return BindColumn(wire, size, form)


def _read_bind_rows(reader: Reader, call: Call) -> None:
    """Long values come behind the others of their row."""
    if not call.bind_columns:
        return
    for _ in range(max(call.executions, 1)):
        if reader.byte() != ROW_DATA:
            raise ProtocolError("no bind values")
        row: list[bytes | None] = [None] * len(call.bind_columns)
        late = [column.size > values.MAX_STRING for column in call.bind_columns]
        for wanted in (False, True):
            for index, is_late in enumerate(late):
                if is_late == wanted:
                    row[index] = reader.chunked()
        call.binds.append(row)


def bind_types(columns: Sequence[BindColumn]) -> tuple[SqlType, ...]:
    return tuple(values.bind_type(column.wire, column.size) or values.NULL for column in columns)


def bind_value(raw: bytes | None, column: BindColumn, session_offset: timedelta) -> Any:
    """A bind variable as the store has it."""
    if raw is None:
        return None
    kind = values.bind_type(column.wire, column.size)
    if kind is None or kind.name == "RAW":
        return raw
    if kind.is_text:
        return raw.decode("utf-16-be" if column.form == _NCHAR else "utf-8")
    if kind.is_time:
        return values.decode_time(raw, column.wire, session_offset)
    if column.wire in (values.WIRE_DOUBLE, values.WIRE_FLOAT):
        bits = bytes([raw[0] & 0x7F, *raw[1:]]) if raw[0] & 0x80 else bytes(~byte & 0xFF for byte in raw)
        return struct.unpack(">d" if len(raw) == 8 else ">f", bits)[0]
    return values.stored_number(values.decode_number(raw))


# Answers


def status(writer: Writer, in_transaction: bool) -> Writer:
    return writer.byte(STATUS).number(_IN_TRANSACTION if in_transaction else 0, 0)


def parameters(writer: Writer, pairs: Iterable[tuple[str, str, int]]) -> Writer:
    listed = list(pairs)
    writer.byte(PARAMETER).number(len(listed))
    for key, value, flags in listed:
        writer.sized(key).sized(value).number(flags)
    return writer


def warning(writer: Writer, error: OraError) -> Writer:
    text = error.text.encode()
    return writer.byte(WARNING).number(error.code, len(text), 0).chunked(text)


@dataclass
class CallEnd:
    """What stands at the end of an answer."""

    error: OraError | None = None
    cursor: int = 0
    count: int = 0
    last_row: int = 0
    in_transaction: bool = False
    failures: list[tuple[int, OraError]] = field(default_factory=list)


def end_of_call(writer: Writer, end: CallEnd) -> Writer:
    code = end.error.code if end.error else 0
    position = end.error.position if end.error else 0
    writer.byte(ERROR).number(_IN_TRANSACTION if end.in_transaction else 0, 0, 0, min(code, 65535), 0, 0, end.cursor, max(position, 0))
    writer.byte(0, 0, 0, 0, 0, 0)
    data_object, file, block, row = rowid_parts(end.last_row) if end.last_row else (0, 0, 0, 0)
    writer.number(data_object, file).byte(0).number(block, row)
    writer.number(0).byte(0, 0).number(0, 0, 0)
    _array_failures(writer, end.failures)
    writer.number(code, end.count)
    if end.error:
        writer.chunked(end.error.text.encode())
    return writer


def _array_failures(writer: Writer, failures: list[tuple[int, OraError]]) -> None:
    """Codes, offsets and texts of the rows that failed."""
    if not failures:
        writer.number(0, 0, 0)
        return
    writer.number(len(failures)).byte(0)
    writer.number(*(error.code for _, error in failures))
    writer.number(len(failures)).byte(0)
    writer.number(*(offset for offset, _ in failures))
    writer.number(len(failures)).byte(0)
    for _, error in failures:
        text = error.text.encode()
        writer.number(len(text)).chunked(text).byte(0, 0)


def describe(writer: Writer, columns: Sequence[Column]) -> Writer:
    writer.byte(DESCRIBE).chunked(None).number(sum(column.type.size or 22 for column in columns), len(columns))
    if columns:
        writer.byte(0)
    for number, column in enumerate(columns, 1):
        _describe_column(writer, column, number)
    return writer.sized(None).number(0, 0, 0, 0).sized(None)


def _describe_column(writer: Writer, column: Column, number: int) -> None:
    kind = column.type
    text = kind.is_text or kind.name == "NULL"
    size = {"NUMBER": 22, "DATE": 7, "TIMESTAMP": 11, "TIMESTAMP WITH TIME ZONE": 13, "NULL": 0}.get(kind.name, kind.size)
    scale = kind.scale if kind.name == "NUMBER" else (6 if kind.name.startswith("TIMESTAMP") else 0)
    writer.byte(values.COLUMN_WIRE[kind.name], 0, kind.precision & 0xFF, scale & 0xFF)
    writer.number(size, 0, 0).sized(None).number(0, 873 if text else 0).byte(1 if text else 0)
    writer.number(kind.size if text else 0, 0).byte(int(column.nullable), min(len(column.name), 255))
    writer.sized(column.name).sized(None).sized(None).number(number, 0)


def row_header(writer: Writer) -> Writer:
    return writer.byte(ROW_HEADER, 0).number(0, 0, 0, 0, 0).sized(None)


def row(writer: Writer, data: Sequence[Any], columns: Sequence[Column]) -> Writer:
    writer.byte(ROW_DATA)
    for value, column in zip(data, columns, strict=True):
        if column.type.name != "NULL":
            writer.chunked(_column_value(value, column.type))
    return writer


def _column_value(value: Any, kind: SqlType) -> bytes | None:
    if value is None:
        return None
    if kind.name == "NUMBER":
        number = formats.text_to_number(value) if isinstance(value, str) else value
        try:
            return values.encode_number(number)
        except ValueError:
            raise OraError(1426, text="ORA-01426: numeric overflow") from None
    if kind.name == "RAW":
        return bytes(value)
    if kind.is_time:
        return values.encode_time(str(value), values.COLUMN_WIRE[kind.name])
    return formats.plain_number(value).encode() if isinstance(value, int | float | Decimal) else str(value).encode()
