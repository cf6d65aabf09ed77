"""One walk over a collection that fills all three tables, row by row: nothing gathers here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mirror.annotations.collection import Collection
from mirror.annotations.tables.rows import Row, frame_row, interval_row, place_of, shape_rows
from mirror.annotations.tally import Tally

Sink = Callable[[Row], object]


class Sinks(NamedTuple):
    """Where the rows of each table go."""

    frames: Sink
    shapes: Sink
    intervals: Sink


def fill(collection: Collection, sinks: Sinks, tally: Tally) -> None:
    """Every row, sequence by sequence. Raises `ExportError`."""
    for sequence in collection.sequences:
        place = place_of(collection, sequence)
        for item in collection.items(sequence, tally):
            sinks.frames(frame_row(place, item))
            count = 0
            for row in shape_rows(place, item):
                sinks.shapes(row)
                count += 1
            tally.wrote("frames")
            tally.wrote("labels", len(item.labels))
            tally.wrote("shapes", count)
        for index, interval in enumerate(collection.intervals(sequence)):
            sinks.intervals(interval_row(place, index, interval))
            tally.wrote("intervals")
