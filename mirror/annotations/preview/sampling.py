"""Which of many are shown: as many as are wanted, spread evenly, in one pass and little memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Spread(Generic[T]):
    """Keeps about `wanted` to twice as many of what is offered, at equal distances; `count` is how
    many were offered."""

    def __init__(self, wanted: int) -> None:
        self._wanted = max(1, wanted)
        self._stride = 1
        self._kept: list[T] = []
        self.count = 0

    def offer(self, thing: T) -> None:
        """The next one."""
        if self.count % self._stride == 0:
            self._kept.append(thing)
            if len(self._kept) >= 2 * self._wanted:
                self._kept = self._kept[::2]
                self._stride *= 2
        self.count += 1

    def thin(self, wanted: int) -> list[T]:
        """So many of those that were kept, or all; the others are let go of."""
        self._wanted = max(1, wanted)
        self._kept = evenly(self._kept, wanted)
        return self._kept

    def __repr__(self) -> str:
        return f"<Spread {len(self._kept)} of {self.count}>"


def evenly(things: Sequence[T], wanted: int) -> list[T]:
    """So many of them at equal distances, the first and the last included."""
    if wanted >= len(things):
        return list(things)
    if wanted <= 1:
        return list(things[len(things) // 2 :][:wanted])
    step = (len(things) - 1) / (wanted - 1)
    return [things[round(number * step)] for number in range(wanted)]


def share_out(counts: Sequence[int], wanted: int) -> list[int]:
    """How many of each group are shown, `wanted` together: equally many, and what small groups
    leave goes to larger ones. With more groups than that, groups at equal distances have one."""
    if wanted < len(counts):
        lucky = set(evenly(range(len(counts)), wanted))
        return [int(number in lucky and count > 0) for number, count in enumerate(counts)]
    shares = [0] * len(counts)
    left = wanted
    order = sorted(range(len(counts)), key=lambda number: counts[number])
    for done, number in enumerate(order):
        shares[number] = min(counts[number], left // (len(order) - done))
        left -= shares[number]
    return shares
