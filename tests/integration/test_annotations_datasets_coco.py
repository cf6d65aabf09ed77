"""COCO, held against pycocotools and shapely."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from annotations_kit import FRAMES, frame, label, mirror_export, sequence, shape
from datasets_kit import BOX, EVERY_KIND, LINE, OUTLINE, SECOND, dataset, mirrored
from pycocotools.coco import COCO
from shapely.geometry import Polygon
from shapely.ops import unary_union

from mirror.annotations.datasets import ImageMode

# pycocotools 2.0.11 and numpy 2 disagree about an argument that plays no part here
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONCAVE = shape(
    "close_polygon", (0.05, 0.05), (0.93, 0.1), (0.4, 0.35), (0.9, 0.95), (0.2, 0.8), (0.3, 0.4)
)


def load(out: Path, task: str = "instances", split: str = "all") -> COCO:
    return COCO(str(out / "annotations" / f"{task}_{split}.json"))


def parts(annotation: dict[str, list[list[float]]]) -> list[Polygon]:
    rings = annotation["segmentation"]
    return [Polygon(zip(ring[::2], ring[1::2], strict=True)) for ring in rings]


@pytest.mark.parametrize("size", [(64, 48), (1920, 1080), (33, 517)])
def test_mask_areas_are_shapelys_within_half_a_pixel_along_each_edge(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    frames = frame("f1", label("liver", OUTLINE, SECOND)), frame("f2", label("fat", CONCAVE))
    coco = load(dataset("coco", mirrored(tmp_path, sequence("r", *frames), size=size)).out)
    annotations = coco.loadAnns(coco.getAnnIds())
    assert len(annotations) == 2
    for annotation in annotations:
        polygons = parts(annotation)
        expected = unary_union(polygons)
        found = coco.annToMask(annotation).sum()
        corners = sum(len(polygon.exterior.coords) - 1 for polygon in polygons)
        assert found == pytest.approx(expected.area, abs=0.5 * expected.length + corners)
        assert annotation["area"] == pytest.approx(sum(each.area for each in polygons), abs=0.01)
        left, top, width, height = annotation["bbox"]
        box = (left, top, left + width, top + height)
        assert box == pytest.approx(expected.bounds, abs=0.011)


def test_the_samples_masks_are_shapelys(tmp_path: Path) -> None:
    export = tmp_path / "export.json"
    export.write_bytes(FRAMES.read_bytes())
    mirror_export(tmp_path / "frames", export, (1920, 1080))
    coco = load(dataset("coco", export).out)
    outlined = [each for each in coco.loadAnns(coco.getAnnIds()) if each["segmentation"]]
    assert len(outlined) == 7
    crossing = 0
    for annotation in outlined:
        polygons = parts(annotation)
        band = sum(polygon.length for polygon in polygons) / 2 + 20
        found = coco.annToMask(annotation).sum()
        if all(polygon.is_valid for polygon in polygons):
            assert found == pytest.approx(unary_union(polygons).area, abs=band)
        else:  # what an outline that crosses itself encloses is a matter of the rule
            crossing += 1
    assert crossing < len(outlined)


def test_parts_of_one_label_entry_are_one_annotation(tmp_path: Path) -> None:
    apart = frame("f1", label("liver", OUTLINE), label("liver", SECOND))
    together = frame("f2", label("liver", OUTLINE, SECOND))
    coco = load(dataset("coco", mirrored(tmp_path, sequence("r", apart, together))).out)
    by_image = {
        image["file_name"]: [
            len(each["segmentation"]) for each in coco.loadAnns(coco.getAnnIds(image["id"]))
        ]
        for image in coco.loadImgs(coco.getImgIds())
    }
    assert by_image == {"r/f1.png": [1, 1], "r/f2.png": [2]}


def test_rectangles_are_boxes_without_an_invented_mask(tmp_path: Path) -> None:
    export = mirrored(tmp_path, sequence("r", frame("f", label("tool", BOX, BOX))))
    coco = load(dataset("coco", export).out)
    annotations = coco.loadAnns(coco.getAnnIds())
    assert [each["bbox"] for each in annotations] == [[50.0, 0.0, 100.0, 50.0]] * 2
    assert [each["segmentation"] for each in annotations] == [[], []]
    assert [each["area"] for each in annotations] == [5000.0] * 2


def test_a_keypoint_is_one_of_its_category(tmp_path: Path) -> None:
    coco = load(dataset("coco", mirrored(tmp_path, *EVERY_KIND)).out, "person_keypoints")
    (annotation,) = coco.loadAnns(coco.getAnnIds())
    (category,) = coco.loadCats(annotation["category_id"])
    assert category["keypoints"] == ["tool"]
    assert annotation["keypoints"] == [100.0, 25.0, 2]
    assert annotation["num_keypoints"] == 1


def test_files_without_annotations_are_not_written(tmp_path: Path) -> None:
    made = dataset("coco", mirrored(tmp_path, sequence("r", frame("f", label("duct", LINE)))))
    assert [path.name for path in (made.out / "annotations").iterdir()] == ["instances_all.json"]
    assert made.counts() == {"frames": 1}
    assert len(load(made.out).getImgIds()) == 1


def test_sequences_stay_whole_in_their_split(tmp_path: Path) -> None:
    sequences = [
        sequence(f"r{number}", frame("f1", label("tool", BOX)), frame("f2")) for number in range(8)
    ]
    export = mirrored(tmp_path, *sequences)
    made = dataset("coco", export, split="train=0.5,val=0.5", mode=ImageMode.REFERENCE)
    names = {}
    for split in ("train", "val"):
        coco = load(made.out, split=split)
        names[split] = {image["file_name"] for image in coco.loadImgs(coco.getImgIds())}
        for name in names[split]:
            assert (made.out / "images" / split / name).is_file()
    assert len(names["train"] | names["val"]) == 16
    roots = {split: {name.split("/")[0] for name in found} for split, found in names.items()}
    assert not roots["train"] & roots["val"]
    assert roots["train"]
    assert roots["val"]


def test_numbers_of_categories_are_ids_from_one(tmp_path: Path) -> None:
    made = dataset("coco", mirrored(tmp_path, *EVERY_KIND))
    found = json.loads((made.out / "annotations/instances_all.json").read_bytes())
    assert [(each["id"], each["name"]) for each in found["categories"]] == [
        (1, "duct"),
        (2, "liver"),
        (3, "smoke"),
        (4, "tool"),
    ]
    assert not list(made.out.rglob("*.tmp"))
