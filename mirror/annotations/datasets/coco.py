"""COCO, written in a stream: one file of instances for each split, and one of keypoints and one of
image labels where the dataset has any.

Not by datumaro's exporter, which rasterises every outline for its area: at 1080p that is nearly a
millisecond an annotation, more than all else together. Layout, ids and rounding are datumaro's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from mirror.annotations.datasets.categories import Categories, Category
from mirror.annotations.datasets.gathering import Gathered
from mirror.annotations.datasets.images import EXTENSION
from mirror.annotations.datasets.marks import BOX, LABEL, POINT, POLYGON, Mark
from mirror.annotations.datasets.spool import Spool

_VISIBLE = 2
_DIGITS = 2
"""Of a coordinate, as in every format of datumaro: a hundredth of a pixel."""

Annotation = dict[str, Any]
Task = Callable[[list[Mark]], Iterable[tuple[str, Annotation]]]
"""A frame's annotations, each with its label code."""


def write_coco(out: Path, gathered: Gathered, categories: Categories) -> None:
    """`annotations/TASK_SPLIT.json`; every file names every frame of its split."""
    folder = out / "annotations"
    folder.mkdir()
    (out / "images").mkdir(exist_ok=True)  # where readers look, whether or not there are any
    first = 1
    for split, spool in gathered.splits.items():
        for task, (kinds, annotate) in _TASKS.items():
            if task == "instances" or gathered.kinds & kinds:
                described = [_category(each, task) for each in categories]
                with (folder / f"{task}_{split}.json").open("wb") as file:
                    file.writelines(_document(spool, first, described, annotate, categories))
        first += len(spool)


def _document(
    spool: Spool,
    first: int,
    described: list[dict[str, Any]],
    annotate: Task,
    categories: Categories,
) -> Iterator[bytes]:
    """`first`: the id of the first image; the others follow."""
    yield b'{"info": {}, "licenses": [], "categories": '
    yield orjson.dumps(described)
    yield b',\n"images": ['
    yield from _lines(_images(spool, first))
    yield b'],\n"annotations": ['
    yield from _lines(_annotations(spool, first, annotate, categories))
    yield b"]}\n"


def _lines(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    between = b"\n"
    for row in rows:
        yield between
        yield orjson.dumps(row)
        between = b",\n"


def _images(spool: Spool, first: int) -> Iterator[dict[str, Any]]:
    for number, drawn in enumerate(spool, first):
        name = f"{drawn.name}{EXTENSION}"
        yield {"id": number, "width": drawn.width, "height": drawn.height, "file_name": name}


def _annotations(
    spool: Spool, first: int, annotate: Task, categories: Categories
) -> Iterator[Annotation]:
    number = 0
    for image, drawn in enumerate(spool, first):
        for code, annotation in annotate(drawn.marks):
            number += 1
            category = categories.id_of(code) + 1
            yield {"id": number, "image_id": image, "category_id": category, **annotation}


def _category(category: Category, task: str) -> dict[str, Any]:
    found = {"id": category.id + 1, "name": category.code, "supercategory": ""}
    if task == "person_keypoints":  # each label has one point, which is called as the label is
        return found | {"keypoints": [category.code], "skeleton": []}
    return found


def _instances(marks: list[Mark]) -> Iterator[tuple[str, Annotation]]:
    """Outlines of one group are the parts of one segmentation; a rectangle has none, for nobody
    has outlined what is in it."""
    objects: dict[int, list[Mark]] = {}
    for number, mark in enumerate(marks, 1):
        if mark.kind in _AREAS:
            objects.setdefault(mark.group or -number, []).append(mark)
    for parts in objects.values():
        rings = [_rounded(mark.points) for mark in parts]
        xs, ys = [x for ring in rings for x in ring[::2]], [y for ring in rings for y in ring[1::2]]
        left, top, width, height = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
        outlined = parts[0].kind == POLYGON
        yield (
            parts[0].code,
            {
                "segmentation": rings if outlined else [],
                "area": _rounded([sum(map(area, rings)) if outlined else width * height])[0],
                "bbox": _rounded([left, top, width, height]),
                "iscrowd": 0,
            },
        )


def _keypoints(marks: list[Mark]) -> Iterator[tuple[str, Annotation]]:
    for mark in marks:
        if mark.kind == POINT:
            x, y = _rounded(mark.points)
            nothing = {"segmentation": [], "area": 0.0, "bbox": [x, y, 0.0, 0.0], "iscrowd": 0}
            yield mark.code, {"keypoints": [x, y, _VISIBLE], "num_keypoints": 1, **nothing}


def _labels(marks: list[Mark]) -> Iterator[tuple[str, Annotation]]:
    for mark in marks:
        if mark.kind == LABEL:
            yield mark.code, {}


def area(ring: list[float]) -> float:
    """What x, y, x, y, … enclose, by the shoelace formula."""
    xs, ys = ring[::2], ring[1::2]
    doubled = sum(
        x * next_y - next_x * y
        for x, y, next_x, next_y in zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)
    )
    return abs(doubled) / 2


def _rounded(numbers: list[float]) -> list[float]:
    return [round(number, _DIGITS) for number in numbers]


_AREAS = frozenset({POLYGON, BOX})
_TASKS: dict[str, tuple[frozenset[int], Task]] = {
    "instances": (_AREAS, _instances),
    "person_keypoints": (frozenset({POINT}), _keypoints),
    "labels": (frozenset({LABEL}), _labels),
}
