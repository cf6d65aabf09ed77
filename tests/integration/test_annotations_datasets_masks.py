"""Semantic masks: which pixel has which number."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from annotations_kit import frame, label, sequence, shape
from datasets_kit import BOX, EVERY_KIND, OUTLINE, dataset, mirrored, read_back
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.mask import decode, frPyObjects, merge

from mirror.annotations.datasets import Categories
from mirror.annotations.datasets.masks import colour
from mirror.errors import UsageError

# pycocotools 2.0.11 and numpy 2 disagree about an argument that plays no part here
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def mask(path: Path) -> Any:
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.array(image)


def test_a_box_fills_its_pixels_and_what_comes_later_lies_above(tmp_path: Path) -> None:
    upper = shape("rectangle", (0.0, 0.0), (0.3, 0.25))
    frames = frame("f", label("b", BOX), label("a", upper)), frame("g")
    made = dataset("masks", mirrored(tmp_path, sequence("r", *frames)))
    found = mask(made.out / "masks/r+f.png")
    expected = np.zeros((100, 200), dtype="uint8")
    expected[0:50, 50:150] = 2
    expected[0:25, 0:60] = 1
    assert (found == expected).all()
    assert not mask(made.out / "masks/r+g.png").any()


def test_counts_and_privacy(tmp_path: Path) -> None:
    made = dataset("masks", mirrored(tmp_path, *EVERY_KIND))
    assert made.counts() == {"frames": 4, "shapes": 7}
    assert made.skipped() == {"not_in_format": 5, "unknown_kind": 1, "outside": 1}
    for path in (made.out / "masks").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_an_outline_covers_the_pixels_of_its_coco_annotation(tmp_path: Path) -> None:
    export = mirrored(tmp_path, sequence("r", frame("f", label("a", OUTLINE))), size=(310, 130))
    coco = COCO(str(dataset("coco", export).out / "annotations/instances_all.json"))
    (annotation,) = coco.loadAnns(coco.getAnnIds())
    found = mask(dataset("masks", export).out / "masks/r+f.png")
    assert (found == coco.annToMask(annotation)).all()


def test_where_a_shape_lies_makes_no_difference_to_its_pixels(tmp_path: Path) -> None:
    random = Random(7)
    outlines = [
        [(random.randint(0, 64) / 64, random.randint(0, 64) / 64) for _ in range(6)]
        for _ in range(60)
    ]
    near = [[(x / 8 + 0.875, y / 8) for x, y in outline] for outline in outlines]
    frames = [
        frame(f"f{number}", label("a", shape("close_polygon", *outline)))
        for number, outline in enumerate(outlines + near)
    ]
    made = dataset("masks", mirrored(tmp_path, sequence("r", *frames), size=(512, 256)))
    for number, outline in enumerate(outlines + near):
        points = [each for x, y in outline for each in (x * 512, y * 256)]
        whole = decode(merge(frPyObjects([points], 256, 512))).astype(bool)
        assert ((mask(made.out / f"masks/r+f{number}.png") == 1) == whole).all()


def test_datumaro_reads_numbers_colours_and_names(tmp_path: Path) -> None:
    made = dataset("masks", mirrored(tmp_path, *EVERY_KIND))
    items = {item.id: item for item in read_back(made, "common_semantic_segmentation")}
    assert items.keys() == {"r1+f1", "r1+f2", "r1+f3", "r2+f1"}
    found = mask(made.out / "masks/r1+f1.png")
    read = {each.attributes["code"]: each.image for each in items["r1+f1"].annotations}
    assert read.keys() == {"background", "liver", "tool"}
    for code, area in read.items():
        number = 0 if code == "background" else made.categories.id_of(code) + 1
        assert ((found == number) == area).all()


def test_with_splits_there_is_a_folder_for_each(tmp_path: Path) -> None:
    export = mirrored(tmp_path, *EVERY_KIND)
    made = dataset("masks", export, split="train=0.5,val=0.5")
    items = read_back(made, "common_semantic_segmentation_with_subset_dirs")
    assert {(item.subset, item.id) for item in items} == {
        (folder.parent.parent.name, folder.stem) for folder in made.out.glob("*/masks/*.png")
    }
    assert len(items) == 4


def test_the_palette_file_says_what_numbers_mean(tmp_path: Path) -> None:
    made = dataset("masks", mirrored(tmp_path, sequence("r", frame("f", label("background", BOX)))))
    meta = json.loads((made.out / "dataset_meta.json").read_bytes())
    assert meta["labels"] == ["(background)", "background"]
    assert meta["label_map"] == {"0": "(background)", "1": "background"}
    assert meta["segmentation_colors"] == [list(colour(0)), list(colour(1))]
    with Image.open(made.out / "masks/r+f.png") as image:
        palette = image.getpalette()
    assert palette is not None
    assert palette[3:6] == list(colour(1))


def test_more_labels_than_numbers_are_refused(tmp_path: Path) -> None:
    known = Categories.load(None)
    known.take_in({f"c{number}": "" for number in range(255)})
    export = mirrored(tmp_path, sequence("r", frame("f", label("one more", BOX))))
    with pytest.raises(UsageError, match="room for 255 labels, and there are 256"):
        dataset("masks", export, categories=known)
