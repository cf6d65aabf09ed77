"""The typed view of annotations that counting needs: labels, kinds of shape, points, phases.

Lists may be null or absent anywhere. The points of a known kind must be points; what an unknown
kind holds there is its own affair. A label or shape without a name is counted under `NO_CODE` or
`NO_TYPE`.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from mirror.export import place
from mirror.export.cut import SequenceSlice
from mirror.export.frames import FrameReader

NO_CODE = "(no code)"
NO_TYPE = "(no type)"

# from the platform's guide, section 'Working with frame annotations'
KNOWN_SHAPES = frozenset({"close_polygon", "open_polygon", "rectangle", "keypoint"})

_Unit = Annotated[float, Meta(ge=0, le=1)]
# milliseconds; 30,000 years, far below where sums of floats lose a millisecond
_Milliseconds = Annotated[float, Meta(ge=-1e15, le=1e15)]


class Shape(msgspec.Struct, gc=False):
    """One shape; its points are not decoded."""

    type: str | None = None
    shape_type: str | None = None
    points: Raw | UnsetType = UNSET

    @property
    def kind(self) -> str:
        """`type`, or `shape_type`: the guide names it both ways."""
        return self.type or self.shape_type or NO_TYPE


class Label(msgspec.Struct, gc=False):
    """One label of a frame."""

    code: str | None = None
    shapes: list[Shape] | None = None

    @property
    def counted(self) -> str:
        """The code that it is counted under."""
        return self.code or NO_CODE


class LabelledFrame(msgspec.Struct, gc=False):
    """One frame with its labels."""

    id: str
    labels: list[Label] | None = None


class _PhaseLabel(msgspec.Struct, gc=False):
    code: str | None = None


class Phase(msgspec.Struct, gc=False, rename="camel"):
    """One video annotation; times in milliseconds."""

    label: _PhaseLabel | None = None
    timestamp_start: _Milliseconds | None = None
    timestamp_end: _Milliseconds | None = None

    @property
    def code(self) -> str:
        """The label's code."""
        return (self.label and self.label.code) or NO_CODE


class _Video(msgspec.Struct, gc=False, rename="camel"):
    video_annotations: list[Phase] | None = None


class _Point(msgspec.Struct, gc=False):
    x: float
    y: float


class _InsidePoint(msgspec.Struct, gc=False):
    x: _Unit
    y: _Unit


labelled_frames = FrameReader(LabelledFrame)
_video = msgspec.json.Decoder(_Video)
_points = msgspec.json.Decoder(list[_Point] | None)
_inside_points = msgspec.json.Decoder(list[_InsidePoint] | None)


def read_phases(piece: SequenceSlice) -> list[Phase]:
    """The video annotations of a sequence. Raises `ExportError`."""
    try:
        return _video.decode(piece.raw).video_annotations or []
    except UnicodeDecodeError:
        raise place.bad_utf8(piece.place, piece.source.view, piece.source.start) from None
    except RecursionError:
        raise place.too_deep(piece.place) from None
    except msgspec.DecodeError as error:
        raise place.wrong_shape(piece.place, error) from None


def as_points(points: Raw) -> list[_Point]:
    """Every point, none where it is null. Raises `ValidationError`, `RecursionError`."""
    return _points.decode(points) or []


class Beyond(NamedTuple):
    """The points of a shape that lie outside 0..1: how many, and how far the farthest is beyond, in
    widths or heights of the frame."""

    points: int
    distance: float


def outside(shape: Shape) -> Beyond | None:
    """What of `shape` lies outside 0..1. Raises `ValidationError`, `RecursionError`."""
    if shape.points is UNSET:
        return None
    try:
        _inside_points.decode(shape.points)
    except msgspec.ValidationError:
        return _look_at_each(shape.kind, shape.points)
    return None


def _look_at_each(kind: str, points: Raw) -> Beyond | None:
    try:
        decoded = as_points(points)
    except msgspec.ValidationError:
        if kind in KNOWN_SHAPES:
            raise
        return None
    distances = [max(-point.x, point.x - 1, -point.y, point.y - 1) for point in decoded]
    beyond = [distance for distance in distances if distance > 0]
    return Beyond(len(beyond), max(beyond)) if beyond else None
