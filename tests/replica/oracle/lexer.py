"""Words of an Oracle SQL statement."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import OraError

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<text>[nN]?'(?:[^']|'')*')
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<bind>:\s*(?:"[^"]+"|\w+))
  | (?P<word>[^\W\d][\w$\#]*)
  | (?P<quoted>"[^"]*")
  | (?P<symbol>\|\||<=|>=|<>|!=|\^=|=>|\*\*|[-+*/=<>(),.;%@\[\]?])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """`kind` is text, number, bind, word, quoted, symbol or end; `value` is upper case for words and has no quotes."""

    kind: str
    value: str
    position: int
    source: str
    bind: int = 0


def tokens_of(sql: str) -> list[Token]:
    """Tokens and an end token. Binds count from 1, one for each occurrence."""
    tokens: list[Token] = []
    position = binds = 0
    while position < len(sql):
        found = _TOKEN.match(sql, position)
        if found is None:
            raise OraError({"'": 1756, '"': 1740}.get(sql[position], 911), position=position)
        kind, source = found.lastgroup or "", found.group()
        if kind != "space":
            binds += kind == "bind"
            tokens.append(Token(kind, _value(kind, source), position, source, binds if kind == "bind" else 0))
        position = found.end()
    if tokens and tokens[-1].value == ";" and tokens[-1].kind == "symbol" and tokens[0].value not in ("BEGIN", "DECLARE"):
        raise OraError(911, position=tokens[-1].position)
    return [*tokens, Token("end", "", len(sql), "")]


def _value(kind: str, source: str) -> str:
    if kind == "text":
        return source[source.index("'") + 1 : -1].replace("''", "'")
    if kind == "quoted":
        return source[1:-1]
    if kind == "bind":
        return source[1:].strip().strip('"').upper()
    return source.upper() if kind == "word" else source
