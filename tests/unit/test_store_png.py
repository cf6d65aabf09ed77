"""What counts as one whole PNG, and what the refusal says."""

from __future__ import annotations

import struct
import zlib

import pytest

from mirror.errors import NotPngError, TooLargeError
from mirror.store import PngChecker, PngInfo, check_png

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST = 10_000


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(  # noqa: PLR0917 - the fields of IHDR
    width: int = 3,
    height: int = 2,
    depth: int = 8,
    colour: int = 2,
    compression: int = 0,
    filtering: int = 0,
    interlace: int = 0,
) -> bytes:
    fields = (width, height, depth, colour, compression, filtering, interlace)
    return chunk(b"IHDR", struct.pack(">IIBBBBB", *fields))


IMAGE = chunk(b"IDAT", zlib.compress(bytes(20)))
END = chunk(b"IEND")
WHOLE = SIGNATURE + header() + IMAGE + END


def refusal(data: bytes) -> str:
    with pytest.raises(NotPngError) as caught:
        check_png([data], MOST)
    return caught.value.detail


def test_a_whole_png_tells_its_size() -> None:
    assert check_png([WHOLE], MOST) == PngInfo(3, 2)


def test_bytes_may_be_split_anywhere() -> None:
    for at in range(len(WHOLE) + 1):
        assert check_png([WHOLE[:at], b"", memoryview(WHOLE)[at:]], MOST) == PngInfo(3, 2)
    assert check_png([WHOLE[at : at + 1] for at in range(len(WHOLE))], MOST) == PngInfo(3, 2)


def test_the_real_shapes_pass() -> None:
    """Several IDAT, ancillary chunks before and after, a palette where it is allowed."""
    several = b"".join(chunk(b"IDAT", bytes([n]) * 50) for n in range(5))
    extras = chunk(b"tEXt", b"a\0b") + chunk(b"pHYs", bytes(9))
    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            head = header(depth=depth, colour=colour, interlace=1)
            check_png([SIGNATURE + head + extras + several + extras + END], MOST)
    palette = chunk(b"PLTE", bytes(6))
    check_png([SIGNATURE + header(colour=3, depth=4) + palette + extras + IMAGE + END], MOST)
    check_png([SIGNATURE + header() + palette + IMAGE + END], MOST)


def test_fault_19_every_truncation_is_found() -> None:
    for at in range(len(WHOLE)):
        with pytest.raises(NotPngError):
            check_png([WHOLE[:at]], MOST)
    assert refusal(WHOLE[:-1]) == f"It is no whole PNG: it ends early, at byte {len(WHOLE) - 1}."


def test_fault_34_every_flipped_bit_is_found() -> None:
    for at in range(len(WHOLE)):
        for bit in range(8):
            broken = bytearray(WHOLE)
            broken[at] ^= 1 << bit
            with pytest.raises(NotPngError):
                check_png([broken], MOST)


def test_the_refusal_names_the_damaged_chunk_and_the_byte() -> None:
    broken = bytearray(WHOLE)
    at = len(SIGNATURE) + len(header()) + 9
    broken[at] ^= 1
    checksum = len(SIGNATURE) + len(header()) + len(IMAGE) - 4
    message = f"It is no whole PNG: the checksum of its IDAT chunk is wrong, at byte {checksum}."
    assert refusal(bytes(broken)) == message


def test_fault_22_bytes_after_the_end_are_refused() -> None:
    assert refusal(WHOLE + b"x") == (
        f"It is no whole PNG: bytes follow the end of the image, at byte {len(WHOLE)}."
    )
    checker = PngChecker(MOST)
    checker.feed(WHOLE)
    with pytest.raises(NotPngError, match="bytes follow"):
        checker.feed(b"\0")


@pytest.mark.parametrize(
    "data",
    [b"<?xml version='1.0'?><Error/>", b"<html>", b"\xff\xd8\xff\xe0 a jpeg, not a png at all"],
)
def test_fault_33_something_else_is_no_png(data: bytes) -> None:
    assert refusal(data) == "It is no PNG: the signature at byte 0 is wrong."


def test_fault_37_nothing_is_no_png() -> None:
    assert refusal(b"") == "It is empty."


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (SIGNATURE + IMAGE + END, "IHDR must be the first chunk"),
        (SIGNATURE + header() + header() + IMAGE + END, "IHDR must be the first chunk"),
        (SIGNATURE + chunk(b"IHDR", bytes(12)) + IMAGE + END, "IHDR has a wrong length"),
        (SIGNATURE + header() + END, "no image data"),
        (SIGNATURE + header() + chunk(b"IDAT") + END, "no image data"),
        (SIGNATURE + header() + IMAGE + chunk(b"tEXt") + IMAGE + END, "not consecutive"),
        (SIGNATURE + header() + chunk(b"IDAT") + chunk(b"tEXt") + IMAGE + END, "not consecutive"),
        (SIGNATURE + header() + IMAGE + chunk(b"IEND", b"x"), "IEND is not empty"),
        (SIGNATURE + header(colour=3) + IMAGE + END, "the palette is missing"),
        (SIGNATURE + header(colour=0) + chunk(b"PLTE", bytes(3)) + IMAGE + END, "may not stand"),
        (SIGNATURE + header() + chunk(b"PLTE", bytes(4)) + IMAGE + END, "PLTE has a wrong length"),
        (SIGNATURE + header() + chunk(b"PLTE") + IMAGE + END, "PLTE has a wrong length"),
        (SIGNATURE + header() + IMAGE + chunk(b"PLTE", bytes(3)) + END, "may not stand"),
        (SIGNATURE + header() + 2 * chunk(b"PLTE", bytes(3)) + IMAGE + END, "may not stand"),
        (SIGNATURE + header() + chunk(b"NEWS") + IMAGE + END, "unknown critical chunk"),
        (SIGNATURE + header() + chunk(b"1DAT") + END, "no chunk starts"),
        (SIGNATURE + header() + b"\xff\xff\xff\xffIDAT", "no chunk starts"),
        (SIGNATURE + header(depth=4) + IMAGE + END, "bit depth 4 with colour type 2"),
        (SIGNATURE + header(colour=5) + IMAGE + END, "bit depth 8 with colour type 5"),
        (SIGNATURE + header(compression=1) + IMAGE + END, "method is unknown"),
        (SIGNATURE + header(filtering=1) + IMAGE + END, "method is unknown"),
        (SIGNATURE + header(interlace=2) + IMAGE + END, "method is unknown"),
        (SIGNATURE + header(width=0) + IMAGE + END, "0 x 2 pixels"),
        (SIGNATURE + header(height=0) + IMAGE + END, "3 x 0 pixels"),
    ],
)
def test_the_structure_is_held_against_the_specification(data: bytes, why: str) -> None:
    assert why in refusal(data)


@pytest.mark.parametrize(("width", "height"), [(2**31 - 1, 1), (1, 70_000), (60_000, 60_000)])
def test_attack_18_a_png_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    assert f"{width} x {height} pixels are not allowed" in refusal(
        SIGNATURE + header(width, height) + IMAGE + END
    )


def test_attack_17_image_data_is_never_decompressed() -> None:
    """What a decoder would choke on passes: only structure and checksums are looked at."""
    assert check_png([SIGNATURE + header() + chunk(b"IDAT", b"no deflate") + END], MOST)


def test_the_byte_cap_holds_whatever_is_announced() -> None:
    with pytest.raises(TooLargeError, match="larger than 20 bytes"):
        check_png([WHOLE[:15], WHOLE[15:]], 20)
    assert check_png([WHOLE], len(WHOLE))
