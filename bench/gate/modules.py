"""The modules that a tree has, and those that the other tree alone has."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from itertools import accumulate
from pathlib import Path

from bench.gate.worktrees import Tree
from bench.records import Side


def foreign(trees: Mapping[Side, Tree], side: Side) -> list[str]:
    """What a side must not import, since an installed copy of it would be the other side's.

    By full names: a folder without `__init__.py` is one package with those of its name that are
    installed (PEP 420), and finds in them what it has not itself.
    """
    own = {part for name in _names(trees[side].roots) for part in _parents_and(name)}
    others = {name for tree in trees.values() for name in _names(tree.roots)}
    return sorted(others - own - sys.stdlib_module_names - {"bench"})


@cache
def _names(roots: tuple[Path, ...]) -> frozenset[str]:
    """Of every module there, and of every package that has an `__init__.py`."""
    files = (file.relative_to(root) for root in roots for file in root.rglob("*.py"))
    parts = (
        file.parent.parts if file.stem == "__init__" else file.with_suffix("").parts
        for file in files
    )
    return frozenset(".".join(each) for each in parts if each)


def _parents_and(name: str) -> list[str]:
    """`a`, `a.b` and `a.b.c` of the last one."""
    return list(accumulate(name.split("."), "{}.{}".format))
