"""Oracle's functions, made known to an SQLite connection."""

from __future__ import annotations

import calendar
import math
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from . import formats
from .errors import OraError
from .values import parse_time, zoned_text


class Functions:
    """Functions of one session. An error that one raises is kept in `failure`: SQLite would forget it."""

    def __init__(self, database_offset: timedelta):
        self.database_offset = database_offset
        self.session_offset = database_offset
        self.date_format = formats.DEFAULT_DATE
        self.failure: OraError | None = None

    def register(self, connection: sqlite3.Connection) -> None:
        named = {
            "ora_sysdate": self.sysdate, "ora_systimestamp": self.systimestamp, "ora_current": self.current,
            "ora_to_char": self.to_char, "ora_to_date": self.to_date, "ora_to_timestamp": self.to_timestamp,
            "ora_to_number": self.to_number, "ora_time_add": time_add, "ora_time_sub": time_sub, "ora_div": divide, "ora_mod": modulo,
            "ora_trunc_time": trunc_time, "ora_trunc": trunc_number, "ora_round": round_number, "ora_add_months": add_months,
            "ora_last_day": last_day, "ora_months_between": months_between, "ora_lpad": lpad, "ora_rpad": rpad,
            "ora_substr": substr, "ora_instr": instr, "ora_initcap": initcap, "ora_regexp_like": regexp_like, "ora_ceil": math.ceil,
            "ora_power": math.pow, "ora_upper": str.upper, "ora_lower": str.lower, "ora_as_date": as_date, "ora_extract": extract,
        }  # fmt: skip
        for name, function in named.items():
            connection.create_function(name, -1, self._guarded(function))

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """NULL for a NULL argument, and the error kept for the caller."""

        def call(*arguments: Any) -> Any:
            if any(argument is None for argument in arguments):
                return None
            try:
                answer = function(*arguments)
            except OraError as error:
                self.failure = self.failure or error
                raise
            return None if answer == "" else answer

        return call

    def sysdate(self) -> str:
        return (datetime.now(UTC) + self.database_offset).replace(tzinfo=None).isoformat(" ", "seconds")

    def systimestamp(self) -> str:
        return zoned_text(datetime.now(UTC), self.database_offset)

    def current(self) -> str:
        """The session's time."""
        return zoned_text(datetime.now(UTC), self.session_offset)

    def to_char(self, value: Any, model: str = "", kind: str = "") -> str:
        if kind in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
            default = self.date_format if kind == "DATE" else formats.DEFAULT_TIMESTAMP
            return formats.time_to_text(parse_time(value)[0], model or default)
        if isinstance(value, int | float):
            return formats.number_to_text(value, model or None)
        return str(value)

    def to_date(self, text: str, model: str = "") -> str:
        return self._time(text, model).isoformat(" ", "seconds")

    def to_timestamp(self, text: str, model: str = "") -> str:
        return self._time(text, model).isoformat(" ", "microseconds")

    def _time(self, text: str, model: str) -> datetime:
        return formats.text_to_time(str(text), model or self.date_format, datetime.now(UTC) + self.database_offset)

    def to_number(self, value: Any) -> int | float:
        return value if isinstance(value, int | float) else formats.text_to_number(str(value))


def time_add(value: str, days: float) -> str:
    moment, _ = parse_time(value)
    moment = moment + timedelta(microseconds=round(days * 86_400_000_000))
    if len(value) > 19:
        return moment.isoformat(" ", "microseconds") + value[26:]
    return (moment + timedelta(microseconds=500_000)).isoformat(" ", "seconds")


def time_sub(later: str, earlier: str) -> float:
    """Days between two times."""
    return (parse_time(later)[0] - parse_time(earlier)[0]) / timedelta(days=1)


def as_date(value: str) -> str:
    return value[:19]


def extract(part: str, value: str) -> int:
    return getattr(parse_time(value)[0], part.lower())


def divide(left: float, right: float) -> float:
    if not right:
        raise OraError(1476)
    quotient = left / right
    return int(quotient) if quotient == int(quotient) else quotient


def modulo(left: float, right: float) -> float:
    return math.fmod(left, right) if right else left


def trunc_time(value: str, model: str = "DD") -> str:
    moment = parse_time(value)[0].replace(microsecond=0)
    name = model.upper()
    if name in ("IW", "DAY", "DY", "D"):
        moment -= timedelta(days=moment.weekday() if name == "IW" else moment.isoweekday() % 7)
    cut = {"YYYY": 1, "YEAR": 1, "YY": 1, "MM": 2, "MON": 2, "MONTH": 2, "HH24": 4, "HH": 4, "MI": 5}.get(name, 3)
    parts = [*moment.timetuple()[:cut], *(1, 1, 1, 0, 0)[cut:]]
    return datetime(*parts).isoformat(" ", "seconds")


def trunc_number(value: float, digits: int = 0) -> float:
    scaled = math.trunc(value * 10**digits)
    return scaled if not digits else scaled / 10**digits


def round_number(value: float, digits: int = 0) -> float:
    scaled = math.floor(abs(value) * 10**digits + 0.5) / 10**digits
    rounded = math.copysign(scaled, value)
    return int(rounded) if digits <= 0 else rounded


def add_months(value: str, months: float) -> str:
    moment, _ = parse_time(value)
    count = moment.year * 12 + moment.month - 1 + int(months)
    year, month = count // 12, count % 12 + 1
    last = calendar.monthrange(year, month)[1]
    was_last = moment.day == calendar.monthrange(moment.year, moment.month)[1]
    return moment.replace(year=year, month=month, day=last if was_last else min(moment.day, last)).isoformat(" ", "seconds")


def last_day(value: str) -> str:
    moment, _ = parse_time(value)
    return moment.replace(day=calendar.monthrange(moment.year, moment.month)[1]).isoformat(" ", "seconds")


def months_between(later: str, earlier: str) -> float:
    first, second = parse_time(later)[0], parse_time(earlier)[0]
    months = (first.year - second.year) * 12 + first.month - second.month
    return months if first.day == second.day else months + (first.day - second.day) / 31


def lpad(text: Any, width: float, fill: str = " ") -> str:
    text, missing = str(text), int(width) - len(str(text))
    return ((fill * missing)[:missing] if missing > 0 else "") + text[: int(width)]


def rpad(text: Any, width: float, fill: str = " ") -> str:
    text, missing = str(text), int(width) - len(str(text))
    return text[: int(width)] + ((fill * missing)[:missing] if missing > 0 else "")


def substr(text: Any, start: float, length: float | None = None) -> str:
    text, start = str(text), int(start)
    begin = len(text) + start if start < 0 else max(start, 1) - 1
    if begin < 0:
        return ""
    return text[begin:] if length is None else text[begin : begin + max(int(length), 0)]


def instr(text: Any, wanted: Any, start: float = 1) -> int:
    return str(text).find(str(wanted), int(start) - 1) + 1


def initcap(text: str) -> str:
    return re.sub(r"[^\W_]+", lambda word: word.group().capitalize(), text)


def regexp_like(text: Any, pattern: str, flags: str = "") -> int:
    posix = pattern.replace("[:digit:]", "0-9").replace("[:alpha:]", "A-Za-z").replace("[:alnum:]", "A-Za-z0-9").replace("[:space:]", r"\s")
    return int(re.search(posix, str(text), re.IGNORECASE if "i" in flags else 0) is not None)
