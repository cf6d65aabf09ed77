"""Counting video annotations: plain functions of a sequence's phases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mirror.export.counts import PhaseCounts, VideoCoverage, VideoSequence
from mirror.export.cut import SequenceSlice
from mirror.export.shapes import Phase


def count_phases(phases: Iterable[Phase]) -> dict[str, PhaseCounts]:
    """By code, in its order."""
    found: dict[str, PhaseCounts] = {}
    for phase in phases:
        add_phases(found, {phase.code: _count(phase)})
    return dict(sorted(found.items()))


def add_phases(to: dict[str, PhaseCounts], more: Mapping[str, PhaseCounts]) -> None:
    """Add the counts of `more` to those of the same codes."""
    for code, one in more.items():
        other = to.get(code)
        to[code] = one if other is None else _sum(other, one)


def _count(phase: Phase) -> PhaseCounts:
    start, end = phase.timestamp_start, phase.timestamp_end
    if start is None or end is None:
        return PhaseCounts(1, 0, 0, 1)
    return PhaseCounts(1, max(0, round(end - start)), int(end == start), 0, int(end < start))


def _sum(one: PhaseCounts, other: PhaseCounts) -> PhaseCounts:
    return PhaseCounts(
        one.annotations + other.annotations,
        one.milliseconds + other.milliseconds,
        one.point_events + other.point_events,
        one.open_ends + other.open_ends,
        one.backwards + other.backwards,
    )


def covered(phases: Iterable[Phase]) -> tuple[int, int]:
    """Milliseconds from 0 to the last end, and how much of that the phases with both ends cover."""
    ends = [0.0]
    whole: list[tuple[float, float]] = []
    for phase in phases:
        start, end = phase.timestamp_start, phase.timestamp_end
        if end is None or (start is not None and end < start):
            continue
        ends.append(end)
        if start is not None:
            whole.append((start, end))
    total, reached = 0.0, 0.0
    for start, end in sorted(whole):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return round(max(ends)), round(total)


def of_sequence(piece: SequenceSlice, phases: list[Phase]) -> VideoSequence:
    """The counts of one entry's video annotations."""
    return VideoSequence(
        str(piece.source.path),
        piece.index,
        piece.workspace_id,
        piece.root_id,
        *covered(phases),
        count_phases(phases),
    )


def coverage(videos: Iterable[VideoSequence]) -> VideoCoverage:
    """Of some sequences together."""
    found = list(videos)
    span = sum(each.span_milliseconds for each in found)
    held = sum(each.covered_milliseconds for each in found)
    return VideoCoverage(len(found), span, held, round(held / span, 4) if span else None)
