"""Format models: TO_CHAR, TO_DATE and TO_NUMBER with the elements that reports use."""

from __future__ import annotations

import calendar
import re
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from .errors import OraError

DEFAULT_DATE = "DD-MON-RR"
DEFAULT_TIMESTAMP = "DD-MON-RR HH.MI.SSXFF AM"
_MONTHS = ["JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER", "DECEMBER"]
_DAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
_ELEMENT = re.compile(
    r'FM|FX|YYYY|RRRR|YYY|YY|RR|Y|MONTH|MON|MM|MI|DDD|DD|DAY|DY|D|HH24|HH12|HH|SSSSS|SS|XFF|FF[1-9]?|AM|PM|Q|WW|IW|"[^"]*"|[-/,.;: T]',
    re.IGNORECASE,
)
_NUMERIC = {"YYYY": 4, "RRRR": 4, "YYY": 3, "YY": 2, "RR": 2, "Y": 1, "MM": 2, "DDD": 3, "DD": 2, "D": 1, "HH24": 2, "HH12": 2, "HH": 2}
_NUMERIC |= {"MI": 2, "SS": 2, "SSSSS": 5}


def elements(model: str) -> list[str]:
    """The parts of a format model; raises ORA-01821."""
    found, position = [], 0
    while position < len(model):
        element = _ELEMENT.match(model, position)
        if element is None:
            raise OraError(1821)
        found.append(element.group())
        position = element.end()
    return found


def time_to_text(moment: datetime, model: str) -> str:
    filled, text = True, []
    for element in elements(model):
        name = element.upper()
        if name == "FM":
            filled = not filled
        elif name != "FX":
            part = _time_part(moment, name, filled)
            text.append(_cased(part, element) if name in ("MONTH", "MON", "DAY", "DY", "AM", "PM") else part)
    return "".join(text)


def _time_part(moment: datetime, name: str, filled: bool) -> str:
    if name.startswith('"'):
        return name[1:-1]
    if name.startswith(("FF", "XFF")):
        digits = f"{moment.microsecond:06d}000"
        width = int(name[-1]) if name[-1].isdigit() else 6
        return ("." if name[0] == "X" else "") + digits[:width]
    words = {"MONTH": _MONTHS[moment.month - 1].ljust(9), "MON": _MONTHS[moment.month - 1][:3]}
    words |= {"DAY": _DAYS[moment.weekday()].ljust(9), "DY": _DAYS[moment.weekday()][:3]}
    words |= dict.fromkeys(("AM", "PM"), "AM" if moment.hour < 12 else "PM")
    if name in words:
        return words[name] if filled else words[name].strip()
    hour12 = moment.hour % 12 or 12
    day = moment.timetuple().tm_yday
    numbers = {
        "YYYY": (moment.year, 4), "RRRR": (moment.year, 4), "YYY": (moment.year % 1000, 3), "YY": (moment.year % 100, 2),
        "RR": (moment.year % 100, 2), "Y": (moment.year % 10, 1), "MM": (moment.month, 2), "DDD": (day, 3), "DD": (moment.day, 2),
        "D": (moment.isoweekday() % 7 + 1, 1), "HH24": (moment.hour, 2), "HH12": (hour12, 2), "HH": (hour12, 2),
        "MI": (moment.minute, 2), "SS": (moment.second, 2), "Q": ((moment.month + 2) // 3, 1), "WW": ((day - 1) // 7 + 1, 2),
        "IW": (moment.isocalendar()[1], 2), "SSSSS": (moment.hour * 3600 + moment.minute * 60 + moment.second, 5),
    }  # fmt: skip
    if name not in numbers:
        return name
    value, width = numbers[name]
    return f"{value:0{width}d}" if filled else str(value)


def _cased(part: str, element: str) -> str:
    letters = [letter for letter in element if letter.isalpha()]
    if letters[0].islower():
        return part.lower()
    return part.capitalize() if len(letters) > 1 and letters[1].islower() else part


def text_to_time(text: str, model: str, now: datetime) -> datetime:
    """The moment that a text names. What the model leaves out is the first day of this month, midnight."""
    text = text.strip()
    values: dict[str, int] = {}
    position = 0
    exact = False
    for element in elements(model):
        name = element.upper()
        if name in ("FM", "FX"):
            exact = exact or name == "FX"
        elif name in ("MONTH", "MON"):
            position = _read_month(text, position, values)
        elif name in ("AM", "PM"):
            values["half"] = 12 if text[position : position + 2].upper() == "PM" else 0
            position += 2
        elif name.startswith(("FF", "XFF")):
            digits = re.match(r"\.?(\d{1,9})" if name[0] == "X" else r"(\d{1,9})", text[position:])
            values["micro"] = int(digits.group(1)[:6].ljust(6, "0")) if digits else 0
            position += digits.end() if digits else 0
        elif name in _NUMERIC:
            position = _read_number(text, position, name, values)
        elif position < len(text):
            position = _skip_separator(text, position, name, exact)
    if position < len(text):
        raise OraError(1830)
    return _moment(values, now)


def _read_month(text: str, position: int, values: dict[str, int]) -> int:
    rest = text[position:].upper()
    for number, month in enumerate(_MONTHS, 1):
        for name in (month, month[:3]):
            if rest.startswith(name):
                values["MM"] = number
                return position + len(name)
    raise OraError(1843)


def _read_number(text: str, position: int, name: str, values: dict[str, int]) -> int:
    if position >= len(text):
        if name in ("HH24", "HH12", "HH", "MI", "SS", "SSSSS"):
            return position
        raise OraError(1840)
    found = re.match(rf"\d{{1,{_NUMERIC[name]}}}", text[position:])
    if found is None:
        raise OraError(1858)
    values[name] = int(found.group())
    if name == "RRRR" and len(found.group()) <= 2:
        values["RR"] = values.pop("RRRR")
    return position + found.end()


def _skip_separator(text: str, position: int, name: str, exact: bool) -> int:
    wanted = name.strip('"') if name.startswith('"') else name
    if text.startswith(wanted, position):
        return position + len(wanted)
    if exact or text[position].isalnum():
        raise OraError(1861)
    return position + 1


def _moment(values: dict[str, int], now: datetime) -> datetime:
    year = values.get("YYYY", values.get("RRRR", now.year))
    if "YY" in values:
        year = now.year // 100 * 100 + values["YY"]
    elif "RR" in values:
        year = now.year // 100 * 100 + values["RR"]
        year -= 100 if values["RR"] >= 50 > now.year % 100 else 0
    month, day = values.get("MM", 1 if "YYYY" in values and "MM" not in values and "DDD" in values else now.month), values.get("DD", 1)
    hour = values.get("HH24", values.get("HH12", values.get("HH", 0)))
    if "half" in values:
        hour = hour % 12 + values["half"]
    minute, second = values.get("MI", 0), values.get("SS", 0)
    limits = ((1841, 1 <= year <= 9999), (1843, 1 <= month <= 12), (1847, 1 <= day <= 31), (1850, hour < 24), (1851, minute < 60))
    for code, good in (*limits, (1852, second < 60)):
        if not good:
            raise OraError(code)
    if day > calendar.monthrange(year, month)[1]:
        raise OraError(1839)
    return datetime(year, month, day, hour, minute, second, values.get("micro", 0))


def number_to_text(value: float | Decimal, model: str | None = None) -> str:
    """Without a model the shortest text; raises ORA-01481 as ORA-01821 does for times."""
    if model is None:
        return plain_number(value)
    name = model.upper()
    filled = not name.startswith("FM")
    body = name.removeprefix("FM")
    if not re.fullmatch(r"\$?[90,G]*(?:[.D][90]*)?", body):
        raise OraError(1481, text="ORA-01481: invalid number format model")
    whole_model, _, fraction_model = body.replace("G", ",").replace("D", ".").lstrip("$").partition(".")
    rounded = abs(Decimal(str(value))).quantize(Decimal(1).scaleb(-len(fraction_model)), rounding=ROUND_HALF_UP)
    whole, _, fraction = f"{rounded:f}".partition(".")
    width = sum(character in "90" for character in whole_model)
    if len(whole.lstrip("0")) > width:
        return "#" * (len(body) + 1)
    digits = _grouped(whole.lstrip("0"), whole_model)
    if not filled:
        while fraction and fraction[-1] == "0" and fraction_model[len(fraction) - 1] == "9":
            fraction = fraction[:-1]
    sign = "-" if value < 0 and rounded else ""
    text = sign + ("$" if body.startswith("$") else "") + digits + ("." + fraction if fraction_model else "")
    return text.rjust(len(body) + 1) if filled else text


def _grouped(digits: str, model: str) -> str:
    text, rest = "", digits
    forced = model.find("0")
    for index in range(len(model) - 1, -1, -1):
        if model[index] == ",":
            if rest or (0 <= forced < index):
                text = "," + text
        elif rest:
            text, rest = rest[-1] + text, rest[:-1]
        elif 0 <= forced <= index:
            text = "0" + text
    return text


def plain_number(value: float | Decimal) -> str:
    """As Oracle shows a number: no zero before the point."""
    exact = Decimal(format(value, ".15g")) if isinstance(value, float) else Decimal(value)
    text = f"{exact:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return re.sub(r"^(-?)0\.", r"\1.", text) or "0"


def text_to_number(text: str) -> int | float:
    """Raises ORA-01722."""
    try:
        value = Decimal(text.strip().replace(",", "x"))
    except InvalidOperation:
        raise OraError(1722) from None
    if not value.is_finite():
        raise OraError(1722)
    return int(value) if value == value.to_integral_value() else float(value)
