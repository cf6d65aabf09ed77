"""What is counted of distinct frames: once each, however often one occurs.

Memory is that of the ids of one (workspace, root).
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from mirror.export.counts import Coverage, ShapesPerFrame


class Carried(NamedTuple):
    """What is known of one distinct frame. `codes`: of all its occurrences; `shapes`: of the
    occurrence that counts; `entry`: the last entry of `sequences` that names it."""

    codes: frozenset[str]
    shapes: int
    entry: int


Group = dict[str, Carried]
"""The distinct frames of one (workspace, root), by id."""

NEW = Carried(frozenset(), 0, -1)
"""A frame that did not occur yet."""


def unite(kept: Group, further: Group) -> Group:
    """The frames of one (workspace, root) in two exports; `further` is the later one's."""
    if not kept:
        return further  # the common case, without a copy
    for frame_id, later in further.items():
        earlier = kept.get(frame_id, NEW)
        shapes = later.shapes if later.codes else earlier.shapes
        kept[frame_id] = Carried(earlier.codes | later.codes, shapes, later.entry)
    return kept


class Distinct:
    """Counts of distinct frames, while the groups pass."""

    def __init__(self) -> None:
        self.groups = 0
        self.frames = 0
        self.labelled = 0
        self.label_frames: Counter[str] = Counter()
        self._by_shapes: Counter[int] = Counter()

    def add(self, group: Group) -> int:
        """One group; how many of its frames are labelled."""
        labelled = 0
        for carried, count in Counter(group.values()).items():
            if carried.codes:
                labelled += count
                self._by_shapes[carried.shapes] += count
            for code in carried.codes:
                self.label_frames[code] += count
        self.groups += 1
        self.frames += len(group)
        self.labelled += labelled
        return labelled

    def coverage(self) -> Coverage:
        """Shares of the frames."""
        if not self.frames:
            return Coverage(None, {})
        shares = {code: share(count, self.frames) for code, count in by_size(self.label_frames)}
        return Coverage(share(self.labelled, self.frames), shares)

    def shapes_per_frame(self) -> ShapesPerFrame | None:
        """Of the labelled frames; None where there are none."""
        numbers = sorted(self._by_shapes)
        if not numbers:
            return None
        shapes = sum(number * count for number, count in self._by_shapes.items())
        return ShapesPerFrame(
            numbers[0],
            _median(numbers, self._by_shapes),
            round(shapes / self.labelled, 2),
            numbers[-1],
            {number: self._by_shapes[number] for number in numbers},
        )


def _median(numbers: list[int], counts: Counter[int]) -> float:
    """Of `numbers`, sorted, each of which occurs so many times."""
    total = sum(counts.values())

    def at(rank: int) -> int:
        seen = 0
        for number in numbers:
            seen += counts[number]
            if seen > rank:
                return number
        raise IndexError(rank)

    return (at((total - 1) // 2) + at(total // 2)) / 2


def share(part: int, whole: int) -> float:
    """A part of a whole that is not 0, in four digits."""
    return round(part / whole, 4)


def by_size(counts: Counter[str]) -> list[tuple[str, int]]:
    """Most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
