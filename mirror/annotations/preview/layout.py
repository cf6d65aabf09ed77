"""What is drawn where on a picture of a given size: decided without an image.

`plan` makes of a frame's labels a `Drawing` in pixels. `pictures` paints it, and `page` writes it
as SVG, so both show the same. Line widths, dots and text grow with the picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

from mirror.annotations.preview.wording import drawn_name
from mirror.annotations.values import (
    Box,
    Keypoint,
    Label,
    Outline,
    Point,
    Points,
    Polyline,
    Rectangle,
    Shape,
)

Measure = Callable[[str, int], float]
"""How wide a text is, in pixels, in a font of so many pixels."""

_TAGGED_SHARE = 0.3  # of the picture at most is covered by tags
_MOST_TAGGED = 200  # of the marks; more would have no room
_MOST_COVERED = 0.15  # of a tag, by others, else the legend must do


class Form(StrEnum):
    """How a mark is drawn."""

    AREA = "area"
    BOX = "box"
    LINE = "line"
    DOT = "dot"


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes in pixels: of a line, the dark edge on each side of it, a dot's radius, the text."""

    line: int
    edge: int
    dot: int
    font: int

    @property
    def pad(self) -> int:
        """Around a text."""
        return max(2, self.font // 5)

    @property
    def row(self) -> int:
        """How high a row of text is, with what is around it."""
        return round(self.font * 1.2) + 2 * self.pad


@dataclass(frozen=True, slots=True)
class Mark:
    """One shape. `points` of a box are its four corners."""

    form: Form
    code: str
    points: Points


@dataclass(frozen=True, slots=True)
class Tag:
    """The name of a shape's label, in a filled box beside it."""

    code: str
    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a legend. `shapes`: how many of the label are drawn; 0 where it says something of
    the whole frame."""

    code: str
    text: str
    shapes: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """All there is on one picture. `unknown`: shapes of kinds that can't be drawn, by kind;
    `outside`: shapes that lie wholly outside the image."""

    width: int
    height: int
    scale: Scale
    marks: tuple[Mark, ...]
    tags: tuple[Tag, ...]
    legend: tuple[Entry, ...]
    unknown: dict[str, int]
    outside: int


def scale_of(width: int, height: int) -> Scale:
    """Sizes that can be seen on an image of this size, from 320 pixels to 4K and beyond."""
    side = sqrt(width * height)
    line = max(2, round(side / 330))
    return Scale(line, max(1, line // 2), max(4, round(side / 160)), max(11, round(side / 58)))


def plan(labels: Iterable[Label], width: int, height: int, measure: Measure) -> Drawing:
    """What is drawn of `labels`, whose points are normalised, on an image of this size."""
    scale = scale_of(width, height)
    marks: list[tuple[float, Mark]] = []
    tags: list[tuple[Mark, str]] = []
    drawn: Counter[tuple[str, str]] = Counter()
    unknown: Counter[str] = Counter()
    outside = 0
    for label in labels:
        text = drawn_name(label.code, label.name)
        drawn[label.code, text] += 0
        for shape in label.shapes:
            form = _FORMS.get(type(shape))
            if form is None:
                unknown[shape.kind] += 1
            elif _is_outside(shape):
                outside += 1
            else:
                mark = Mark(form, label.code, _pixels(shape, width, height))
                marks.append((-shape.area, mark))
                tags.append((mark, text))
                drawn[label.code, text] += 1
    # what is small lies upon what is large
    ordered = tuple(mark for _, mark in sorted(marks, key=lambda each: each[0]))
    placed = tuple(place_tags(tags, width, height, scale, measure))
    legend = tuple(Entry(code, text, count) for (code, text), count in sorted(drawn.items()))
    return Drawing(width, height, scale, ordered, placed, legend, dict(unknown), outside)


_FORMS: dict[type[Shape], Form] = {
    Outline: Form.AREA,
    Rectangle: Form.BOX,
    Polyline: Form.LINE,
    Keypoint: Form.DOT,
}


def _is_outside(shape: Shape) -> bool:
    left, top, right, bottom = shape.box
    return right < 0 or bottom < 0 or left > 1 or top > 1


def _pixels(shape: Shape, width: int, height: int) -> Points:
    points = shape.points
    if isinstance(shape, Rectangle):
        points = tuple(Point(x, y) for x, y in shape.ring[:-1])
    # what is painted can't be arbitrarily far away
    return tuple(
        Point(min(max(x, -2.0), 3.0) * width, min(max(y, -2.0), 3.0) * height) for x, y in points
    )


def place_tags(
    marks: Sequence[tuple[Mark, str]], width: int, height: int, scale: Scale, measure: Measure
) -> Iterator[Tag]:
    """A tag for each mark that has room for one: inside the picture, not over other tags, and over
    as little of the marks as can be. One that lies on a tagged mark of its label needs none."""
    marks = marks[:_MOST_TAGGED]
    around = [_around(mark) for mark, _ in marks]
    placed: list[Box] = []
    named: list[tuple[str, Box]] = []
    room = _TAGGED_SHARE * width * height
    for (mark, text), own in zip(marks, around, strict=True):
        if any(code == mark.code and _covered(own, [box]) > 0 for code, box in named):
            continue
        size = measure(text, scale.font) + 2 * scale.pad, float(scale.row)
        choices = [_inside(box, width, height) for box in _places(own, mark.form, *size, scale)]
        box = min(choices, key=lambda each: _cost(each, placed, around))
        fits = box.width <= width and box.height <= height / 3 and box.area <= room
        if fits and _covered(box, placed) <= _MOST_COVERED * box.area:
            room -= box.area
            placed.append(box)
            named.append((mark.code, own))
            yield Tag(mark.code, text, box)


def _around(mark: Mark) -> Box:
    xs, ys = [point.x for point in mark.points], [point.y for point in mark.points]
    # half a pixel more, so that points and level lines cover something, too
    return Box(min(xs) - 0.5, min(ys) - 0.5, max(xs) + 0.5, max(ys) + 0.5)


def _cost(box: Box, tags: Iterable[Box], marks: Iterable[Box]) -> float:
    """How bad a place is: over a tag is worse than over what a mark encloses."""
    return 4 * _covered(box, tags) + _covered(box, marks)


def _places(own: Box, form: Form, width: float, height: float, scale: Scale) -> Iterator[Box]:
    """Where the tag of a mark may be, the best first."""
    left, top, right, bottom = own
    gap = scale.line + scale.edge
    if form is Form.DOT:
        away = 2 * scale.dot
        corners = [(right + away, top - height / 2), (left - away - width, top - height / 2)]
        corners += [(left - width / 2, bottom + away), (left - width / 2, top - away - height)]
    else:
        corners = [(left, top - height - gap), (left, bottom + gap)]
        corners += [(right - width, top - height - gap), (right - width, bottom + gap)]
        corners += [(right + gap, top), (left - width - gap, top), (left + gap, top + gap)]
    for x, y in corners:
        yield Box(x, y, x + width, y + height)


def _inside(box: Box, width: int, height: int) -> Box:
    x = max(0.0, min(box.left, width - box.width))
    y = max(0.0, min(box.top, height - box.height))
    return Box(x, y, x + box.width, y + box.height)


def _covered(box: Box, others: Iterable[Box]) -> float:
    """How much of `box` lies under others, at most."""
    return sum(
        max(0.0, min(box.right, other.right) - max(box.left, other.left))
        * max(0.0, min(box.bottom, other.bottom) - max(box.top, other.top))
        for other in others
    )


def legend_text(entry: Entry) -> str:
    """What a legend says of a label."""
    if not entry.shapes:
        return f"{entry.text} (no shape drawn)"
    return f"{entry.text} x{entry.shapes}" if entry.shapes > 1 else entry.text


def flow(widths: Sequence[float], available: float, gap: float) -> list[list[tuple[int, float]]]:
    """Things of these widths in rows that are `available` wide: of each its number and its left."""
    rows: list[list[tuple[int, float]]] = []
    reached = 0.0
    for number, width in enumerate(widths):
        if not rows or reached + width > available:
            rows.append([])
            reached = 0.0
        rows[-1].append((number, reached))
        reached += width + gap
    return rows
