"""The PNG check, whatever arrives however split."""

from __future__ import annotations

import itertools
import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st

from mirror.errors import NotPngError, TooLargeError
from mirror.store import PngInfo, check_png

MOST = 100_000


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@st.composite
def whole(draw: st.DrawFn) -> tuple[bytes, PngInfo]:
    width, height = draw(st.integers(1, 5000)), draw(st.integers(1, 5000))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    image = draw(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5))
    notes = draw(st.lists(st.binary(max_size=50), max_size=3))
    data = b"\x89PNG\r\n\x1a\n" + head
    data += b"".join(chunk(b"tEXt", note) for note in notes)
    data += b"".join(chunk(b"IDAT", part) for part in image) + chunk(b"IEND", b"")
    return data, PngInfo(width, height)


cuts = st.lists(st.integers(0, 10_000), max_size=10)


@given(whole(), cuts)
def test_a_whole_png_passes_however_it_is_split(
    image: tuple[bytes, PngInfo], at: list[int]
) -> None:
    data, size = image
    assert check_png(pieces(data, at), MOST) == size


@given(whole(), cuts, st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_never_passes(
    image: tuple[bytes, PngInfo], at: list[int], where: int, change: int
) -> None:
    broken = bytearray(image[0])
    broken[where % len(broken)] ^= change
    try:
        check_png(pieces(bytes(broken), at), MOST)
    except NotPngError:
        return
    raise AssertionError("a damaged image passed")


@given(st.binary(max_size=200), st.booleans(), cuts)
def test_noise_is_refused_and_nothing_else_is_raised(
    noise: bytes, signed: bool, at: list[int]
) -> None:
    data = (b"\x89PNG\r\n\x1a\n" if signed else b"") + noise
    try:
        check_png(pieces(data, at), 150)
    except (NotPngError, TooLargeError):
        return
    raise AssertionError("noise passed")
