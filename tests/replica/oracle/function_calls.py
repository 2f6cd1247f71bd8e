"""Which SQLite expression stands for a call of an Oracle function, and of which type it is."""

from __future__ import annotations

from collections.abc import Callable

from .errors import OraError
from .parser import Expression, coerced, combined, comparable, literal
from .values import DATE, INTERVAL, NUMBER, TIMESTAMP, SqlType, varchar

AGGREGATES = ("COUNT", "SUM", "AVG", "MIN", "MAX")
RANKINGS = ("ROW_NUMBER", "RANK", "DENSE_RANK")
_Arguments = list[Expression]
_SECONDS = {"DAY": 86400, "HOUR": 3600, "MINUTE": 60, "SECOND": 1}


def interval_days(amount: float, unit: str) -> float:
    """Days that `amount` of a unit last; raises ORA-00905 for another unit."""
    name = unit.upper().removesuffix("S")
    if name not in _SECONDS:
        raise OraError(905)
    return amount * _SECONDS[name] / 86400


def call(name: str, arguments: _Arguments, position: int) -> Expression:
    """Raises ORA-00904 for an unknown function, ORA-00909 for the wrong number of arguments."""
    found = _FUNCTIONS.get(name)
    if found is None:
        raise OraError(904, f'"{name}"', position=position)
    fewest, most, build = found
    if not fewest <= len(arguments) <= most:
        raise OraError(909, position=position)
    return build(arguments)


def _wrapped(function: str, kind: SqlType | None = None, as_type: SqlType | None = None) -> Callable[[_Arguments], Expression]:
    """A function of the same shape; `as_type` is what its first argument must be, `kind` what comes out (None: the same)."""

    def build(arguments: _Arguments) -> Expression:
        first = coerced(arguments[0], as_type) if as_type else arguments[0]
        rest = [argument.sql for argument in arguments[1:]]
        return combined(f"{function}({','.join([first.sql, *rest])})", kind or first.type, *arguments)

    return build


def _nvl(arguments: _Arguments) -> Expression:
    first, second = arguments
    kind = second.type if first.type.name == "NULL" else first.type
    other = coerced(second, kind)
    size = max(first.type.size, other.type.size)
    return combined(f"ifnull({first.sql},{other.sql})", varchar(size) if kind.is_text else kind, *arguments)


def _coalesce(arguments: _Arguments) -> Expression:
    kind = next((argument.type for argument in arguments if argument.type.name != "NULL"), arguments[0].type)
    return combined(f"coalesce({','.join(coerced(argument, kind).sql for argument in arguments)})", kind, *arguments)


def _nvl2(arguments: _Arguments) -> Expression:
    tested, filled, empty = arguments
    other = coerced(empty, filled.type)
    return combined(f"(CASE WHEN {tested.sql} IS NOT NULL THEN {filled.sql} ELSE {other.sql} END)", filled.type, *arguments)


def _decode(arguments: _Arguments) -> Expression:
    tested, rest = arguments[0], arguments[1:]
    kind = rest[1].type
    branches = []
    for index in range(0, len(rest) - 1, 2):
        left, right = comparable(tested, rest[index])
        branches.append(f"WHEN {left.sql} IS {right.sql} THEN {coerced(rest[index + 1], kind).sql}")
    default = coerced(rest[-1], kind).sql if len(rest) % 2 else "NULL"
    return combined(f"(CASE {' '.join(branches)} ELSE {default} END)", kind, *arguments)


def _to_char(arguments: _Arguments) -> Expression:
    first = arguments[0]
    model = arguments[1].sql if len(arguments) > 1 else "''"
    return combined(f"ora_to_char({first.sql},{model},'{first.type.name}')", varchar(75), *arguments)


def _trunc(arguments: _Arguments) -> Expression:
    return _of_time_or_number(arguments, "ora_trunc_time", "ora_trunc")


def _round(arguments: _Arguments) -> Expression:
    return _of_time_or_number(arguments, "ora_trunc_time", "ora_round")


def _of_time_or_number(arguments: _Arguments, for_time: str, for_number: str) -> Expression:
    listed = ",".join(argument.sql for argument in arguments)
    if arguments[0].type.is_time:
        return combined(f"{for_time}({listed})", DATE, *arguments)
    return _wrapped(for_number, NUMBER, NUMBER)(arguments)


def _extreme(function: str) -> Callable[[_Arguments], Expression]:
    def build(arguments: _Arguments) -> Expression:
        kind = arguments[0].type
        listed = ",".join(coerced(argument, kind).sql for argument in arguments)
        return combined(f"{function}({listed})", kind, *arguments)

    return build


def _concat(arguments: _Arguments) -> Expression:
    left, right = (coerced(argument, varchar(1)) for argument in arguments)
    size = min(left.type.size + right.type.size, 4000)
    return combined(f"nullif(coalesce({left.sql},'')||coalesce({right.sql},''),'')", varchar(size), left, right)


def _interval(arguments: _Arguments) -> Expression:
    unit = arguments[1].sql.strip("'")
    return combined(f"({arguments[0].sql}*{interval_days(1, unit)!r})", INTERVAL, arguments[0])


def _instr(arguments: _Arguments) -> Expression:
    return combined(f"ora_instr({','.join(argument.sql for argument in arguments)})", NUMBER, *arguments)


def _context(arguments: _Arguments) -> Expression:
    return combined(f"ora_context({arguments[0].sql},{arguments[1].sql})", varchar(256))


def _to_number(arguments: _Arguments) -> Expression:
    return combined(f"ora_to_number({arguments[0].sql})", NUMBER, *arguments)


_TEXT = varchar(4000)
_FUNCTIONS: dict[str, tuple[int, int, Callable[[_Arguments], Expression]]] = {
    "NVL": (2, 2, _nvl), "NVL2": (3, 3, _nvl2), "COALESCE": (2, 99, _coalesce), "DECODE": (3, 255, _decode),
    "NULLIF": (2, 2, _wrapped("nullif")), "TO_CHAR": (1, 3, _to_char), "TO_NUMBER": (1, 2, _to_number),
    "TO_DATE": (1, 3, _wrapped("ora_to_date", DATE)), "TO_TIMESTAMP": (1, 3, _wrapped("ora_to_timestamp", TIMESTAMP)),
    "TRUNC": (1, 2, _trunc), "ROUND": (1, 2, _round), "MOD": (2, 2, _wrapped("ora_mod", NUMBER, NUMBER)),
    "ABS": (1, 1, _wrapped("abs", NUMBER, NUMBER)), "SIGN": (1, 1, _wrapped("sign", NUMBER, NUMBER)),
    "CEIL": (1, 1, _wrapped("ora_ceil", NUMBER, NUMBER)), "FLOOR": (1, 1, _wrapped("floor", NUMBER, NUMBER)),
    "POWER": (2, 2, _wrapped("ora_power", NUMBER, NUMBER)), "SQRT": (1, 1, _wrapped("sqrt", NUMBER, NUMBER)),
    "UPPER": (1, 1, _wrapped("ora_upper", None, _TEXT)), "LOWER": (1, 1, _wrapped("ora_lower", None, _TEXT)),
    "INITCAP": (1, 1, _wrapped("ora_initcap", None, _TEXT)), "LENGTH": (1, 1, _wrapped("length", NUMBER, _TEXT)),
    "SUBSTR": (2, 3, _wrapped("ora_substr", None, _TEXT)), "INSTR": (2, 3, _instr), "REPLACE": (3, 3, _wrapped("replace", None, _TEXT)),
    "LTRIM": (1, 2, _wrapped("ltrim", None, _TEXT)), "RTRIM": (1, 2, _wrapped("rtrim", None, _TEXT)),
    "LPAD": (2, 3, _wrapped("ora_lpad", _TEXT, _TEXT)), "RPAD": (2, 3, _wrapped("ora_rpad", _TEXT, _TEXT)),
    "CONCAT": (2, 2, _concat), "GREATEST": (2, 99, _extreme("max")), "LEAST": (2, 99, _extreme("min")),
    "ADD_MONTHS": (2, 2, _wrapped("ora_add_months", DATE, DATE)), "LAST_DAY": (1, 1, _wrapped("ora_last_day", DATE, DATE)),
    "MONTHS_BETWEEN": (2, 2, _wrapped("ora_months_between", NUMBER, DATE)), "NUMTODSINTERVAL": (2, 2, _interval),
    "SYS_CONTEXT": (2, 2, _context), "CHR": (1, 1, _wrapped("char", varchar(4), NUMBER)),
    "ASCII": (1, 1, _wrapped("unicode", NUMBER, _TEXT)),
}  # fmt: skip


def aggregate(name: str, argument: Expression, distinct: bool) -> Expression:
    """A call of an aggregate function with one argument."""
    value = coerced(argument, NUMBER) if name in ("SUM", "AVG") else argument
    kind = argument.type if name in ("MIN", "MAX") else NUMBER
    return Expression(f"{name.lower()}({'DISTINCT ' if distinct else ''}{value.sql})", kind, frozenset(), True)


def text_literal(text: str) -> Expression:
    """A literal; the empty one is NULL."""
    if not text:
        return Expression("NULL", SqlType("NULL"))
    return Expression(literal(text), SqlType("CHAR", len(text.encode())))
