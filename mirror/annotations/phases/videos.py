"""The sequences of a collection that have video annotations, made whole by the rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mirror.annotations.collection import Collection
from mirror.annotations.phases.rules import Span, close, in_order, length_of
from mirror.annotations.tally import Note, Skip, Tally
from mirror.annotations.values import Interval


@dataclass(frozen=True, slots=True)
class Video:
    """One sequence. `name`: of its files, with '/'. `length`: milliseconds. `spans`: by start."""

    name: str
    split: str
    length: int
    spans: tuple[Span, ...]


def videos(collection: Collection, tally: Tally) -> Iterator[Video]:
    """One after the other; sequences without video annotations are counted as left out."""
    for sequence in collection.sequences:
        intervals = collection.intervals(sequence)
        if intervals:
            name, split = collection.name(sequence), collection.split(sequence)
            yield _whole(name, split, intervals, sequence.duration, tally)
        else:
            tally.skip(Skip.NO_INTERVALS)


def _whole(
    name: str, split: str, intervals: tuple[Interval, ...], duration: int | None, tally: Tally
) -> Video:
    length = length_of(intervals, duration)
    spans = in_order(close(each, length) for each in intervals)
    tally.note(Note.OPEN_STARTS, sum(each.open_start for each in intervals))
    tally.note(Note.OPEN_ENDS, sum(each.end is None for each in intervals))
    tally.note(Note.POINT_EVENTS, sum(each.is_point for each in intervals))
    tally.note(Note.BEYOND_DURATION, int(duration is not None and length > duration))
    return Video(name, split, length, spans)
