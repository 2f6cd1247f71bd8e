"""Translation of SELECT."""

# ruff: noqa: S608 - names are quoted, values are bound
from __future__ import annotations

from dataclasses import dataclass, replace

from .catalog import Column
from .errors import OraError
from .expressions import Expressions
from .parser import Context, Expression, Scope, Source, quoted

_CLAUSES = [
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "UNION",
    "MINUS",
    "INTERSECT",
    "FETCH",
    "OFFSET",
    "FOR",
    "CONNECT",
    "START",
    "ON",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "SET",
    "USING",
    "NATURAL",
    "PARTITION",
]


@dataclass(frozen=True)
class Query:
    """A translated SELECT and the columns that it gives."""

    sql: str
    columns: tuple[Column, ...]
    for_update: bool = False


class Queries(Expressions):
    """Gives SQLite's SQL for the query at the cursor."""

    def __init__(self, sql: str, context: Context):
        super().__init__(sql, context)
        self._with: dict[str, Source] = {}

    def subquery(self) -> Query:
        outer = self.scope
        try:
            return self.query(outer)
        finally:
            self.scope = outer

    def query(self, parent: Scope | None = None) -> Query:
        """A whole query: WITH, set operators, ORDER BY, FETCH FIRST, FOR UPDATE."""
        common = self._common_tables()
        first, ordered_scope = self._select(parent)
        sql, columns, combined_query = first.sql, first.columns, False
        while self.next_is("UNION", "MINUS", "INTERSECT", "EXCEPT"):
            operator = {"MINUS": "EXCEPT"}.get(self.token.value, self.token.value)
            self.take()
            operator += " ALL" if operator == "UNION" and self.accept("ALL") else ""
            other, _ = self._select(parent)
            if len(other.columns) != len(columns):
                raise self.error(1789)
            columns = tuple(_wider(left, right) for left, right in zip(columns, other.columns, strict=True))
            sql, combined_query = f"{sql} {operator} {other.sql}", True
        if self.next_is("ORDER"):
            aliases = Scope([Source("", columns, "")], None)
            self.scope = aliases if combined_query else _with_aliases(ordered_scope, columns)
            sql = f"{sql} {self.order_by()[0]}"
        sql += self._row_limit()
        for_update = self._for_update()
        if combined_query or common:
            sql = f"{common}SELECT * FROM ({sql})" if combined_query else common + sql
        return Query(sql, columns, for_update)

    def _common_tables(self) -> str:
        if not self.accept("WITH"):
            return ""
        made = []
        while True:
            name = self.identifier()
            self.expect("AS", 905)
            self.expect("(", 906)
            query = self.subquery()
            self.expect(")", 907)
            self._with[name] = Source(name, query.columns, quoted(name))
            made.append(f"{quoted(name)} AS ({query.sql})")
            if not self.accept(","):
                return f"WITH {','.join(made)} "

    def _select(self, parent: Scope | None) -> tuple[Query, Scope]:
        if self.accept("("):
            query = self.query(parent)
            self.expect(")", 907)
            return Query(f"SELECT * FROM ({query.sql})", query.columns), Scope([], parent)
        if not self.accept("SELECT"):
            raise self.error(928 if self.token.kind == "end" else 900)
        distinct = self.accept("DISTINCT") or self.accept("UNIQUE")
        self.accept("ALL")
        list_start = self.index
        self.scope = scope = Scope([], parent)
        self.skip_to_from()
        if not self.accept("FROM"):
            raise self._no_from(list_start)
        from_sql = self._from()
        after_from, self.index = self.index, list_start
        items = self._select_list()
        if not self.next_is("FROM"):
            raise self.error(923 if self.token.kind != "end" else 936)
        self.index = after_from
        condition, limit = self.where()
        grouping = self._group_by(items)
        listed = ",".join(f"{item.sql} AS {quoted(item.name)}" for item in items)
        columns = tuple(Column(item.name, item.type) for item in items)
        where = f" WHERE {condition}" if condition else ""
        sql = f"SELECT {'DISTINCT ' if distinct else ''}{listed} FROM {from_sql}{where}{grouping}"
        if limit:
            sql = self._limited(scope, listed, from_sql, where, limit, grouping)
        return Query(sql, columns), scope

    def _no_from(self, list_start: int) -> OraError:
        """The error of a SELECT whose FROM is missing: what is wrong before it comes first."""
        self.index = list_start
        try:
            self._select_list()
        except OraError as error:
            return error if error.code != 904 else OraError(923, position=self.tokens[-1].position)
        return self.error(923)

    def _limited(self, scope: Scope, listed: str, from_sql: str, where: str, limit: str, grouping: str) -> str:
        """ROWNUM counts before ORDER BY and GROUP BY; SQLite's LIMIT behind them."""
        if not grouping and not self.next_is("ORDER"):
            return f"SELECT * FROM (SELECT {listed} FROM {from_sql}{where} LIMIT {limit})"
        if len(scope.sources) != 1:
            raise self.error(3001)
        source = scope.sources[0]
        if source.table is None:
            return f"SELECT {listed} FROM (SELECT * FROM {from_sql}{where} LIMIT {limit}) AS {quoted(source.alias)}{grouping}"
        chosen = f"SELECT {quoted(source.alias)}.rowid FROM {from_sql}{where} LIMIT {limit}"
        return f"SELECT {listed} FROM {from_sql} WHERE {quoted(source.alias)}.rowid IN ({chosen}){grouping}"

    def _from(self) -> str:
        parts = [self._joined()]
        while self.accept(","):
            parts.append(self._joined())
        return ", ".join(parts)

    def _joined(self) -> str:
        sql = self._source()
        while self.next_is("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS"):
            kind = self.take().value
            if kind != "JOIN":
                self.accept("OUTER")
                self.expect("JOIN", 905)
            joined = self._source()
            sql += f" {kind if kind != 'JOIN' else 'INNER'} JOIN {joined}"
            if kind != "CROSS":
                if self.next_is("USING"):
                    raise self.error(3001)
                self.expect("ON", 905)
                sql += f" ON {self.condition().sql}"
        return sql

    def _source(self) -> str:
        """One table, view or subquery of FROM, added to the scope."""
        position = self.token.position
        if self.accept("("):
            query = self.subquery_apart()
            self.expect(")", 907)
            source = Source("", query.columns, f"({query.sql})")
            name = f"QUERY{len(self.scope.sources) + 1}"
        else:
            owner, name = "", self.identifier(903)
            if self.accept("."):
                owner, name = name, self.identifier(903)
            found = (self._with.get(name) if not owner else None) or self.context.find(owner, name)
            if found is None:
                raise OraError(942, position=position)
            if found.table and not self.context.account.may("SELECT", found.table):
                raise OraError(1031, position=position)
            source = found
        self.accept("AS")
        alias = self.identifier() if self.starts_identifier() and not self.next_is(*_CLAUSES) else name
        self.scope.sources.append(replace(source, alias=alias))
        return f"{source.sql} AS {quoted(alias)}"

    def subquery_apart(self) -> Query:
        """A subquery in FROM: it does not see its neighbours."""
        outer = self.scope
        try:
            return self.query(outer.parent)
        finally:
            self.scope = outer

    def _select_list(self) -> list[Expression]:
        items: list[Expression] = []
        while True:
            items += self._select_item()
            if not self.accept(","):
                return items

    def _select_item(self) -> list[Expression]:
        if self.accept("*"):
            return [_of_column(source, column) for source in self.scope.sources for column in source.columns]
        if self.starts_identifier() and self.next_is(".", ahead=1) and self.next_is("*", ahead=2):
            alias = self.identifier()
            chosen = [source for source in self.scope.sources if source.alias == alias]
            if not chosen:
                raise OraError(904, quoted(alias), position=self.tokens[self.index - 1].position)
            self.index += 2
            return [_of_column(chosen[0], column) for column in chosen[0].columns]
        start = self.index
        item = self.expression()
        name = item.name or self.text_between(start, self.index)
        if self.accept("AS") or self.starts_identifier():
            name = self.identifier(923)
        if item.type.name == "INTERVAL DAY TO SECOND":
            raise OraError(3001, position=self.tokens[start].position)
        return [replace(item, name=name)]

    def where(self) -> tuple[str, str]:
        """Condition and row limit that ROWNUM asks for."""
        if not self.accept("WHERE"):
            return "", ""
        limits: list[str] = []
        parts: list[str] = []
        while True:
            limit = self._rownum_limit()
            if limit:
                limits.append(limit)
            else:
                part = self._negation()
                if part.aggregate:
                    raise self.error(934)
                parts.append(part.sql)
            if self.next_is("OR"):
                if limits:
                    raise self.error(3001)
                self.take()
                parts = [f"({' AND '.join(parts)} OR {self.condition().sql})"]
            if not self.accept("AND"):
                break
        if self.scope.rownum and any("row_number() OVER ()" in part for part in parts):
            raise self.error(3001)
        return " AND ".join(parts), f"min({','.join(limits)})" if len(limits) > 1 else "".join(limits)

    def _rownum_limit(self) -> str:
        """SQL of the number of rows when `ROWNUM <= n` or the like is next."""
        if not self.next_is("ROWNUM") or not self.next_is("<=", "<", "=", ahead=1):
            return ""
        self.take()
        symbol = self.take().value
        amount = self.expression().sql
        if symbol == "=":
            return f"CASE WHEN {amount} = 1 THEN 1 ELSE 0 END"
        return f"max(0, CAST({amount} AS INTEGER){' - 1' if symbol == '<' else ''})"

    def _group_by(self, items: list[Expression]) -> str:
        groups: list[Expression] = []
        if self.accept("GROUP"):
            self.expect("BY", 924)
            groups.append(self.expression())
            while self.accept(","):
                groups.append(self.expression())
        having = ""
        if self.accept("HAVING"):
            having = f" HAVING {self.condition().sql}"
        if groups or having or any(item.aggregate for item in items):
            self._check_groups(items, groups)
        grouped = " GROUP BY " + ",".join(group.sql for group in groups) if groups else ""
        return grouped + having

    def _check_groups(self, items: list[Expression], groups: list[Expression]) -> None:
        texts = {group.sql for group in groups}
        for item in items:
            if item.sql not in texts and not item.columns <= texts:
                raise self.error(979 if groups else 937)

    def _row_limit(self) -> str:
        offset, limit = "", ""
        if self.accept("OFFSET"):
            offset = self.expression().sql
            if not (self.accept("ROWS") or self.accept("ROW")):
                raise self.error(905)
        if self.accept("FETCH"):
            if not (self.accept("FIRST") or self.accept("NEXT")):
                raise self.error(905)
            limit = "1" if self.next_is("ROW", "ROWS") else self.expression().sql
            if not (self.accept("ROWS") or self.accept("ROW")):
                raise self.error(905)
            self.expect("ONLY", 905)
        if not limit and not offset:
            return ""
        return f" LIMIT {limit or -1}" + (f" OFFSET {offset}" if offset else "")

    def _for_update(self) -> bool:
        if not self.accept("FOR"):
            return False
        self.expect("UPDATE", 905)
        if self.accept("OF"):
            self.expression()
            while self.accept(","):
                self.expression()
        if self.accept("SKIP"):
            self.expect("LOCKED", 905)
        elif not self.accept("NOWAIT") and self.accept("WAIT"):
            self.take()
        return True


def _of_column(source: Source, column: Column) -> Expression:
    sql = f"{quoted(source.alias)}.{quoted(column.name)}"
    return Expression(sql, column.type, frozenset([sql]), name=column.name)


def _wider(left: Column, right: Column) -> Column:
    kind = right.type if left.type.name == "NULL" else left.type
    if kind.is_text and right.type.is_text:
        kind = replace(kind, name="VARCHAR2", size=max(kind.size, right.type.size))
    elif right.type.name not in ("NULL", kind.name) and not (kind.is_time and right.type.is_time):
        raise OraError(1790, text="ORA-01790: expression must have same datatype as corresponding expression")
    return Column(left.name, kind)


def _with_aliases(scope: Scope, columns: tuple[Column, ...]) -> Scope:
    """ORDER BY sees the columns of FROM first, then those of the select list that have other names."""
    known = {column.name for source in scope.sources for column in source.columns}
    extra = tuple(column for column in columns if column.name not in known)
    return Scope([*scope.sources, Source("", extra, "")], scope.parent)
