"""Samples made elsewhere, in a Parquet table."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bench.errors import DataError
from bench.sources.base import Shape, Source, formed, is_points, require_type, shuffled, taken

if TYPE_CHECKING:
    import pyarrow as pa

COLUMN = "image"
"""The column that holds the images, where there are several."""
_NAMES = {"float": "float32", "double": "float64", "halffloat": "float16"}
"""What Arrow calls otherwise than NumPy."""
Values = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Table(Source):
    """A Parquet file, a row a sample.

    Images: the column `image`, or the only one, of bytes or of lists of uint8; in each the values
    of one image by channel, row and column.  Points: a float column for each dimension, or one
    column of lists.
    """

    path: Path

    form = "table"

    def samples(self, shape: Shape, count: int | None, device: torch.device) -> Tensor:
        """Of the table's rows those that are judged."""
        table = self._read(shape)
        order = shuffled(len(table))[: taken(self.name, len(table), count)]
        for name, column in zip(table.column_names, table.columns, strict=True):
            if column.null_count:
                raise DataError(f"{self.name}: column {name!r} holds {column.null_count:,} nulls")
        values = self._points(table, shape) if is_points(shape) else self._images(table, shape)
        return formed(self.name, torch.from_numpy(values[order.numpy()]), shape)

    def _read(self, shape: Shape) -> pa.Table:
        """The columns that hold samples of that shape."""
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        try:
            with ParquetFile(self.path) as file:
                names = file.schema_arrow.names
                return file.read(names if is_points(shape) else [self._image_column(names)])
        except (OSError, ArrowException) as error:
            told = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(f"{self.name}: cannot be read as Parquet ({told})") from error

    def _image_column(self, names: list[str]) -> str:
        if COLUMN in names or len(names) == 1:
            return COLUMN if COLUMN in names else names[0]
        raise DataError(
            f"{self.name}: found the columns {', '.join(names) or 'none'}; expected one that is "
            f"named {COLUMN!r}"
        )

    def _images(self, table: pa.Table, shape: Shape) -> Values:
        """uint8 (N, *shape)."""
        column = table.column(0)
        if _is_list(column.type):
            values = self._lists(column, shape)
        elif _is_bytes(column.type):
            rows = column.to_pylist()
            self._require_sizes({len(row) for row in rows}, shape)
            values = np.frombuffer(b"".join(rows), dtype=np.uint8)
        else:
            raise DataError(
                f"{self.name}: column {table.column_names[0]!r} holds {column.type}; expected "
                "bytes, or lists of uint8"
            )
        return values.reshape(-1, *shape)

    def _points(self, table: pa.Table, shape: Shape) -> Values:
        """float32 or float64 (N, D)."""
        kinds = table.schema.types
        if len(kinds) == 1 and _is_list(kinds[0]):
            return self._lists(table.column(0), shape).reshape(-1, *shape)
        if len(kinds) != prod(shape):
            raise DataError(
                f"{self.name}: found the columns {', '.join(table.column_names) or 'none'}; "
                f"expected {prod(shape)} of floats, or one of lists of them"
            )
        for kind in kinds:
            require_type(self.name, _NAMES.get(str(kind), str(kind)), shape)
        return np.stack([column.to_numpy() for column in table.columns], axis=1)

    def _lists(self, column: pa.ChunkedArray, shape: Shape) -> Values:
        """The numbers in a column of lists, end to end."""
        from pyarrow import compute

        kind = str(column.type.value_type)
        require_type(self.name, _NAMES.get(kind, kind), shape)
        self._require_sizes(set(compute.list_value_length(column).unique().to_pylist()), shape)
        values = compute.list_flatten(column)
        if values.null_count:
            raise DataError(f"{self.name}: found nulls among the values of a sample")
        found: Values = values.to_numpy()
        return found

    def _require_sizes(self, found: set[int], shape: Shape) -> None:
        wrong = sorted(found - {prod(shape)})
        if wrong:
            raise DataError(
                f"{self.name}: found a row of {wrong[0]:,} values, expected {prod(shape):,}: those "
                f"of a sample {shape}"
            )


def _is_list(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )
