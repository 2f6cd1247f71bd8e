"""What the translation of expressions, queries and statements has in common: tokens, sources of columns, types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .catalog import Account, Column, Table
from .errors import OraError
from .lexer import Token, tokens_of
from .values import DATE, INTEGER, NUMBER, TIMESTAMP, SqlType, varchar

_RESERVED = frozenset(
    [
        "ALL",
        "AND",
        "ANY",
        "AS",
        "ASC",
        "BETWEEN",
        "BY",
        "CONNECT",
        "CREATE",
        "DELETE",
        "DESC",
        "DISTINCT",
        "DROP",
        "ELSE",
        "EXISTS",
        "FOR",
        "FROM",
        "GRANT",
        "GROUP",
        "HAVING",
        "IN",
        "INSERT",
        "INTERSECT",
        "INTO",
        "IS",
        "LIKE",
        "MINUS",
        "NOT",
        "NULL",
        "OF",
        "ON",
        "OPTION",
        "OR",
        "ORDER",
        "SELECT",
        "SET",
        "START",
        "TABLE",
        "THEN",
        "TO",
        "UNION",
        "UNIQUE",
        "UPDATE",
        "VALUES",
        "VIEW",
        "WHERE",
        "WITH",
    ]
)


@dataclass(frozen=True)
class Expression:
    """A piece of SQLite's SQL, its type in Oracle, and the columns it reads outside aggregate functions."""

    sql: str
    type: SqlType
    columns: frozenset[str] = frozenset()
    aggregate: bool = False
    name: str = ""


@dataclass(frozen=True)
class Source:
    """A table, view or subquery of FROM: its name there, its columns, and what SQLite reads from."""

    alias: str
    columns: tuple[Column, ...]
    sql: str
    table: Table | None = None

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass
class Scope:
    """Sources of one SELECT; `parent` is the one around it."""

    sources: list[Source] = field(default_factory=list)
    parent: Scope | None = None
    rownum: bool = False


@dataclass(frozen=True)
class Context:
    """What a translation may ask of the session: `find` gives a table or view as a source (owner may be empty)."""

    account: Account
    schema: str
    find: Callable[[str, str], Source | None]
    bind_types: tuple[SqlType, ...] = ()


class Parser:
    """A cursor over tokens."""

    def __init__(self, sql: str, context: Context):
        self.sql = sql
        self.context = context
        self.tokens = tokens_of(sql)
        self.index = 0
        self.scope = Scope()
        self.farthest: OraError | None = None

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def next_is(self, *values: str, ahead: int = 0) -> bool:
        """True when the word or symbol at `ahead` is one of `values`."""
        token = self.tokens[min(self.index + ahead, len(self.tokens) - 1)]
        return token.kind in ("word", "symbol") and token.value in values

    def take(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.index += 1
        return token

    def accept(self, *values: str) -> bool:
        """Take these words, all or none."""
        if all(self.next_is(value, ahead=ahead) for ahead, value in enumerate(values)):
            self.index += len(values)
            return True
        return False

    def expect(self, value: str, code: int) -> None:
        if not self.accept(value):
            raise self.error(code)

    def error(self, code: int, *arguments: object) -> OraError:
        return OraError(code, *arguments, position=self.token.position)

    def identifier(self, code: int = 904) -> str:
        token = self.token
        if token.kind == "quoted" or (token.kind == "word" and token.value not in _RESERVED):
            return self.take().value
        raise self.error(code, '""' if code == 904 else "")

    def starts_identifier(self) -> bool:
        return self.token.kind == "quoted" or (self.token.kind == "word" and self.token.value not in _RESERVED)

    def skip_to_from(self) -> None:
        """Go to the FROM of this SELECT; stays at the end when there is none."""
        depth = 0
        while self.token.kind != "end":
            if self.next_is("("):
                depth += 1
            elif self.next_is(")"):
                depth -= 1
            if depth < 0 or (depth == 0 and self.next_is("FROM")):
                return
            self.index += 1

    def text_between(self, start: int, end: int) -> str:
        """Heading of a column without an alias: its text without spaces."""
        return "".join(token.source if token.kind == "quoted" else token.source.upper() for token in self.tokens[start:end])

    def data_type(self) -> SqlType:
        """A data type of CREATE TABLE or CAST."""
        name = self.take().value
        sizes = []
        if self.accept("("):
            while not self.accept(")"):
                token = self.take()
                if token.kind == "end":
                    raise self.error(907)
                if token.kind == "number":
                    sizes.append(int(token.value))
        if name in ("VARCHAR2", "VARCHAR", "NVARCHAR2", "CHAR", "NCHAR"):
            return SqlType("CHAR" if name.endswith("CHAR") and "VAR" not in name else "VARCHAR2", sizes[0] if sizes else 1)
        if name in ("NUMBER", "DECIMAL", "NUMERIC"):
            return SqlType("NUMBER", 22, sizes[0], sizes[1] if len(sizes) > 1 else 0) if sizes else SqlType("NUMBER", 22)
        if name in ("INTEGER", "INT", "SMALLINT"):
            return INTEGER
        if name == "FLOAT":
            return SqlType("NUMBER", 22)
        if name == "DATE":
            return DATE
        if name == "TIMESTAMP":
            digits = sizes[0] if sizes else 6
            zoned = self.accept("WITH", "TIME", "ZONE")
            return SqlType("TIMESTAMP WITH TIME ZONE" if zoned else "TIMESTAMP", digits)
        if name == "RAW":
            return SqlType("RAW", sizes[0] if sizes else 1)
        raise OraError(902, position=self.tokens[self.index - 1].position)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def coerced(expression: Expression, wanted: SqlType) -> Expression:
    """As Oracle converts it without being asked to."""
    have, sql = expression.type, expression.sql
    if have.name == "NULL" or have.name == wanted.name:
        return expression
    if wanted.name == "NUMBER" and have.is_text:
        made, kind = f"ora_to_number({sql})", NUMBER
    elif wanted.is_time and have.is_text:
        function = "ora_to_date" if wanted.name == "DATE" else "ora_to_timestamp"
        made, kind = f"{function}({sql})", DATE if wanted.name == "DATE" else TIMESTAMP
    elif wanted.name == "DATE" and have.is_time:
        made, kind = f"ora_as_date({sql})", DATE
    elif wanted.name == "TIMESTAMP" and have.name == "DATE":
        made, kind = f"({sql}||'.000000')", TIMESTAMP
    elif wanted.name == "TIMESTAMP":
        made, kind = f"substr({sql},1,26)", TIMESTAMP
    elif wanted.is_text and (have.is_time or have.name == "NUMBER"):
        made, kind = f"ora_to_char({sql},'','{have.name}')", varchar(40)
    elif (wanted.is_text and have.is_text) or wanted.name == "NULL" or (wanted.name == "RAW" and have.is_text):
        return expression
    elif wanted.is_time and have.is_time:
        made, kind = f"substr({sql},1,26)", TIMESTAMP
    else:
        raise OraError(932, wanted.name, have.name)
    return Expression(made, kind, expression.columns, expression.aggregate, expression.name)


def comparable(left: Expression, right: Expression) -> tuple[Expression, Expression]:
    """Both sides of a comparison as the same type."""
    names = {left.type.name, right.type.name}
    if left.type.is_time or right.type.is_time:
        target = DATE if names <= {"DATE", "VARCHAR2", "CHAR", "NULL"} else TIMESTAMP
        if not names <= {"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "VARCHAR2", "CHAR", "NULL"}:
            raise OraError(932, left.type.name, right.type.name)
        return coerced(left, target), coerced(right, target)
    if "NUMBER" in names:
        return coerced(left, NUMBER), coerced(right, NUMBER)
    return left, right


def combined(sql: str, kind: SqlType, *parts: Expression) -> Expression:
    """An expression made of others."""
    columns = frozenset().union(*(part.columns for part in parts))
    return Expression(sql, kind, columns, any(part.aggregate for part in parts))
