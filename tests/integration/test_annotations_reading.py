"""Reading annotations: typed, once for each frame, lenient or strict, and flat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from annotations_kit import FRAMES, VIDEOS, frame, label, mirror_export, phase, sequence, shape
from annotations_kit import write as write_export

import mirror
from mirror.annotations import (
    Choice,
    Collection,
    Interval,
    Keypoint,
    MirroredImages,
    Outline,
    Polyline,
    ProblemKind,
    Problems,
    Rectangle,
    Skip,
    Tally,
    UnknownShape,
)
from mirror.errors import DestinationError, ExportError
from mirror.export import ExportFile

TRIANGLE = shape("close_polygon", (0, 0), (1, 0), (0, 1))


def read(path: Path, strict: bool = False) -> dict[str, Any]:
    """Every frame's labels by id, as code and kinds."""
    with mirror.open_export(path, strict=strict) as export:
        return {
            each.ref.frame_id: [
                (found.code, [s.kind for s in found.shapes]) for found in each.labels
            ]
            for entry in export.sequences
            for each in entry.frames()
        }


def test_the_frame_sample_is_read_as_the_guide_says() -> None:
    with mirror.open_export(FRAMES) as export:
        first, *others = export.sequences
        frames = list(first.frames())
        assert len(others) == 3
        assert list(others[-1].frames()) == []
        assert export.problems.counts == {}
    document = json.loads(FRAMES.read_bytes())["sequences"][0]
    assert [each.ref.frame_id for each in frames] == [f["id"] for f in document["featureSet"]]
    gallbladder, grasper = frames[0].labels
    assert (gallbladder.code, gallbladder.name) == ("gallbladder", "Gallbladder")
    assert isinstance(gallbladder.shapes[0], Outline)
    rectangle, keypoint = grasper.shapes
    assert isinstance(rectangle, Rectangle)
    assert rectangle.box == pytest.approx((0.52, 0.61, 0.7, 0.8))
    assert isinstance(keypoint, Keypoint)
    assert isinstance(frames[1].labels[0].shapes[0], Polyline)
    unknown = frames[4].labels[0].shapes[1]
    assert isinstance(unknown, UnknownShape)
    assert unknown.kind == "ellipse"
    assert unknown.raw["type"] == "ellipse"


def test_the_video_sample_is_read_as_the_guide_says() -> None:
    with mirror.open_export(VIDEOS) as export:
        first, second = export.sequences
        intervals = first.intervals()
        assert second.intervals() == ()
        assert (first.duration, second.duration) == (1_830_000, None)
    assert intervals[0] == Interval("preparation", "Preparation", 0, 92_000)
    assert [each.code for each in intervals if each.is_point] == ["critical_view"]
    assert [each.code for each in intervals if each.end is None] == ["packaging"]


def test_a_shapes_kind_is_its_type_before_its_shape_type(tmp_path: Path) -> None:
    both = {**shape("keypoint", (0, 0)), "shape_type": "rectangle"}
    only = {"shape_type": "keypoint", "points": [{"x": 0, "y": 1}]}
    none = {"points": []}
    path = write_export(
        tmp_path / "a.json", sequence("r", frame("f", label("c", both, only, none)))
    )
    assert read(path) == {"f": [("c", ["keypoint", "keypoint", "(no type)"])]}


def test_of_a_frames_occurrences_the_last_with_labels_counts(tmp_path: Path) -> None:
    path = write_export(
        tmp_path / "a.json",
        sequence("r", frame("f", label("old")), frame("g", label("kept")), frame("h")),
        sequence("r", frame("f", label("new")), frame("g"), frame("h"), frame("i")),
    )
    with ExportFile.open(path) as opened:
        collection = Collection([opened], None, Problems())
        (merged,) = collection.sequences
        found = {
            item.ref.frame_id: [each.code for each in item.labels]
            for item in collection.items(merged, Tally())
        }
        assert sorted(merged.frame_ids()) == sorted(found)
    assert found == {"f": ["new"], "g": ["kept"], "h": [], "i": []}


def test_of_several_exports_the_last_one_counts(tmp_path: Path) -> None:
    old = write_export(tmp_path / "a.json", sequence("r", frame("f", label("old"))))
    new = write_export(tmp_path / "b.json", sequence("r", frame("f", label("new"))))
    with ExportFile.open(old) as first, ExportFile.open(new) as second:
        for exports, expected in (((first, second), "new"), ((second, first), "old")):
            collection = Collection(exports, None, Problems())
            (item,) = collection.items(collection.sequences[0], Tally())
            assert [each.code for each in item.labels] == [expected]


def test_of_several_stages_the_last_with_video_annotations_counts(tmp_path: Path) -> None:
    path = write_export(
        tmp_path / "a.json",
        sequence("r", phases=[phase("old", 0, 1)]),
        sequence("r", phases=[phase("new", 0, 2)]),
        sequence("r", videoDuration=7),
    )
    with ExportFile.open(path) as opened:
        (merged,) = Collection([opened], None, Problems()).sequences
        assert [each.code for each in merged.intervals()] == ["new"]
        assert merged.duration == 7


WRONG_SHAPES = [
    (shape("close_polygon", (0, 0), (1, 1)), ProblemKind.POINTS, "at least 3 points"),
    (shape("rectangle", (0, 0)), ProblemKind.POINTS, "at least 2 points"),
    (shape("rectangle", (0, 0), (1, 1), (1, 0)), ProblemKind.POINTS, "takes 2 points"),
    (shape("open_polygon", (0, 0)), ProblemKind.POINTS, "at least 2"),
    (shape("keypoint"), ProblemKind.POINTS, "at least 1"),
    ({"type": "keypoint"}, ProblemKind.POINTS, "at least 1"),
    ({"type": "keypoint", "points": [{"x": "1", "y": 1}]}, ProblemKind.COORDINATES, "finite"),
    ({"type": "keypoint", "points": [{"x": True, "y": 1}]}, ProblemKind.COORDINATES, "finite"),
    ({"type": "keypoint", "points": [{"x": None, "y": 1}]}, ProblemKind.COORDINATES, "finite"),
    ({"type": "keypoint", "points": [{"x": 1}]}, ProblemKind.COORDINATES, "finite"),
    ({"type": "keypoint", "points": [[1, 2]]}, ProblemKind.COORDINATES, "finite"),
    ({"type": "keypoint", "points": 3}, ProblemKind.COORDINATES, "finite"),
]


@pytest.mark.parametrize(("wrong", "kind", "said"), WRONG_SHAPES)
def test_a_wrong_shape_is_left_out_and_counted_or_refused_with_its_place(
    tmp_path: Path, wrong: dict[str, Any], kind: ProblemKind, said: str
) -> None:
    entry = sequence("r", frame("e"), frame("f", label("a"), label("c", TRIANGLE, wrong)))
    path = write_export(tmp_path / "a.json", entry)
    with mirror.open_export(path) as export:
        (found,) = [each for each in next(export.sequences).frames() if each.labels]
        assert [len(each.shapes) for each in found.labels] == [0, 1]
        assert export.problems.counts == {kind: 1}
    with pytest.raises(ExportError, match=said) as raised:
        read(path, strict=True)
    assert "sequence 0 (rootId 'r'), frame 1, labels[1].shapes[1]" in str(raised.value)


WRONG_PHASES = [
    (phase("c", 5, 4), ProblemKind.BACKWARDS, "before it starts"),
    (phase("c", -1, 4), ProblemKind.TIMES, "no time"),
    ({**phase("c", 0, 1), "timestampEnd": "soon"}, ProblemKind.TIMES, "'soon' is no time"),
    ({**phase("c", 0, 1), "timestampEnd": True}, ProblemKind.TIMES, "no time"),
    ({**phase("c", 0, 1), "label": None}, ProblemKind.NO_CODE, "no code"),
    ({**phase("c", 0, 1), "label": {"code": ""}}, ProblemKind.NO_CODE, "no code"),
]


@pytest.mark.parametrize(("wrong", "kind", "said"), WRONG_PHASES)
def test_a_wrong_video_annotation_is_left_out_and_counted_or_refused_with_its_place(
    tmp_path: Path, wrong: dict[str, Any], kind: ProblemKind, said: str
) -> None:
    path = write_export(tmp_path / "a.json", sequence("r", phases=[phase("a", 0, 1), wrong]))
    with mirror.open_export(path) as export:
        assert [each.code for each in next(export.sequences).intervals()] == ["a"]
        assert export.problems.counts == {kind: 1}
    with mirror.open_export(path, strict=True) as export:
        with pytest.raises(ExportError, match=said) as raised:
            next(export.sequences).intervals()
        assert "sequence 0 (rootId 'r'), videoAnnotations[1]" in str(raised.value)


def test_an_open_start_is_the_videos_start(tmp_path: Path) -> None:
    path = write_export(tmp_path / "a.json", sequence("r", phases=[phase("c", None, 9.6)]))
    with mirror.open_export(path) as export:
        assert next(export.sequences).intervals() == (Interval("c", "c", 0, 10, open_start=True),)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("x", "labels: expected array or null, got string"),
        ([3], r"labels\[0\]: expected an object, got a number"),
        ([{"code": "c", "shapes": {}}], r"labels\[0\]\.shapes: expected a list, got an object"),
        ([{"code": "c", "shapes": [None]}], r"shapes\[0\]: expected an object, got null"),
    ],
)
def test_lists_that_are_none_end_the_reading_with_their_place(
    tmp_path: Path, labels: Any, said: str
) -> None:
    path = write_export(tmp_path / "a.json", sequence("r", {"id": "f", "labels": labels}))
    with pytest.raises(ExportError, match=said):
        read(path)


def test_nan_is_no_json(tmp_path: Path) -> None:
    path = write_export(tmp_path / "a.json", sequence("r", frame("f", label("c", TRIANGLE))))
    path.write_text(path.read_text().replace('"x": 0', '"x": NaN', 1))
    with pytest.raises(ExportError, match=r"byte \d+"):
        read(path)


def test_a_frame_that_is_not_mirrored_is_missing_and_counted(tmp_path: Path) -> None:
    path = write_export(tmp_path / "a.json", sequence("r", frame("f"), frame("g")))
    dest = mirror_export(tmp_path / "frames", path, (20, 10), without=["g"])
    with ExportFile.open(path) as opened, MirroredImages.open(dest) as images:
        collection = Collection([opened], images, Problems())
        assert [str(ref) for ref in collection.missing()] == ["r/g"]
        tally = Tally()
        (item,) = collection.items(collection.sequences[0], tally)
        assert tally.skipped == {Skip.NOT_MIRRORED: 1}
    assert item.image == (dest / "r/f.png", 20, 10)
    assert item.name == "r/f"


def test_frames_without_a_wanted_label_can_be_left_out(tmp_path: Path) -> None:
    path = write_export(
        tmp_path / "a.json",
        sequence("r", frame("f", label("a"), label("b")), frame("g", label("b")), frame("h")),
        sequence("q", frame("i", label("a"))),
    )
    choice = Choice(sequences=frozenset("r"), labels=frozenset("a"), unlabelled=False)
    with ExportFile.open(path) as opened:
        collection = Collection([opened], None, Problems(), choice=choice)
        tally = Tally()
        (item,) = [i for each in collection.sequences for i in collection.items(each, tally)]
    assert [each.code for each in item.labels] == ["a"]
    assert tally.skipped == {Skip.UNLABELLED: 2}


def test_two_sequences_of_one_root_have_names_of_their_own(tmp_path: Path) -> None:
    path = write_export(
        tmp_path / "a.json",
        sequence("r", frame("f")),
        sequence("r", frame("f"), workspaceId="v"),
        sequence("s", frame("f")),
        {"videoAnnotations": [phase("c", 0, 1)]},
    )
    with ExportFile.open(path) as opened:
        collection = Collection([opened], None, Problems())
        names = [collection.name(each) for each in collection.sequences]
    assert names == ["w/r", "v/r", "s", "sequence-3"]


def test_a_folder_without_a_ledger_holds_no_images(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="no ledger"):
        MirroredImages.open(tmp_path)
