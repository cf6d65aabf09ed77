"""Which frames a selection gives: distinct, grouped, in order, over several exports."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mirror.errors import ExportError
from mirror.export import ExportFile, Selection, SequenceFrames, frames, select_frames

SAMPLES = Path(__file__).parents[1] / "samples"
WORKSPACE = "9b08923d-10c6-4fd9-94b2-b8fda02f34a6"
FIRST = "795b929e-9a9a-40fd-aa7b-5bf55eb561a4"


def _entry(root: str, *frame_ids: str, workspace: str = "w", **labels: list[Any]) -> dict[str, Any]:
    return {
        "rootId": root,
        "workspaceId": workspace,
        "featureSet": [{"id": name, "labels": labels.get(name)} for name in frame_ids],
    }


def _select(
    tmp_path: Path, *documents: list[dict[str, Any]], **wanted: Any
) -> list[SequenceFrames]:
    with ExitStack() as stack:
        exports = []
        for number, entries in enumerate(documents):
            path = tmp_path / f"{number}.json"
            path.write_text(json.dumps({"sequences": entries}))
            exports.append(stack.enter_context(ExportFile.open(path)))
        return list(select_frames(exports, Selection(**wanted)))


def test_fault_59_the_sample_has_ten_distinct_frames_and_three_repeats() -> None:
    document = json.loads((SAMPLES / "frame-batch.json").read_bytes())
    naive = [
        (entry["workspaceId"], entry["rootId"], frame["id"])
        for entry in document["sequences"]
        for frame in entry.get("featureSet") or []
    ]
    with ExportFile.open(SAMPLES / "frame-batch.json") as export:
        groups = list(select_frames([export], Selection()))
    found = [(g.workspace_id, g.root_id, frame) for g in groups for frame in g.frame_ids]
    assert found == list(dict.fromkeys(naive))
    assert len(found) == 10
    assert [(len(g.frame_ids), g.repeats) for g in groups] == [(6, 3), (4, 0)]


def test_a_video_batch_has_no_frames() -> None:
    with ExportFile.open(SAMPLES / "video-batch.json") as export:
        assert list(select_frames([export], Selection())) == []


def test_the_sample_by_sequence_and_by_label() -> None:
    with ExportFile.open(SAMPLES / "frame-batch.json") as export:

        def counts(**wanted: Any) -> dict[str, int]:
            groups = select_frames([export], Selection(**wanted))
            return {group.root_id[:4]: len(group.frame_ids) for group in groups}

        assert counts(sequences=frozenset({FIRST})) == {"795b": 6}
        assert counts(labelled_only=True) == {"795b": 4, "4771": 4}
        assert counts(labels=frozenset({"liver"})) == {"4771": 4}
        assert counts(labels=frozenset({"cystic_duct", "hook"})) == {"795b": 2}
        assert counts(labels=frozenset({"none"})) == {}


def test_groups_come_in_the_order_of_first_appearance_over_all_exports(tmp_path: Path) -> None:
    groups = _select(
        tmp_path,
        [_entry("r2", "b", "a"), _entry("r1", "c")],
        [_entry("r1", "d", "c"), _entry("r3", "x"), _entry("r2", "a", "e", "e")],
    )
    assert groups == [
        SequenceFrames("w", "r2", ("b", "a", "e"), 2),
        SequenceFrames("w", "r1", ("c", "d"), 1),
        SequenceFrames("w", "r3", ("x",), 0),
    ]


def test_one_root_in_two_workspaces_is_two_groups(tmp_path: Path) -> None:
    groups = _select(tmp_path, [_entry("r", "a"), _entry("r", "a", workspace="v")])
    assert [(g.workspace_id, g.frame_ids) for g in groups] == [("w", ("a",)), ("v", ("a",))]


def test_the_same_export_given_twice_repeats_every_frame(tmp_path: Path) -> None:
    entries = [_entry("r", "a", "b")]
    assert _select(tmp_path, entries, entries) == [SequenceFrames("w", "r", ("a", "b"), 2)]


@pytest.mark.parametrize(
    ("wanted", "frame_ids"),
    [
        ({}, ("a", "b", "c", "d", "e")),
        ({"labelled_only": True}, ("b", "c", "e")),
        ({"labels": frozenset({"liver"})}, ("b", "e")),
        ({"labels": frozenset({"liver", "hook"})}, ("b", "c", "e")),
        ({"labels": frozenset({"liver"}), "labelled_only": True}, ("b", "e")),
        ({"labels": frozenset({"spleen"})}, ()),
        ({"sequences": frozenset({"r"}), "labels": frozenset({"hook"})}, ("b", "c")),
        ({"sequences": frozenset({"other"})}, ()),
    ],
)
def test_labels_narrow_frame_by_frame_and_any_occurrence_counts(
    tmp_path: Path, wanted: dict[str, Any], frame_ids: tuple[str, ...]
) -> None:
    labels = {
        "a": [],
        "b": [{"code": "hook"}, {"code": "liver", "shapes": [{"type": "keypoint"}]}],
        "c": [{"code": "hook"}, {"code": None}, {}],
    }
    later = _entry("r", "a", "e", "b", e=[{"code": "liver"}])
    groups = _select(tmp_path, [_entry("r", "a", "b", "c", "d", **labels), later], **wanted)
    assert tuple(frame for group in groups for frame in group.frame_ids) == frame_ids


@pytest.mark.parametrize("wanted", [{}, {"labelled_only": True}])
def test_a_large_sequence_is_read_piece_by_piece_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any]
) -> None:
    entries = [_entry("r", *(f"f{n}" for n in range(50)), f7=[{"code": "x"}], f9=[{}])]
    at_once = _select(tmp_path, entries, **wanted)
    monkeypatch.setattr(frames, "_AT_ONCE", 0)
    assert _select(tmp_path, entries, **wanted) == at_once
    assert len(at_once[0].frame_ids) == (2 if wanted else 50)


def test_a_wrong_frame_is_told_alike_however_large_its_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = _entry("r", "a", "b")
    entry["featureSet"].append({"id": 3})

    def told() -> str:
        with pytest.raises(ExportError) as caught:
            _select(tmp_path, [entry])
        return str(caught.value)

    at_once = told()
    monkeypatch.setattr(frames, "_AT_ONCE", 0)
    assert told() == at_once
    assert "frame 2, id" in at_once


def test_fault_56_memory_is_that_of_one_sequence(tmp_path: Path) -> None:
    """Forty sequences need hardly more than one of them."""
    labels = [{"code": "c", "shapes": [{"points": [{"x": 0.5, "y": 0.5}] * 50}]}]
    entries = [
        _entry(
            f"r{root}",
            *(f"frame-{root}-{n}" for n in range(500)),
            **{f"frame-{root}-{n}": labels for n in range(500)},
        )
        for root in range(40)
    ]
    path = tmp_path / "large.json"
    path.write_text(json.dumps({"sequences": entries}))
    del entries
    with ExportFile.open(path) as export:
        assert export.size > 15e6
        tracemalloc.start()
        try:
            for wanted in (Selection(), Selection(labelled_only=True)):
                count = sum(len(group.frame_ids) for group in select_frames([export], wanted))
                assert count == 20_000
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 1e6
