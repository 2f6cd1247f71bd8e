"""Translation of expressions and conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import function_calls, values
from .errors import OraError
from .parser import Expression, Parser, Scope, Source, coerced, combined, comparable, literal, quoted
from .values import DATE, INTERVAL, NUMBER, TIMESTAMP, TIMESTAMP_TZ, varchar

if TYPE_CHECKING:
    from .queries import Query

_ADDITION, _MULTIPLICATION = ("+", "-", "||"), ("*", "/")
_COMPARISONS = ("=", "<", ">", "<=", ">=", "<>", "!=", "^=")
_TIMES = {
    "SYSDATE": Expression("ora_sysdate()", DATE),
    "SYSTIMESTAMP": Expression("ora_systimestamp()", TIMESTAMP_TZ),
    "CURRENT_TIMESTAMP": Expression("ora_current()", TIMESTAMP_TZ),
    "LOCALTIMESTAMP": Expression("substr(ora_current(),1,26)", TIMESTAMP),
    "CURRENT_DATE": Expression("ora_as_date(ora_current())", DATE),
}


class Expressions(Parser):
    """Gives SQLite's SQL for the expression or condition at the cursor."""

    def subquery(self) -> Query:
        """The SELECT at the cursor, with this scope around it."""
        raise NotImplementedError

    # Conditions

    def condition(self) -> Expression:
        parts = [self._conjunction()]
        while self.accept("OR"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else combined("(" + " OR ".join(part.sql for part in parts) + ")", NUMBER, *parts)

    def _conjunction(self) -> Expression:
        parts = [self._negation()]
        while self.accept("AND"):
            parts.append(self._negation())
        return combined(" AND ".join(part.sql for part in parts), NUMBER, *parts)

    def _negation(self) -> Expression:
        if self.accept("NOT"):
            inner = self._negation()
            return combined(f"NOT ({inner.sql})", NUMBER, inner)
        if self.next_is("EXISTS"):
            self.take()
            self.expect("(", 906)
            query = self.subquery()
            self.expect(")", 907)
            return Expression(f"EXISTS ({query.sql})", NUMBER)
        if self.next_is("(") and not self.next_is("SELECT", "WITH", ahead=1):
            nested = self._nested_condition()
            if nested:
                return nested
        return self._comparison()

    def _nested_condition(self) -> Expression | None:
        """A condition in parentheses, or None when they hold an expression."""
        start = self.index
        self.take()
        try:
            inner = self.condition()
            self.expect(")", 907)
        except OraError as error:
            if self.farthest is None or error.position > self.farthest.position:
                self.farthest = error
            self.index = start
            return None
        return combined(f"({inner.sql})", NUMBER, inner)

    def _comparison(self) -> Expression:
        if self.next_is("REGEXP_LIKE"):
            return self.primary()
        position = self.token.position
        left = self.expression()
        if self.accept("IS"):
            negated = "NOT " if self.accept("NOT") else ""
            self.expect("NULL", 908)
            return combined(f"{left.sql} IS {negated}NULL", NUMBER, left)
        negated = "NOT " if self.accept("NOT") else ""
        if self.accept("IN"):
            return self._membership(left, negated)
        if self.accept("BETWEEN"):
            low, high = self.expression(), self._after_and()
            bounds = [comparable(left, bound) for bound in (low, high)]
            sql = f"{bounds[0][0].sql} {negated}BETWEEN {bounds[0][1].sql} AND {bounds[1][1].sql}"
            return combined(sql, NUMBER, left, low, high)
        if self.accept("LIKE"):
            pattern = coerced(self.expression(), varchar(1))
            escape = f" ESCAPE {self.expression().sql}" if self.accept("ESCAPE") else ""
            return combined(f"{coerced(left, varchar(1)).sql} {negated}LIKE {pattern.sql}{escape}", NUMBER, left, pattern)
        for symbol in _COMPARISONS:
            if not negated and self.accept(symbol):
                return self._compared(left, "<>" if symbol in ("!=", "^=") else symbol, position)
        raise self.farthest or self.error(920 if not negated else 936)

    def _after_and(self) -> Expression:
        self.expect("AND", 905)
        return self.expression()

    def _compared(self, left: Expression, symbol: str, position: int) -> Expression:
        if self.next_is("ANY", "ALL", "SOME"):
            raise self.error(3001)
        right = self.expression()
        try:
            first, second = comparable(left, right)
        except OraError as error:
            error.position = position
            raise
        return combined(f"{first.sql} {symbol} {second.sql}", NUMBER, left, right)

    def _membership(self, left: Expression, negated: str) -> Expression:
        self.expect("(", 906)
        if self.next_is("SELECT", "WITH"):
            query = self.subquery()
            self.expect(")", 907)
            return combined(f"{left.sql} {negated}IN ({query.sql})", NUMBER, left)
        items = [self.expression()]
        while self.accept(","):
            items.append(self.expression())
        self.expect(")", 907)
        pairs = [comparable(left, item) for item in items]
        return combined(f"{pairs[0][0].sql} {negated}IN ({','.join(pair[1].sql for pair in pairs)})", NUMBER, left, *items)

    # Expressions

    def expression(self) -> Expression:
        left = self._term()
        while self.next_is(*_ADDITION):
            symbol, position = self.take().value, self.token.position
            left = self._sum(left, symbol, self._term(), position)
        return left

    def _sum(self, left: Expression, symbol: str, right: Expression, position: int) -> Expression:
        if symbol == "||":
            return function_calls.call("CONCAT", [left, right], position)
        sign = "-" if symbol == "-" else ""
        if left.type.is_time and not right.type.is_time:
            amount = right if right.type.name == "INTERVAL DAY TO SECOND" else coerced(right, NUMBER)
            moved = f"ora_time_add({left.sql},{sign}({amount.sql}))"
            if amount.type.name == "NUMBER" and left.type.name != "DATE":
                return combined(f"ora_as_date({moved})", DATE, left, right)
            return combined(moved, left.type, left, right)
        if right.type.is_time and not left.type.is_time and symbol == "+":
            return self._sum(right, symbol, left, position)
        if left.type.is_time and right.type.is_time:
            if symbol == "+":
                raise OraError(975, text="ORA-00975: date + date not allowed", position=position)
            kind = NUMBER if left.type.name == right.type.name == "DATE" else INTERVAL
            return combined(f"ora_time_sub({left.sql},{right.sql})", kind, left, right)
        if left.type.name != "INTERVAL DAY TO SECOND":
            left, right = coerced(left, NUMBER), coerced(right, NUMBER)
        return combined(f"({left.sql}{symbol}{right.sql})", left.type, left, right)

    def _term(self) -> Expression:
        left = self._factor()
        while self.next_is(*_MULTIPLICATION):
            symbol = self.take().value
            right = self._factor()
            kind = INTERVAL if "INTERVAL DAY TO SECOND" in (left.type.name, right.type.name) else NUMBER
            sides = [side if side.type.name == kind.name else coerced(side, NUMBER) for side in (left, right)]
            sql = f"ora_div({sides[0].sql},{sides[1].sql})" if symbol == "/" else f"({sides[0].sql}*{sides[1].sql})"
            left = combined(sql, kind, left, right)
        return left

    def _factor(self) -> Expression:
        if self.accept("-"):
            inner = coerced(self._factor(), NUMBER)
            return combined(f"(-{inner.sql})", NUMBER, inner)
        self.accept("+")
        return self.primary()

    def primary(self) -> Expression:
        token = self.token
        if token.kind == "number":
            self.take()
            return Expression(token.value, NUMBER)
        if token.kind == "text":
            self.take()
            return function_calls.text_literal(token.value)
        if token.kind == "bind":
            return self._bind()
        if self.accept("("):
            return self._parenthesised()
        if self.accept("NULL"):
            return Expression("NULL", values.NULL)
        if self.accept("CASE"):
            return self._case()
        if token.kind == "word" and not self.next_is(".", ahead=1):
            special = self._special(token.value)
            if special:
                return special
        if not self.starts_identifier():
            raise self.error(936)
        if self.next_is("(", ahead=1):
            return self._call()
        return self._column()

    def _bind(self) -> Expression:
        token = self.take()
        types = self.context.bind_types
        kind = types[token.bind - 1] if token.bind <= len(types) else varchar(4000)
        return Expression(f"?{token.bind}", kind)

    def _parenthesised(self) -> Expression:
        if self.next_is("SELECT", "WITH"):
            query = self.subquery()
            if len(query.columns) != 1:
                raise self.error(913)
            inner = Expression(f"({query.sql})", query.columns[0].type)
        else:
            inner = self.expression()
        self.expect(")", 907)
        return inner

    def _case(self) -> Expression:
        tested = None if self.next_is("WHEN") else self.expression()
        branches: list[tuple[str, Expression]] = []
        parts = [tested] if tested else []
        while self.accept("WHEN"):
            if tested:
                left, right = comparable(tested, self.expression())
                when = combined(f"{left.sql} = {right.sql}", NUMBER, left, right)
            else:
                when = self.condition()
            self.expect("THEN", 905)
            branches.append((when.sql, self.expression()))
            parts += [when, branches[-1][1]]
        otherwise = self.expression() if self.accept("ELSE") else Expression("NULL", values.NULL)
        self.expect("END", 905)
        kinds = [branch.type for _, branch in branches] + [otherwise.type]
        kind = next((kind for kind in kinds if kind.name != "NULL"), values.NULL)
        if kind.is_text:
            kind = varchar(max(kind.size for kind in kinds))
        listed = " ".join(f"WHEN {when} THEN {coerced(then, kind).sql}" for when, then in branches)
        return combined(f"(CASE {listed} ELSE {coerced(otherwise, kind).sql} END)", kind, *parts, otherwise)

    def _special(self, word: str) -> Expression | None:
        """A pseudo column or a literal with a keyword before it; None when the word is nothing special."""
        following = self.tokens[self.index + 1]
        if word in _TIMES:
            self.take()
            if self.accept("("):
                self.take()
                self.expect(")", 907)
            return _TIMES[word]
        if word in ("DATE", "TIMESTAMP") and following.kind == "text":
            self.index += 2
            form = "YYYY-MM-DD" if word == "DATE" else "YYYY-MM-DD HH24:MI:SSXFF"
            function = "ora_to_date" if word == "DATE" else "ora_to_timestamp"
            return Expression(f"{function}({literal(following.value)},'{form}')", DATE if word == "DATE" else TIMESTAMP)
        if word == "INTERVAL" and following.kind == "text":
            self.index += 2
            days = function_calls.interval_days(float(following.value), self.take().value)
            return Expression(repr(days), INTERVAL)
        if word == "ROWNUM":
            self.take()
            self.scope.rownum = True
            return Expression("row_number() OVER ()", NUMBER)
        if word == "USER":
            self.take()
            return Expression(literal(self.context.account.name), varchar(128))
        if word in ("SESSIONTIMEZONE", "DBTIMEZONE"):
            self.take()
            return Expression(f"ora_context('USERENV','{word}')", varchar(75))
        return None

    def _call(self) -> Expression:
        position, name = self.token.position, self.take().value
        self.take()
        if name == "CAST":
            return self._cast()
        if name == "EXTRACT":
            return self._extract()
        if name == "TRIM":
            return self._trim()
        distinct = name in function_calls.AGGREGATES and self.accept("DISTINCT")
        if name == "COUNT" and self.accept("*"):
            self.expect(")", 907)
            return self._over(Expression("count(*)", NUMBER, frozenset(), True))
        arguments = []
        if not self.next_is(")"):
            arguments.append(self.expression())
            while self.accept(","):
                arguments.append(self.expression())
        self.expect(")", 907)
        if name in function_calls.AGGREGATES:
            if len(arguments) != 1:
                raise OraError(909, position=position)
            return self._over(function_calls.aggregate(name, arguments[0], distinct))
        if name in function_calls.RANKINGS and self.next_is("OVER"):
            return self._over(Expression(f"{name.lower()}()", NUMBER))
        if name == "REGEXP_LIKE":
            return combined(f"ora_regexp_like({','.join(argument.sql for argument in arguments)})", NUMBER, *arguments)
        return function_calls.call(name, arguments, position)

    def _over(self, call: Expression) -> Expression:
        """The window behind a call, when there is one."""
        if not self.accept("OVER"):
            return call
        self.expect("(", 906)
        sql, parts = "", []
        if self.accept("PARTITION", "BY"):
            parts = self._list()
            sql = "PARTITION BY " + ",".join(part.sql for part in parts)
        if self.next_is("ORDER"):
            ordering, ordered = self.order_by()
            sql, parts = f"{sql} {ordering}", parts + ordered
        self.expect(")", 907)
        return combined(f"{call.sql} OVER ({sql})", call.type, *parts)

    def _list(self) -> list[Expression]:
        items = [self.expression()]
        while self.accept(","):
            items.append(self.expression())
        return items

    def order_by(self) -> tuple[str, list[Expression]]:
        """ORDER BY at the cursor. NULL comes last unless it goes down, as in Oracle."""
        self.expect("ORDER", 933)
        self.expect("BY", 924)
        listed, parts = [], []
        while True:
            item = self.expression()
            down = self.accept("DESC")
            if not down:
                self.accept("ASC")
            nulls = "FIRST" if down else "LAST"
            if self.accept("NULLS"):
                nulls = self.take().value
            listed.append(f"{item.sql} {'DESC' if down else 'ASC'} NULLS {'FIRST' if nulls == 'FIRST' else 'LAST'}")
            parts.append(item)
            if not self.accept(","):
                return "ORDER BY " + ",".join(listed), parts

    def _cast(self) -> Expression:
        value = self.expression()
        self.expect("AS", 905)
        made = coerced(value, self.data_type())
        self.expect(")", 907)
        return made

    def _extract(self) -> Expression:
        part = self.take().value
        self.expect("FROM", 923)
        value = self.expression()
        self.expect(")", 907)
        if part not in ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"):
            raise self.error(907)
        return combined(f"ora_extract('{part}',{value.sql})", NUMBER, value)

    def _trim(self) -> Expression:
        side = self.take().value if self.next_is("LEADING", "TRAILING", "BOTH") else "BOTH"
        value = coerced(self.expression(), varchar(1))
        fill = "' '"
        if self.accept("FROM"):
            fill, value = value.sql, coerced(self.expression(), varchar(1))
        self.expect(")", 907)
        function = {"LEADING": "ltrim", "TRAILING": "rtrim", "BOTH": "trim"}[side]
        return combined(f"nullif({function}({value.sql},{fill}),'')", value.type, value)

    def _column(self) -> Expression:
        position = self.token.position
        parts = [self.identifier()]
        while self.accept("."):
            parts.append(self.identifier())
        if parts[-1] in ("NEXTVAL", "CURRVAL") and len(parts) > 1:
            raise OraError(3001, position=position)
        shown = ".".join(quoted(part) for part in parts)
        scope: Scope | None = self.scope
        while scope:
            found = self._matches(scope.sources, parts, position)
            if found:
                return found
            scope = scope.parent
        raise OraError(904, shown, position=position)

    def _matches(self, sources: list[Source], parts: list[str], position: int) -> Expression | None:
        """The column in one of the sources; raises ORA-00918 when it is in two."""
        name, qualifier = parts[-1], parts[-2] if len(parts) > 1 else ""
        found = []
        for source in sources:
            named = not qualifier or source.alias == qualifier or (source.table and len(parts) == 3 and source.table.name == qualifier)
            if named and name == "ROWID" and source.table:
                sql = f"ora_rowid({quoted(source.alias)}.rowid)"
                found.append(Expression(sql, varchar(18), frozenset([sql]), name=name))
            column = source.column(name) if named else None
            if column:
                sql = f"{quoted(source.alias)}.{quoted(column.name)}" if source.alias else quoted(column.name)
                found.append(Expression(sql, column.type, frozenset([sql]), name=name))
        if len(found) > 1:
            raise OraError(918, position=position)
        return found[0] if found else None
