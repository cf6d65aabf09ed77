"""Each format that we vouch for, read back by datumaro: what we count is what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from annotations_kit import FRAMES, mirror_export
from datasets_kit import EVERY_KIND, dataset, mirrored, of_kind, read_back

from mirror.annotations.datasets import ImageMode

TRAIN_AND_VAL = "train=0.5,val=0.5"
HULL = [20.0, 20.0, 160.0, 70.0]
OUTLINE = [20.0, 20.0, 60.0, 40.0]
BOX = [50.0, 0.0, 100.0, 50.0]
OVER = [0.0, 50.0, 100.0, 50.0]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return mirrored(tmp_path, *EVERY_KIND)


def boxes(*, joined: bool = False, name: str = "{}/{}") -> list[tuple[str, str, list[float]]]:
    """Every rectangle of the export; `joined`: and the box around each label's outlines."""
    r1f1, r1f2, r2f1 = name.format("r1", "f1"), name.format("r1", "f2"), name.format("r2", "f1")
    found = [(r1f1, "tool", BOX), (r1f2, "tool", BOX), (r2f1, "tool", BOX)]
    if joined:
        found += [(r1f1, "liver", HULL), (r1f2, "tool", OUTLINE), (r2f1, "duct", OVER)]
    return sorted(found)


def test_coco_has_an_annotation_for_each_label_entry_and_rectangle(export: Path) -> None:
    made = dataset("coco", export)
    assert made.counts() == {"frames": 4, "shapes": 8, "annotations": 7, "labels": 2}
    assert made.skipped() == {"not_in_format": 2, "unknown_kind": 1, "outside": 1}
    assert made.tally.clipped == 1
    items = read_back(made, "coco_instances")
    assert [item.id for item in items] == ["r1/f1", "r1/f2", "r1/f3", "r2/f1"]
    assert of_kind(items, "bbox") == boxes(joined=True)
    assert len(of_kind(items, "polygon")) == 4
    points = read_back(made, "coco_person_keypoints")
    assert of_kind(points, "points") == [("r1/f1", "tool", [100.0, 25.0])]
    labels = read_back(made, "coco_labels")
    assert of_kind(labels, "label") == [("r1/f1", "smoke", []), ("r1/f2", "smoke", [])]
    assert {item.media.size for item in items} == {(100, 200)}


def test_coco_instances_has_nothing_but_instances(export: Path) -> None:
    made = dataset("coco_instances", export)
    assert made.counts() == {"frames": 4, "shapes": 7, "annotations": 6}
    assert made.skipped() == {"not_in_format": 5, "unknown_kind": 1, "outside": 1}
    assert [path.name for path in (made.out / "annotations").iterdir()] == ["instances_all.json"]
    items = read_back(made, "coco_instances")
    assert of_kind(items, "bbox") == boxes(joined=True)


def test_yolo_has_boxes_and_the_box_around_each_entrys_outlines(export: Path) -> None:
    made = dataset("yolo_ultralytics", export, split=TRAIN_AND_VAL)
    assert made.counts() == {"frames": 4, "shapes": 7, "annotations": 6}
    assert made.skipped() == {"not_in_format": 5, "unknown_kind": 1, "outside": 1}
    assert made.tally.noted == {"boxed": 4}
    items = read_back(made, "yolo")
    assert of_kind(items, "bbox") == boxes(joined=True, name="{}+{}")
    assert {item.subset for item in items} == {"train", "val"}


def test_voc_has_boxes_and_image_labels(export: Path) -> None:
    made = dataset("voc", export)
    assert made.counts() == {"frames": 4, "shapes": 7, "annotations": 6, "labels": 2}
    assert made.skipped() == {"not_in_format": 3, "unknown_kind": 1, "outside": 1}
    items = read_back(made, "voc")
    assert [item.id for item in items] == ["r1/f1", "r1/f2", "r1/f3", "r2/f1"]
    assert of_kind(items, "bbox") == boxes(joined=True)
    assert of_kind(items, "label") == [("r1/f1", "smoke", []), ("r1/f2", "smoke", [])]


@pytest.mark.parametrize("name", ["cvat", "datumaro"])
def test_cvat_and_datumaro_have_every_kind(export: Path, name: str) -> None:
    made = dataset(name, export)
    assert made.counts() == {"frames": 4, "shapes": 9, "annotations": 9, "labels": 2}
    assert made.skipped() == {"not_in_format": 1, "unknown_kind": 1, "outside": 1}
    items = read_back(made, name)
    assert of_kind(items, "bbox") == boxes()
    assert of_kind(items, "points") == [("r1/f1", "tool", [100.0, 25.0])]
    assert of_kind(items, "polyline") == [("r1/f1", "tool", [20.0, 10.0, 100.0, 50.0, 180.0, 10.0])]
    assert of_kind(items, "label") == [("r1/f1", "smoke", []), ("r1/f2", "smoke", [])]
    assert [code for _, code, _ in of_kind(items, "polygon")] == ["liver", "liver", "tool", "duct"]
    groups = [each.group for each in items[0].annotations if each.type.name != "label"]
    assert groups == [1, 1, 2, 2, 2]


def test_label_me_has_outlines_and_boxes(export: Path) -> None:
    made = dataset("label_me", export)
    assert made.counts() == {"frames": 4, "shapes": 7, "annotations": 7}
    assert made.skipped() == {"not_in_format": 5, "unknown_kind": 1, "outside": 1}
    items = read_back(made, "label_me")
    assert len(items) == 4
    assert of_kind(items, "bbox") == boxes()
    assert len(of_kind(items, "polygon")) == 4


@pytest.mark.parametrize("mode", ImageMode)
@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("coco", "coco_instances"),
        ("coco_instances", "coco_instances"),
        ("yolo_ultralytics", "yolo"),
        ("voc", "voc"),
        ("cvat", "cvat"),
        ("label_me", "label_me"),
        ("datumaro", "datumaro"),
        ("masks", "common_semantic_segmentation"),
    ],
)
def test_readers_find_the_frames_themselves(
    export: Path, name: str, form: str, mode: ImageMode
) -> None:
    split = TRAIN_AND_VAL if name == "yolo_ultralytics" else ""
    made = dataset(name, export, mode=mode, split=split)
    found = {
        tuple(item.id.replace("+", "/").split("/")): item.media for item in read_back(made, form)
    }
    assert len(found) == 4
    for (root, frame), media in found.items():
        if (name, mode) == ("label_me", ImageMode.REFERENCE):
            assert not media.has_data
        else:
            assert media.bytes == (made.frames / root / f"{frame}.png").read_bytes()


@pytest.mark.parametrize(
    ("name", "annotations"),
    [("coco", 10), ("coco_instances", 9), ("voc", 9), ("cvat", 12), ("label_me", 10)],
)
def test_the_sample_comes_out_whole(tmp_path: Path, name: str, annotations: int) -> None:
    export = tmp_path / "export.json"
    export.write_bytes(FRAMES.read_bytes())
    mirror_export(tmp_path / "frames", export)
    made = dataset(name, export)
    assert made.counts()["frames"] == 10
    assert made.counts()["annotations"] == annotations
    assert made.skipped()["unknown_kind"] == 1
    assert made.tally.clipped == 1
