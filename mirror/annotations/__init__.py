"""Annotations, typed, and what is made of them. See `docs/annotations.md`."""

from mirror.annotations.collection import Choice, Collection, Item, open_collection
from mirror.annotations.dataset import FrameDataset, Sample, Subset
from mirror.annotations.mirrored import MirroredImage, MirroredImages
from mirror.annotations.problems import Problem, ProblemKind, Problems, StrictProblems
from mirror.annotations.reading import AnnotatedExport, AnnotatedSequence, open_export
from mirror.annotations.splits import Splits, parse_splits
from mirror.annotations.tally import Note, Skip, Tally
from mirror.annotations.values import (
    AnnotatedFrame,
    Box,
    Interval,
    Keypoint,
    Label,
    Outline,
    Point,
    Polyline,
    Rectangle,
    Shape,
    UnknownShape,
)

__all__ = [
    "AnnotatedExport",
    "AnnotatedFrame",
    "AnnotatedSequence",
    "Box",
    "Choice",
    "Collection",
    "FrameDataset",
    "Interval",
    "Item",
    "Keypoint",
    "Label",
    "MirroredImage",
    "MirroredImages",
    "Note",
    "Outline",
    "Point",
    "Polyline",
    "Problem",
    "ProblemKind",
    "Problems",
    "Rectangle",
    "Sample",
    "Shape",
    "Skip",
    "Splits",
    "StrictProblems",
    "Subset",
    "Tally",
    "UnknownShape",
    "open_collection",
    "open_export",
    "parse_splits",
]
