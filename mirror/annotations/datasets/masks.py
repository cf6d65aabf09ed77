"""Semantic masks: an 8-bit palette PNG a frame, whose pixels are label numbers.

0 is the background, a label has its id and 1. Which pixels a shape covers is pycocotools' rule, so
they are those of a COCO annotation. Shapes are painted in the export's order, later ones over
earlier ones. Without --split there is one folder, with it one for each split; datumaro reads them
as `common_semantic_segmentation` and `common_semantic_segmentation_with_subset_dirs`.
"""

from __future__ import annotations

import json
import os
import warnings
from math import ceil
from pathlib import Path
from typing import Any

from mirror.annotations.collection import Collection
from mirror.annotations.datasets.categories import Categories
from mirror.annotations.datasets.codes import refuse_codes
from mirror.annotations.datasets.extra import load
from mirror.annotations.datasets.formats import MASKS, NAMED
from mirror.annotations.datasets.gathering import gather
from mirror.annotations.datasets.images import EXTENSION, ImageMode, Images, Place, root_of
from mirror.annotations.datasets.marks import BOX, Drawn, Mark, Marker
from mirror.annotations.tally import Tally
from mirror.errors import UsageError

META = "dataset_meta.json"
_MOST = 255
_BACKGROUND = "background"


def write_masks(
    collection: Collection,
    out: Path,
    tally: Tally,
    *,
    images: ImageMode,
    categories: Categories,
) -> None:
    """`masks/`, `images/` and `dataset_meta.json` in `out`, or below it for each split.

    Raises `UsageError` for more than 255 labels, and as `write_dataset` does.
    """
    form = NAMED[MASKS]
    split = collection.splits.split
    place = form.place if split else Place("images", form.place.reference, flat=True)
    painter = Painter(categories)
    placed = Images(out, place, images, root_of(collection, MASKS))
    with gather(collection, out, Marker(form.holds, tally), placed) as gathered:
        categories.take_in(gathered.names)
        refuse_codes(MASKS, categories.codes, file_names=False)
        if len(categories) > _MOST:
            raise UsageError(
                f"--to {MASKS} has room for {_MOST} labels, and there are {len(categories)}: choose"
                " some with --label, and another folder, so that numbers begin anew."
            )
        for name, spool in gathered.splits.items():
            folder = out / name if split else out
            (folder / "masks").mkdir(parents=True)
            _write_meta(folder / META, categories)
            for drawn in spool:
                painter.paint(drawn, folder / "masks" / f"{drawn.name}{EXTENSION}")


def colour(number: int) -> tuple[int, int, int]:
    """Of a mask's number: Pascal VOC's palette, in which 0 is black and near numbers look unlike
    each other."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    red, green, blue = channels
    return red, green, blue


class Painter:
    """Paints masks; loads what it needs for that."""

    def __init__(self, categories: Categories) -> None:
        self._ids = categories
        self._images = load("PIL.Image", MASKS)
        self._coco = load("pycocotools.mask", MASKS)
        self._numpy = load("numpy", MASKS)
        self._palette = [channel for number in range(256) for channel in colour(number)]

    def paint(self, drawn: Drawn, path: Path) -> None:
        """One frame's mask, as a file of mode 0600."""
        canvas = self._numpy.zeros((drawn.height, drawn.width), dtype="uint8")
        for mark in drawn.marks:
            covered = self._covered(mark, drawn)
            height, width = covered.shape
            canvas[:height, :width][covered] = self._ids.id_of(mark.code) + 1
        image = self._images.fromarray(canvas)
        image.putpalette(self._palette)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as target:
            image.save(target, "PNG", compress_level=3)  # a third of the time of 6

    def _covered(self, mark: Mark, drawn: Drawn) -> Any:
        """Which pixels the shape covers, from the image's corner to the shape's far sides: less
        than the whole takes less time, and moving it would tip what lies on a pixel's edge."""
        ring = _ring(mark)
        width, height = _reach(ring[::2], drawn.width), _reach(ring[1::2], drawn.height)
        rles = self._coco.frPyObjects([ring], height, width)
        with warnings.catch_warnings():
            # pycocotools 2.0.11 and numpy 2 disagree about an argument that plays no part here
            warnings.simplefilter("ignore", DeprecationWarning)
            return self._coco.decode(rles)[:, :, 0].astype(bool)


def _reach(numbers: list[float], length: int) -> int:
    """Pixels up to the last of these numbers, with one to spare; at least one."""
    return max(1, min(ceil(max(numbers)) + 1, length))


def _ring(mark: Mark) -> list[float]:
    if mark.kind != BOX:
        return mark.points
    left, top, right, bottom = mark.points
    return [left, top, right, top, right, bottom, left, bottom]


def _write_meta(path: Path, categories: Categories) -> None:
    """What numbers and colours mean, as datumaro reads it."""
    first = _BACKGROUND
    while first in categories.codes:
        first = f"({first})"
    labels = [first, *categories.codes]
    meta = {
        "labels": labels,
        "label_map": {str(number): code for number, code in enumerate(labels)},
        "segmentation_colors": [colour(number) for number in range(len(labels))],
        "background_label": "0",
    }
    path.write_text(json.dumps(meta, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
