"""Reading an export: cutting, decoding, frame references. See `docs/exports.md`."""

from mirror.export.changes import Changes
from mirror.export.counts import (
    Counts,
    Coverage,
    ExportCounts,
    ExportSummary,
    Outside,
    PhaseCounts,
    Repeats,
    SequenceCounts,
    ShapePlace,
    ShapesPerFrame,
    VideoCoverage,
    VideoSequence,
)
from mirror.export.cut import SequenceSlice
from mirror.export.difference import (
    LabelChange,
    PhaseTimes,
    Presence,
    SequenceDifference,
    compare,
)
from mirror.export.file import ExportFile
from mirror.export.frames import decode_annotations
from mirror.export.selection import Selection, SequenceFrames, select_frames
from mirror.export.summary import summarize

__all__ = [
    "Changes",
    "Counts",
    "Coverage",
    "ExportCounts",
    "ExportFile",
    "ExportSummary",
    "LabelChange",
    "Outside",
    "PhaseCounts",
    "PhaseTimes",
    "Presence",
    "Repeats",
    "Selection",
    "SequenceCounts",
    "SequenceDifference",
    "SequenceFrames",
    "SequenceSlice",
    "ShapePlace",
    "ShapesPerFrame",
    "VideoCoverage",
    "VideoSequence",
    "compare",
    "decode_annotations",
    "select_frames",
    "summarize",
]
