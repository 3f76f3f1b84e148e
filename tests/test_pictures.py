"""Picture files as one tensor: every mode that Pillow opens, and what is refused."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from bench import pictures
from bench.errors import DataError


def png(path, depth, colour, raw):
    """A PNG of 1 × 1 pixel, written by hand: Pillow writes no colours of 16 bits."""

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" + raw))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b""))


def test_files_are_sorted_by_name_and_what_is_no_picture_is_left_out(tmp_path):
    for name in ("10.png", "2.PNG", "1.jpeg", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in pictures.files(tmp_path)] == ["1.jpeg", "10.png", "2.PNG"]


def test_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: No such file or directory"):
        pictures.files(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, [255]),
        ("L", 7, [7]),
        ("LA", (7, 100), [7]),
        ("P", 3, [30, 31, 32]),
        ("RGB", (1, 2, 3), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 0), [1, 2, 3]),
    ],
)
def test_every_mode_is_grey_or_colour_and_no_transparency(tmp_path, mode, colour, expected):
    picture = Image.new(mode, (4, 2), colour)
    if mode == "P":
        picture.putpalette([10 * (k // 3) + k % 3 for k in range(30)])
        picture.info["transparency"] = bytes(range(10))  # of which Pillow warns
    picture.save(tmp_path / "a.png")
    found = pictures.read([tmp_path / "a.png"])
    assert found.dtype == torch.uint8
    assert found.shape == (1, len(expected), 2, 4)
    assert found[0, :, 1, 3].tolist() == expected


def test_one_picture_in_colour_makes_all_of_them_colour(tmp_path):
    Image.new("L", (2, 2), 9).save(tmp_path / "a.png")
    Image.new("RGB", (2, 2), (1, 2, 3)).save(tmp_path / "b.png")
    found = pictures.read(pictures.files(tmp_path))
    assert found[:, :, 0, 0].tolist() == [[9, 9, 9], [1, 2, 3]]


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_pictures_of_16_bits_are_refused_and_not_cut_to_8(tmp_path, colour, channels):
    png(tmp_path / "deep.png", 8, colour, bytes(range(channels)))
    assert pictures.read([tmp_path / "deep.png"]).shape[2:] == (1, 1)
    png(tmp_path / "deep.png", 16, colour, bytes(range(2 * channels)))
    with pytest.raises(DataError, match=r"deep.png: more than 8 bits a channel"):
        pictures.read([tmp_path / "deep.png"])


def test_pictures_of_two_sizes_are_refused_with_both(tmp_path):
    Image.new("L", (4, 2)).save(tmp_path / "a.png")
    Image.new("L", (4, 3)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b.png: 3×4 pixels, but a.png has 2×4; expected"):
        pictures.read(pictures.files(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n and no more", None])
def test_file_that_is_no_picture_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "a.png"
    if content is None:  # cut short
        Image.fromarray(np.arange(10_000, dtype=np.uint8).reshape(100, 100)).save(path)
        content = path.read_bytes()[:100]
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png: no picture that can be read") as caught:
        pictures.read([path])
    assert "\n" not in str(caught.value)
