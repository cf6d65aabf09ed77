"""Runs of IDAT chunks, which have a loop of their own: the verdict and its words are the same
however the data is split, and whatever is wrong with it."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirror.errors import FrameError
from mirror.store import PngInfo, check_png

MOST = 100_000
SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = struct.pack(">IIBBBBB", 7, 5, 8, 6, 0, 0, 0)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def image(parts: Iterable[bytes]) -> bytes:
    middle = b"".join(chunk(b"IDAT", part) for part in parts)
    return SIGNATURE + chunk(b"IHDR", HEADER) + middle + chunk(b"IEND", b"")


def verdict(pieces: Iterable[bytes | memoryview]) -> PngInfo | tuple[type[FrameError], str]:
    try:
        return check_png(pieces, MOST)
    except FrameError as error:
        return type(error), str(error)


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def cut_at(data: bytes, cuts: Iterable[int]) -> list[memoryview]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    view = memoryview(data)
    return [view[start:end] for start, end in itertools.pairwise(edges)]


def agree(data: bytes, cuts: Iterable[int] = ()) -> PngInfo | tuple[type[FrameError], str]:
    """The one verdict on `data`: by the loop, which takes whole chunks, and past it."""
    whole = verdict([data])
    assert whole == verdict(byte_by_byte(data))
    assert whole == verdict(cut_at(data, cuts))
    return whole


runs = st.lists(st.binary(max_size=40), min_size=1, max_size=8)
cuts = st.lists(st.integers(0, 10_000), max_size=6)


@given(runs, cuts)
@example([b"", b"x", b"", b"", b"y", b""], [])
def test_a_whole_run_passes_however_it_is_split(parts: list[bytes], at: list[int]) -> None:
    """Zero bytes are a chunk, too; image data there must be."""
    found = agree(image(parts), at)
    if any(parts):
        assert found == PngInfo(7, 5)
    else:
        assert isinstance(found, tuple)
        assert "there is no image data" in found[1]


@given(runs, cuts, st.integers(0, 10_000), st.integers(1, 255))
def test_damage_anywhere_is_found_and_told_alike(
    parts: list[bytes], at: list[int], where: int, change: int
) -> None:
    data = bytearray(image(parts))
    data[where % len(data)] ^= change
    assert isinstance(agree(bytes(data), at), tuple)


def test_damage_to_each_byte_of_a_run_is_found_and_told_alike() -> None:
    data = image([b"first", b"", b"middle", b"last"])
    told = set()
    for where in range(len(data)):
        broken = bytearray(data)
        broken[where] ^= 0x81
        found = agree(bytes(broken), [where, where + 1])
        assert isinstance(found, tuple), where
        told.add(found[1].partition(", at byte")[0])
    assert len(told) >= 5, "of many kinds"


@given(runs, cuts, st.integers(0, 10_000))
def test_an_end_anywhere_is_told_alike(parts: list[bytes], at: list[int], end: int) -> None:
    data = image(parts)
    assert isinstance(agree(data[: end % len(data)], at), tuple)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"IDAT", b"IDAT", b"IDAT", b"tEXt", b"IEND", b"IDAt", b"ID\0T"]),
            st.binary(max_size=20),
            st.sampled_from([0, 0, 0, 0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1]),
            st.sampled_from([0, 0, 0, 0, 1]),
        ),
        max_size=8,
    ),
    cuts,
)
def test_any_chunks_with_any_lengths_and_checksums_are_judged_alike(
    chunks: list[tuple[bytes, bytes, int, int]], at: list[int]
) -> None:
    data = SIGNATURE + chunk(b"IHDR", HEADER)
    for kind, content, length, wrong in chunks:
        said = (len(content) + length) % 2**32
        crc = zlib.crc32(kind + content) ^ wrong
        data += struct.pack(">I", said) + kind + content + struct.pack(">I", crc)
    agree(data + chunk(b"IEND", b""), at)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["first", "middle", "last"])
def test_a_wrong_checksum_is_told_with_its_place(which: int) -> None:
    parts = [b"a" * 9000, b"b" * 9000, b"c" * 9000]
    data = bytearray(image(parts))
    crc = len(SIGNATURE) + 12 + len(HEADER) + (which + 1) * 9012 - 4
    data[crc] ^= 1
    found = agree(bytes(data), [8192, 16384])
    assert isinstance(found, tuple)
    assert f"the checksum of its IDAT chunk is wrong, at byte {crc}." in found[1]


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("length", [2**31, 2**32 - 1])
def test_a_length_beyond_all_is_told_with_its_place(which: int, length: int) -> None:
    parts = [b"a" * 100, b"b" * 100, b"c" * 100]
    data = bytearray(image(parts))
    start = len(SIGNATURE) + 12 + len(HEADER) + which * 112
    data[start : start + 4] = struct.pack(">I", length)
    found = agree(bytes(data))
    assert isinstance(found, tuple)
    assert found[1].endswith(f"no chunk starts, at byte {start}.")


def test_a_length_that_reaches_beyond_the_end_is_an_early_end() -> None:
    data = bytearray(image([b"a" * 100, b"b" * 100]))
    start = len(SIGNATURE) + 12 + len(HEADER) + 112
    data[start : start + 4] = struct.pack(">I", 2**31 - 1)
    found = agree(bytes(data))
    assert isinstance(found, tuple)
    assert found[1].endswith(f"it ends early, at byte {len(data)}.")
