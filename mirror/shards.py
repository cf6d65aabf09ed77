"""Which frames are a shard's: a stable hash of a frame's name, the same on every machine for ever.

What a shard keeps at the destination is in `store/`, who runs one in `sync/`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b

from mirror.frames import FrameRef

MOST = 4096
"""Shards that one set of frames may be cut into."""
_DIGITS = re.compile(r"[0-9]{1,9}")
_SLASHED = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_NAMED = re.compile(r"([0-9]{1,9})-of-([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Shard:
    """The shard `index` of `count`, counted from 0."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.index}-of-{self.count}"

    def holds(self, ref: FrameRef) -> bool:
        """Whether the frame is this shard's."""
        return shard_of(*ref, self.count) == self.index

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that `I/N` means. Raises `ValueError` saying what is allowed."""
        found = _SLASHED.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no shard: I/N is allowed, such as 0/4")
        return checked(int(found[1]), int(found[2]))

    @classmethod
    def named(cls, name: str) -> Shard | None:
        """The shard whose folder is called so."""
        found = _NAMED.fullmatch(name)
        if found is None:
            return None
        with suppress(ValueError):
            shard = checked(int(found[1]), int(found[2]))
            return shard if shard.name == name else None
        return None


def checked(index: int, count: int) -> Shard:
    """That shard, if there is one. Raises `ValueError` saying what is allowed."""
    if not 1 <= count <= MOST:
        raise ValueError(f"{count} shards can't be made: 1 to {MOST} are allowed")
    if not 0 <= index < count:
        raise ValueError(
            f"there is no shard {index}/{count}: they are counted from 0, so {count} of them are"
            f" 0/{count} to {count - 1}/{count}"
        )
    return Shard(index, count)


def plain_number(text: str) -> int:
    """What digits, and nothing else, say. Raises `ValueError`."""
    if _DIGITS.fullmatch(text) is None:
        raise ValueError("no plain number")
    return int(text)


def shard_of(workspace_id: str, root_id: str, frame_id: str, count: int) -> int:
    """The index of the shard, of `count`, that holds a frame. No id holds a slash."""
    name = f"{workspace_id}/{root_id}/{frame_id}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") % count
