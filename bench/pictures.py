"""Picture files as one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from PIL.ImageFile import ImageFile

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L")
"""Pillow's names for grey of more than 8 bits."""


def files(folder: Path) -> list[Path]:
    """The picture files of a folder, by name; hidden ones are none.

    Raises `DataError` where it cannot be read.
    """
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}") from error
    return [path for path in found if path.suffix.lower() in SUFFIXES and path.name[0] != "."]


def read(paths: Sequence[Path]) -> torch.Tensor:
    """Pictures of one size as uint8 (N, C, H, W): one channel if all are grey, else three.

    Transparency is left out.  Raises `DataError`, naming the file, for one that is no picture, of
    another size than the first, or of more than 8 bits a channel.
    """
    import numpy as np
    import torch

    found = [_pixels(path) for path in paths]
    for path, pixels in zip(paths, found, strict=True):
        if pixels.shape[:2] != found[0].shape[:2]:
            raise DataError(
                f"{path}: {_size(pixels.shape)} pixels, but {paths[0].name} has "
                f"{_size(found[0].shape)}; expected pictures of one size"
            )
    if any(pixels.ndim == 3 for pixels in found):
        found = [p if p.ndim == 3 else np.repeat(p[:, :, None], 3, axis=2) for p in found]
        return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous()
    return torch.from_numpy(np.stack(found)).unsqueeze(1)


def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    """(H, W) of a grey picture, (H, W, 3) of a coloured one."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if _is_deep(picture):
                raise DataError(f"{path}: more than 8 bits a channel; expected uint8 pictures")
            if picture.mode in ("1", "L", "LA"):
                return np.asarray(picture.convert("L"))
            if "transparency" in picture.info:  # Pillow warns where a palette has it
                return np.asarray(picture.convert("RGBA").convert("RGB"))
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: no picture that can be read ({reason})") from error


def _is_deep(picture: ImageFile) -> bool:
    """Colours of 16 bits are opened as 8, and only what is still to be decoded tells."""
    return picture.mode in _DEEP or any(";16" in str(tile.args) for tile in picture.tile)


def _size(shape: Sequence[int]) -> str:
    return f"{shape[0]}×{shape[1]}"
