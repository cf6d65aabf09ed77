"""Datasets written from an export, and read back by datumaro."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotations_kit import frame, label, mirror_export, sequence, shape, write

from mirror.annotations import Choice, Collection, MirroredImages, Problems, Tally, parse_splits
from mirror.annotations.collection import EVERYTHING
from mirror.annotations.datasets import Categories, ImageMode, write_dataset
from mirror.annotations.splits import UNSPLIT
from mirror.export import ExportFile

SIZE = (200, 100)

OUTLINE = shape("close_polygon", (0.1, 0.2), (0.4, 0.2), (0.4, 0.6))
SECOND = shape("close_polygon", (0.6, 0.5), (0.9, 0.5), (0.9, 0.9), (0.6, 0.9))
BOX = shape("rectangle", (0.75, 0.5), (0.25, 0.0))
LINE = shape("open_polygon", (0.1, 0.1), (0.5, 0.5), (0.9, 0.1))
POINT = shape("keypoint", (0.5, 0.25))
ELLIPSE = shape("ellipse", (0.5, 0.5), (0.1, 0.1))
OVER = shape("close_polygon", (-0.1, 0.5), (0.5, 0.5), (0.5, 1.2))
GONE = shape("rectangle", (1.1, 0.1), (1.4, 0.3))

EVERY_KIND = (
    sequence(
        "r1",
        frame(
            "f1",
            label("liver", OUTLINE, SECOND),
            label("tool", BOX, POINT, LINE),
            label("smoke"),
        ),
        frame("f2", label("tool", OUTLINE, BOX, ELLIPSE), label("smoke"), label("smoke")),
        frame("f3"),
    ),
    sequence("r2", frame("f1", label("duct", OVER, GONE), label("tool", BOX))),
)
"""Two sequences that share a frame's name; each kind of shape; what is clipped and what is not."""


@dataclass
class Dataset:
    out: Path
    tally: Tally
    categories: Categories
    frames: Path

    def counts(self) -> dict[str, int]:
        return dict(self.tally.written)

    def skipped(self) -> dict[str, int]:
        return {str(why): count for why, count in self.tally.skipped.items()}


def mirrored(folder: Path, *sequences: dict[str, Any], size: tuple[int, int] = SIZE) -> Path:
    """An export of these sequences in `folder`, beside a destination with its frames."""
    export = write(folder / "export.json", *sequences)
    mirror_export(folder / "frames", export, size)
    return export


def dataset(
    name: str,
    export: Path,
    *,
    mode: ImageMode = ImageMode.COPY,
    split: str = "",
    categories: Categories | None = None,
    choice: Choice = EVERYTHING,
) -> Dataset:
    """What `write_dataset` makes of `export`, whose frames are in `frames` beside it."""
    out = export.parent / f"{name}-{mode}"
    out.mkdir()
    splits = parse_splits(split, 0) if split else UNSPLIT
    kept = categories or Categories.load(None)
    tally = Tally()
    frames = export.parent / "frames"
    with ExportFile.open(export) as opened, MirroredImages.open(frames) as images:
        collection = Collection([opened], images, Problems(), choice=choice, splits=splits)
        write_dataset(name, collection, out, tally, images=mode, categories=kept)
    return Dataset(out, tally, kept, frames)


def read_back(made: Dataset, form: str) -> list[Any]:
    """datumaro's items, by split and name."""
    import datumaro  # noqa: PLC0415 - it takes a second

    found = datumaro.Dataset.import_from(str(made.out), form)
    labels = found.categories()[datumaro.AnnotationType.label]
    items = sorted(found, key=lambda item: (item.subset, item.id))
    for item in items:
        for each in item.annotations:
            each.attributes["code"] = labels[each.label].name
    return items


def of_kind(items: Iterable[Any], kind: str) -> list[tuple[str, str, list[float]]]:
    """Frame, label and points of every annotation of a kind; of a box x, y, width, height."""
    return sorted(
        (
            item.id,
            each.attributes["code"],
            [
                round(float(number), 2)
                for number in (each.get_bbox() if kind == "bbox" else getattr(each, "points", []))
            ],
        )
        for item in items
        for each in item.annotations
        if each.type.name == kind
    )
