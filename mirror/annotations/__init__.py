"""Annotations, typed, and what is made of them. See `docs/annotations.md`."""

from mirror.annotations.collection import Choice, Collection, Item
from mirror.annotations.mirrored import MirroredImage, MirroredImages
from mirror.annotations.problems import Problem, ProblemKind, Problems, StrictProblems
from mirror.annotations.reading import AnnotatedExport, AnnotatedSequence, open_export
from mirror.annotations.splits import Splits, parse_splits
from mirror.annotations.tally import Skip, Tally
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
    "Interval",
    "Item",
    "Keypoint",
    "Label",
    "MirroredImage",
    "MirroredImages",
    "Outline",
    "Point",
    "Polyline",
    "Problem",
    "ProblemKind",
    "Problems",
    "Rectangle",
    "Shape",
    "Skip",
    "Splits",
    "StrictProblems",
    "Tally",
    "UnknownShape",
    "open_export",
    "parse_splits",
]
