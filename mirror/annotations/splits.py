"""Which split a sequence belongs to: by its name alone, so that it stays when the export grows.

Whole sequences, never frames: neighbouring frames look alike, and would leak from one split into
another. A share is of the sequences that there could be; of a few, chance decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from mirror.errors import UsageError

_LONGEST = 100
_EVERYTHING = (("all", 1.0),)


@dataclass(frozen=True, slots=True)
class Splits:
    """`shares`: name and share of each, in order, adding up to 1. Another `seed`, another draw."""

    shares: tuple[tuple[str, float], ...] = _EVERYTHING
    seed: int = 0

    @property
    def names(self) -> Sequence[str]:
        """In the order given."""
        return [name for name, _ in self.shares]

    @property
    def split(self) -> bool:
        """Whether there is more than the one that holds everything."""
        return self.shares != _EVERYTHING

    def of(self, workspace_id: str, root_id: str) -> str:
        """The name of the sequence's split."""
        text = f"{self.seed}/{workspace_id}/{root_id}".encode()
        drawn = int.from_bytes(blake2b(text, digest_size=8).digest()) / 2**64
        reached = 0.0
        for name, share in self.shares:
            reached += share
            if drawn < reached:
                return name
        return self.shares[-1][0]


UNSPLIT = Splits()


def parse_splits(text: str, seed: int) -> Splits:
    """`train=0.8,val=0.1,test=0.1`. Raises `UsageError` where it is no such text."""
    shares = []
    for part in text.split(","):
        name, equals, share = (each.strip() for each in part.partition("="))
        if not (equals and name.isascii() and name.isidentifier() and len(name) <= _LONGEST):
            raise UsageError(f"--split: {part.strip()!a} is not NAME=SHARE, as in train=0.8.")
        shares.append((name, _share(name, share)))
    if len({name.lower() for name, _ in shares}) < len(shares):
        raise UsageError("--split names a split twice.")
    if abs(sum(share for _, share in shares) - 1) > 1e-6:
        raise UsageError("--split: the shares don't add up to 1, as in train=0.8,val=0.1,test=0.1.")
    return Splits(tuple(shares), seed)


def _share(name: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise UsageError(f"--split: the share of {name} is {text!a}, not a number from 0 to 1.")
    return share
