"""What is counted as it is written, repeats included: labels, shapes, points, phases.

Memory is that of one frame's labels and a few counts. Unknown kinds of shape keep their name.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from mirror.export.counts import Outside, PhaseCounts, ShapePlace
from mirror.export.cut import SequenceSlice
from mirror.export.frames import wrong_frame
from mirror.export.phases import add_phases
from mirror.export.shapes import Label, LabelledFrame, outside


class Written:
    """Counts while frames pass. `in_entry`, `in_export`: as `Repeats`."""

    def __init__(self) -> None:
        self.entries = 0
        self.occurrences = 0
        self.in_entry = 0
        self.in_export = 0
        self.labels: Counter[str] = Counter()
        self.shapes: Counter[str] = Counter()
        self.points_outside = 0
        self.outside: Outside | None = None
        self.unreadable_shapes = 0
        self.unreadable_at: ShapePlace | None = None
        self.phases: dict[str, PhaseCounts] = {}

    def add_labels(
        self, piece: SequenceSlice, number: int, frame: LabelledFrame, labels: list[Label]
    ) -> int:
        """What frame `number` carries; how many shapes. Raises `ExportError` with their place."""
        shapes = 0
        for position, label in enumerate(labels):
            self.labels[label.counted] += 1
            for at, shape in enumerate(label.shapes or ()):
                self.shapes[shape.kind] += 1
                shapes += 1
                try:
                    beyond = outside(shape)
                except msgspec.ValidationError:
                    self._add_unreadable(1, _place(piece, number, position, at, frame.id))
                    continue
                except RecursionError as error:
                    within = f"labels[{position}].shapes[{at}].points"
                    raise wrong_frame(piece, number, error, within) from None
                if beyond:
                    self.points_outside += beyond.points
                    place = _place(piece, number, position, at, frame.id)
                    self._add_outside(Outside(1, place, beyond.distance, place))
        return shapes

    def add(self, more: Written) -> None:
        """What was counted of one further export."""
        self.entries += more.entries
        self.occurrences += more.occurrences
        self.in_entry += more.in_entry
        self.in_export += more.in_export
        self.labels += more.labels
        self.shapes += more.shapes
        self.points_outside += more.points_outside
        add_phases(self.phases, more.phases)
        if more.outside:
            self._add_outside(more.outside)
        if more.unreadable_at:
            self._add_unreadable(more.unreadable_shapes, more.unreadable_at)

    def _add_unreadable(self, count: int, at: ShapePlace) -> None:
        self.unreadable_shapes += count
        if self.unreadable_at is None or _precedes(at, self.unreadable_at):
            self.unreadable_at = at

    def _add_outside(self, more: Outside) -> None:
        self.outside = more if self.outside is None else _merge(self.outside, more)


def _place(piece: SequenceSlice, number: int, label: int, shape: int, frame_id: str) -> ShapePlace:
    path = str(piece.source.path)
    return ShapePlace(path, piece.index, number, label, shape, piece.root_id, frame_id)


def _merge(known: Outside, more: Outside) -> Outside:
    nearer = more.farthest == known.farthest and _precedes(more.farthest_at, known.farthest_at)
    farthest = more if more.farthest > known.farthest or nearer else known
    return Outside(
        known.shapes + more.shapes,
        more.first_at if _precedes(more.first_at, known.first_at) else known.first_at,
        farthest.farthest,
        farthest.farthest_at,
    )


def _precedes(later: ShapePlace, earlier: ShapePlace) -> bool:
    """Whether what was found later stands before: stages of a sequence are read together."""
    return later.export == earlier.export and later < earlier
