"""What is in exports: the counts that `mirror inspect` prints.

Two kinds of counts. `distinct_sequences`, `frames`, `labelled_frames` and `label_frames` count a
frame once, however often it occurs (a sequence's later stage repeats its frames); everything else
counts what is written, repeats included. Memory is that of one group's ids, or of one frame's
shapes. Unknown kinds of shape are kept by their name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from mirror.export.cut import SequenceSlice
from mirror.export.file import ExportFile
from mirror.export.frames import wrong_frame
from mirror.export.selection import group_sequences, refuse_frame_twins, refuse_root_twins
from mirror.export.shapes import Label, count_outside, labelled_frames, read_phases

Carried = dict[str, frozenset[str]]
"""The label codes that each frame of one group carries."""

_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PhaseCounts:
    """The video annotations of one label. `milliseconds`: the sum of those with both ends.

    `point_events` start and end at once; `open_ends` lack a start or an end.
    """

    annotations: int
    milliseconds: int
    point_events: int
    open_ends: int


@dataclass(frozen=True, slots=True)
class Counts:
    """`sequences`: entries. `repeated_frames`: occurrences beyond each frame's first.

    By code or kind, most frequent first: `labels` and `shapes` as written, `label_frames` the
    distinct frames that carry the label. `points_outside`: of shapes, with x or y beyond 0..1.
    """

    sequences: int
    distinct_sequences: int
    frames: int
    repeated_frames: int
    labelled_frames: int
    labels: dict[str, int]
    label_frames: dict[str, int]
    shapes: dict[str, int]
    points_outside: int
    phases: dict[str, PhaseCounts]


@dataclass(frozen=True, slots=True)
class ExportCounts:
    """One export. `size` in bytes, `sha256` in hex, of the whole file."""

    path: str
    sha256: str
    size: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class SequenceCounts:
    """One distinct (workspace, root) of all exports together; counts of distinct frames."""

    workspace_id: str
    root_id: str
    frames: int
    labelled_frames: int


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """Each export by itself, and all together (a frame of two exports counts once in `total`).

    `by_sequence` is in the order of first appearance.
    """

    exports: tuple[ExportCounts, ...]
    total: Counts
    by_sequence: tuple[SequenceCounts, ...]


def summarize(exports: Sequence[ExportFile]) -> ExportSummary:
    """Count everything in `exports`, which must be open. Raises `ExportError`."""
    tallies = [_Tally() for _ in exports]
    total = _Tally()
    by_export = [group_sequences([export]) for export in exports]
    everywhere = group_sequences(exports)
    refuse_root_twins(everywhere)
    by_sequence: list[SequenceCounts] = []
    for group, pieces in everywhere.items():
        together: dict[str, frozenset[str]] = {}
        for tally, groups in zip(tallies, by_export, strict=True):
            if group in groups:
                together = _unite(together, tally.add_group(groups[group]))
        refuse_frame_twins(together, pieces)
        labelled = total.add_distinct(together)
        by_sequence.append(SequenceCounts(*group, len(together), labelled))
    for tally, export in zip(tallies, exports, strict=True):
        for piece in export.sequences:
            tally.add_entry(piece)
        total.add_written(tally)
    return ExportSummary(
        tuple(
            ExportCounts(str(export.path), export.sha256, export.size, tally.counts())
            for export, tally in zip(exports, tallies, strict=True)
        ),
        total.counts(),
        tuple(by_sequence),
    )


def _unite(kept: Carried, further: Carried) -> Carried:
    if not kept:
        return further  # the common case, without a copy
    for frame_id, codes in further.items():
        kept[frame_id] = kept.get(frame_id, _NOTHING) | codes
    return kept


class _Place(NamedTuple):
    """Where a label stands, counted from 0."""

    piece: SequenceSlice
    frame: int
    label: int


class _Tally:
    """Counts while the slices pass: what is written, and what is distinct."""

    def __init__(self) -> None:
        self.entries = 0
        self.occurrences = 0
        self.outside = 0
        self.labels: Counter[str] = Counter()
        self.shapes: Counter[str] = Counter()
        self.phases: dict[str, Counter[str]] = {}
        self.groups = 0
        self.frames = 0
        self.labelled = 0
        self.label_frames: Counter[str] = Counter()

    def add_entry(self, piece: SequenceSlice) -> None:
        """One entry of `sequences`, and its phases."""
        self.entries += 1
        for phase in read_phases(piece):
            counts = self.phases.setdefault(phase.code, Counter())
            counts["annotations"] += 1
            if phase.timestamp_start is None or phase.timestamp_end is None:
                counts["open_ends"] += 1
                continue
            length = round(phase.timestamp_end - phase.timestamp_start)
            counts["milliseconds"] += max(0, length)
            counts["point_events"] += phase.timestamp_end == phase.timestamp_start

    def add_group(self, pieces: Iterable[SequenceSlice]) -> Carried:
        """The frames of one group; which codes each distinct one carries."""
        carried: Carried = {}
        shared: dict[frozenset[str], frozenset[str]] = {}
        for piece in pieces:
            for number, frame in enumerate(labelled_frames.read(piece)):
                self.occurrences += 1
                labels = frame.labels or ()
                codes = carried.get(frame.id, _NOTHING).union([label.counted for label in labels])
                carried[frame.id] = shared.setdefault(codes, codes)
                for position, label in enumerate(labels):
                    self._add_label(label, _Place(piece, number, position))
        self.add_distinct(carried)
        return carried

    def _add_label(self, label: Label, at: _Place) -> None:
        self.labels[label.counted] += 1
        for position, shape in enumerate(label.shapes or ()):
            self.shapes[shape.kind] += 1
            try:
                self.outside += count_outside(shape)
            except (msgspec.ValidationError, RecursionError) as error:
                within = f"labels[{at.label}].shapes[{position}].points"
                raise wrong_frame(at.piece, at.frame, error, within) from None

    def add_distinct(self, carried: Carried) -> int:
        """One group's distinct frames; how many of them are labelled."""
        by_codes = Counter(carried.values())
        labelled = len(carried) - by_codes[_NOTHING]
        self.groups += 1
        self.frames += len(carried)
        self.labelled += labelled
        for codes, count in by_codes.items():
            for code in codes:
                self.label_frames[code] += count
        return labelled

    def add_written(self, other: _Tally) -> None:
        """What `other` counted as written."""
        self.entries += other.entries
        self.occurrences += other.occurrences
        self.outside += other.outside
        self.labels += other.labels
        self.shapes += other.shapes
        for code, counts in other.phases.items():
            self.phases.setdefault(code, Counter()).update(counts)

    def counts(self) -> Counts:
        """The result."""
        return Counts(
            sequences=self.entries,
            distinct_sequences=self.groups,
            frames=self.frames,
            repeated_frames=self.occurrences - self.frames,
            labelled_frames=self.labelled,
            labels=_by_size(self.labels),
            label_frames=_by_size(self.label_frames),
            shapes=_by_size(self.shapes),
            points_outside=self.outside,
            phases={
                code: PhaseCounts(
                    annotations=counts["annotations"],
                    milliseconds=counts["milliseconds"],
                    point_events=counts["point_events"],
                    open_ends=counts["open_ends"],
                )
                for code, counts in sorted(self.phases.items())
            },
        )


def _by_size(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
