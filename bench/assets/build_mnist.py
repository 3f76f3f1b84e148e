"""Build `mnist.parquet` from the four IDX files of MNIST and prove that nothing was changed.

    python -m bench.assets.build_mnist FOLDER

FOLDER holds the files under their usual names, gzipped or not.  The uncompressed input, and then
the IDX files rebuilt from the Parquet file just written, must have the published MD5 sums.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TARGET = Path(__file__).with_name("mnist.parquet")
PIXELS = 28 * 28
IMAGES, LABELS = 2051, 2049
"""The magic numbers of IDX files of bytes in three dimensions and in one."""
PUBLISHED_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
PREFIX = {"train": "train", "test": "t10k"}


def build(folder: Path, target: Path) -> None:
    """Write `target`, one row group a split, and check it against the published sums."""
    with pq.ParquetWriter(
        target,
        schema(),
        compression="zstd",
        compression_level=22,
        use_dictionary=["split"],
        data_page_size=64 << 20,  # one page a column: a tenth smaller than pages of 1 MiB
    ) as writer:
        for split, prefix in PREFIX.items():
            images = _read(folder, f"{prefix}-images-idx3-ubyte")[16:]
            labels = _read(folder, f"{prefix}-labels-idx1-ubyte")[8:]
            table = pa.table(
                {
                    "split": pa.array([split] * len(labels)),
                    "label": np.frombuffer(labels, np.uint8),
                    "image": pa.FixedSizeBinaryArray.from_buffers(
                        pa.binary(PIXELS), len(labels), [None, pa.py_buffer(images)]
                    ),
                },
                schema=schema(),
            )
            writer.write_table(table, row_group_size=len(labels))
    _check(idx_files(target))


def schema() -> pa.Schema:
    """One row an image: its split, its label 0 to 9, its 784 bytes row by row (0 is paper)."""
    return pa.schema([("split", pa.string()), ("label", pa.uint8()), ("image", pa.binary(PIXELS))])


def idx_files(parquet: Path) -> dict[str, bytes]:
    """The four IDX files, uncompressed, rebuilt from the Parquet file; names as published."""
    files = {}
    for split, prefix in PREFIX.items():
        table = pq.read_table(parquet, filters=[("split", "=", split)])
        count = len(table)
        images = struct.pack(">4i", IMAGES, count, 28, 28) + b"".join(table["image"].to_pylist())
        labels = struct.pack(">2i", LABELS, count) + bytes(table["label"].to_pylist())
        files[f"{prefix}-images-idx3-ubyte"] = images
        files[f"{prefix}-labels-idx1-ubyte"] = labels
    return files


def _read(folder: Path, name: str) -> bytes:
    packed = folder / f"{name}.gz"
    content = (
        gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()
    )
    _check({name: content})
    return content


def _check(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != PUBLISHED_MD5[name]:
            raise ValueError(f"{name}: MD5 {found}, expected {PUBLISHED_MD5[name]}")


if __name__ == "__main__":
    build(Path(sys.argv[1]), TARGET)
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes, identical to the published files")
