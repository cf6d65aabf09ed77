"""The simulator's pictures, read by a decoder of this file's own."""

from __future__ import annotations

import struct
import zlib

import pytest

from mirror.simulator.png import Painter, join_adler32


def chunks_of(png: bytes) -> list[tuple[bytes, bytes]]:
    """Every chunk, its CRC checked; fails on a byte too few or too many."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", png, at + 8 + length)
        assert crc == zlib.crc32(kind + data)
        found.append((kind, data))
        at += 12 + length
    assert at == len(png)
    return found


def pixels_of(png: bytes) -> tuple[int, int, bytes]:
    """Width, height, raw rows; the zlib stream ends exactly where the last IDAT does."""
    found = chunks_of(png)
    assert found[0][0] == b"IHDR"
    assert found[-1] == (b"IEND", b"")
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", found[0][1])
    assert (depth, colour, rest) == (8, 2, [0, 0, 0])
    stream = b"".join(data for kind, data in found if kind == b"IDAT")
    unpacker = zlib.decompressobj()
    rows = unpacker.decompress(stream)
    assert unpacker.eof
    assert unpacker.unused_data == b""
    assert len(rows) == height * (1 + 3 * width)
    assert set(rows[:: 1 + 3 * width]) == {0}
    return width, height, rows


@pytest.mark.parametrize("size", [300, 1_000, 40_000, 88_000, 700_000])
def test_a_picture_is_a_whole_png_of_about_the_wanted_size(size: int) -> None:
    png = Painter(size, seed=1).paint("frame", 12)
    pixels_of(png)
    assert abs(len(png) - size) < 0.05 * size + 300


def test_a_picture_has_many_idat_chunks_as_libpng_writes_them() -> None:
    lengths = [
        len(data) for kind, data in chunks_of(Painter(88_000, 1).paint("f", 0)) if kind == b"IDAT"
    ]
    assert len(lengths) > 10
    assert max(lengths) == 8192


def test_the_same_frame_is_always_the_same_bytes() -> None:
    assert Painter(5_000, 1).paint("f", 3) == Painter(5_000, 1).paint("f", 3)


def test_frames_versions_and_seeds_differ_in_their_pixels() -> None:
    painter = Painter(5_000, 1)
    pictures = [
        painter.paint("a", 3),
        painter.paint("b", 3),
        painter.paint("a", 4),
        painter.paint("a", 3, version=2),
        Painter(5_000, 2).paint("a", 3),
    ]
    assert len({pixels_of(png)[2] for png in pictures}) == len(pictures)


def test_the_number_is_drawn_on_the_strip() -> None:
    width, _, rows = pixels_of(Painter(40_000, 1).paint("f", 1))
    stride = 1 + 3 * width
    bright = [
        "".join("#" if rows[y * stride + 1 + 6 * x] > 200 else "." for x in range(1, 4))
        for y in range(1, 11, 2)
    ]
    assert bright == [".#.", "##.", ".#.", ".#.", "###"]


@pytest.mark.parametrize(
    ("first", "second"), [(b"", b"x"), (b"abc", b""), (b"a" * 70_000, b"b" * 99)]
)
def test_joined_checksums_equal_the_checksum_of_the_whole(first: bytes, second: bytes) -> None:
    joined = join_adler32(zlib.adler32(first), zlib.adler32(second), len(second))
    assert joined == zlib.adler32(first + second)
