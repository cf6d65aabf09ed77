"""Pictures: real PNGs of a wanted size, cheap to make, each one different.

A picture is a strip that carries the frame's number and a pattern of its id, above a tissue-like
background. Backgrounds are few and made once, with their IDAT chunks and checksums; a picture costs
its strip and one copy. Nothing is random: the same seed, id and version give the same bytes.
"""

from __future__ import annotations

import math
import random
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IDAT_BYTES = 8192
"""What libpng writes into one IDAT chunk."""
_BACKGROUNDS = 4
_STRIP_ROWS = 12
_DARK, _BRIGHT = bytes((24, 10, 12)) * 2, bytes((250, 236, 200)) * 2
_FONT = {
    "0": "111101101101111",
    "1": "010110010010111",
    "2": "111001111100111",
    "3": "111001111001111",
    "4": "101101111001001",
    "5": "111100111001111",
    "6": "111100111101111",
    "7": "111001010010010",
    "8": "111101111101111",
    "9": "111101111001111",
}
"""Three columns, five rows."""


@dataclass(frozen=True, slots=True)
class _Background:
    """`chunks`: whole IDAT chunks. `length` and `adler` are of the unfiltered rows they hold."""

    chunks: bytes
    length: int
    adler: int


class Painter:
    """Paints pictures of about `size` bytes, 8-bit RGB, 16:9."""

    def __init__(self, size: int, seed: int) -> None:
        pixels = max(32.0, size / 3)
        self.width = max(8, round(math.sqrt(pixels * 16 / 9)))
        self.height = max(4, round(pixels / self.width))
        self._strip_rows = min(_STRIP_ROWS, self.height // 2)
        self._seed = seed
        self._background = lru_cache(_BACKGROUNDS)(self._make_background)

    def paint(self, frame_id: str, number: int, version: int = 0) -> bytes:
        """The PNG of one frame; another `version` is another picture of the same size."""
        name = f"{frame_id} v{version}"
        digest = blake2b(name.encode(), digest_size=16).digest()
        background = self._background(digest[0] % _BACKGROUNDS)
        strip = self._strip(str(number), digest)
        packed = zlib.compressobj(level=0, wbits=-15)
        stream = b"\x78\x01" + packed.compress(strip) + packed.flush(zlib.Z_SYNC_FLUSH)
        adler = join_adler32(zlib.adler32(strip), background.adler, background.length)
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        return b"".join(
            (
                _SIGNATURE,
                _chunk(b"IHDR", header),
                _chunk(b"tEXt", b"Title\x00" + name.encode("latin-1", "replace")),
                _idat(stream),
                background.chunks,
                _chunk(b"IDAT", adler.to_bytes(4, "big")),
                _chunk(b"IEND", b""),
            )
        )

    def _strip(self, number: str, digest: bytes) -> bytes:
        code = f"{int.from_bytes(digest, 'big'):0128b}"
        glyphs = [_FONT[digit] for digit in number]
        lines = ["0" * self.width]
        for row in range(5):
            text = "0".join(glyph[3 * row : 3 * row + 3] for glyph in glyphs)
            lines += [f"0{text}000{code}"] * 2
        lines += ["0" * self.width] * (_STRIP_ROWS - len(lines))
        return b"".join(self._row(line) for line in lines[: self._strip_rows])

    def _row(self, bits: str) -> bytes:
        """One row, filter byte first; a bit is two pixels wide."""
        pixels = b"".join(_BRIGHT if bit == "1" else _DARK for bit in bits)
        return b"\x00" + pixels[: 3 * self.width].ljust(3 * self.width, b"\x18")

    def _make_background(self, kind: int) -> _Background:
        rng = random.Random(f"{self._seed} {kind}")  # noqa: S311 - a picture, not a secret
        wave = rng.uniform(20, 60)
        grain = rng.randbytes(3 * (self.width + 256))
        tissue = bytearray()
        for x in range(self.width + 256):
            light = math.sin(x / wave + kind)
            for base, swing, offset in ((170, 50, 0), (80, 40, 1), (70, 30, 2)):
                tissue.append(int(base + swing * light) + grain[3 * x + offset] % 16)
        shades = [bytes(min(255, v * level // 16) for v in range(256)) for level in range(8, 18)]
        height = self.height - self._strip_rows
        rows = []
        for y in range(height):
            start = 3 * int(128 + 120 * math.sin(y / wave + kind))
            row = bytes(tissue[start : start + 3 * self.width])
            rows.append(b"\x00" + row.translate(shades[y * len(shades) // height]))
        raw = b"".join(rows)
        packed = zlib.compressobj(level=0, wbits=-15)
        stream = packed.compress(raw) + packed.flush()
        return _Background(_idat(stream), len(raw), zlib.adler32(raw))


def join_adler32(first: int, second: int, length: int) -> int:
    """The Adler-32 of two joined pieces, from theirs and the length of the second.

    As `adler32_combine` in zlib, which Python does not offer.
    """
    base = 65521
    low, high = first & 0xFFFF, first >> 16
    rest = length % base
    joined_low = (low + (second & 0xFFFF) - 1) % base
    joined_high = (rest * low + high + (second >> 16) - rest) % base
    return joined_high << 16 | joined_low


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def _idat(stream: bytes) -> bytes:
    return b"".join(
        _chunk(b"IDAT", stream[at : at + _IDAT_BYTES]) for at in range(0, len(stream), _IDAT_BYTES)
    )
