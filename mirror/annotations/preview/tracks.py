"""Video annotations on a time axis: which lane each lies in, where an open end is drawn, the ticks.

Plain decisions; `timeline` writes them as SVG. Times are milliseconds.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from mirror.annotations.phases.rules import length_of
from mirror.annotations.values import Interval

MOST_LANES = 24
"""Of one sequence; what would lie deeper is counted, not drawn."""

_STEPS = (100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
          600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval in its lane, counted from 0. `open_end`: the export leaves its end open, and
    `end` is where it is drawn to."""

    code: str
    name: str
    start: int
    end: int
    lane: int
    open_start: bool = False
    open_end: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A point event."""

    code: str
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Track:
    """One sequence on the axis. `length`: its video's, or the latest time named. `deep`: intervals
    that are not drawn, because too many lie over each other."""

    number: int
    name: str
    length: int
    bars: tuple[Bar, ...]
    events: tuple[Event, ...] = ()
    deep: int = 0
    lanes: int = 0

    @property
    def drawn(self) -> Iterator[tuple[str, str]]:
        """Code and name of each bar and event."""
        yield from ((bar.code, bar.name) for bar in self.bars)
        yield from ((event.code, event.name) for event in self.events)


def arrange(
    intervals: Iterable[Interval], duration: int | None, *, number: int = 0, name: str = ""
) -> Track:
    """The intervals of one sequence, each in the first lane that is free when it starts. An open
    end is drawn to the end of the video: `phases.rules.length_of`."""
    intervals = sorted(intervals, key=lambda each: each.start)
    length = length_of(intervals, duration)
    lasting = [each for each in intervals if not each.is_point]
    bars = tuple(_in_lanes(lasting, length))
    events = tuple(Event(each.code, each.name, each.start) for each in intervals if each.is_point)
    lanes = 1 + max((bar.lane for bar in bars), default=-1)
    return Track(number, name, length, bars, events, len(lasting) - len(bars), lanes)


def _in_lanes(intervals: Iterable[Interval], length: int) -> Iterator[Bar]:
    """`intervals` by start; those for which no lane is left are left away."""
    free = list(range(MOST_LANES))
    busy: list[tuple[int, int]] = []
    for each in intervals:
        end = length if each.end is None else each.end
        while busy and busy[0][0] <= each.start:
            heappush(free, heappop(busy)[1])
        if free:
            lane = heappop(free)
            heappush(busy, (max(end, each.start + 1), lane))
            yield Bar(
                each.code, each.name, each.start, end, lane, each.open_start, each.end is None
            )


def axis_length(tracks: Sequence[Track]) -> int:
    """The time that the axis of these tracks shows, so that they can be compared."""
    return max([1000, *(track.length for track in tracks)])


def ticks(length: int) -> list[int]:
    """Round times from 0 to `length`, ten steps at most."""
    step = next((each for each in _STEPS if length <= 10 * each), _STEPS[-1])
    while length > 10 * step:
        step *= 2
    return list(range(0, length + 1, step))


def clock(milliseconds: int) -> str:
    """As players show it: 4:05, 1:04:05, and 0:00.2 where that matters."""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, hours = seconds // 60, seconds // 3600
    text = f"{hours}:{minutes % 60:02}" if hours else f"{minutes}"
    fraction = f".{rest:03}".rstrip("0") if rest else ""
    return f"{text}:{seconds % 60:02}{fraction}"


def text_width(text: str, size: float) -> float:
    """About how wide a browser draws it: 0.57 of the size a letter, the whole of it where wide."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return size * (wide + 0.57 * (len(text) - wide))


def stack(boxes: Iterable[tuple[float, float]]) -> Iterator[int]:
    """For spans in order of their left ends, the first row where each is free of those before."""
    ends: list[float] = []
    for left, right in boxes:
        row = next((row for row, end in enumerate(ends) if end <= left), len(ends))
        if row == len(ends):
            ends.append(right)
        ends[row] = right
        yield row
