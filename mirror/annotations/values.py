"""Annotations as values: what the platform's guide describes, typed and immutable.

Points are normalised, (0, 0) the top left corner of the image and (1, 1) the bottom right (the
guide, 'How to interpret XY coordinates'), until `to_pixels` makes them pixels, whose origin is the
top left corner of the top left pixel. Points a little outside are kept as they are: `clipped` is
for those whose format demands it. Times are milliseconds from the start of the video.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Self

from mirror.frames import FrameRef


class Point(NamedTuple):
    """A place on the image; `x` to the right, `y` down."""

    x: float
    y: float


Points = tuple[Point, ...]


class Box(NamedTuple):
    """An upright rectangle; `left` ≤ `right`, `top` ≤ `bottom`."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """In the square of the points' unit."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Shape:
    """A geometry of a label: points, and what they mean by kind. Made by the reader.

    `type`: the kind's word in an export. `fewest`, `most`: how many points it takes.
    """

    type: ClassVar[str]
    fewest: ClassVar[int]
    most: ClassVar[int | None] = None

    points: Points

    @property
    def kind(self) -> str:
        """The word an export has for it."""
        return self.type

    @property
    def box(self) -> Box:
        """The smallest upright rectangle around all points. Raises `ValueError` without any."""
        xs, ys = [point.x for point in self.points], [point.y for point in self.points]
        return Box(min(xs), min(ys), max(xs), max(ys))

    @property
    def area(self) -> float:
        """What it encloses, in the square of the points' unit; 0 of what encloses nothing."""
        return 0.0

    def to_pixels(self, width: int, height: int) -> Self:
        """Of normalised points, the same shape in pixels of an image of this size."""
        points = tuple([Point(x * width, y * height) for x, y in self.points])
        return replace(self, points=points)

    def clipped(self) -> Self:
        """Of normalised points, the same shape with each point moved to the nearest in the image;
        itself where all are."""
        if all(0 <= x <= 1 and 0 <= y <= 1 for x, y in self.points):
            return self
        points = tuple(
            [Point(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)) for x, y in self.points]
        )
        return replace(self, points=points)


@dataclass(frozen=True, slots=True)
class Outline(Shape):
    """`close_polygon`: the points are the outline; the last joins the first."""

    type: ClassVar[str] = "close_polygon"
    fewest: ClassVar[int] = 3

    @property
    def ring(self) -> list[tuple[float, float]]:
        """The closed outline, its first point again at the end: what shapely's `Polygon` takes."""
        return _ring(self.points)

    @property
    def area(self) -> float:
        """By the shoelace formula; of an outline that crosses itself, parts cancel out."""
        return abs(sum(a * d - c * b for (a, b), (c, d) in pairwise(self.ring))) / 2


@dataclass(frozen=True, slots=True)
class Rectangle(Shape):
    """`rectangle`: two opposite corners, in any order; `box` has them in one."""

    type: ClassVar[str] = "rectangle"
    fewest: ClassVar[int] = 2
    most: ClassVar[int | None] = 2

    @property
    def ring(self) -> list[tuple[float, float]]:
        """Its four corners, clockwise from the top left one, which comes again at the end."""
        left, top, right, bottom = self.box
        corners = (Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom))
        return _ring(corners)

    @property
    def area(self) -> float:
        """Of the box."""
        return self.box.area


@dataclass(frozen=True, slots=True)
class Polyline(Shape):
    """`open_polygon`: lines that join the points, in order."""

    type: ClassVar[str] = "open_polygon"
    fewest: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Keypoint(Shape):
    """`keypoint`: one point."""

    type: ClassVar[str] = "keypoint"
    fewest: ClassVar[int] = 1
    most: ClassVar[int | None] = 1


@dataclass(frozen=True, slots=True)
class UnknownShape(Shape):
    """A kind that the guide does not name: `name` is its word, `raw` all that the export says of
    it, as JSON gives it. `points` are those that it has, if they are points."""

    type: ClassVar[str] = ""
    fewest: ClassVar[int] = 0

    name: str
    raw: dict[str, Any]

    @property
    def kind(self) -> str:
        """The word an export has for it."""
        return self.name


KNOWN_SHAPES: dict[str, type[Shape]] = {
    each.type: each for each in (Outline, Rectangle, Polyline, Keypoint)
}
"""By the word of the guide, section 'Working with frame annotations'."""


@dataclass(frozen=True, slots=True)
class Label:
    """A named annotation of a frame. `code` names it, `name` is for people; it may have no shape,
    and then says something of the whole frame."""

    code: str
    name: str
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class AnnotatedFrame:
    """One frame of a sequence with its labels, which may be none."""

    ref: FrameRef
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A video annotation, in milliseconds. `end` is None where the export leaves it open.

    The guide, section 'Working with video annotations': `timestampStart`, `timestampEnd`. A start
    that is left open is 0, and `open_start` says so.
    """

    code: str
    name: str
    start: int
    end: int | None
    open_start: bool = False

    @property
    def is_point(self) -> bool:
        """Whether it starts and ends at once."""
        return self.end == self.start


def _ring(points: Points) -> list[tuple[float, float]]:
    return [*((x, y) for x, y in points), (points[0].x, points[0].y)]
