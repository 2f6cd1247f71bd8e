"""Translation of whole statements."""

# ruff: noqa: S608 - names are quoted, values are bound
from __future__ import annotations

import re
from dataclasses import dataclass, field

from .catalog import TABLE_RIGHTS, Column, Table
from .errors import OraError
from .lexer import Token
from .parser import Context, Expression, Source, coerced, quoted
from .queries import Queries
from .values import SqlType

QUERY, CHANGE, DDL, SESSION, COMMIT, ROLLBACK, BLOCK = "query", "change", "ddl", "session", "commit", "rollback", "block"
_NULL_BLOCK = re.compile(r"(?is)begin\s+null\s*;\s*end\s*;?")
_SLEEP_BLOCK = re.compile(
    r"(?is)begin\s+(?:sys\s*\.\s*)?(?:dbms_session|dbms_lock)\s*\.\s*sleep\s*\(\s*([\d.]+|:\s*\w+)\s*\)\s*;\s*end\s*;?"
)
_NOT_BUILT = ("MERGE", "EXPLAIN", "CALL", "COMMENT", "SAVEPOINT", "ANALYZE", "RENAME", "PURGE", "ALTER")


@dataclass(frozen=True)
class Fit:
    """What a value must look like to go into a column; `update` decides which error NULL gives."""

    table: Table
    column: Column
    update: bool

    @property
    def label(self) -> str:
        return ".".join(quoted(part) for part in (self.table.owner, self.table.name, self.column.name))


@dataclass(frozen=True)
class Statement:
    """A translated statement: `kind` says what to do; `settings` are for DDL and ALTER SESSION."""

    kind: str
    sql: str = ""
    columns: tuple[Column, ...] = ()
    binds: int = 0
    takes_lock: bool = False
    inserts: bool = False
    fits: tuple[Fit, ...] = ()
    settings: dict[str, object] = field(default_factory=dict)


class Statements(Queries):
    """Gives the translation of one statement."""

    def __init__(self, sql: str, context: Context):
        super().__init__(sql, context)
        self._fits: list[Fit] = []

    def statement(self) -> Statement:
        """Raises OraError, with the position in the text."""
        first = self.token
        if first.kind == "end":
            raise self.error(900)
        if first.value in ("BEGIN", "DECLARE"):
            return self._block()
        made = self._statement(first)
        if self.token.kind != "end":
            raise self.error(933)
        return made

    def _statement(self, first: Token) -> Statement:
        if first.value in ("SELECT", "WITH", "("):
            query = self.query()
            return Statement(QUERY, query.sql, query.columns, self._binds(), takes_lock=query.for_update)
        changes = {"INSERT": self._insert, "UPDATE": self._update, "DELETE": self._delete}
        if first.value in changes:
            self.take()
            return self._change(changes[first.value](), first.value == "INSERT")
        if first.value in ("COMMIT", "ROLLBACK"):
            self.take()
            self.accept("WORK")
            return Statement(COMMIT if first.value == "COMMIT" else ROLLBACK)
        if self.accept("ALTER", "SESSION", "SET"):
            return self._alter_session()
        if self.accept("SET", "TRANSACTION") or self.accept("SET", "ROLE"):
            self.index = len(self.tokens) - 1
            return Statement(SESSION)
        if self.accept("LOCK", "TABLE"):
            self.index = len(self.tokens) - 1
            return Statement(CHANGE, "SELECT 1 WHERE 0", takes_lock=True)
        definitions = {"CREATE": self._create, "DROP": self._drop, "TRUNCATE": self._truncate, "GRANT": self._grant, "REVOKE": self._grant}
        if first.value in definitions:
            self.take()
            return Statement(DDL, settings=definitions[first.value]())
        if first.value in _NOT_BUILT:
            raise self.error(3001)
        raise self.error(900)

    def _binds(self) -> int:
        return sum(token.kind == "bind" for token in self.tokens)

    def _change(self, sql: str, inserts: bool) -> Statement:
        if self.next_is("RETURNING", "RETURN"):
            raise self.error(3001)
        return Statement(CHANGE, sql, binds=self._binds(), takes_lock=True, inserts=inserts, fits=tuple(self._fits))

    def _block(self) -> Statement:
        """The anonymous blocks that need no PL/SQL engine: nothing, and a pause."""
        if _NULL_BLOCK.fullmatch(self.sql.strip()):
            return Statement(BLOCK)
        pause = _SLEEP_BLOCK.fullmatch(self.sql.strip())
        if pause:
            return Statement(BLOCK, binds=self._binds(), settings={"sleep": pause.group(1)})
        raise self.error(3001)

    def target(self, right: str, code: int = 903) -> Source:
        """The table that a change is for."""
        position = self.token.position
        owner, name = "", self.identifier(code)
        if self.accept("."):
            owner, name = name, self.identifier(code)
        found = self.context.find(owner, name)
        if found is None:
            raise OraError(942, position=position)
        if found.table is None or not self.context.account.may(right, found.table):
            raise OraError(1031, position=position)
        if found.table.query and right != "GRANT":
            raise OraError(3001, position=position)
        alias = name
        if self.starts_identifier() and not self.next_is("SET", "VALUES", "WHERE", "SELECT", "PURGE", "CASCADE"):
            alias = self.identifier()
        source = Source(alias, found.columns, found.sql, found.table)
        self.scope.sources.append(source)
        return source

    def _fitted(self, table: Table, column: Column, value: Expression, update: bool) -> str:
        self._fits.append(Fit(table, column, update))
        return f"ora_fit({coerced(value, column.type).sql},{len(self._fits) - 1})"

    def _column_of(self, table: Table) -> Column:
        position = self.token.position
        name = self.identifier()
        if self.accept("."):
            name = self.identifier()
        column = table.column(name)
        if column is None:
            raise OraError(904, quoted(name), position=position)
        return column

    def _insert(self) -> str:
        self.expect("INTO", 925)
        source = self.target("INSERT")
        table = source.table
        assert table is not None
        columns = table.columns
        if self.accept("("):
            columns = [self._column_of(table)]
            while self.accept(","):
                columns.append(self._column_of(table))
            self.expect(")", 917)
        self.scope.sources.clear()
        names = ",".join(quoted(column.name) for column in table.columns)
        if self.next_is("SELECT", "WITH"):
            query = self.subquery()
            values = [Expression(quoted(f"_{index}"), column.type) for index, column in enumerate(query.columns)]
            header = f"WITH made({','.join(value.sql for value in values)}) AS ({query.sql}) "
            tail = " FROM made"
        else:
            self.expect("VALUES", 926)
            self.expect("(", 906)
            values = [self._value_or_default(columns, 0)]
            while self.accept(","):
                values.append(self._value_or_default(columns, len(values)))
            self.expect(")", 917)
            header = tail = ""
        if len(values) != len(columns):
            raise self.error(947 if len(values) < len(columns) else 913)
        given = {column.name: value for column, value in zip(columns, values, strict=True)}
        listed = [self._fitted(table, column, given.get(column.name) or _default(column, self.context), False) for column in table.columns]
        return f"INSERT INTO {source.sql} ({names}) {header}SELECT {','.join(listed)}{tail}"

    def _value_or_default(self, columns: list[Column], index: int) -> Expression:
        if self.accept("DEFAULT") and index < len(columns):
            return _default(columns[index], self.context)
        return self.expression()

    def _update(self) -> str:
        source = self.target("UPDATE")
        table = source.table
        assert table is not None
        if not self.accept("SET"):
            raise self.error(971)
        changed = []
        while True:
            if self.next_is("("):
                raise self.error(3001)
            column = self._column_of(table)
            self.expect("=", 927)
            value = _default(column, self.context) if self.accept("DEFAULT") else self.expression()
            changed.append(f"{quoted(column.name)}={self._fitted(table, column, value, True)}")
            if not self.accept(","):
                break
        return f"UPDATE {source.sql} AS {quoted(source.alias)} SET {','.join(changed)}{self._rows(source)}"

    def _delete(self) -> str:
        self.accept("FROM")
        source = self.target("DELETE")
        return f"DELETE FROM {source.sql} AS {quoted(source.alias)}{self._rows(source)}"

    def _rows(self, source: Source) -> str:
        condition, limit = self.where()
        where = f" WHERE {condition}" if condition else ""
        if limit:
            alias = quoted(source.alias)
            return f" WHERE {alias}.rowid IN (SELECT {alias}.rowid FROM {source.sql} AS {alias}{where} LIMIT {limit})"
        return where

    def _alter_session(self) -> Statement:
        settings: dict[str, object] = {}
        while self.token.kind == "word":
            name = self.take().value
            self.expect("=", 927)
            settings[name] = self.take().value
        return Statement(SESSION, settings=settings)

    def _create(self) -> dict[str, object]:
        if not (self.accept("TABLE") or self.accept("GLOBAL", "TEMPORARY", "TABLE")):
            raise self.error(3001)
        if not self.context.account.has("CREATE TABLE"):
            raise self.error(1031)
        owner, name = self.context.schema, self.identifier(903)
        if self.accept("."):
            owner, name = name, self.identifier(903)
        table = Table(owner, name, [])
        self.expect("(", 906)
        while True:
            if self.next_is("CONSTRAINT", "PRIMARY", "UNIQUE"):
                self._table_constraint(table)
            else:
                self._column_definition(table)
            if not self.accept(","):
                break
        self.expect(")", 907)
        return {"create": table}

    def _table_constraint(self, table: Table) -> None:
        name = self.identifier() if self.accept("CONSTRAINT") else f"SYS_C{len(table.unique) + 7001:06d}"
        primary = self.accept("PRIMARY", "KEY")
        if not primary and not self.accept("UNIQUE"):
            raise self.error(3001)
        self.expect("(", 906)
        columns = [self._column_of(table).name]
        while self.accept(","):
            columns.append(self._column_of(table).name)
        self.expect(")", 907)
        table.unique[name] = columns
        if primary:
            table.columns = [
                Column(column.name, column.type, column.nullable and column.name not in columns, column.default) for column in table.columns
            ]

    def _column_definition(self, table: Table) -> None:
        name, kind = self.identifier(), self.data_type()
        default, nullable, unique = "", True, ""
        while True:
            if self.accept("DEFAULT"):
                start = self.token.position
                self.expression()
                default = self.sql[start : self.token.position].strip()
            elif self.accept("CONSTRAINT"):
                unique = self.identifier()
            elif self.accept("PRIMARY", "KEY"):
                nullable = False
                table.unique[unique or f"SYS_C{len(table.unique) + 7001:06d}"] = [name]
            elif self.accept("UNIQUE"):
                table.unique[unique or f"SYS_C{len(table.unique) + 7001:06d}"] = [name]
            elif self.accept("NOT", "NULL"):
                nullable = False
            elif not self.accept("NULL"):
                break
        table.columns.append(Column(name, kind, nullable, default))

    def _drop(self) -> dict[str, object]:
        self.expect("TABLE", 950)
        source = self.target("DROP")
        while self.token.kind == "word":
            self.take()
        return {"drop": source.table}

    def _truncate(self) -> dict[str, object]:
        self.expect("TABLE", 3290)
        return {"truncate": self.target("DROP").table}

    def _grant(self) -> dict[str, object]:
        """GRANT and REVOKE of rights on a table, by its owner."""
        grant = self.tokens[self.index - 1].value == "GRANT"
        rights = [self.take().value]
        while self.accept(","):
            rights.append(self.take().value)
        if rights == ["ALL"]:
            rights = list(TABLE_RIGHTS)
        if not self.accept("ON") or any(right not in TABLE_RIGHTS for right in rights):
            raise self.error(3001)
        source = self.target("GRANT")
        self.expect("TO" if grant else "FROM", 905)
        return {"grant" if grant else "revoke": source.table, "rights": rights, "account": self.identifier()}


def _default(column: Column, context: Context) -> Expression:
    if not column.default:
        return Expression("NULL", SqlType("NULL"))
    return Statements(column.default, context).expression()
