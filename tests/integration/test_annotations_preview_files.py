"""Frames of every kind of PNG are opened; whatever is no frame is told."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image
from store_kit import chunk, png

from mirror.annotations.preview import pictures
from mirror.annotations.preview.pictures import UnreadableImageError, open_frame


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_png_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "f.png"
    Image.new(mode, (8, 6)).save(path)
    opened = open_frame(path)
    assert (opened.mode, opened.size) == ("RGB", (8, 6))


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "f.png"
    Image.new("I;16", (4, 4), 0x8000).save(path)
    assert open_frame(path).getpixel((1, 1)) == (128, 128, 128)


def header(width: int, height: int) -> bytes:
    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "read as a PNG"),
        (b"GIF89a" + bytes(40), "read as a PNG"),
        (png(side=200)[:-60], "read as a PNG"),
        (png()[:40], "read as a PNG"),
        (png().replace(b"IDAT", b"IDAX"), "read as a PNG"),
        (header(60_000, 60_000), "too many pixels"),
        (header(11_000, 10_000), "11000x10000 pixels"),
    ],
)
def test_what_is_no_frame_is_told(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "f.png"
    path.write_bytes(data)
    with pytest.raises(UnreadableImageError, match=why):
        open_frame(path)


def test_what_is_gone_or_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(UnreadableImageError, match="gone"):
            open_frame(path)


def test_a_picture_of_another_format_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "f.png"
    Image.new("RGB", (8, 8)).save(path, "JPEG")
    with pytest.raises(UnreadableImageError):
        open_frame(path)


def test_the_bound_is_on_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.png"
    Image.new("L", (10, 10)).save(path)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 99)
    with pytest.raises(UnreadableImageError, match="10x10"):
        open_frame(path)
