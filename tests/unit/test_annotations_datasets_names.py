"""Names of formats, files and colours, without a disk."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from mirror.annotations import Item, MirroredImage
from mirror.annotations.datasets import ImageMode, format_names
from mirror.annotations.datasets.exporting import refuse_codes
from mirror.annotations.datasets.extra import load, told
from mirror.annotations.datasets.images import Images, Place, Reference
from mirror.annotations.datasets.masks import colour
from mirror.errors import UsageError
from mirror.frames import FrameRef

VOUCHED = [
    "coco",
    "coco_instances",
    "yolo_ultralytics",
    "voc",
    "cvat",
    "label_me",
    "datumaro",
    "masks",
]


def test_formats_we_vouch_for_come_first_then_all_that_datumaro_has() -> None:
    names = list(format_names())
    assert names[:8] == VOUCHED
    assert {"coco_panoptic", "kitti", "open_images", "yolo"} < set(names[8:])
    assert len(names) > 50


def test_without_datumaro_those_we_vouch_for_are_still_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert list(format_names()) == VOUCHED


def test_a_missing_library_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datumaro", None)
    with pytest.raises(UsageError, match=r"--to coco .* pip install 'savant-mirror\[formats\]'"):
        load("datumaro", "coco")


def item(path: str = "/frames/x/r/f.1.png") -> Item:
    return Item(FrameRef("w", "r", "f.1"), "r/f.1", (), MirroredImage(Path(path), 4, 4))


def images(place: Place, mode: ImageMode) -> Images:
    return Images(Path("/out"), place, mode, Path("/frames"))


def test_names_carry_the_sequence_with_a_folder_or_without() -> None:
    deep, flat = Place("i", Reference.FOLDER), Place("i", Reference.FILES, flat=True)
    for mode in (ImageMode.COPY, ImageMode.HARDLINK):
        assert images(deep, mode).name(item()) == "r/f.1"
        assert images(flat, mode).name(item()) == "r+f.1"
    assert images(flat, ImageMode.REFERENCE).name(item()) == "r+f.1"


def test_a_reference_is_the_path_below_the_destination() -> None:
    place = Place("i", Reference.FOLDER)
    assert images(place, ImageMode.REFERENCE).name(item()) == "x/r/f.1"
    with pytest.raises(UsageError, match="use --images hardlink or copy"):
        images(place, ImageMode.REFERENCE).name(item("/frames/r/f.1"))


@pytest.mark.parametrize("code", ["../x", "a/b", ".x", "a:b", "", "x\n"])
def test_codes_that_would_name_files_elsewhere_are_refused(code: str) -> None:
    with pytest.raises(UsageError, match="can't be written as voc"):
        refuse_codes("voc", [code], file_names=True)


def test_other_formats_take_any_code_that_can_be_printed() -> None:
    refuse_codes("coco", ["a/b:c", "Galle (Ö)"], file_names=False)
    refuse_codes("voc", ["cystic duct (2)"], file_names=True)
    with pytest.raises(UsageError, match=r"'a\\x00'"):
        refuse_codes("coco", ["a\0"], file_names=False)


def test_colours_are_those_of_pascal_voc_and_all_different() -> None:
    assert [colour(number) for number in (0, 1, 2, 3, 15)] == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (192, 128, 128),
    ]
    assert len({colour(number) for number in range(256)}) == 256


def fail(error: BaseException, cause: BaseException | None = None) -> None:
    raise error from cause


def test_what_a_library_raises_is_told_as_ours() -> None:
    with pytest.raises(UsageError, match=r"as x: no such thing\.$"), told("x"):
        fail(RuntimeError("outer"), ValueError("no such thing."))
    with pytest.raises(UsageError, match="as x: AssertionError"), told("x"):
        fail(AssertionError())
    with pytest.raises(PermissionError), told("x"):
        fail(RuntimeError("outer"), PermissionError(13, "no"))
