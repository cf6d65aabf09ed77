"""Rows by hand: what a cell says, and where it says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mirror.annotations import (
    Interval,
    Item,
    Keypoint,
    Label,
    MirroredImage,
    Outline,
    Point,
    Polyline,
    Rectangle,
    Shape,
    UnknownShape,
)
from mirror.annotations.tables import FRAMES, INTERVALS, SHAPES, TABLES
from mirror.annotations.tables.rows import Place, frame_row, interval_row, shape_rows
from mirror.frames import FrameRef

REF = FrameRef("w", "r", "f")
ROOT = Path("/frames")
PLACE = Place("w", "r", "r", "train", ROOT)
IMAGE = MirroredImage(ROOT / "r/f.png", 200, 100)


def _item(*labels: Label, image: MirroredImage | None = IMAGE) -> Item:
    return Item(REF, "r/f", labels, image)


def _shapes(*shapes: Shape, image: MirroredImage | None = IMAGE) -> list[dict[str, Any]]:
    rows = shape_rows(PLACE, _item(Label("c", "C", shapes), image=image))
    return [dict(zip(SHAPES.names, row, strict=True)) for row in rows]


def _points(*pairs: tuple[float, float]) -> tuple[Point, ...]:
    return tuple(Point(*pair) for pair in pairs)


def test_no_table_names_a_column_twice() -> None:
    for table in TABLES:
        assert len(set(table.names)) == len(table.names)


def test_a_shape_is_told_in_both_units() -> None:
    (row,) = _shapes(Rectangle(_points((0.75, 0.5), (0.25, 0.25))))
    assert row["points"] == [[0.75, 0.5], [0.25, 0.25]]
    assert [row[side] for side in ("left", "top", "right", "bottom")] == [0.25, 0.25, 0.75, 0.5]
    assert row["pixel_points"] == [[150, 50], [50, 25]]
    assert [row[f"pixel_{side}"] for side in ("left", "top", "right", "bottom")] == [
        50,
        25,
        150,
        50,
    ]
    assert row["pixel_area"] == 2500
    assert (row["kind"], row["outside"], row["raw"]) == ("rectangle", False, None)


def test_pixels_are_those_of_the_library() -> None:
    outline = Outline(_points((0.1, 0.3), (0.7, 0.2), (0.9, 1.1), (-0.3, 0.6)))
    (row,) = _shapes(outline)
    pixels = outline.to_pixels(200, 100)
    assert row["pixel_points"] == [list(point) for point in pixels.points]
    box = [row[f"pixel_{side}"] for side in ("left", "top", "right", "bottom")]
    assert box == list(pixels.box)
    assert row["pixel_area"] == pytest.approx(pixels.area, rel=1e-12)


def test_without_an_image_nothing_is_told_in_pixels() -> None:
    (row,) = _shapes(Keypoint(_points((0.5, 0.5))), image=None)
    assert [row[name] for name in SHAPES.names if name.startswith("pixel_")] == [None] * 6
    assert row["left"] == 0.5


def test_points_outside_stay_and_are_told() -> None:
    line, at_the_edge = _shapes(
        Polyline(_points((-0.1, 0.5), (0.5, 1.25))), Polyline(_points((0, 0), (1, 1)))
    )
    assert (line["outside"], line["left"], line["pixel_bottom"]) == (True, -0.1, 125)
    assert at_the_edge["outside"] is False


def test_what_encloses_nothing_has_no_area() -> None:
    line, point = _shapes(Polyline(_points((0, 0), (1, 1))), Keypoint(_points((0, 0))))
    assert line["pixel_area"] == point["pixel_area"] == 0


def test_a_kind_that_is_unknown_is_kept_whole_and_has_no_area() -> None:
    raw = {"type": "ellipse", "r": [1, None]}
    without, with_points = _shapes(
        UnknownShape((), "ellipse", raw), UnknownShape(_points((0.5, 0.5)), "ellipse", raw)
    )
    assert without["raw"] == '{"type":"ellipse","r":[1,null]}'
    assert (without["kind"], without["points"], without["left"]) == ("ellipse", [], None)
    assert without["pixel_points"] is None
    assert with_points["pixel_points"] == [[100, 50]]
    assert with_points["pixel_area"] is None


def test_numbers_that_pixels_would_make_endless_are_left_empty() -> None:
    far, wide = _shapes(
        Keypoint(_points((1e308, 0))), Outline(_points((0, 0), (1e200, 0), (1e200, 1e200)))
    )
    assert far["pixel_points"] is far["pixel_left"] is far["pixel_area"] is None
    assert far["right"] == 1e308
    assert wide["pixel_area"] is None
    assert wide["pixel_right"] == 2e202


def test_rows_count_labels_and_shapes_from_zero() -> None:
    shape = Keypoint(_points((0, 0)))
    item = _item(Label("a", "A", ()), Label("b", "B", (shape, shape)))
    rows = [dict(zip(SHAPES.names, row, strict=True)) for row in shape_rows(PLACE, item)]
    assert [(row["code"], row["label_index"], row["shape_index"]) for row in rows] == [
        ("b", 1, 0),
        ("b", 1, 1),
    ]


def test_a_frame_tells_all_its_labels_also_those_without_a_shape() -> None:
    shape = Keypoint(_points((0, 0)))
    item = _item(Label("a", "A", ()), Label("b", "B", (shape, shape)), Label("a", "A", (shape,)))
    row = dict(zip(FRAMES.names, frame_row(PLACE, item), strict=True))
    assert row == {
        "workspace_id": "w",
        "root_id": "r",
        "frame_id": "f",
        "sequence": "r",
        "split": "train",
        "image": "r/f.png",
        "width": 200,
        "height": 100,
        "labels": 3,
        "shapes": 3,
        "codes": ["a", "b", "a"],
        "names": ["A", "B", "A"],
    }


def test_a_frame_without_an_image_has_no_size() -> None:
    row = dict(zip(FRAMES.names, frame_row(PLACE, _item(image=None)), strict=True))
    assert (row["image"], row["width"], row["height"], row["codes"]) == (None, None, None, [])


def test_an_interval_stays_open_and_says_so() -> None:
    row = interval_row(PLACE, 3, Interval("a", "A", 0, None, open_start=True))
    found = dict(zip(INTERVALS.names, row, strict=True))
    assert found["interval_index"] == 3
    assert (found["start_ms"], found["end_ms"]) == (0, None)
    assert (found["open_start"], found["open_end"], found["point"]) == (True, True, False)


def test_an_interval_without_a_length_is_a_point() -> None:
    found = dict(
        zip(INTERVALS.names, interval_row(PLACE, 0, Interval("a", "A", 7, 7)), strict=True)
    )
    assert (found["point"], found["open_end"]) == (True, False)
