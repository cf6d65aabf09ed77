"""Which frames of a video a span is seen in, and which span a frame shows. No I/O.

Frame n shows the instant n / fps seconds. All is exact: a rate is a fraction, 29.97 being 2997/100.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from heapq import heappop, heappush
from itertools import pairwise
from math import ceil, floor, isfinite

from mirror.annotations.phases.rules import Span
from mirror.errors import UsageError

FASTEST = 1000


def rate_of(fps: float) -> Fraction:
    """Frames a second, as exactly as it was written. Raises `UsageError` where it is no rate."""
    if not (isfinite(fps) and 0 < fps <= FASTEST):
        raise UsageError(f"--fps is {fps}: it must be above 0, and {FASTEST} at most.")
    return Fraction(str(fps))


def frame_count(length: int, rate: Fraction) -> int:
    """Frames of a video of `length` milliseconds: a part of a frame counts as one, and there is
    one at least."""
    return max(1, ceil(length * rate / 1000))


def frames_of(span: Span, rate: Fraction, count: int) -> range:
    """The frames whose instants the span covers. Where it covers none, because it is a point event
    or shorter than a frame, it is the one frame that is on the screen when it starts; the last one,
    where it starts at the end of the video."""
    first, end = ceil(span.start * rate / 1000), ceil(span.end * rate / 1000)
    if end <= first:
        first = min(floor(span.start * rate / 1000), count - 1)
        end = first + 1
    return range(first, end)


def winners(seen: Sequence[range], count: int) -> Iterator[tuple[range, int | None]]:
    """Runs of frames, from 0 to `count` without a gap, each with the place in `seen` of what it
    shows, or None. Where several cover a frame, the last of them in `seen` wins."""
    begins: dict[int, list[int]] = {}
    for place, frames in enumerate(seen):
        begins.setdefault(frames.start, []).append(place)
    cuts = sorted({0, count, *(cut for each in seen for cut in (each.start, each.stop))})
    under_way: list[int] = []  # a heap, the last one first
    for first, end in pairwise(cuts):
        for place in begins.get(first, ()):
            heappush(under_way, -place)
        while under_way and seen[-under_way[0]].stop <= first:
            heappop(under_way)
        yield range(first, end), -under_way[0] if under_way else None


def rows_of(frames: range, step: int) -> range:
    """Which rows see some of `frames`, where row n looks at frame n * step alone."""
    return range(-(-frames.start // step), -(-frames.stop // step))
