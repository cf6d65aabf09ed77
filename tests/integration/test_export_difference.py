"""`compare`: what changed between two exports, by sequence, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror.errors import ExportError
from mirror.export import (
    Changes,
    ExportFile,
    LabelChange,
    PhaseTimes,
    Presence,
    SequenceDifference,
    compare,
)

SAMPLES = Path(__file__).parents[1] / "samples"
Json = dict[str, Any]


def _entry(*frames: Json, root: str = "r", **fields: Any) -> Json:
    return {"rootId": root, "workspaceId": "w", "featureSet": list(frames), **fields}


def _frame(name: str, *labels: Json) -> Json:
    return {"id": name, "labels": list(labels)}


def _label(code: str, *shapes: Json) -> Json:
    return {"code": code, "shapes": list(shapes)}


def _shape(*points: tuple[float, float], kind: str = "close_polygon") -> Json:
    return {"type": kind, "points": [{"x": x, "y": y} for x, y in points]}


def _video(*times: tuple[str, float | None, float | None]) -> list[Json]:
    return [
        {"label": {"code": code}, "timestampStart": start, "timestampEnd": end}
        for code, start, end in times
    ]


@pytest.fixture
def differences(tmp_path: Path) -> Any:
    def find(old: list[Json], new: list[Json]) -> list[SequenceDifference]:
        paths = tmp_path / "old.json", tmp_path / "new.json"
        for path, entries in zip(paths, (old, new), strict=True):
            path.write_text(json.dumps({"sequences": entries}))
        with ExportFile.open(paths[0]) as one, ExportFile.open(paths[1]) as other:
            return list(compare(one, other))

    return find


UNCHANGED = SequenceDifference("w", "r", Presence.BOTH, (), (), (), 0, {}, (), ())


@pytest.mark.parametrize("name", ["frame-batch.json", "video-batch.json"])
def test_an_export_does_not_differ_from_itself(name: str) -> None:
    with ExportFile.open(SAMPLES / name) as one, ExportFile.open(SAMPLES / name) as other:
        assert list(compare(one, other)) == []


def test_it_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    """Indentation, the order of labels and shapes, 1 for 1.0, and fields that nobody knows."""
    labels = [
        _label("a", _shape((1.0, 0.5), (0, 1)), _shape((0.25, 0.5))),
        _label("b", {"type": "cloud", "points": {"r": 1, "m": [2]}}),
        {"code": "c"},
    ]
    old = _entry(_frame("f", *labels), _frame("g"))
    again = json.loads(json.dumps(old).replace("1.0", "1"))
    shapes = again["featureSet"][0]["labels"][0]["shapes"]
    shapes.reverse()
    shapes[0]["createdBy"] = "somebody"
    shapes[0]["points"][0]["pressure"] = 3
    cloud = again["featureSet"][0]["labels"][1]["shapes"][0]
    cloud["points"] = {"m": [2], "r": 1}
    again["featureSet"][0]["labels"].reverse()
    again["featureSet"][0]["labels"][0]["shapes"] = None
    again["featureSet"][1]["labels"] = None
    again["status"] = "reviewed"
    paths = tmp_path / "a.json", tmp_path / "b.json"
    paths[0].write_text(json.dumps({"sequences": [old]}))
    paths[1].write_text(json.dumps({"sequences": [again]}, indent=3))
    with ExportFile.open(paths[0]) as one, ExportFile.open(paths[1]) as other:
        assert list(compare(one, other)) == []


def test_frames_are_added_removed_and_relabelled(differences: Any) -> None:
    a, b = _label("a", _shape((0, 0))), _label("b", _shape((0, 0)))
    moved = _label("a", _shape((0, 0.5)))
    old = [_entry(_frame("gone", a), _frame("same", a), _frame("moved", a), _frame("other", a))]
    new = [_entry(_frame("new"), _frame("other", b), _frame("moved", moved), _frame("same", a))]
    (found,) = differences(old, new)
    assert found == replace(
        UNCHANGED,
        added=("new",),
        removed=("gone",),
        relabelled=("other", "moved"),
        redrawn=1,
        labels={"a": LabelChange(0, 1), "b": LabelChange(1, 0)},
    )


@pytest.mark.parametrize(
    "now",
    [
        _frame("f"),
        _frame("f", _label("a", _shape((0, 0), (1, 1))), _label("a")),
        _frame("f", _label("a")),
        _frame("f", _label("a", _shape((1, 1), (0, 0)))),
        _frame("f", _label("a", _shape((0, 0), (1, 1), kind="open_polygon"))),
        _frame("f", _label("b", _shape((0, 0), (1, 1)))),
    ],
    ids=["none left", "one more", "no shape", "points in another order", "kind", "code"],
)
def test_a_frame_is_relabelled_by_its_codes_kinds_and_points(differences: Any, now: Json) -> None:
    was = _frame("f", _label("a", _shape((0, 0), (1, 1))))
    (found,) = differences([_entry(was)], [_entry(now)])
    assert found.relabelled == ("f",)
    assert (found.added, found.removed) == ((), ())


def test_of_stages_the_last_occurrence_with_labels_counts(differences: Any) -> None:
    a, b = _label("a"), _label("b")
    once = [_entry(_frame("f", b), _frame("g"))]
    stages = [
        _entry(_frame("f", a), _frame("g")),
        _entry(_frame("f", b)),
        _entry(_frame("f"), _frame("g")),
    ]
    assert differences(once, stages) == []
    (found,) = differences([*stages, _entry(_frame("f", a))], stages)
    assert found.relabelled == ("f",)


def test_sequences_are_added_and_removed_in_order(differences: Any) -> None:
    old = [_entry(_frame("a"), root="gone"), _entry(_frame("b"), root="same")]
    new = [_entry(root="new"), _entry(_frame("b"), root="same")]
    gone, came = differences(old, new)
    assert (gone.root_id, gone.presence, gone.removed) == ("gone", Presence.REMOVED, ("a",))
    assert (came.root_id, came.presence, came.added) == ("new", Presence.ADDED, ())


def test_video_annotations_are_compared_by_code_and_times(differences: Any) -> None:
    old = _entry(videoAnnotations=_video(("a", 0, 5), ("a", 0, 5), ("b", 5, None)))
    new = _entry(videoAnnotations=_video(("b", 5, 9), ("a", 0.0, 5), ("a", 0, 5)))
    (found,) = differences([old], [new])
    assert found == replace(
        UNCHANGED, phases_added=(PhaseTimes("b", 5, 9),), phases_removed=(PhaseTimes("b", 5, None),)
    )
    later = _entry(videoAnnotations=[])
    assert differences([old, later], [_entry(videoAnnotations=_video(("z", 1, 2))), old]) == []


def test_entries_without_ids_are_compared_all_together(differences: Any) -> None:
    one = {"videoAnnotations": _video(("a", 0, 5))}
    other = {"videoAnnotations": _video(("b", 0, 5))}
    assert differences([one, other], [other, one]) == []
    (found,) = differences([one, other], [other])
    assert found == replace(
        UNCHANGED, workspace_id="", root_id="", phases_removed=(PhaseTimes("a", 0, 5),)
    )


def test_the_changes_add_up_over_sequences(differences: Any) -> None:
    a, b = _label("a"), _label("b")
    old = [
        _entry(_frame("f", a), _frame("g", a), root="one", videoAnnotations=_video(("p", 0, 1))),
        _entry(_frame("f", a), root="two"),
        _entry(_frame("f", a), root="three"),
        _entry(_frame("h"), root="gone"),
    ]
    new = [
        _entry(_frame("f", b), _frame("n"), root="one"),
        _entry(_frame("f", a, b), _frame("n"), root="two"),
        _entry(_frame("f", _label("a", _shape((0, 0)))), root="three"),
        _entry(root="came"),
    ]
    total = Changes()
    assert total.as_object()["differs"] is False
    for found in differences(old, new):
        total.add(found)
    assert total.as_object() == {
        "differs": True,
        "sequences": {"added": 1, "removed": 1, "changed": 3},
        "frames": {"added": 2, "removed": 2, "relabelled": 3, "redrawn": 1},
        "labels": {"a": LabelChange(0, 1), "b": LabelChange(2, 0)},
        "phases": {"added": 0, "removed": 1},
    }


@pytest.mark.parametrize(
    ("labels", "where"),
    [
        ({"code": "a"}, "labels: expected array or null, got object"),
        ([{"code": 1}], r"labels\[0\]\.code: expected string or null, got number"),
        (
            [{"code": "a"}, _label("b", {"type": "keypoint", "points": [{"x": 1}]})],
            r"labels\[1\]\.shapes\[0\]\.points\[0\]: object missing required field 'y'",
        ),
    ],
)
def test_what_is_wrong_with_labels_is_told_with_its_place(
    differences: Any, labels: Any, where: str
) -> None:
    """In whichever export it is, and of two occurrences the one that counts."""
    good = _entry(_frame("e"), _frame("f", _label("a")))
    bad = _entry(_frame("e"), {"id": "f", "labels": labels})
    for old, new, name in ([good], [good, bad], "new"), ([good, bad], [good], "old"):
        with pytest.raises(ExportError, match=rf"{name}\.json', sequence 1 .*, frame 1, {where};"):
            differences(old, new)


def test_attack_5_ids_that_differ_only_by_case_are_refused_in_each(differences: Any) -> None:
    twins = [_entry(_frame("a"), _frame("A"))]
    roots = [_entry(root="r"), _entry(root="R")]
    for bad, what in (twins, "frame ids"), (roots, "rootIds"):
        for old, new in (bad, []), ([], bad):
            with pytest.raises(ExportError, match=what):
                differences(old, new)
    assert len(differences([_entry(root="r")], [_entry(root="R")])) == 2
