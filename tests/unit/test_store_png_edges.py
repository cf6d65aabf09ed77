"""The edges of the PNG check: each refusal whole, with its byte, and what just still passes."""

from __future__ import annotations

import struct
import zlib

import pytest

from mirror.errors import NotPngError, TooLargeError
from mirror.store import PngChecker, PngInfo, check_png

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST = 100_000


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int = 3, height: int = 2, colour: int = 2, *rest: int) -> bytes:
    depth, *methods = rest or (8, 0, 0, 0)
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *methods))


HEAD = SIGNATURE + header()
IMAGE = chunk(b"IDAT", b"image")
END = chunk(b"IEND")


@pytest.mark.parametrize(
    ("data", "why", "byte"),
    [
        (SIGNATURE + IMAGE, "IHDR must be the first chunk, and the only one", 8),
        (HEAD + header(), "IHDR must be the first chunk, and the only one", 33),
        (SIGNATURE + chunk(b"IHDR", bytes(14)), "IHDR has a wrong length", 8),
        (
            SIGNATURE + header(3, 2, 2, 4, 0, 0, 0),
            "bit depth 4 with colour type 2 does not exist",
            24,
        ),
        (
            SIGNATURE + header(3, 2, 2, 8, 0, 0, 2),
            "compression, filter or interlace method is unknown",
            26,
        ),
        (SIGNATURE + header(0, 2), "0 x 2 pixels are not allowed", 16),
        (SIGNATURE + header(65_536, 1), "65536 x 1 pixels are not allowed", 16),
        (SIGNATURE + header(1, 65_536), "1 x 65536 pixels are not allowed", 16),
        (SIGNATURE + header(16_385, 16_384), "16385 x 16384 pixels are not allowed", 16),
        (HEAD + chunk(b"IEND", b"x"), "IEND is not empty", 33),
        (HEAD + END, "there is no image data before IEND", 33),
        (HEAD + chunk(b"IDAT") + END, "there is no image data before IEND", 45),
        (HEAD + chunk(b"ABCD"), "an unknown critical chunk starts", 33),
        (HEAD + chunk(b"AbCD"), "an unknown critical chunk starts", 33),
        (HEAD + chunk(b"1bCD"), "no chunk starts", 33),
        (HEAD + b"\x80\0\0\0tEXt", "no chunk starts", 33),
        (HEAD + IMAGE + chunk(b"tEXt") + IMAGE, "the IDAT chunks are not consecutive", 62),
        (SIGNATURE + header(3, 2, 3) + IMAGE, "the palette is missing", 33),
        (
            SIGNATURE + header(3, 2, 0) + chunk(b"PLTE", bytes(3)),
            "a palette may not stand here",
            33,
        ),
        (HEAD + IMAGE + chunk(b"PLTE", bytes(3)), "a palette may not stand here", 50),
        (HEAD + chunk(b"PLTE", bytes(3)) * 2, "a palette may not stand here", 48),
        (HEAD + chunk(b"PLTE"), "PLTE has a wrong length", 33),
        (HEAD + chunk(b"PLTE", bytes(4)), "PLTE has a wrong length", 33),
        (HEAD + chunk(b"PLTE", bytes(771)), "PLTE has a wrong length", 33),
        (HEAD + IMAGE + END[:-1] + b"x", "the checksum of its IEND chunk is wrong", 58),
    ],
)
def test_each_refusal_says_what_is_wrong_and_at_which_byte(
    data: bytes, why: str, byte: int
) -> None:
    for parts in ([data], [data[at : at + 1] for at in range(len(data))]):
        with pytest.raises(NotPngError) as caught:
            check_png(parts, MOST)
        assert str(caught.value) == f"It is no whole PNG: {why}, at byte {byte}."


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (SIGNATURE + header(65_535, 1) + IMAGE, (65_535, 1)),
        (SIGNATURE + header(1, 65_535) + IMAGE, (1, 65_535)),
        (SIGNATURE + header(16_384, 16_384) + IMAGE, (16_384, 16_384)),
        (HEAD + chunk(b"PLTE", bytes(768)) + IMAGE, (3, 2)),
        (HEAD + chunk(b"PLTE", bytes(3)) + IMAGE, (3, 2)),
        (HEAD + chunk(b"IDAT") + IMAGE + chunk(b"IDAT"), (3, 2)),
        (HEAD + IMAGE + chunk(b"aBCD", b"x" * 10) + chunk(b"tEXt"), (3, 2)),
    ],
)
def test_what_just_still_passes(image: bytes, size: tuple[int, int]) -> None:
    assert check_png([image + END], MOST) == PngInfo(*size)


def test_the_longest_chunk_that_may_begin() -> None:
    checker = PngChecker(MOST)
    checker.feed(HEAD + b"\x7f\xff\xff\xfftEXt")
    with pytest.raises(NotPngError, match="it ends early, at byte 41"):
        checker.finish()


def test_a_beginning_that_is_a_signatures_is_only_too_short() -> None:
    for data in (SIGNATURE[:5], SIGNATURE + b"\0\0\0"):
        with pytest.raises(NotPngError) as caught:
            check_png([data], MOST)
        assert str(caught.value) == (f"It is no whole PNG: it ends early, at byte {len(data)}.")


def test_fault_22_the_cap_is_the_last_byte_that_passes() -> None:
    whole = HEAD + IMAGE + END
    assert check_png([whole], len(whole)) == PngInfo(3, 2)
    with pytest.raises(TooLargeError) as caught:
        check_png([whole[:20], whole[20:]], len(whole) - 1)
    assert str(caught.value) == f"It is larger than {len(whole) - 1} bytes, the most allowed."


def test_a_checker_shows_where_it_is() -> None:
    checker = PngChecker(MOST)
    assert repr(checker) == "<PngChecker SIGNATURE at byte 0>"
    checker.feed(HEAD)
    assert repr(checker) == "<PngChecker TAIL_AND_HEAD at byte 33>"
