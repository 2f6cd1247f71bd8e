# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read nginx's configuration files: what they include, where nginx listens and logs; and a copy that writes nowhere.

``nginx -t`` is not harmless: it makes the pid file, logs, temporary folders and cache folders of the configuration. So it is
given a copy in which those lead into a folder of our own; lines keep their numbers, and messages name the real file again.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_FILES = 300
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 12
MAX_RANGE = 100
MAX_BLOCKS = 40  # within one another

_WORD = re.compile(
    r"""(?P<gap>\s+|\#[^\n]*)|(?P<mark>[;{}])|(?P<quoted>"(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*')"""
    r"""|(?P<bare>(?:\\[\s\S]|\$\{|[^\s;{}"'\\])(?:\\[\s\S]|\$\{|[^\s;{\\])*)"""
)
# Directives with a file that belongs to the folder of the main file, which the copy leaves.
_RELATIVE = re.compile(r"(?:certificate|certificate_key|_crl|dhparam|password_file|ticket_key|stapling_file|user_file)$")
_TEMPORARY = ("client_body_temp_path", "proxy_temp_path", "fastcgi_temp_path", "uwsgi_temp_path", "scgi_temp_path")


@dataclass(frozen=True)
class Word:
    """A word of the configuration, without its quotes, and where it stands in the text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Directive:
    """A name with its arguments, the blocks around it, and where it ends: before ``;`` or behind ``{``."""

    words: tuple[Word, ...]
    blocks: tuple[str, ...]
    end: int
    opens: bool

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0].text

    def argument(self, number: int = 1) -> str:
        """Return an argument, "" when there is none."""
        return self.words[number].text if len(self.words) > number else ""


def directives(text: str, blocks: tuple[str, ...] = ()) -> Iterator[Directive]:
    """Yield the directives of a text in order; ends where the text cannot be parsed (nginx reports where)."""
    words: list[Word] = []
    stack = list(blocks)
    position = 0
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None:
            return
        position = match.end()
        if match.group("quoted"):
            words.append(Word(match.group()[1:-1], match.start(), position))
        elif match.group("bare"):
            words.append(Word(match.group(), match.start(), position))
        elif match.group("mark"):
            opens = match.group() == "{"
            if words and match.group() != "}":
                yield Directive(tuple(words), tuple(stack), position if opens else match.start(), opens)
            if opens and len(stack) >= MAX_BLOCKS:
                return
            if opens:
                stack.append(words[0].text if words else "")
                if stack[-1].endswith("_by_lua_block"):
                    position = _after_block(text, position)
                    stack.pop()
            elif match.group() == "}" and len(stack) > len(blocks):
                stack.pop()
            words = []


def _after_block(text: str, position: int) -> int:
    """Return where a block of another language ends."""
    depth = 1
    while position < len(text) and depth:
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        position += 1
    return position


@dataclass
class File:
    """One file of a configuration."""

    path: str
    text: str
    modified: float
    blocks: tuple[str, ...]
    includes: list[tuple[Directive, list[str]]] = field(default_factory=list)


@dataclass
class Tree:
    """A configuration with all that it includes; unreadable: path and why, problem: why the main file could not be read."""

    main: str
    files: list[File] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def all(self) -> Iterator[Directive]:
        """Yield the directives of all files."""
        for file in self.files:
            yield from directives(file.text, file.blocks)

    def value(self, name: str) -> str:
        """Return the argument of a directive of the outermost level, "" when it is not there."""
        return next((one.argument() for one in self.all() if one.name == name and not one.blocks), "")


def read_tree(conf: str) -> Tree:
    """Read a configuration; what cannot be read is named, nothing is raised."""
    tree = Tree(conf)
    _read(tree, conf, (), 0)
    return tree


def _read(tree: Tree, path: str, blocks: tuple[str, ...], depth: int) -> None:
    if depth > MAX_DEPTH or len(tree.files) >= MAX_FILES or any(file.path == path and file.blocks == blocks for file in tree.files):
        return
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            text = stream.read(MAX_BYTES)
            modified = os.fstat(stream.fileno()).st_mtime
    except (OSError, ValueError) as error:
        tree.unreadable[path] = getattr(error, "strerror", None) or str(error)
        return
    file = File(path, text, modified, blocks)
    tree.files.append(file)
    for directive in directives(text, blocks):
        if directive.name == "include" and directive.argument():
            found = _included(tree.main, directive.argument())
            file.includes.append((directive, found))
            for name in found:
                _read(tree, name, directive.blocks, depth + 1)


def _included(main: str, pattern: str) -> list[str]:
    path = os.path.join(os.path.dirname(main), pattern)
    return sorted(glob.glob(path)) if re.search(r"[*?\[]", pattern) else [path]


# --- what it contains


def listens(tree: Tree) -> list[tuple[str, int]]:
    """Return the addresses and ports of all servers, "" for every address; without sockets of the file system."""
    found = []
    for directive in tree.all():
        if directive.name == "listen" and "server" in directive.blocks[-1:]:
            found += _listen(directive.argument())
    return list(dict.fromkeys(found))


def _listen(text: str) -> list[tuple[str, int]]:
    if text.startswith("unix:"):
        return []
    match = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[^:\[\]]*):)?([0-9]+)(?:-([0-9]+))?", text)
    if match is None:
        return [(_address(text), 80)]
    first = int(match.group(2))
    last = min(int(match.group(3) or first), first + MAX_RANGE)
    return [(_address(match.group(1) or ""), port) for port in range(first, last + 1)]


def _address(text: str) -> str:
    text = text.strip("[]")
    return {"*": "", "0.0.0.0": "", "localhost": "127.0.0.1"}.get(text, text)  # noqa: S104 - read, not bound


def error_log(tree: Tree) -> tuple[str, str]:
    """Return file and level of the outermost error log, ("", "error") when none is named."""
    for directive in tree.all():
        if directive.name == "error_log" and not directive.blocks:
            return directive.argument(), directive.argument(2) or "error"
    return "", "error"


# --- the copy


def write_copy(tree: Tree, folder: str, without: Mapping[str, Any]) -> dict[str, str]:
    """Write a copy of a configuration whose files all lead into a folder.

    without: names of the temporary paths that this nginx does not know. Returns {path of the copy: real path}; the main
    file's is ``<folder>/0.conf``.
    """
    names = {(file.path, file.blocks): os.path.join(folder, f"{number}.conf") for number, file in enumerate(tree.files)}
    known = {one.name for one in tree.all() if one.blocks == ("http",)}
    extra = "".join(f" {name} {folder}/{name};" for name in _TEMPORARY if name not in known and name not in without)
    for file in tree.files:
        with open(names[file.path, file.blocks], "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            stream.write(_redirected(tree, file, folder, names, extra))
    return {copy: path for (path, _blocks), copy in names.items()}


def _redirected(tree: Tree, file: File, folder: str, names: Mapping[tuple[str, tuple[str, ...]], str], extra: str) -> str:
    includes = {directive.words[0].start: found for directive, found in file.includes}
    pieces, position = [], 0
    for directive in directives(file.text, file.blocks):
        found = includes.get(directive.words[0].start)
        if found:
            # A file that could not be read keeps its name: nginx reports why.
            copies = (names.get((path, directive.blocks), path) for path in found)
            changes = [(directive.words[0].start, directive.end, "; ".join(f"include {copy}" for copy in copies))]
        elif directive.name == "http" and directive.opens and not directive.blocks:
            changes = [(directive.end, directive.end, extra)]
        else:
            changes = list(_changes(tree, directive, folder))
        for start, end, text in changes:
            pieces += [file.text[position:start], text]
            position = end
    return "".join([*pieces, file.text[position:]])


def _changes(tree: Tree, directive: Directive, folder: str) -> Iterator[tuple[int, int, str]]:
    """Yield from where to where a text is to be replaced, and by what."""
    if len(directive.words) < 2:
        return
    word, name = directive.words[1], directive.name
    place = f"{folder}/{_mark(word.text)}"
    if name == "pid":
        yield word.start, word.end, place
    elif name in ("error_log", "access_log"):
        if word.text not in ("stderr", "off") and not word.text.startswith(("syslog:", "memory:")):
            yield word.start, word.end, "stderr" if name == "error_log" else place
    elif name in _TEMPORARY or name in ("proxy_cache_path", "fastcgi_cache_path", "uwsgi_cache_path", "scgi_cache_path"):
        yield word.start, word.end, place
    elif name == "listen":
        yield from _no_port(directive, folder)
    elif _RELATIVE.search(name) and not re.match(r"/|[a-z]+:|.*\$", word.text):
        yield word.start, word.end, f'"{os.path.join(os.path.dirname(tree.main), word.text)}"'


def _no_port(directive: Directive, folder: str) -> Iterator[tuple[int, int, str]]:
    """Let a server listen on a socket in the folder: a test opens the ports for a moment, and a browser would run into it.

    Equal addresses stay equal for nginx. Names stay, since nginx resolves them, and so does UDP.
    """
    word = directive.words[1]
    options = {option.text for option in directive.words[2:]}
    if options & {"udp", "quic"} or not re.fullmatch(r"unix:.*|(?:\[[0-9a-fA-F:.]+\]|[0-9.]+|\*|localhost)?(?::?[0-9-]+)?", word.text):
        return
    same = word.text if word.text.startswith("unix:") else str(_listen(word.text))
    yield word.start, word.end, f"unix:{folder}/{_mark(same)}"
    for option in directive.words[2:]:
        if option.text == "reuseport" or option.text.startswith("ipv6only="):
            yield option.start, option.end, ""


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
