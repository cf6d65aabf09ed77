"""Tables of the samples and of awkward exports, read back by other readers than ours."""

from __future__ import annotations

import csv
import json
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from annotations_kit import (
    FRAMES,
    VIDEOS,
    frame,
    label,
    mirror_export,
    phase,
    sequence,
    shape,
    write,
)

from mirror.annotations import (
    Choice,
    Collection,
    MirroredImages,
    Problems,
    Skip,
    StrictProblems,
    Tally,
    parse_splits,
)
from mirror.annotations.splits import UNSPLIT
from mirror.annotations.tables import TABLES, Kind, write_csv, write_jsonl, write_parquet
from mirror.annotations.tables import as_parquet as parquet_room
from mirror.errors import ExportError, UsageError
from mirror.export import ExportFile

Rows = list[dict[str, Any]]
Writer = Callable[[Collection, Path, Tally], None]
HOSTILE = '=cmd|"x"!A1,\r\n\u2028 \U0001f986'


def _from_csv(path: Path) -> Rows:
    """Empty cells as None, others by the column's kind."""
    kinds = {column.name: column.kind for table in TABLES for column in table.columns}
    as_json = {Kind.TEXTS, Kind.POINTS, Kind.TRUTH, Kind.INTEGER, Kind.NUMBER}

    def cell(name: str, text: str) -> Any:
        if name in ("raw", "image") or kinds[name] in as_json:
            if not text:
                return None
            return json.loads(text) if kinds[name] in as_json else text
        return text

    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: cell(name, text) for name, text in row.items()}
            for row in csv.DictReader(file, strict=True)
        ]


def _from_jsonl(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _from_parquet(path: Path) -> Rows:
    found: Rows = pq.read_table(path).to_pylist()
    return found


FORMATS: dict[str, tuple[Writer, Callable[[Path], Rows]]] = {
    "csv": (write_csv, _from_csv),
    "jsonl": (write_jsonl, _from_jsonl),
    "parquet": (write_parquet, _from_parquet),
}


def _tables(
    kind: str, out: Path, *exports: Path, dest: Path | None = None, **options: Any
) -> tuple[dict[str, Rows], Tally]:
    writer, read = FORMATS[kind]
    out.mkdir()
    tally = Tally()
    with ExitStack() as stack:
        opened = [stack.enter_context(ExportFile.open(path)) for path in exports]
        images = stack.enter_context(MirroredImages.open(dest)) if dest else None
        problems = options.pop("problems", None) or Problems()
        writer(Collection(opened, images, problems, **options), out, tally)
    found = {table.name: read(out / f"{table.name}.{kind}") for table in TABLES}
    assert {path.name for path in out.iterdir()} == {f"{name}.{kind}" for name in found}
    return found, tally


def _naive(export: Path) -> dict[tuple[str, str, str], list[Any]]:
    """The last labelled occurrence of each frame, by plain json."""
    found: dict[tuple[str, str, str], list[Any]] = {}
    for entry in json.loads(export.read_bytes())["sequences"]:
        for each in entry.get("featureSet") or []:
            key = entry["workspaceId"], entry["rootId"], each["id"]
            found[key] = each.get("labels") or found.get(key, [])
    return found


@pytest.mark.parametrize("kind", FORMATS)
def test_the_frame_sample_is_in_the_tables_point_by_point(kind: str, tmp_path: Path) -> None:
    tables, tally = _tables(kind, tmp_path / "out", FRAMES, VIDEOS)
    naive = _naive(FRAMES)
    ids = [(row["workspace_id"], row["root_id"], row["frame_id"]) for row in tables["frames"]]
    assert len(ids) == 10
    assert set(ids) == set(naive)
    for key, row in zip(ids, tables["frames"], strict=True):
        assert row["codes"] == [each["code"] for each in naive[key]]
        assert (row["image"], row["width"], row["height"]) == (None, None, None)
    for key in ids:
        rows = [row for row in tables["shapes"] if row["frame_id"] == key[2]]
        theirs = [each for label in naive[key] for each in label.get("shapes") or []]
        assert [row["kind"] for row in rows] == [
            each.get("type") or each["shape_type"] for each in theirs
        ]
        assert [row["points"] for row in rows] == [
            [[point["x"], point["y"]] for point in each["points"]] for each in theirs
        ]
    assert sum(row["kind"] == "ellipse" and bool(row["raw"]) for row in tables["shapes"]) == 1
    assert sum(row["outside"] for row in tables["shapes"]) > 0
    assert tally.written == {"frames": 10, "labels": 10, "shapes": 13, "intervals": 7}


@pytest.mark.parametrize("kind", FORMATS)
def test_the_video_sample_keeps_its_times_and_its_open_end(kind: str, tmp_path: Path) -> None:
    tables, _ = _tables(kind, tmp_path / "out", VIDEOS)
    naive = json.loads(VIDEOS.read_bytes())["sequences"][0]["videoAnnotations"]
    rows = tables["intervals"]
    assert [(row["start_ms"], row["end_ms"], row["name"]) for row in rows] == [
        (each["timestampStart"], each["timestampEnd"], each["label"]["displayName"])
        for each in naive
    ]
    assert [row["interval_index"] for row in rows] == list(range(7))
    assert [row["open_end"] for row in rows] == [False] * 6 + [True]
    assert [row["code"] for row in rows if row["point"]] == ["critical_view"]
    assert tables["frames"] == tables["shapes"] == []


@pytest.mark.parametrize("kind", FORMATS)
def test_pixels_and_images_come_from_the_ledger(kind: str, tmp_path: Path) -> None:
    dest = mirror_export(tmp_path / "frames", FRAMES, (64, 48))
    tables, tally = _tables(kind, tmp_path / "out", FRAMES, dest=dest)
    for row in tables["frames"]:
        assert row["image"] == f"{row['root_id']}/{row['frame_id']}.png"
        assert (dest / row["image"]).is_file()
        assert (row["width"], row["height"]) == (64, 48)
    for row in tables["shapes"]:
        if row["points"]:
            assert row["pixel_points"] == [[x * 64, y * 48] for x, y in row["points"]]
            xs, ys = zip(*row["pixel_points"], strict=True)
            box = [row[f"pixel_{side}"] for side in ("left", "top", "right", "bottom")]
            assert box == [min(xs), min(ys), max(xs), max(ys)]
    assert not tally.skipped


def test_frames_that_are_not_mirrored_are_counted_and_left_out(tmp_path: Path) -> None:
    left_out = [key[2] for key in _naive(FRAMES)][:3]
    dest = mirror_export(tmp_path / "frames", FRAMES, without=left_out)
    tables, tally = _tables("jsonl", tmp_path / "out", FRAMES, dest=dest)
    assert len(tables["frames"]) == 7
    assert not {row["frame_id"] for row in tables["frames"]} & set(left_out)
    assert tally.skipped == {Skip.NOT_MIRRORED: 3}


def test_all_three_formats_say_the_same(tmp_path: Path) -> None:
    dest = mirror_export(tmp_path / "frames", FRAMES)
    found = [_tables(kind, tmp_path / kind, FRAMES, VIDEOS, dest=dest)[0] for kind in FORMATS]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("kind", FORMATS)
def test_hostile_names_come_back_as_they_are(kind: str, tmp_path: Path) -> None:
    named = {"code": HOSTILE, "displayName": f"-{HOSTILE}", "shapes": [shape(HOSTILE, (0, 0))]}
    event = {"timestampStart": 1, "timestampEnd": 2, "label": {"code": HOSTILE}}
    export = write(tmp_path / "e.json", sequence("r", frame("f", named), phases=[event]))
    tables, _ = _tables(kind, tmp_path / "out", export)
    (row,) = tables["shapes"]
    assert (row["code"], row["name"], row["kind"]) == (HOSTILE, f"-{HOSTILE}", HOSTILE)
    assert tables["frames"][0]["names"] == [f"-{HOSTILE}"]
    assert tables["intervals"][0]["code"] == HOSTILE


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_of_nothing_has_tables_with_every_column(kind: str, tmp_path: Path) -> None:
    tables, tally = _tables(kind, tmp_path / "out", write(tmp_path / "e.json"))
    assert tables == {"frames": [], "shapes": [], "intervals": []}
    assert not +tally.written
    if kind == "csv":
        header = (tmp_path / "out/shapes.csv").read_text().strip()
        assert header.split(",") == TABLES[1].names
    if kind == "parquet":
        for table in TABLES:
            assert pq.read_schema(tmp_path / f"out/{table.name}.parquet").names == table.names


def test_csv_is_as_rfc_4180_has_it(tmp_path: Path) -> None:
    _tables("csv", tmp_path / "out", FRAMES)
    raw = (tmp_path / "out/frames.csv").read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n") == 11
    assert not raw.startswith(b"\xef\xbb\xbf")


def test_only_labels_that_are_wanted_are_in_the_tables(tmp_path: Path) -> None:
    export = write(
        tmp_path / "e.json",
        sequence(
            "r",
            frame("f", label("a", shape("keypoint", (0, 0))), label("b")),
            frame("g"),
            phases=[phase("a", 0, 1), phase("b", 1, 2)],
        ),
    )
    choice = Choice(labels=frozenset("b"), unlabelled=False)
    tables, tally = _tables("jsonl", tmp_path / "out", export, choice=choice)
    assert [row["codes"] for row in tables["frames"]] == [["b"]]
    assert [(row["code"], row["interval_index"]) for row in tables["intervals"]] == [("b", 0)]
    assert tables["shapes"] == []
    assert tally.skipped == {Skip.UNLABELLED: 1}


def test_every_row_of_a_sequence_names_its_split(tmp_path: Path) -> None:
    entries = [
        sequence(
            f"r{n}",
            frame(f"f{n}", label("a", shape("keypoint", (0, 0)))),
            phases=[phase("a", 0, 1)],
        )
        for n in range(20)
    ]
    splits = parse_splits("train=0.5,val=0.5", 1)
    export = write(tmp_path / "e.json", *entries)
    tables, _ = _tables("jsonl", tmp_path / "out", export, splits=splits)
    for rows in tables.values():
        assert {row["split"] for row in rows} == {"train", "val"}
        assert all(row["split"] == splits.of("w", row["root_id"]) for row in rows)
    assert UNSPLIT.names == ["all"]


def test_a_wrong_shape_is_left_out_and_counted_or_ends_it(tmp_path: Path) -> None:
    entry = sequence("r", frame("f", label("a", shape("rectangle", (0, 0)))))
    export = write(tmp_path / "e.json", entry)
    problems = Problems()
    tables, _ = _tables("csv", tmp_path / "out", export, problems=problems)
    assert tables["shapes"] == []
    assert problems.counts == {"points": 1}
    with pytest.raises(ExportError, match="takes at least 2 points"):
        _tables("parquet", tmp_path / "strict", export, problems=StrictProblems())


def test_parquet_writes_a_row_group_whenever_enough_has_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_room, "_BATCH", 3)
    monkeypatch.setattr(parquet_room, "_GROUP", 6)
    export = write(tmp_path / "e.json", sequence("r", *(frame(f"f{n}") for n in range(20))))
    tables, _ = _tables("parquet", tmp_path / "out", export)
    found = pq.ParquetFile(tmp_path / "out/frames.parquet").metadata
    assert [found.row_group(n).num_rows for n in range(found.num_row_groups)] == [6, 6, 6, 2]
    assert [row["frame_id"] for row in tables["frames"]] == [f"f{n}" for n in range(20)]


def test_a_missing_extra_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"savant-mirror\[tables\]"):
        _tables("parquet", tmp_path / "out", FRAMES)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_rows(kind: str, tmp_path: Path) -> None:
    shapes = [shape("close_polygon", *[(n / 9, n / 9) for n in range(9)])] * 4

    def peak(frames: int) -> int:
        document = {
            "sequences": [
                sequence("r", *(frame(f"f{n}", label("a", *shapes)) for n in range(frames)))
            ]
        }
        export = tmp_path / f"{kind}-{frames}.json"
        export.write_bytes(orjson.dumps(document))
        del document
        tracemalloc.start()
        try:
            _tables_only(kind, tmp_path / f"{kind}-{frames}", export)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    few, many = peak(100), peak(2000)
    assert many - few < 1900 * 1000  # an id each, and not its 4 kB of text


def _tables_only(kind: str, out: Path, export: Path) -> None:
    out.mkdir()
    with ExportFile.open(export) as opened:
        FORMATS[kind][0](Collection([opened], None, Problems()), out, Tally())
