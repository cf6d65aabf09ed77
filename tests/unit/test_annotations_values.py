"""Shapes: what their points mean, and their geometry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import Polygon, box

from mirror.annotations import (
    Box,
    Keypoint,
    Outline,
    Point,
    Polyline,
    Rectangle,
    UnknownShape,
)

_places = st.floats(-0.2, 1.2, allow_nan=False)
_points = st.lists(st.builds(Point, _places, _places), min_size=3, max_size=20).map(tuple)


@given(corners=st.tuples(st.builds(Point, _places, _places), st.builds(Point, _places, _places)))
def test_two_corners_in_any_order_give_one_box(corners: tuple[Point, Point]) -> None:
    (x0, y0), (x1, y1) = corners
    others = (Point(x0, y1), Point(x1, y0))
    boxes = {Rectangle(each).box for each in (corners, corners[::-1], others, others[::-1])}
    assert boxes == {Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))}


@given(points=_points)
def test_area_and_box_are_shapelys_where_an_outline_does_not_cross_itself(
    points: tuple[Point, ...],
) -> None:
    outline = Outline(points)
    theirs = Polygon(outline.ring)
    assert outline.area == pytest.approx(theirs.area, abs=1e-9)
    assert tuple(outline.box) == pytest.approx(theirs.bounds)


def test_a_rectangles_ring_is_shapelys_box() -> None:
    rectangle = Rectangle((Point(0.7, 0.8), Point(0.5, 0.6)))
    assert Polygon(rectangle.ring).equals(box(0.5, 0.6, 0.7, 0.8))
    assert rectangle.area == pytest.approx(0.04)


def test_what_encloses_nothing_has_no_area() -> None:
    assert Polyline((Point(0, 0), Point(1, 1))).area == 0
    assert Keypoint((Point(0.5, 0.5),)).area == 0


@given(points=_points, width=st.integers(1, 8000), height=st.integers(1, 8000))
def test_pixels_are_the_normalised_points_times_the_images_size(
    points: tuple[Point, ...], width: int, height: int
) -> None:
    pixels = Outline(points).to_pixels(width, height)
    assert isinstance(pixels, Outline)
    for (x, y), point in zip(pixels.points, points, strict=True):
        assert (x / width, y / height) == pytest.approx(tuple(point))
    assert pixels.area == pytest.approx(Outline(points).area * width * height)


@given(points=_points)
def test_clipping_moves_points_into_the_image_and_leaves_the_others(
    points: tuple[Point, ...],
) -> None:
    clipped = Outline(points).clipped().points
    for before, after in zip(points, clipped, strict=True):
        assert 0 <= after.x <= 1
        assert 0 <= after.y <= 1
        assert all(a == b or not 0 <= b <= 1 for a, b in zip(after, before, strict=True))


def test_a_shape_inside_is_its_own_clipping() -> None:
    inside = Rectangle((Point(0, 0), Point(1, 1)))
    assert inside.clipped() is inside


def test_an_unknown_shape_keeps_its_word_and_all_its_fields_through_pixels() -> None:
    raw = {"type": "ellipse", "points": [{"x": 0.5, "y": 0.5}], "angle": 12}
    unknown = UnknownShape((Point(0.5, 0.5),), "ellipse", raw)
    assert unknown.kind == "ellipse"
    assert unknown.to_pixels(100, 10) == UnknownShape((Point(50, 5),), "ellipse", raw)


def test_values_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        Keypoint((Point(0, 0),)).points = ()  # type: ignore[misc]
