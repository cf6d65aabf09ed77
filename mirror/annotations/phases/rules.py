"""Rules that make intervals whole: where one ends that is left open, which ones overlap. No I/O.

Times are milliseconds from the start of the video. A span covers its start and not its end; one
that starts and ends at once is a point event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mirror.annotations.values import Interval


class Span(NamedTuple):
    """An interval with both its ends."""

    code: str
    name: str
    start: int
    end: int

    @property
    def is_point(self) -> bool:
        """Whether it starts and ends at once."""
        return self.start == self.end


def length_of(intervals: Iterable[Interval], duration: int | None) -> int:
    """How long a video is: its `duration`, where the export names one, or the latest time that any
    of its intervals names, whichever is later: no interval is cut."""
    named = (time for each in intervals for time in (each.start, each.end) if time is not None)
    return max(named, default=0) if duration is None else max([duration, *named])


def close(interval: Interval, length: int) -> Span:
    """An open end is the end of the video."""
    end = length if interval.end is None else interval.end
    return Span(interval.code, interval.name, interval.start, end)


def in_order(spans: Iterable[Span]) -> tuple[Span, ...]:
    """By start; of those that start together, as listed. Where two overlap, the later one wins."""
    return tuple(sorted(spans, key=lambda span: span.start))


def count_overlaps(ordered: Sequence[Span]) -> int:
    """How many spans begin while an earlier one lasts, or together with one listed before."""
    count = 0
    reached = last = -1
    for span in ordered:
        count += span.start < reached or span.start == last
        reached, last = max(reached, span.end), span.start
    return count
