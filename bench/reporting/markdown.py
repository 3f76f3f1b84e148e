"""Markdown in which text that comes from users cannot break a table or start markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_MARKUP = str.maketrans({char: f"\\{char}" for char in "\\|*`_[]!~$"})
_TAGS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def plain(text: str) -> str:
    """One line in which nothing is a tag, a link, a picture, code, emphasis or a column's end."""
    return " ".join(text.split()).translate(_MARKUP).translate(_TAGS)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain cells."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(plain(cell) for cell in line)} |" for line in lines)


def bullets(items: Iterable[str]) -> str:
    """A list of plain lines."""
    return "\n".join(f"- {plain(item)}" for item in items)
