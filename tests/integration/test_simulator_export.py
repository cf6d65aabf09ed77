"""The export that a dataset writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mirror.simulator import Dataset, DatasetSpec


def written(tmp_path: Path, dataset: Dataset) -> Any:
    dataset.write_export(tmp_path / "export.json")
    return json.loads((tmp_path / "export.json").read_text(encoding="utf-8"))


def labels_of(export: Any) -> list[Any]:
    return [
        label
        for sequence in export["sequences"]
        for frame in sequence["featureSet"]
        for label in frame["labels"]
    ]


def test_it_names_every_frame_of_the_dataset(tmp_path: Path) -> None:
    dataset = Dataset(DatasetSpec(sequences=3, frames_per_sequence=7, frame_bytes=400))
    export = written(tmp_path, dataset)
    named = [
        (sequence["rootId"], tuple(frame["id"] for frame in sequence["featureSet"]))
        for sequence in export["sequences"]
    ]
    assert tuple(named) == dataset.sequences
    assert {sequence["workspaceId"] for sequence in export["sequences"]} == {dataset.workspace_id}
    assert export["sequences"][0]["featureSet"][0]["framePath"].startswith("s3://")


def test_it_has_all_four_kinds_of_shape_within_the_picture(tmp_path: Path) -> None:
    labels = labels_of(written(tmp_path, Dataset()))
    shapes = [shape for label in labels for shape in label["shapes"]]
    assert {shape["type"] for shape in shapes} == {
        "close_polygon",
        "rectangle",
        "open_polygon",
        "keypoint",
    }
    points = [(point["x"], point["y"]) for shape in shapes for point in shape["points"]]
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in points)
    assert len(set(points)) > 100
    identities = [one["id"] for one in (*labels, *shapes)]
    assert len(set(identities)) == len(identities)


def test_it_has_phases_and_fields_nobody_documented(tmp_path: Path) -> None:
    sequence = written(tmp_path, Dataset())["sequences"][0]
    assert sequence["videoAnnotations"][0]["label"]["code"] == "preparation"
    assert sequence["videoAnnotations"][-1]["timestampEnd"] is None
    assert {"stage", "status"} <= set(sequence)


def test_some_frames_have_no_labels_and_all_have_none_where_wished(tmp_path: Path) -> None:
    frames = written(tmp_path, Dataset())["sequences"][0]["featureSet"]
    assert [bool(frame["labels"]) for frame in frames[:6]] == [True] * 4 + [False, True]
    assert labels_of(written(tmp_path, Dataset(DatasetSpec(labelled=False)))) == []


def test_a_sequence_may_have_no_frames(tmp_path: Path) -> None:
    dataset = Dataset(DatasetSpec(sequences=2, frames_per_sequence=0))
    assert [s["featureSet"] for s in written(tmp_path, dataset)["sequences"]] == [[], []]
