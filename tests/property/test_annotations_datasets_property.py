"""Whatever is annotated, a dataset holds it or counts it: random annotations, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datumaro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from mirror.annotations import (
    Collection,
    Keypoint,
    MirroredImage,
    MirroredImages,
    Outline,
    Polyline,
    Problems,
    Rectangle,
    Shape,
    Skip,
    Tally,
)
from mirror.annotations.datasets import Categories, ImageMode, write_dataset
from mirror.annotations.datasets.marks import clip
from mirror.annotations.reading import open_export
from mirror.export import ExportFile

WIDTH, HEIGHT = 320, 180
NEAR = 0.02
"""Pixels: coordinates are written with two digits."""

coordinates = st.floats(-0.25, 1.25, width=32)
points = st.fixed_dictionaries({"x": coordinates, "y": coordinates})
LENGTHS = {"close_polygon": (3, 6), "rectangle": (2, 2), "open_polygon": (2, 4), "keypoint": (1, 1)}


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from([*LENGTHS, "ellipse"]))
    least, most = LENGTHS.get(kind, (0, 3))
    return {"type": kind, "points": draw(st.lists(points, min_size=least, max_size=most))}


labels = st.fixed_dictionaries(
    {
        "code": st.sampled_from(["liver", "Ö & <duct>", "a/b", "tool"]),
        "shapes": st.lists(shapes(), max_size=3),
    }
)
frames = st.lists(labels, max_size=3)
sequences = st.lists(st.lists(frames, min_size=1, max_size=3), min_size=1, max_size=3)
Export = list[list[list[dict[str, Any]]]]
"""Sequences, of frames, of labels."""


class Sized(MirroredImages):
    """Every frame has the same size; nothing is on a disk."""

    def __init__(self, root: Path, ids: list[str]) -> None:
        self.root = root
        self._ids = ids

    def of(self, _workspace_id: str, root_id: str) -> dict[str, MirroredImage]:
        return {
            each: MirroredImage(self.root / root_id / f"{each}.png", WIDTH, HEIGHT)
            for each in self._ids
        }

    def close(self) -> None:
        pass


@contextmanager
def written(name: str, found: Export) -> Iterator[tuple[Path, Tally]]:
    with TemporaryDirectory() as folder:
        export, out = Path(folder) / "a.json", Path(folder) / "out"
        out.mkdir()
        (Path(folder) / "frames").mkdir()
        export.write_text(
            json.dumps(
                {
                    "sequences": [
                        {
                            "rootId": f"r{place}",
                            "workspaceId": "w",
                            "featureSet": [
                                {"id": f"f{number}", "framePath": "p", "labels": each}
                                for number, each in enumerate(frames)
                            ],
                        }
                        for place, frames in enumerate(found)
                    ]
                }
            )
        )
        tally = Tally()
        with ExportFile.open(export) as opened:
            images = Sized(Path(folder) / "frames", ["f0", "f1", "f2"])
            write_dataset(
                name,
                Collection([opened], images, Problems()),
                out,
                tally,
                images=ImageMode.REFERENCE,
                categories=Categories.load(None),
            )
        yield out, tally


def expected(out: Path) -> Iterator[tuple[str, str, list[Shape]]]:
    """Frame, code and shapes in pixels of each entry, without what no format holds."""
    with open_export(out.parent / "a.json") as export:
        for sequence in export.sequences:
            for frame in sequence.frames():
                for label in frame.labels:
                    known = [shape for shape in label.shapes if shape.type]
                    kept = [each for shape in known if (each := clip(shape)) is not None]
                    pixels = [shape.to_pixels(WIDTH, HEIGHT) for shape in kept]
                    yield str(frame.ref), label.code, pixels


def flat(shape: Shape) -> list[float]:
    if isinstance(shape, Rectangle):
        return list(shape.box)
    return [each for point in shape.points for each in point]


NAMES = {Outline: "polygon", Rectangle: "bbox", Polyline: "polyline", Keypoint: "points"}


@settings(max_examples=25)
@given(sequences)
def test_datumaro_gives_back_every_shape(found: Export) -> None:
    with written("datumaro", found) as (out, tally):
        wanted = [
            (frame, code, NAMES[type(shape)], flat(shape))
            for frame, code, kept in expected(out)
            for shape in kept
        ]
        read = datumaro.Dataset.import_from(str(out), "datumaro")
        codes = [label.name for label in read.categories()[datumaro.AnnotationType.label]]
        got = [
            (item.id, codes[each.label], each.type.name, list(each.points))
            for item in sorted(read, key=lambda item: item.id)
            for each in item.annotations
            if each.type.name != "label"
        ]
        assert len(read) == tally.written["frames"] == sum(map(len, found))
    assert [each[:3] for each in got] == [each[:3] for each in wanted]
    for (*_, mine), (*_, theirs) in zip(wanted, got, strict=True):
        assert theirs == pytest.approx(mine, abs=NEAR)
    shapes = sum(len(label["shapes"]) for frames in found for each in frames for label in each)
    left_out = tally.skipped[Skip.OUTSIDE] + tally.skipped[Skip.UNKNOWN_KIND]
    assert tally.written["shapes"] == len(wanted) == shapes - left_out


def objects(kept: list[Shape]) -> list[list[Shape]]:
    """What COCO has an annotation for: the outlines together, each rectangle by itself."""
    outlines: list[Shape] = [shape for shape in kept if isinstance(shape, Outline)]
    of_boxes = [[shape] if isinstance(shape, Rectangle) else [] for shape in kept]
    if outlines:
        of_boxes[kept.index(outlines[0])] = outlines
    return [each for each in of_boxes if each]


@settings(max_examples=25)
@given(sequences)
def test_coco_gives_back_every_outline_and_box(found: Export) -> None:
    with written("coco_instances", found) as (out, tally):
        wanted = [
            (frame, code, each) for frame, code, kept in expected(out) for each in objects(kept)
        ]
        with redirect_stdout(None):
            coco = COCO(str(out / "annotations/instances_all.json"))
    got = coco.loadAnns(coco.getAnnIds())
    assert len(got) == tally.written["annotations"]
    assert len(coco.getImgIds()) == tally.written["frames"]
    for (frame, code, shapes), annotation in zip(wanted, got, strict=True):
        assert coco.loadImgs(annotation["image_id"])[0]["file_name"] == f"{frame}.png"
        assert coco.loadCats(annotation["category_id"])[0]["name"] == code
        xs, ys = zip(*(point for shape in shapes for point in shape.points), strict=True)
        hull = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
        assert annotation["bbox"] == pytest.approx(hull, abs=NEAR)
        rings = [flat(shape) for shape in shapes if isinstance(shape, Outline)]
        assert len(annotation["segmentation"]) == len(rings)
        for ring, mine in zip(annotation["segmentation"], rings, strict=True):
            assert ring == pytest.approx(mine, abs=NEAR)
