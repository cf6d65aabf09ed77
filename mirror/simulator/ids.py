"""Ids that need no memory: a frame's place can be read back from its id.

Ids look like random UUIDs (version 4). The first 60 bits are the scrambled place, the rest a tag
made with the seed, so that an id nobody handed out is recognised as unknown. Ten million frames
cost nothing to hold.
"""

from __future__ import annotations

import re
import uuid
from hashlib import blake2b

_PLACE_BITS = 60
_MODULUS = 1 << _PLACE_BITS
_FACTOR = 0x9E3779B97F4A7C5 | 1
_INVERSE = pow(_FACTOR, -1, _MODULUS)
_TAG_MASK = (1 << 62) - 1
_SHAPE = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-4([0-9a-f]{3})-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def plain_id(seed: int, name: str) -> str:
    """An id for something there is one of, by its name."""
    digest = blake2b(f"{seed} {name}".encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest, version=4))


class FrameIds:
    """The ids of a dataset's frames. At most 2**28 sequences of 2**32 frames."""

    def __init__(self, seed: int) -> None:
        self._key = blake2b(str(seed).encode(), digest_size=32).digest()
        self._mask = int.from_bytes(self._key[:8], "big") % _MODULUS

    def make(self, sequence: int, index: int) -> str:
        """The id of frame `index` of sequence `sequence`, both from 0."""
        place = ((sequence << 32 | index) * _FACTOR ^ self._mask) % _MODULUS
        tagged = blake2b(place.to_bytes(8, "big"), digest_size=8, key=self._key).digest()
        tag = int.from_bytes(tagged, "big") & _TAG_MASK | 2 << 62
        a, b = f"{place:015x}", f"{tag:016x}"
        return f"{a[:8]}-{a[8:12]}-4{a[12:]}-{b[:4]}-{b[4:]}"

    def place(self, frame_id: str) -> tuple[int, int] | None:
        """(sequence, index) of an id this seed made, else None."""
        shape = _SHAPE.fullmatch(frame_id)
        if shape is None:
            return None
        number = (int("".join(shape.groups()), 16) ^ self._mask) * _INVERSE % _MODULUS
        sequence, index = number >> 32, number & 0xFFFFFFFF
        return (sequence, index) if self.make(sequence, index) == frame_id else None
