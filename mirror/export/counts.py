"""The counts that `summarize` gives: plain values.

Two kinds of counts. What is said of distinct frames counts a frame once, however often it occurs (a
sequence's later stage repeats its frames); everything else counts what is written, repeats
included. Where a frame's occurrences differ, the last one that has labels counts, as everywhere in
`mirror`; of a sequence's video annotations, those of its last stage that has any.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirror.export import place


@dataclass(frozen=True, slots=True)
class PhaseCounts:
    """The video annotations of one label. `milliseconds`: the sum of those with both ends.

    `point_events` start and end at once; `open_ends` lack a start or an end; `backwards` end before
    they start, and last 0 ms here.
    """

    annotations: int
    milliseconds: int
    point_events: int
    open_ends: int
    backwards: int = 0


@dataclass(frozen=True, slots=True)
class VideoCoverage:
    """How much of the time has a video annotation.

    `span_milliseconds`: of each of the `sequences` with video annotations, from 0 to the last end
    of any. `covered_milliseconds`: of that, what at least one annotation with both ends covers, so
    overlaps count once, and point events and open ends cover nothing. `share`: covered of span;
    None where the span is 0.
    """

    sequences: int
    span_milliseconds: int
    covered_milliseconds: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Repeats:
    """Occurrences of frames beyond each one's first. `in_entry`: in the same frame list;
    `in_export`: in another entry of the same export, such as a later stage; `across_exports`: in
    another export."""

    in_entry: int
    in_export: int
    across_exports: int


@dataclass(frozen=True, slots=True)
class ShapesPerFrame:
    """Of the distinct labelled frames. `frames`: how many have so many shapes, by that number."""

    least: int
    median: float
    mean: float
    most: int
    frames: dict[int, int]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of the distinct frames: `labelled` with any label, `labels` by code, most first.

    None and nothing where there is no frame.
    """

    labelled: float | None
    labels: dict[str, float]


@dataclass(frozen=True, slots=True, order=True)
class ShapePlace:
    """Where a shape stands; numbers are counted from 0, in export order."""

    export: str
    sequence: int
    frame: int
    label: int
    shape: int
    root_id: str
    frame_id: str

    def __str__(self) -> str:
        where = place.of_sequence(Path(self.export), self.sequence, self.root_id)
        return f"{where}, frame {self.frame}, labels[{self.label}].shapes[{self.shape}]"


@dataclass(frozen=True, slots=True)
class Outside:
    """Shapes with x or y beyond 0..1. `farthest`: how far the farthest point is beyond, in widths
    or heights of the frame; `farthest_at`: the first shape that has it."""

    shapes: int
    first_at: ShapePlace
    farthest: float
    farthest_at: ShapePlace


@dataclass(frozen=True, slots=True)
class Counts:
    """`sequences`: entries. `repeated_frames`: occurrences beyond each frame's first.

    By code or kind, most frequent first: `labels` and `shapes` as written, `label_frames` the
    distinct frames that carry the label. `points_outside`: of shapes, with x or y beyond 0..1.
    `unreadable_shapes`: of a known kind, with a point that has no x and y that are numbers;
    `unreadable_at`: the first of them.
    """

    sequences: int
    distinct_sequences: int
    frames: int
    repeated_frames: int
    repeats: Repeats
    labelled_frames: int
    labels: dict[str, int]
    label_frames: dict[str, int]
    coverage: Coverage
    shapes: dict[str, int]
    shapes_per_frame: ShapesPerFrame | None
    points_outside: int
    outside: Outside | None
    unreadable_shapes: int
    unreadable_at: ShapePlace | None
    phases: dict[str, PhaseCounts]
    video: VideoCoverage


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
class VideoSequence:
    """A sequence's video annotations, those of its last stage that has any.

    That is entry `sequence`, counted from 0, of `export`. The ids may be empty: a video batch's
    sequence may lack them. `phases` by code; the times as in `VideoCoverage`.
    """

    export: str
    sequence: int
    workspace_id: str
    root_id: str
    span_milliseconds: int
    covered_milliseconds: int
    phases: dict[str, PhaseCounts]


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """Each export by itself, and all together (a frame of two exports counts once in `total`).

    `by_sequence` and `videos`, of all together, are in the order of first appearance.
    """

    exports: tuple[ExportCounts, ...]
    total: Counts
    by_sequence: tuple[SequenceCounts, ...]
    videos: tuple[VideoSequence, ...]
