"""Reading an export: cutting, decoding, frame references. See `docs/exports.md`."""

from mirror.export.cut import SequenceSlice
from mirror.export.file import ExportFile
from mirror.export.frames import decode_annotations
from mirror.export.selection import Selection, SequenceFrames, select_frames
from mirror.export.summary import (
    Counts,
    ExportCounts,
    ExportSummary,
    PhaseCounts,
    SequenceCounts,
    summarize,
)

__all__ = [
    "Counts",
    "ExportCounts",
    "ExportFile",
    "ExportSummary",
    "PhaseCounts",
    "Selection",
    "SequenceCounts",
    "SequenceFrames",
    "SequenceSlice",
    "decode_annotations",
    "select_frames",
    "summarize",
]
