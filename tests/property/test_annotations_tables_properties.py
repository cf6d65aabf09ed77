"""Whatever the annotations, the tables hold them, number by number, in every format."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.annotations import Collection, Problems, Tally
from mirror.annotations.tables import write_csv, write_jsonl, write_parquet
from mirror.export import ExportFile

texts = st.text(min_size=1, max_size=6)
numbers = st.floats(-1, 2) | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-2, 2)
points = st.fixed_dictionaries({"x": numbers, "y": numbers})


def _shape(kind: str, fewest: int, most: int) -> st.SearchStrategy[dict[str, Any]]:
    places = st.lists(points, min_size=fewest, max_size=most)
    return st.fixed_dictionaries({"type": st.just(kind), "points": places})


shapes = st.one_of(
    _shape("close_polygon", 3, 6),
    _shape("rectangle", 2, 2),
    _shape("open_polygon", 2, 4),
    _shape("keypoint", 1, 1),
    st.fixed_dictionaries({"type": texts.map("x-{}".format), "points": st.lists(points)}),
)
labels = st.fixed_dictionaries(
    {"code": texts, "displayName": texts, "shapes": st.lists(shapes, max_size=3)}
)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    start = draw(st.integers(0, 10**9))
    end = draw(st.none() | st.integers(start, 10**9))
    label = draw(st.fixed_dictionaries({"code": texts, "displayName": texts}))
    return {"timestampStart": start, "timestampEnd": end, "label": label}


frames = st.lists(st.lists(labels, max_size=3), max_size=4)


def _round_trip(frames: list[Any], events: list[Any]) -> dict[str, dict[str, list[Any]]]:
    """By format and table, the rows."""
    entry = {
        "rootId": "r",
        "workspaceId": "w",
        "featureSet": [{"id": f"f{n}", "labels": each} for n, each in enumerate(frames)],
        "videoAnnotations": events,
    }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        export = out / "e.json"
        export.write_text(json.dumps({"sequences": [entry]}))
        problems = Problems()
        with ExportFile.open(export) as opened:
            for write in (write_csv, write_jsonl, write_parquet):
                write(Collection([opened], None, problems), out, Tally())
        assert not problems.counts
        names = ("frames", "shapes", "intervals")
        return {
            "csv": {name: _csv(out / f"{name}.csv") for name in names},
            "jsonl": {name: _jsonl(out / f"{name}.jsonl") for name in names},
            "parquet": {name: pq.read_table(out / f"{name}.parquet").to_pylist() for name in names},
        }


def _csv(path: Path) -> list[Any]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _jsonl(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@settings(max_examples=60)
@given(frames, st.lists(events(), max_size=4))
def test_every_annotation_comes_back(frames: list[Any], events: list[Any]) -> None:
    found = _round_trip(frames, events)
    listed = [
        (f"f{n}", place, index, label, shape)
        for n, labels in enumerate(frames)
        for place, label in enumerate(labels)
        for index, shape in enumerate(label["shapes"])
    ]
    rows = found["jsonl"]["shapes"]
    assert len(rows) == len(listed)
    for row, (frame_id, place, index, label, shape) in zip(rows, listed, strict=True):
        xs, ys = [each["x"] for each in shape["points"]], [each["y"] for each in shape["points"]]
        assert (row["frame_id"], row["label_index"], row["shape_index"]) == (frame_id, place, index)
        assert (row["code"], row["name"]) == (label["code"], label["displayName"])
        assert (row["kind"], row["points"]) == (
            shape["type"],
            [list(each) for each in zip(xs, ys, strict=True)],
        )
        box = [row[side] for side in ("left", "top", "right", "bottom")]
        assert box == ([min(xs), min(ys), max(xs), max(ys)] if xs else [None] * 4)
        assert row["outside"] == any(not 0 <= each <= 1 for each in [*xs, *ys])
        if shape["type"].startswith("x-"):
            assert json.loads(row["raw"]) == shape
    assert [row["codes"] for row in found["jsonl"]["frames"]] == [
        [label["code"] for label in labels] for labels in frames
    ]
    assert [
        (row["start_ms"], row["end_ms"], row["code"], row["point"])
        for row in found["jsonl"]["intervals"]
    ] == [
        (start, end, each["label"]["code"], start == end)
        for each in events
        for start, end in [(each["timestampStart"], each["timestampEnd"])]
    ]
    assert found["parquet"] == found["jsonl"]
    for name, rows in found["jsonl"].items():
        assert len(found["csv"][name]) == len(rows)
        for cells, row in zip(found["csv"][name], rows, strict=True):
            assert list(cells) == list(row)
            assert all(_says(cells[key], value) for key, value in row.items())


def _says(cell: str, value: Any) -> bool:
    if value is None or isinstance(value, str):
        return cell == (value or "")
    return bool(json.loads(cell) == value)
