"""One accepted connection: negotiation, login and calls, until either side ends it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from . import calls, statements
from .calls import BindColumn, Call, CallEnd
from .database import Attempt, Database, Live
from .dictionary import BANNER, Dictionary, SessionInfo
from .engine import SqlSession
from .errors import OraError
from .logon import Logon
from .packets import ConnectionLost, Inbox, MarkerType, PacketStream
from .statements import Statement
from .ttc import NeedMore, ProtocolError, Reader, Writer

_CHARSET, _NATIONAL_CHARSET = 873, 2000
_FIELD_VERSION = 12
_COMPILE_CAPABILITIES = 45
_32K_STRINGS = 0x04
_RESET_SECONDS = 30.0
_Parsed = TypeVar("_Parsed")


class Cursor:
    """An open statement and the rows of its last execution."""

    def __init__(self, sql: str):
        self.sql = sql
        self.bind_columns: tuple[BindColumn, ...] = ()
        self.rows: list[tuple[Any, ...]] = []
        self.position = 0
        self.translated: tuple[Statement, tuple[str, ...]] | None = None


class Session:
    """Serves one client after the listener has accepted it."""

    def __init__(self, database: Database, stream: PacketStream, attempt: Attempt, client: dict[str, str]):
        self.database = database
        self.stream = stream
        self.attempt = attempt
        self.client = client
        self.inbox = Inbox(stream)
        self.logon = Logon(database, attempt)
        self.sql: SqlSession | None = None
        self.info: SessionInfo | None = None
        self._cursors: dict[int, Cursor] = {}
        self._last_cursor = 0
        self._killed = asyncio.Event()
        self._over = False
        self._received = b""

    async def run(self) -> None:
        """Until the client says goodbye or is cut off. Raises ConnectionLost, StageFault."""
        try:
            await self._negotiate()
            while not self._over:
                call = await self._next_call()
                await self._answer(call)
        except ProtocolError as error:
            await self._send(calls.end_of_call(Writer(), CallEnd(OraError(3115, text=f"ORA-03115: unsupported network datatype: {error}"))))
        finally:
            self.inbox.stop()
            self._leave()

    # Negotiation

    async def _negotiate(self) -> None:
        self.attempt.stage = "protocol"
        await self._message(_read_protocol)
        await self.database.stage("protocol")
        await self._send(_protocol_answer())
        self.attempt.stage = "datatypes"
        await self._message(_read_data_types)
        await self.database.stage("datatypes")
        await self._send(Writer().byte(calls.DATA_TYPES).raw(b"\x00\x00"))
        self.attempt.stage = "auth1"

    async def _message(self, parse: Callable[[Reader], _Parsed]) -> _Parsed:
        """The next message of the client, however many packets it takes."""
        self._received = b""
        while True:
            self._received += await self.inbox.more()
            try:
                return parse(Reader(self._received))
            except NeedMore:
                continue

    async def _next_call(self) -> Call:
        """Waits for a call; breaks that come meanwhile are answered."""
        known = {number: cursor.bind_columns for number, cursor in self._cursors.items()}
        parse = partial(calls.read_call, known_binds=known)
        while True:
            call = await self._unless_interrupted(self._message(parse), watch_kill=False)
            if call is not None:
                return call
            await self._finish_break()

    async def _unless_interrupted(self, work: Awaitable[_Parsed], watch_kill: bool) -> _Parsed | None:
        """Result of `work`; None when the client broke it off or the session was killed."""
        task = asyncio.ensure_future(work)
        watched = [asyncio.ensure_future(event.wait()) for event in (self.inbox.interrupted, self._killed)[: 2 if watch_kill else 1]]
        watched += [asyncio.ensure_future(self.inbox.closed.wait())] if watch_kill else []
        try:
            await asyncio.wait([task, *watched], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if self.sql and self.info and self.info.active:
                self.sql.interrupt()
            return None
        finally:
            for waiting in [task, *watched]:
                waiting.cancel()
            await asyncio.wait([task, *watched])

    async def _answer(self, call: Call) -> None:
        """Work on a call; a break, a kill or a client that is gone ends the work."""
        answer = await self._unless_interrupted(self._work(call), watch_kill=True)
        if answer is None and self._killed.is_set():
            answer = self._error(OraError(28))
            self._over = True
        if answer is None and self.inbox.closed.is_set():
            raise ConnectionLost("closed by the client")
        if answer is None:
            await self._finish_break()
        else:
            await self._send(answer)

    async def _finish_break(self) -> None:
        """The break's handshake, then ORA-01013. A server that ignores breaks says nothing."""
        self.inbox.interrupted.clear()
        if self.database.faults.take("ignore_break") is not None:
            await self.inbox.closed.wait()
            raise ConnectionLost("closed by the client, whose break was ignored")
        self.stream.write_marker(MarkerType.BREAK)
        self.stream.write_marker(MarkerType.RESET)
        await self.stream.flush()
        if not await self.inbox.reset_received(_RESET_SECONDS):
            raise ConnectionLost("no reset from the client")
        self.inbox.interrupted.clear()
        self.inbox.discard()
        await self._send(self._error(OraError(1013)))

    async def _send(self, answer: Writer) -> None:
        self.stream.write_data(bytes(answer))
        await self.stream.flush()

    def _error(self, error: OraError, cursor: int = 0) -> Writer:
        in_transaction = bool(self.sql and self.sql.in_transaction)
        return calls.end_of_call(Writer(), CallEnd(error, cursor, in_transaction=in_transaction))

    # Calls

    async def _work(self, call: Call) -> Writer:
        if call.function in (calls.AUTH_ONE, calls.AUTH_TWO):
            return await self._log_on(call)
        if self.sql is None:
            return self._error(OraError(1012, text="ORA-01012: not logged on"))
        if self._killed.is_set():
            self._over = True
            return self._error(OraError(28))
        self._take_piggybacks(call)
        if call.function == calls.LOGOFF:
            await self.database.stage("logoff")
            self._over = True
            return calls.status(Writer(), False)
        names = {calls.PING: "ping", calls.COMMIT: "commit", calls.ROLLBACK: "rollback"}
        if call.function in names:
            await self.database.stage(names[call.function])
            if call.function != calls.PING:
                await self._in_thread(self.sql.commit if call.function == calls.COMMIT else self.sql.rollback)
            return calls.status(Writer(), self.sql.in_transaction)
        if call.function == calls.FETCH:
            await self.database.stage("fetch")
            return self._fetch(call)
        await self.database.stage("execute")
        return await self._execute(call)

    def _take_piggybacks(self, call: Call) -> None:
        for number in call.close_cursors:
            self._cursors.pop(number, None)
        for number in call.cancel_cursors:
            if number in self._cursors:
                self._cursors[number].rows = []
        if self.info and call.module:
            self.info.module = call.module
        if self.sql and call.schema:
            self.sql.schema = call.schema.upper()

    async def _log_on(self, call: Call) -> Writer:
        stage = "auth1" if call.function == calls.AUTH_ONE else "auth2"
        self.attempt.stage = stage
        if self.sql and self.logon.account:
            return self._change_password(call)
        self.attempt.user = call.user.upper()
        try:
            await self.database.stage(stage)
            if stage == "auth1":
                return calls.status(calls.parameters(Writer(), self.logon.challenge(call)), False)
            warned = self.logon.check(call)
        except OraError as error:
            self.database.finish(self.attempt, f"ORA-{error.code:05d}")
            self._over = error.code in (1034, 1033, 18)
            return self._error(error)
        return self._enter(call, warned)

    def _change_password(self, call: Call) -> Writer:
        try:
            self.logon.change_password(call)
        except OraError as error:
            return self._error(error)
        return calls.status(calls.parameters(Writer(), []), False)

    def _enter(self, call: Call, warned: OraError | None) -> Writer:
        """The login is good: make the session."""
        account = self.logon.account
        assert account is not None
        number, serial = self.database.next_number()
        self.info = SessionInfo(
            number, serial, account.name, self.attempt.address, self.client.get("PROGRAM", ""), self.client.get("USER", ""),
            self.logon.client.get("AUTH_PID", ""), self.client.get("HOST", ""), self.client.get("SERVICE_NAME", "SYS$USERS"),
            self.database.store.now(),
        )  # fmt: skip
        names = self.database.instance
        context = {"SESSION_USER": account.name, "CURRENT_USER": account.name, "SID": str(number), "SERVICE_NAME": self.info.service}
        context |= {"INSTANCE_NAME": names.name, "DB_NAME": names.name, "SERVER_HOST": names.host, "IP_ADDRESS": self.attempt.address}
        view = Dictionary(self.database.store, names, account).view
        self.sql = SqlSession(self.database.store, account, view, context)
        self.sql.alter_at_login(call.pairs.get("AUTH_ALTER_SESSION", ""))
        self.database.enter(Live(self.info, self._kill))
        self.database.finish(self.attempt, f"ORA-{warned.code:05d}" if warned else "OK")
        self.attempt.stage = "session"
        answer = calls.parameters(Writer(), self.logon.session_values(self.info))
        if warned:
            calls.warning(answer, warned)
        return calls.status(answer, False)

    def _kill(self, immediate: bool) -> None:
        if immediate:
            self.stream.writer.transport.abort()
        self._killed.set()

    def _leave(self) -> None:
        if self.info:
            self.database.leave(self.info.number)
        if self.sql:
            # The thread that still runs something holds the connection; closing waits for it behind the scenes.
            self.sql.interrupt()
            self.database.executor.submit(self.sql.close)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run SQL in a thread. When this is cancelled, the thread is told to stop and waited for."""
        assert self.info is not None
        self.info.active = True
        future = asyncio.get_running_loop().run_in_executor(self.database.executor, function, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            assert self.sql is not None
            self.sql.interrupt()
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()
            raise
        finally:
            self.info.active = False

    async def _execute(self, call: Call) -> Writer:
        number, cursor = call.cursor, self._cursors.get(call.cursor)
        if call.sql:
            if number == 0 or cursor is None:
                self._last_cursor += 1
                number = self._last_cursor
            cursor = self._cursors[number] = Cursor(call.sql)
        if cursor is None:
            return self._error(OraError(1001))
        if call.bind_columns:
            cursor.bind_columns = call.bind_columns
        try:
            return await self._run(call, number, cursor)
        except OraError as error:
            if call.sql:
                self._cursors.pop(number, None)
            return self._failed(error, number if not call.sql else 0)

    def _failed(self, error: OraError, number: int) -> Writer:
        """An array DML tells in its row count at which row it stopped."""
        offset = next((argument for argument in error.args if isinstance(argument, int)), 0)
        in_transaction = bool(self.sql and self.sql.in_transaction)
        return calls.end_of_call(Writer(), CallEnd(error, number, offset, in_transaction=in_transaction))

    async def _run(self, call: Call, number: int, cursor: Cursor) -> Writer:
        sql = self.sql
        assert sql is not None
        made = sql.translate(cursor.sql, calls.bind_types(cursor.bind_columns))
        statement, cursor.translated = made[0], made
        answer = Writer()
        is_query = statement.kind == statements.QUERY
        if is_query and (call.options & (calls.PARSE | calls.DESCRIBE_ONLY)):
            calls.describe(answer, statement.columns)
        if not call.options & calls.RUN:
            if call.options & calls.DEFINE and call.options & calls.WITH_FETCH:
                return self._rows(answer, call, number, cursor)
            return calls.end_of_call(answer, CallEnd(cursor=number, in_transaction=sql.in_transaction))
        await self._query_faults(cursor.sql)
        offset = sql.functions.session_offset
        binds = [[calls.bind_value(*pair, offset) for pair in zip(row, cursor.bind_columns, strict=True)] for row in call.binds] or [[]]
        outcome = await self._in_thread(sql.run, made, binds, bool(call.options & calls.BATCH_ERRORS))
        if call.options & calls.WITH_COMMIT:
            await self._in_thread(sql.commit)
        if is_query:
            cursor.rows, cursor.position = outcome.rows, 0
            if call.function == calls.REEXECUTE_FETCH or call.options & calls.WITH_FETCH:
                return self._rows(answer, call, number, cursor)
        failed = OraError(24381) if outcome.failures else None
        end = CallEnd(failed, number, outcome.count, outcome.last_row, sql.in_transaction, outcome.failures)
        return calls.end_of_call(answer, end)

    async def _query_faults(self, text: str) -> None:
        faults = self.database.faults
        slow = faults.take_matching("slow_query", text)
        if slow:
            assert self.info is not None
            self.info.active = True
            await asyncio.sleep(slow["seconds"])
            self.info.active = False
        failing = faults.take_matching("query_error", text)
        if failing:
            raise OraError(failing["code"])

    def _fetch(self, call: Call) -> Writer:
        cursor = self._cursors.get(call.cursor)
        if cursor is None or cursor.translated is None:
            return self._error(OraError(1001))
        return self._rows(Writer(), call, call.cursor, cursor)

    def _rows(self, answer: Writer, call: Call, number: int, cursor: Cursor) -> Writer:
        """The next rows, and ORA-01403 when there are no more."""
        assert cursor.translated is not None
        assert self.sql is not None
        columns = cursor.translated[0].columns
        chosen = cursor.rows[cursor.position : cursor.position + call.rows]
        try:
            if chosen:
                calls.row_header(answer)
            for data in chosen:
                calls.row(answer, data, columns)
        except OraError as error:
            return self._error(error)
        cursor.position += len(chosen)
        end = OraError(1403) if len(chosen) < call.rows else None
        return calls.end_of_call(answer, CallEnd(end, number, cursor.position, in_transaction=self.sql.in_transaction))


def _read_protocol(reader: Reader) -> None:
    if reader.byte() != calls.PROTOCOL:
        raise ProtocolError("no protocol negotiation")
    reader.null_terminated()
    reader.null_terminated()


def _read_data_types(reader: Reader) -> None:
    if reader.byte() != calls.DATA_TYPES:
        raise ProtocolError("no data types")
    reader.raw(5)
    reader.chunked()
    reader.chunked()
    while struct.unpack(">H", reader.raw(2))[0]:
        if struct.unpack(">H", reader.raw(2))[0]:
            reader.raw(4)


def _protocol_answer() -> Writer:
    """Server version, character sets and capabilities: those of release 19."""
    compile_capabilities = bytearray(_COMPILE_CAPABILITIES)
    compile_capabilities[7] = _FIELD_VERSION
    runtime_capabilities = bytearray(7)
    runtime_capabilities[6] = _32K_STRINGS
    conversion = bytes(9) + _NATIONAL_CHARSET.to_bytes(2, "big")
    answer = Writer().byte(calls.PROTOCOL, 6, 0).raw(BANNER.split(" Release")[0][:40].encode() + b"\0")
    answer.raw(struct.pack("<HBH", _CHARSET, 1, 0)).raw(struct.pack(">H", len(conversion)) + conversion)
    return answer.chunked(bytes(compile_capabilities)).chunked(bytes(runtime_capabilities))
