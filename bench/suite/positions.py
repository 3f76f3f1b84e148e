"""Reading a suite file: its text, its values (tomllib), and the line of every key (tree-sitter)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

from bench.errors import SuiteError
from bench.suite.base import Key, Origin, Problem, dotted, one_line, refuse, unusable


@dataclass(frozen=True)
class Source:
    """A suite file as read: the path as the user gave it, the text, its values, its lines."""

    path: str
    text: str
    tree: dict[str, Any]
    lines: dict[Key, int]

    def origin(self, key: Key, name: str | None = None) -> Origin:
        """Where a key stands, or the nearest table that holds it; `name`: how it is called."""
        nearest = (self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines)
        line = next(nearest, 1)
        return Origin(f"{self.path}:{line}", line, self._called(key) if name is None else name)

    def nearest(self, key: Key) -> Origin:
        """The same for a key that may be missing: what is called by it is left open."""
        return self.origin(key, "")

    def _called(self, key: Key) -> str:
        """A key with a variant's name for its number."""
        match key:
            case ("variant", int(index), head, *rest) if head != "name":
                variant = self.tree["variant"][index]
                name = variant.get("name") if isinstance(variant, dict) else None
                return dotted(("variant", name, head, *rest) if isinstance(name, str) else key)
        return dotted(key)


def read(path: Path | str) -> Source:
    """A suite file's values and positions.

    Raises `SuiteError` for what is no file, not UTF-8, not TOML, or holds what no suite can.
    """
    text = _text(Path(path))
    tree = _values(str(path), text)
    source = Source(str(path), text, tree, lines(text))
    fault = unusable(tree)
    if fault:
        refuse([Problem(source.origin(fault.key), fault.text)])
    return source


def _text(path: Path) -> str:
    try:
        if path.is_dir():
            raise SuiteError(one_line(f"{path}: this is a folder; expected a suite file (.toml)"))
        if not path.exists():
            raise SuiteError(one_line(f"{path}: no such file"))
        if not path.is_file():
            raise SuiteError(one_line(f"{path}: not a regular file"))
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SuiteError(one_line(f"{path}:{line}: not a suite: the text is not UTF-8")) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SuiteError(one_line(f"{path}: cannot be read: {reason}")) from error


def _values(path: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SuiteError(one_line(f"{path}: nested too deeply")) from error
    except ValueError as error:  # TOMLDecodeError, and int() on more than 4,300 digits
        reason = str(error)
        place = re.search(r" \(at line (\d+), column (\d+)\)$", reason)
        line = int(place[1]) if place else max(1, len(text.splitlines()))
        column = f" (column {place[2]})" if place else ""
        reason = re.sub(r" \(at (line \d+, column \d+|end of document)\)$", "", reason)
        message = f"{path}:{line}: this is not TOML: {reason[:200]}{column}"
        raise SuiteError(one_line(message)) from error


def lines(text: str) -> dict[Key, int]:
    """The line of every table, key and list item, by key; `[[tables]]` are numbered from 0."""
    found: dict[Key, int] = {}
    counts: dict[Key, int] = {}
    for node in _parser().parse(text.encode()).root_node.named_children:
        prefix: Key = ()
        if node.type in ("table", "table_array_element"):
            prefix = _header(node, counts)
            for length in range(1, len(prefix) + 1):
                found.setdefault(prefix[:length], _line(node))
        _pairs(node, prefix, found)
    return found


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_toml.language()))


def _header(node: Node, counts: dict[Key, int]) -> Key:
    """The key of a table's header, each array of tables in it followed by the item now open."""
    is_item = node.type == "table_array_element"
    *heads, last = key_of(node.named_children[0]) or ("",)
    prefix: Key = ()
    for head in heads:
        prefix = (*prefix, head)
        if prefix in counts:
            prefix = (*prefix, counts[prefix] - 1)
    prefix = (*prefix, last)
    if is_item:
        counts[prefix] = counts.get(prefix, 0) + 1
        prefix = (*prefix, counts[prefix] - 1)
    return prefix


def _pairs(node: Node, prefix: Key, found: dict[Key, int]) -> None:
    waiting: list[tuple[Node, Key]] = [(node, prefix)]
    while waiting:
        node, prefix = waiting.pop()
        if node.type == "pair":
            key = key_of(node.named_children[0])
            for length in range(1, len(key) + 1):
                found.setdefault((*prefix, *key[:length]), _line(node))
            waiting.append((node.named_children[-1], (*prefix, *key)))
        elif node.type == "array":
            items = [item for item in node.named_children if item.type != "comment"]
            for index, item in enumerate(items):
                found.setdefault((*prefix, index), _line(item))
                waiting.append((item, (*prefix, index)))
        elif node.type in ("inline_table", "table", "table_array_element"):
            waiting += [(pair, prefix) for pair in node.named_children if pair.type == "pair"]


def key_of(node: Node) -> tuple[str, ...]:
    """The parts of a bare, quoted or dotted key."""
    parts: list[str] = []
    while node.type == "dotted_key":
        parts.append(_unquoted(node.named_children[-1]))
        node = node.named_children[0]
    return (*([_unquoted(node)] if node.type.endswith("key") else []), *reversed(parts))


def _unquoted(node: Node) -> str:
    text = (node.text or b"").decode()
    if node.type == "bare_key":
        return text
    try:
        return next(iter(tomllib.loads(f"{text} = 0")))
    except ValueError:  # the two parsers differ on what a key is: its position is then its table's
        return text


def _line(node: Node) -> int:
    return node.start_point.row + 1
