"""Whether bytes are one whole, undamaged PNG: structure and checksums, without decoding.

Invariants: nothing is ever decompressed, so a bomb costs no more than its bytes; memory does not
grow with the image; bytes may be split anywhere. Whether the pixels make sense is not asked here.
Source of the rules: the PNG specification, third edition, sections 5 and 11.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple
from zlib import crc32

from mirror.errors import NotPngError, TooLargeError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_SIDE = 65_535
"""Pixels. A larger image is refused unseen: nothing could open it safely."""
MAX_PIXELS = 2**28
_MAX_CHUNK = 2**31 - 1
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bit depths allowed for each colour type (table 11.1)."""
_KEPT = 5 * 1024
"""Bytes for which zlib keeps the interpreter's lock."""
_COMMON = 8 * _KEPT
"""To give the lock up and wait for it again costs more than the checksum of as many bytes."""
_PALETTE = 3
_IMAGE = b"IDAT"
_IMAGE_CRC = crc32(_IMAGE)
"""Of the chunk's type, with which its checksum begins."""
_GREYS = (0, 4)
_HEAD = struct.Struct(">I4s")
_TAIL_AND_HEAD = struct.Struct(">II4s")
_TAIL = struct.Struct(">I")
_IHDR = struct.Struct(">IIBBBBB")


class PngInfo(NamedTuple):
    """The image's size in pixels."""

    width: int
    height: int


class _Expect(Enum):
    """What the next bytes are."""

    SIGNATURE = auto()
    DATA = auto()
    TAIL_AND_HEAD = auto()
    TAIL = auto()
    NOTHING = auto()


class PngChecker:
    """Fed a body bit by bit; raises `NotPngError` at the first byte that can't be right."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._seen = 0
        self._expect = _Expect.SIGNATURE
        self._need = len(SIGNATURE) + _HEAD.size
        self._held = bytearray()
        self._crc = 0
        self._type = b""
        self._colour = -1
        self._info: PngInfo | None = None
        self._palette = False
        self._image = 0
        self._image_begun = self._image_closed = False

    def __repr__(self) -> str:
        return f"<PngChecker {self._expect.name} at byte {self._seen}>"

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. Raises `NotPngError`, or `TooLargeError` beyond the cap."""
        view = memoryview(data)
        end = len(view)
        if self._seen + end > self._max_bytes:
            raise TooLargeError(f"It is larger than {self._max_bytes} bytes, the most allowed.")
        at = 0
        while at < end:
            if self._expect is _Expect.DATA and self._type == _IMAGE:
                at = self._pass_image(view, at)
            take = min(self._need, end - at)
            part = view[at : at + take]
            at += take
            self._seen += take
            self._need -= take
            if self._expect is _Expect.DATA:
                self._crc = _checksum(part, self._crc)
                if self._type == b"IHDR":
                    self._held += part
            elif self._expect is _Expect.NOTHING:
                raise self._wrong("bytes follow the end of the image", back=take)
            elif self._need or self._held:
                self._held += part
            if not self._need:
                self._step(self._held or part)

    def _pass_image(self, view: memoryview, at: int) -> int:
        """Pass IDAT chunks that are whole, right, and followed by another: encoders make hundreds
        of 8 KiB. Where the first that is not begins; `feed` acts on that one."""
        first, need, crc = at, self._need, self._crc
        last = len(view) - _TAIL_AND_HEAD.size
        while at + need <= last:
            found, length, kind = _TAIL_AND_HEAD.unpack_from(view, at + need)
            if kind != _IMAGE or not 0 < length <= _MAX_CHUNK:
                break
            if found != _checksum(view[at : at + need], crc):
                break
            at += need + _TAIL_AND_HEAD.size
            self._image += length
            need, crc = length, _IMAGE_CRC
        self._seen += at - first
        self._need, self._crc = need, crc
        return at

    def finish(self) -> PngInfo:
        """The image's size, now that everything was fed. Raises `NotPngError`."""
        if not self._seen:
            raise NotPngError("It is empty.")
        if self._expect is _Expect.SIGNATURE and not SIGNATURE.startswith(self._held[:8]):
            raise NotPngError("It is no PNG: the signature at byte 0 is wrong.")
        if self._expect is not _Expect.NOTHING or self._info is None:
            raise NotPngError(f"It is no whole PNG: it ends early, at byte {self._seen}.")
        return self._info

    def _step(self, piece: bytearray | memoryview) -> None:
        """Act on a complete piece, and say what comes next."""
        if self._expect is _Expect.DATA:
            if self._type == b"IHDR":
                self._read_header(bytes(piece))
            self._held = bytearray()
            self._after_data()
            return
        if self._expect is _Expect.SIGNATURE:
            if bytes(piece[: len(SIGNATURE)]) != SIGNATURE:
                raise NotPngError("It is no PNG: the signature at byte 0 is wrong.")
            length, kind = _HEAD.unpack_from(piece, len(SIGNATURE))
        elif self._expect is _Expect.TAIL_AND_HEAD:
            crc, length, kind = _TAIL_AND_HEAD.unpack(piece)
            self._check_crc(crc, back=_TAIL_AND_HEAD.size)
        else:
            (crc,) = _TAIL.unpack(piece)
            self._check_crc(crc, back=_TAIL.size)
            self._held = bytearray()
            # whatever still comes is taken in one piece, and refused
            self._expect, self._need = _Expect.NOTHING, self._max_bytes
            return
        self._held = bytearray()
        self._begin_chunk(length, kind)

    def _begin_chunk(self, length: int, kind: bytes) -> None:
        if length > _MAX_CHUNK or not kind.isalpha():
            raise self._wrong("no chunk starts", back=_HEAD.size)
        first = self._info is None
        if first != (kind == b"IHDR"):
            raise self._wrong("IHDR must be the first chunk, and the only one", back=_HEAD.size)
        problem = self._misplaced(length, kind)
        if problem:
            raise self._wrong(problem, back=_HEAD.size)
        self._type = kind
        self._crc = crc32(kind)
        self._expect, self._need = _Expect.DATA, length
        if kind == _IMAGE:
            self._image_begun = True
            self._image += length
        else:
            self._image_closed = self._image_begun
        if not length:
            self._after_data()

    def _misplaced(self, length: int, kind: bytes) -> str | None:
        """Why this chunk may not stand here, or None."""
        if kind == _IMAGE:
            return self._misplaced_image()
        if kind == b"PLTE":
            return self._misplaced_palette(length)
        problem = None
        if kind == b"IEND":
            if length:
                problem = "IEND is not empty"
            elif not self._image:
                problem = "there is no image data before IEND"
        elif kind == b"IHDR":
            problem = None if length == _IHDR.size else "IHDR has a wrong length"
        elif kind[:1].isupper():
            problem = "an unknown critical chunk starts"
        return problem

    def _misplaced_image(self) -> str | None:
        if self._image_closed:
            return "the IDAT chunks are not consecutive"
        if self._colour == _PALETTE and not self._palette:
            return "the palette is missing"
        return None

    def _misplaced_palette(self, length: int) -> str | None:
        if self._palette or self._image_begun or self._colour in _GREYS:
            return "a palette may not stand here"
        self._palette = True
        return None if 0 < length <= 768 and length % 3 == 0 else "PLTE has a wrong length"

    def _after_data(self) -> None:
        if self._type == b"IEND":
            self._expect, self._need = _Expect.TAIL, _TAIL.size
        else:
            self._expect, self._need = _Expect.TAIL_AND_HEAD, _TAIL_AND_HEAD.size

    def _read_header(self, data: bytes) -> None:
        width, height, depth, colour, compression, filtering, interlace = _IHDR.unpack(data)
        if depth not in _DEPTHS.get(colour, ()):
            raise self._wrong(f"bit depth {depth} with colour type {colour} does not exist", back=5)
        if compression or filtering or interlace > 1:
            raise self._wrong("compression, filter or interlace method is unknown", back=3)
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
            raise self._wrong(f"{width} x {height} pixels are not allowed", back=_IHDR.size)
        self._colour = colour
        self._info = PngInfo(width, height)

    def _check_crc(self, crc: int, *, back: int) -> None:
        if crc != self._crc:
            kind = self._type.decode("ascii")
            raise self._wrong(f"the checksum of its {kind} chunk is wrong", back=back)

    def _wrong(self, problem: str, *, back: int) -> NotPngError:
        return NotPngError(f"It is no whole PNG: {problem}, at byte {self._seen - back}.")


def _checksum(part: memoryview, crc: int) -> int:
    if len(part) > _COMMON:
        return crc32(part, crc)
    for at in range(0, len(part), _KEPT):
        crc = crc32(part[at : at + _KEPT], crc)
    return crc


def check_png(chunks: Iterable[bytes | memoryview], max_bytes: int) -> PngInfo:
    """The size of the one whole PNG that `chunks` make up.

    Raises `NotPngError`, which says what is wrong and at which byte, or `TooLargeError`.
    """
    checker = PngChecker(max_bytes)
    for chunk in chunks:
        checker.feed(chunk)
    return checker.finish()
