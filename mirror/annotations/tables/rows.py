"""From values to rows: the cells of one row, in the order of its table's columns. No I/O.

A cell is None where there is nothing to say. Points are lists of [x, y].
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from mirror.annotations.collection import Collection, Item
from mirror.annotations.mirrored import MirroredImage
from mirror.annotations.reading import AnnotatedSequence
from mirror.annotations.values import Box, Interval, Label, Shape, UnknownShape

Row = list[Any]
_NO_BOX: Row = [None] * 4
_NO_PIXELS: Row = [None] * 6


class Place(NamedTuple):
    """What all rows of a sequence share. `root`: the destination, where one was named."""

    workspace_id: str
    root_id: str
    sequence: str
    split: str
    root: Path | None


def place_of(collection: Collection, sequence: AnnotatedSequence) -> Place:
    """Of one sequence."""
    return Place(
        sequence.workspace_id,
        sequence.root_id,
        collection.name(sequence),
        collection.split(sequence),
        collection.root,
    )


def frame_row(place: Place, item: Item) -> Row:
    """Of `FRAMES`."""
    return [
        *item.ref,
        place.sequence,
        place.split,
        *_image_cells(item.image, place.root),
        len(item.labels),
        sum(len(label.shapes) for label in item.labels),
        [label.code for label in item.labels],
        [label.name for label in item.labels],
    ]


def shape_rows(place: Place, item: Item) -> Iterator[Row]:
    """Of `SHAPES`, one for each shape of the frame's labels."""
    for label_index, label in enumerate(item.labels):
        for shape_index, shape in enumerate(label.shapes):
            yield [
                *item.ref,
                place.split,
                label_index,
                shape_index,
                *_named(label),
                shape.kind,
                *_shape_cells(shape, item.image),
                _raw(shape),
            ]


def interval_row(place: Place, index: int, interval: Interval) -> Row:
    """Of `INTERVALS`."""
    return [
        place.workspace_id,
        place.root_id,
        place.sequence,
        place.split,
        index,
        interval.code,
        interval.name,
        interval.start,
        interval.end,
        interval.open_start,
        interval.end is None,
        interval.is_point,
    ]


def _named(label: Label) -> tuple[str, str]:
    return label.code, label.name


def _image_cells(image: MirroredImage | None, root: Path | None) -> Row:
    if image is None:
        return [None, None, None]
    path = image.path.relative_to(root) if root else image.path
    return [path.as_posix(), image.width, image.height]


def _shape_cells(shape: Shape, image: MirroredImage | None) -> Row:
    if not shape.points:
        return [[], *_NO_BOX, False, *_NO_PIXELS]
    box = shape.box
    outside = box.left < 0 or box.top < 0 or box.right > 1 or box.bottom > 1
    points = [[x, y] for x, y in shape.points]
    return [points, *box, outside, *_pixel_cells(shape, box, image)]


def _pixel_cells(shape: Shape, box: Box, image: MirroredImage | None) -> Row:
    """As of `shape.to_pixels`, without making one for each row; None for all where a coordinate is
    too large to be told in pixels."""
    if image is None:
        return _NO_PIXELS
    _, width, height = image
    sides = [box.left * width, box.top * height, box.right * width, box.bottom * height]
    if not all(map(isfinite, sides)):
        return _NO_PIXELS
    area = shape.area * width * height
    known = isfinite(area) and not isinstance(shape, UnknownShape)
    points = [[x * width, y * height] for x, y in shape.points]
    return [points, *sides, area if known else None]


def _raw(shape: Shape) -> str | None:
    if not isinstance(shape, UnknownShape):
        return None
    try:
        return orjson.dumps(shape.raw).decode()
    except TypeError:  # orjson reads four times as deep as it writes
        return json.dumps(shape.raw, ensure_ascii=False, separators=(",", ":"))
