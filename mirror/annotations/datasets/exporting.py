"""Image datasets: from a collection to a folder in one of datumaro's formats.

Frames are read and counted once (`gathering`), then datumaro's exporter writes the annotations, or
`coco` or `masks`. Of the formats that we vouch for, datumaro never touches an image.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from mirror.annotations.collection import Collection
from mirror.annotations.datasets.categories import Categories
from mirror.annotations.datasets.coco import write_coco
from mirror.annotations.datasets.codes import refuse_codes, refuse_shared_files
from mirror.annotations.datasets.extra import exporter_of, load, told
from mirror.annotations.datasets.formats import MASKS, NAMED, OTHER, Format, format_names
from mirror.annotations.datasets.gathering import Gathered, gather
from mirror.annotations.datasets.images import ImageMode, Images, Unplaced, root_of
from mirror.annotations.datasets.marks import Marker
from mirror.annotations.datasets.masks import write_masks
from mirror.annotations.datasets.source import Maker, Paths, Source
from mirror.annotations.tally import Tally
from mirror.errors import UsageError


def write_dataset(
    name: str,
    collection: Collection,
    out: Path,
    tally: Tally,
    *,
    images: ImageMode,
    categories: Categories,
) -> None:
    """Write `collection` to the empty folder `out` in the format of this name.

    `categories` takes in the labels that are new. Raises `UsageError` where the collection knows no
    sizes of frames or the format can't do what is asked, `ExportError`, `DestinationError`, and
    `OSError` where the disk refuses.
    """
    if name not in format_names():
        raise UsageError(f"There is no image dataset format {name!a}.")
    if name == MASKS:
        write_masks(collection, out, tally, images=images, categories=categories)
    elif name in NAMED:
        _write_named(name, collection, out, tally, images=images, categories=categories)
    else:
        _write_other(name, collection, out, tally, images=images, categories=categories)


def _write_named(
    name: str,
    collection: Collection,
    out: Path,
    tally: Tally,
    *,
    images: ImageMode,
    categories: Categories,
) -> None:
    form = NAMED[name]
    _refuse_splits(name, form, set(collection.splits.names))
    placed = Images(out, form.place, images, root_of(collection, name))
    write = write_coco if form.ours else partial(_export, name, exporter_of(name))
    with gather(collection, out, Marker(form.holds, tally), placed) as gathered:
        _refuse_splits(name, form, set(gathered.splits))
        categories.take_in(gathered.names)
        # also those of earlier runs: a file may be named by each
        refuse_codes(name, categories.codes, file_names=form.files_by_label)
        if form.files_by_label:
            refuse_shared_files(name, categories.codes, gathered.splits)
        write(out, gathered, categories)


def _export(
    name: str, exporter: Any, out: Path, gathered: Gathered, categories: Categories
) -> None:
    form = NAMED[name]
    paths = Paths.NAMES if form.writes_paths else Paths.NOWHERE
    source = Source(gathered.splits, Maker(load("datumaro", name), categories, paths))
    options = {"stream": True} if form.streams else {}
    with told(name):
        exporter.convert(source, save_dir=str(out), **options)


def _write_other(
    name: str,
    collection: Collection,
    out: Path,
    tally: Tally,
    *,
    images: ImageMode,
    categories: Categories,
) -> None:
    """All in memory, and images as datumaro places them: what else may an exporter ask for?"""
    if images is ImageMode.HARDLINK:
        raise UsageError(f"--to {name}: datumaro places the images itself: use --images copy.")
    root, copied = root_of(collection, name), images is ImageMode.COPY
    unplaced = (Unplaced if copied else Images)(out, OTHER.place, ImageMode.REFERENCE, root)
    datumaro, exporter = load("datumaro", name), exporter_of(name)
    with gather(collection, out, Marker(OTHER.holds, tally), unplaced) as gathered:
        categories.take_in(gathered.names)
        refuse_codes(name, categories.codes, file_names=True)
        maker = Maker(datumaro, categories, Paths.REAL if copied else Paths.NOWHERE)
        with told(name):
            dataset = datumaro.Dataset.from_iterable(
                Source(gathered.splits, maker),
                categories=maker.categories(),
                media_type=maker.media_type,
            )
            dataset.export(str(out), exporter, save_media=copied)


def _refuse_splits(name: str, form: Format, found: set[str]) -> None:
    """Raise `UsageError` where the format can't do with these splits."""
    strange = sorted(found.difference(form.allows)) if form.allows else []
    lacking = [split for split in form.needs if split not in found]
    if not (strange or lacking):
        return
    what = (
        f"has no place for frames in {', '.join(strange)}"
        if strange
        else f"needs frames in {' and '.join(form.needs)}, and there are none in {lacking[0]}"
    )
    raise UsageError(
        f"--to {name} {what}: give --split train=0.8,val=0.2; where chance left a split empty,"
        " another --seed may not."
    )
