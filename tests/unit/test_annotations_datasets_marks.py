"""What becomes of shapes on their way into a dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.annotations import (
    Item,
    Keypoint,
    Label,
    MirroredImage,
    Outline,
    Point,
    Polyline,
    Rectangle,
    Shape,
    Tally,
    UnknownShape,
)
from mirror.annotations.datasets.marks import BOX, LABEL, POLYGON, Holds, Marker, Together, clip
from mirror.frames import FrameRef

ALL = frozenset({Outline, Rectangle, Polyline, Keypoint})


def points(*numbers: float) -> tuple[Point, ...]:
    return tuple(map(Point, numbers[::2], numbers[1::2]))


TRIANGLE = Outline(points(0.1, 0.2, 0.3, 0.2, 0.3, 0.4))
OTHER = Outline(points(0.5, 0.5, 0.9, 0.5, 0.9, 0.6))
BOXES = Rectangle(points(0.4, 0.5, 0.2, 0.1))


def item(*labels: Label) -> Item:
    return Item(FrameRef("w", "r", "f"), "r/f", labels, MirroredImage(Path("f.png"), 100, 10))


def drawn(together: Together, *shapes: Shape) -> list[tuple[int, int, list[float]]]:
    marker = Marker(Holds(ALL, together), Tally())
    marks = marker.draw(item(Label("a", "A", ()), Label("b", "B", shapes)), "r/f").marks
    return [(mark.kind, mark.group, [round(each, 6) for each in mark.points]) for mark in marks]


@pytest.mark.parametrize(
    "shape",
    [
        Rectangle(points(1.1, 0.1, 1.4, 0.3)),
        Rectangle(points(-0.5, 0.1, 0.0, 0.3)),
        Outline(points(0.1, 1.2, 0.4, 1.2, 0.4, 1.6)),
        Outline(points(0.2, -0.3, 0.4, -0.1, 0.6, 0.0)),
        Polyline(points(-0.2, 0.1, -0.1, 0.9)),
        Keypoint(points(0.5, 1.001)),
    ],
)
def test_nothing_is_left_of_what_lies_outside(shape: Shape) -> None:
    assert clip(shape) is None


@pytest.mark.parametrize(
    ("shape", "left"),
    [
        (Rectangle(points(-0.5, 0.1, 0.2, 0.3)), points(0, 0.1, 0.2, 0.3)),
        (Polyline(points(-0.2, 0.1, 0.5, 1.9)), points(0, 0.1, 0.5, 1)),
        (Polyline(points(-0.2, 0.5, 0.0, 0.5)), points(0, 0.5, 0, 0.5)),
        # a line drawn as an outline has no area that could go
        (Outline(points(0.5, -0.1, 0.5, 0.5, 0.5, 0.2)), points(0.5, 0, 0.5, 0.5, 0.5, 0.2)),
    ],
)
def test_what_reaches_over_the_edge_is_moved_to_it(shape: Shape, left: tuple[Point, ...]) -> None:
    clipped = clip(shape)
    assert clipped is not None
    assert clipped.points == left


def test_what_is_inside_is_kept_even_where_it_has_no_area() -> None:
    flat = Rectangle(points(0.5, 0.5, 0.5, 0.9))
    assert clip(flat) is flat
    on_the_edge = Keypoint(points(1, 1))
    assert clip(on_the_edge) is on_the_edge


def test_points_become_pixels_and_a_boxs_corners_are_put_in_order() -> None:
    marks = drawn(Together.PIXELS, TRIANGLE, BOXES)
    assert marks == [
        (POLYGON, 0, [10, 2, 30, 2, 30, 4]),
        (BOX, 0, [20, 1, 40, 5]),
    ]


def test_outlines_of_one_entry_are_parts_of_one_object() -> None:
    assert [group for _, group, _ in drawn(Together.OUTLINES, TRIANGLE, OTHER, BOXES)] == [2, 2, 0]
    assert [group for _, group, _ in drawn(Together.OUTLINES, TRIANGLE, BOXES)] == [0, 0]


def test_all_shapes_of_one_entry_are_a_group() -> None:
    assert [group for _, group, _ in drawn(Together.GROUPED, TRIANGLE, BOXES)] == [2, 2]
    assert [group for _, group, _ in drawn(Together.GROUPED, BOXES)] == [0]


def test_one_box_is_left_around_the_outlines_of_one_entry() -> None:
    assert drawn(Together.BOXED, TRIANGLE, BOXES, OTHER) == [
        (BOX, 0, [10, 2, 90, 6]),
        (BOX, 0, [20, 1, 40, 5]),
    ]


def test_every_label_and_shape_is_written_or_counted() -> None:
    tally = Tally()
    marker = Marker(Holds(frozenset({Outline}), Together.OUTLINES, labels=True), tally)
    shapes = (TRIANGLE, OTHER, BOXES, UnknownShape((), "ellipse", {}), Outline(points(*[2] * 6)))
    labels = (Label("a", "A", ()), Label("a", "A", ()), Label("b", "B", shapes))
    found = marker.draw(item(*labels), "r/f")
    assert [mark.kind for mark in found.marks] == [LABEL, POLYGON, POLYGON]
    assert tally.written == {"frames": 1, "shapes": 2, "annotations": 1, "labels": 1}
    assert tally.skipped == {"not_in_format": 2, "unknown_kind": 1, "outside": 1}


def test_a_label_whose_shapes_are_left_out_says_nothing_of_the_frame() -> None:
    tally = Tally()
    marker = Marker(Holds(frozenset(), labels=True), tally)
    assert marker.draw(item(Label("b", "B", (BOXES,))), "r/f").marks == []
    assert tally.skipped == {"not_in_format": 1}


def test_what_a_library_may_leave_out_is_said_to_be_uncounted() -> None:
    tally = Tally()
    Marker(Holds(ALL, labels=True, surely=False), tally).draw(item(Label("b", "B", ())), "r/f")
    assert tally.noted == {"given_to_datumaro_and_not_counted": 1}


def test_an_item_without_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match="r/f has no image"):
        Marker(Holds(ALL), Tally()).draw(Item(FrameRef("w", "r", "f"), "r/f", (), None), "r/f")


def test_an_outline_beyond_a_corner_is_outside_though_its_box_is_not() -> None:
    beyond = Outline((Point(-2, 0.5), Point(0.5, -2), Point(-2, -2)))
    assert clip(beyond) is None
    around = Outline((Point(-2, -2), Point(3, -2), Point(3, 3), Point(-2, 3)))
    assert clip(around) == around.clipped()
