"""What a dataset says of one frame, in pixels: shapes that the format holds, clipped to the image.

Every shape and label that goes in comes out as a mark or is counted as left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from mirror.annotations.collection import Item
from mirror.annotations.mirrored import MirroredImage
from mirror.annotations.tally import Note, Skip, Tally
from mirror.annotations.values import (
    Keypoint,
    Label,
    Outline,
    Point,
    Points,
    Polyline,
    Rectangle,
    Shape,
    UnknownShape,
)

POLYGON, BOX, POLYLINE, POINT, LABEL = range(5)
_KINDS = {Outline: POLYGON, Rectangle: BOX, Polyline: POLYLINE, Keypoint: POINT}
_ENCLOSING = (Outline, Rectangle)
_NO_AREA = 1e-12
"""Of the image; some millionths of a pixel, above what rounding leaves of a line's area."""


class Mark(msgspec.Struct, array_like=True, gc=False):
    """`kind`: one of the numbers above. `group`: equal and not 0 where marks belong together.
    `points`: x, y, x, y, … in pixels; of a box left, top, right, bottom; of a label none."""

    kind: int
    code: str
    group: int
    points: list[float]


class Drawn(msgspec.Struct, array_like=True, gc=False):
    """A frame with its marks. `name`: what the dataset calls it, with '/', without extension;
    `path`: its file at the destination."""

    name: str
    path: str
    width: int
    height: int
    marks: list[Mark]


class Together(Enum):
    """How the shapes of one label entry, which is one annotation, stay together."""

    PIXELS = auto()
    """They don't: there are pixels, and no annotations."""
    OUTLINES = auto()
    """Outlines are parts of one object; each rectangle is an object of its own."""
    BOXED = auto()
    """As `OUTLINES`, and of each object only the box around it is kept."""
    GROUPED = auto()
    """Each stands by itself, and all have the number of their group."""


@dataclass(frozen=True, slots=True)
class Holds:
    """What a format has a place for. `labels`: labels without a shape, which are of the frame.
    `surely`: we know that nothing more is left out."""

    shapes: frozenset[type[Shape]]
    together: Together = Together.PIXELS
    labels: bool = False
    surely: bool = True


class Marker:
    """Makes marks of items, and counts."""

    def __init__(self, holds: Holds, tally: Tally) -> None:
        self._holds = holds
        self.tally = tally

    def draw(self, item: Item, name: str) -> Drawn:
        """The marks of an item, in pixels of its image."""
        image = image_of(item)
        marks: list[Mark] = []
        said: set[str] = set()
        for number, label in enumerate(item.labels, 1):
            if label.shapes:
                kept = list(self._kept(label, image.width, image.height))
                marks += self._joined(kept, label.code, number)
            elif self._holds.labels and label.code not in said:
                said.add(label.code)
                marks.append(Mark(LABEL, label.code, 0, []))
            else:
                self.tally.skip(Skip.NOT_IN_FORMAT)
        self._count(marks)
        return Drawn(name, str(image.path), image.width, image.height, marks)

    def _kept(self, label: Label, width: int, height: int) -> Iterator[Shape]:
        """The shapes that the format holds, in pixels."""
        for shape in label.shapes:
            if isinstance(shape, UnknownShape):
                self.tally.skip(Skip.UNKNOWN_KIND)
            elif type(shape) not in self._holds.shapes:
                self.tally.skip(Skip.NOT_IN_FORMAT)
            elif (clipped := clip(shape)) is None:
                self.tally.skip(Skip.OUTSIDE)
            else:
                if clipped is not shape:
                    self.tally.clip()
                if self._holds.surely:
                    self.tally.wrote("shapes")
                yield clipped.to_pixels(width, height)

    def _joined(self, shapes: list[Shape], code: str, number: int) -> Iterator[Mark]:
        together = self._holds.together
        outlines = [shape for shape in shapes if isinstance(shape, Outline)]
        if together is Together.BOXED:
            if outlines:
                self.tally.note(Note.BOXED, len(outlines))
                yield Mark(BOX, code, 0, _hull(outlines))
            shapes = [shape for shape in shapes if not isinstance(shape, Outline)]
        for shape in shapes:
            grouped = (together is Together.GROUPED and len(shapes) > 1) or (
                together is Together.OUTLINES and isinstance(shape, Outline) and len(outlines) > 1
            )
            yield Mark(_KINDS[type(shape)], code, number if grouped else 0, _flat(shape))

    def _count(self, marks: list[Mark]) -> None:
        labels = sum(mark.kind == LABEL for mark in marks)
        annotations = len(marks) - labels
        if self._holds.together is Together.OUTLINES:
            grouped = [mark.group for mark in marks if mark.group]
            annotations -= len(grouped) - len(set(grouped))
        elif self._holds.together is Together.PIXELS:
            annotations = 0
        self.tally.wrote("frames")
        if not self._holds.surely:
            self.tally.note(Note.UNCOUNTED, len(marks))
            return
        for what, count in (("annotations", annotations), ("labels", labels)):
            if count:
                self.tally.wrote(what, count)


def image_of(item: Item) -> MirroredImage:
    """The item's image: whoever converts has refused a collection that knows of none."""
    if item.image is None:
        raise ValueError(f"{item.ref} has no image")
    return item.image


def clip(shape: Shape) -> Shape | None:
    """Of normalised points, what is left in the image; None where nothing is.

    Nothing is left of a shape whose box has nothing in common with the image, nor of one that
    encloses an area and, clipped, does not.
    """
    clipped = shape.clipped()
    if clipped is shape:
        return shape
    left, top, right, bottom = shape.box
    if right < 0 or bottom < 0 or left > 1 or top > 1:
        return None
    if isinstance(shape, _ENCLOSING) and clipped.area < _NO_AREA < shape.area:
        return None
    if isinstance(shape, Outline) and not _reaches_in(shape.points):
        return None
    return clipped


def _reaches_in(points: Points) -> bool:
    """Whether an outline has a part in the image: by Sutherland and Hodgman's clipping, 1974."""
    for axis, edge, sign in ((0, 0.0, 1), (0, 1.0, -1), (1, 0.0, 1), (1, 1.0, -1)):
        kept: list[Point] = []
        for before, after in zip((points[-1], *points), points, strict=False):
            was, now = (sign * (point[axis] - edge) for point in (before, after))
            if (was < 0) != (now < 0):
                part = was / (was - now)
                crossing = [a + part * (b - a) for a, b in zip(before, after, strict=True)]
                kept.append(Point(*crossing))
            if now >= 0:
                kept.append(after)
        if not kept:
            return False
        points = tuple(kept)
    return True


def _flat(shape: Shape) -> list[float]:
    if isinstance(shape, Rectangle):
        return list(shape.box)
    return [number for point in shape.points for number in point]


def _hull(outlines: list[Outline]) -> list[float]:
    boxes = [outline.box for outline in outlines]
    return [
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    ]
