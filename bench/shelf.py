"""What was computed once and would be computed again: tensors on disk, under all that determines
them.

An entry is one file, written whole and put in place by one rename, so that runs which start
together share it; a lock keeps a second one from computing the same meanwhile.  Nothing on a shelf
is ever wrong, only missing: a key that holds every ingredient cannot go stale, and a file that
cannot be read is made anew.  The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows: two runs may then compute the same, and the last one's file stays
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from torch import Tensor

Tensors = dict[str, "Tensor"]
Key = Mapping[str, str | int | float | None]


def cache_folder() -> Path | None:
    """`$BENCH_CACHE`, else `bench` in the user's cache folder; None where there is no home."""
    if given := os.environ.get("BENCH_CACHE"):
        return Path(os.path.expanduser(given))
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return home / "bench"


def digest(key: Key) -> str:
    """What a key is known by, a file's name: 32 hexadecimal digits."""
    canonical = json.dumps(dict(key), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


class Shelf:
    """A folder of tensors, each entry known by its key."""

    def __init__(self, folder: Path | None) -> None:
        """None: nothing is kept, and everything computed anew."""
        self._folder = folder

    def take(self, key: Key, make: Callable[[], Tensors]) -> Tensors:
        """What lies under the key; made, and kept if the disk allows it, where nothing does."""
        if self._folder is None:
            return make()
        path = self._folder / f"{digest(key)}.safetensors"
        found = _read(path)
        if found is not None:
            return found
        with self._locked(path):
            found = _read(path)
            if found is None:
                found = make()
                _write(path, found)
        return found

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Nobody else makes this entry meanwhile; where nothing can be written, nobody is asked."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.with_suffix(".lock").open("wb")
        except OSError:
            yield
            return
        with file:  # the system takes the lock away with the file, however the process ends
            if fcntl is not None:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _read(path: Path) -> Tensors | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
            stated = (file.metadata() or {}).get("crc32")
    except (OSError, SafetensorError):
        return None
    return found if stated == _checksum(found) else None


def _write(path: Path, tensors: Tensors) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    staged = path.with_name(f".{path.name}.{os.getpid()}")
    whole = {name: value.contiguous() for name, value in tensors.items()}
    with suppress(OSError, SafetensorError):  # a full disk costs time, never a result
        try:
            save_file(whole, staged, {"crc32": _checksum(whole)})
            with staged.open("rb+") as file:
                os.fsync(file.fileno())  # else the rename may outrun what it puts in place
            staged.chmod(0o666 & ~_umask())  # the library keeps it from everybody else
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)


def _umask() -> int:
    """What the user takes from a new file's permissions; it can only be read by setting it."""
    found = os.umask(0o022)
    os.umask(found)
    return found


def _checksum(tensors: Tensors) -> str:
    """CRC-32 over names, types, shapes and values, which the format itself does not protect."""
    import torch

    value = 0
    for name, tensor in sorted(tensors.items()):
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        value = zlib.crc32(tensor.flatten().view(torch.uint8).numpy().data, value)
    return f"{value:08x}"
