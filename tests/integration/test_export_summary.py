"""The counts of `summarize`: exact for both samples, distinct over several exports."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mirror.errors import ExportError
from mirror.export import (
    Counts,
    Coverage,
    ExportFile,
    ExportSummary,
    Outside,
    PhaseCounts,
    Repeats,
    SequenceCounts,
    ShapePlace,
    ShapesPerFrame,
    VideoCoverage,
    summarize,
)

SAMPLES = Path(__file__).parents[1] / "samples"
WORKSPACE = "9b08923d-10c6-4fd9-94b2-b8fda02f34a6"


def _summarize(*paths: Path) -> ExportSummary:
    with ExitStack() as stack:
        return summarize([stack.enter_context(ExportFile.open(path)) for path in paths])


def _made(tmp_path: Path, *documents: list[dict[str, Any]]) -> ExportSummary:
    paths = []
    for number, entries in enumerate(documents):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(json.dumps({"sequences": entries}))
    return _summarize(*paths)


def _phase(
    milliseconds: int = 0, point_events: int = 0, open_ends: int = 0, backwards: int = 0
) -> PhaseCounts:
    return PhaseCounts(1, milliseconds, point_events, open_ends, backwards)


FIRST = "795b929e-9a9a-40fd-aa7b-5bf55eb561a4"
OUTSIDE = ShapePlace(
    str(SAMPLES / "frame-batch.json"), 0, 4, 0, 0, FIRST, "9ae085bf-0b50-4a3f-9e71-5c0bdf6da8e1"
)
FRAME_BATCH = Counts(
    sequences=4,
    distinct_sequences=3,
    frames=10,
    repeated_frames=3,
    repeats=Repeats(in_entry=0, in_export=3, across_exports=0),
    labelled_frames=8,
    labels={"gallbladder": 4, "liver": 4, "grasper": 3, "cystic_duct": 2, "hook": 1},
    label_frames={"liver": 4, "gallbladder": 2, "grasper": 2, "cystic_duct": 1, "hook": 1},
    coverage=Coverage(
        0.8, {"liver": 0.4, "gallbladder": 0.2, "grasper": 0.2, "cystic_duct": 0.1, "hook": 0.1}
    ),
    shapes={
        "close_polygon": 11,
        "rectangle": 3,
        "keypoint": 2,
        "open_polygon": 2,
        "ellipse": 1,
    },
    shapes_per_frame=ShapesPerFrame(1, 1.0, 1.62, 3, {1: 5, 2: 1, 3: 2}),
    points_outside=2,
    outside=Outside(1, OUTSIDE, pytest.approx(0.004), OUTSIDE),
    unreadable_shapes=0,
    unreadable_at=None,
    phases={},
    video=VideoCoverage(0, 0, 0, None),
)
VIDEO_BATCH = Counts(
    sequences=2,
    distinct_sequences=2,
    frames=0,
    repeated_frames=0,
    repeats=Repeats(0, 0, 0),
    labelled_frames=0,
    labels={},
    label_frames={},
    coverage=Coverage(None, {}),
    shapes={},
    shapes_per_frame=None,
    points_outside=0,
    outside=None,
    unreadable_shapes=0,
    unreadable_at=None,
    phases={
        "bleeding": _phase(35_000),
        "calot_dissection": _phase(519_500),
        "clipping_cutting": _phase(90_500),
        "critical_view": _phase(point_events=1),
        "gallbladder_dissection": _phase(700_250),
        "packaging": _phase(open_ends=1),
        "preparation": _phase(92_000),
    },
    video=VideoCoverage(1, 1_425_000, 1_425_000, 1.0),
)


@pytest.mark.parametrize(
    ("name", "counts"), [("frame-batch.json", FRAME_BATCH), ("video-batch.json", VIDEO_BATCH)]
)
def test_each_sample_is_counted_exactly(name: str, counts: Counts) -> None:
    path = SAMPLES / name
    summary = _summarize(path)
    (export,) = summary.exports
    assert export.counts == summary.total == counts
    assert (export.path, export.size) == (str(path), path.stat().st_size)
    assert export.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_sequences_of_the_sample_are_listed_in_order() -> None:
    assert _summarize(SAMPLES / "frame-batch.json").by_sequence == (
        SequenceCounts(WORKSPACE, "795b929e-9a9a-40fd-aa7b-5bf55eb561a4", 6, 4),
        SequenceCounts(WORKSPACE, "47715c45-fb0a-41e3-ac00-7b1be1830294", 4, 4),
        SequenceCounts(WORKSPACE, "e230ffbc-e585-4cfa-b2ce-d3f5ec81bf90", 0, 0),
    )


def test_a_summary_is_json() -> None:
    summary = _summarize(SAMPLES / "frame-batch.json", SAMPLES / "video-batch.json")
    assert msgspec.json.decode(msgspec.json.encode(summary), type=ExportSummary) == summary


def test_a_frame_of_two_exports_counts_once_in_the_total() -> None:
    both = _summarize(SAMPLES / "frame-batch.json", SAMPLES / "frame-batch.json").total
    assert (both.sequences, both.distinct_sequences) == (8, 3)
    assert (both.frames, both.repeated_frames, both.labelled_frames) == (10, 16, 8)
    assert both.label_frames == FRAME_BATCH.label_frames
    assert both.labels == {code: 2 * count for code, count in FRAME_BATCH.labels.items()}
    assert both.points_outside == 4


def test_a_frame_is_labelled_when_any_occurrence_is(tmp_path: Path) -> None:
    def entry(*labels: dict[str, Any]) -> dict[str, Any]:
        frame = {"id": "f", "labels": list(labels)}
        return {"rootId": "r", "workspaceId": "w", "featureSet": [frame]}

    summary = _made(tmp_path, [entry()], [entry({"code": "a"}), entry({"code": "b"})])
    first, second = (export.counts for export in summary.exports)
    assert (first.labelled_frames, second.labelled_frames) == (0, 1)
    assert summary.total.labelled_frames == 1
    assert summary.total.label_frames == {"a": 1, "b": 1}
    assert summary.by_sequence == (SequenceCounts("w", "r", 1, 1),)


def test_what_has_no_name_is_counted_under_one(tmp_path: Path) -> None:
    labels = [{}, {"code": None, "shapes": [{}, {"type": "blob", "points": {"cx": 1}}]}]
    frame = {"id": "f", "labels": labels}
    entry = {"rootId": "r", "workspaceId": "w", "featureSet": [frame]}
    video = {"videoAnnotations": [{"timestampStart": 5, "timestampEnd": 2}]}
    total = _made(tmp_path, [entry, video]).total
    assert total.labels == {"(no code)": 2}
    assert total.label_frames == {"(no code)": 1}
    assert total.labelled_frames == 1
    assert total.shapes == {"(no type)": 1, "blob": 1}
    assert total.phases == {"(no code)": _phase(backwards=1)}, (
        "an end before its start lasts nothing"
    )


def test_phases_of_one_code_add_up_over_sequences_and_exports(tmp_path: Path) -> None:
    def video(start: float | None, end: float | None) -> dict[str, Any]:
        label = {"code": "a"}
        return {
            "videoAnnotations": [{"timestampStart": start, "timestampEnd": end, "label": label}]
        }

    summary = _made(
        tmp_path,
        [video(0, 1000), video(500, 500), {"videoAnnotations": None}],
        [video(None, 3), video(1.5, 2.5), video(0, None)],
    )
    assert summary.exports[0].counts.phases == {"a": PhaseCounts(2, 1000, 1, 0)}
    assert summary.exports[1].counts.phases == {"a": PhaseCounts(3, 1, 0, 2)}
    assert summary.total.phases == {"a": PhaseCounts(5, 1001, 1, 2)}


def test_sequences_without_ids_are_entries_but_no_distinct_sequences(tmp_path: Path) -> None:
    total = _made(tmp_path, [{}, {"rootId": "r"}, {"rootId": "r", "workspaceId": "w"}]).total
    assert (total.sequences, total.distinct_sequences) == (3, 1)


def test_attack_5_what_sync_would_refuse_is_refused_here_too(tmp_path: Path) -> None:
    def entry(root: str, *frames: str) -> dict[str, Any]:
        featured = [{"id": frame} for frame in frames]
        return {"rootId": root, "workspaceId": "w", "featureSet": featured}

    with pytest.raises(ExportError, match="rootIds 'r' and 'R' differ only by case"):
        _made(tmp_path, [entry("r", "a")], [entry("R", "a")])
    with pytest.raises(ExportError, match="frame ids 'a' and 'A' differ only by case"):
        _made(tmp_path, [entry("r", "a")], [entry("r", "A")])


def test_a_file_name_that_is_no_text_is_refused_in_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json"))
    try:
        path.write_text('{"sequences":[]}')
    except OSError:
        pytest.skip("this file system takes text only")
    with pytest.raises(ExportError, match=r"udcff\.json' .*not UTF-8") as told:
        _summarize(path)
    assert str(told.value).isascii()


def _far(root: str, *coordinates: float) -> dict[str, Any]:
    """A frame for each x."""
    frames = [
        {
            "id": f"f{number}",
            "labels": [
                {"code": "a", "shapes": [{"type": "keypoint", "points": [{"x": x, "y": 0}]}]}
            ],
        }
        for number, x in enumerate(coordinates)
    ]
    return {"rootId": root, "workspaceId": "w", "featureSet": frames}


def _told(outside: Outside | None) -> tuple[Any, ...]:
    assert outside is not None
    places = [
        (Path(at.export).name, at.sequence, at.frame)
        for at in (outside.first_at, outside.farthest_at)
    ]
    return outside.shapes, outside.farthest, *places


def test_the_first_and_the_farthest_outside_are_by_the_order_of_the_export(tmp_path: Path) -> None:
    """Though the stages of a sequence are read together."""
    stages = [_far("r", 0.5), _far("q", 0.5, 1.5, 3), _far("r", 3, 2)]
    summary = _made(tmp_path, stages, [_far("q", 3, 9)], [_far("z", 9)])
    assert [_told(export.counts.outside) for export in summary.exports] == [
        (4, 2, ("0.json", 1, 1), ("0.json", 1, 2)),
        (2, 8, ("1.json", 0, 0), ("1.json", 0, 1)),
        (1, 8, ("2.json", 0, 0), ("2.json", 0, 0)),
    ]
    assert _told(summary.total.outside) == (7, 8, ("0.json", 1, 1), ("1.json", 0, 1))
    later = _made(tmp_path, [_far("r", 0.5), _far("q", 0.5, 1.5, 3)], [_far("q", 1.5)])
    assert _told(later.total.outside)[2:] == (("0.json", 1, 1), ("0.json", 1, 2))


def test_the_first_export_is_the_one_that_is_named_first(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("z.json", "a.json")]
    for path in paths:
        path.write_text(json.dumps({"sequences": [_far("r", 2)]}))
    assert _told(_summarize(*paths).total.outside) == (2, 1, ("z.json", 0, 0), ("z.json", 0, 0))


def test_videos_without_ids_are_each_by_themselves(tmp_path: Path) -> None:
    def video(end: int, **ids: str) -> dict[str, Any]:
        found = {"timestampStart": 0, "timestampEnd": end, "label": {"code": "a"}}
        return {"videoAnnotations": [found], **ids}

    named = {"rootId": "r", "workspaceId": "w"}
    summary = _made(
        tmp_path,
        [
            video(1),
            video(2),
            video(4, **named),
            video(8, **named),
            {"videoAnnotations": [], **named},
        ],
        [video(16), video(32, **named)],
    )
    assert [
        (Path(each.export).name, each.sequence, each.root_id, each.span_milliseconds)
        for each in summary.videos
    ] == [
        *(("0.json", 0, "", 1), ("0.json", 1, "", 2)),
        *(("1.json", 1, "r", 32), ("1.json", 0, "", 16)),
    ]
    assert summary.exports[0].counts.video == VideoCoverage(3, 11, 11, 1.0)
    assert summary.total.video == VideoCoverage(4, 51, 51, 1.0)
    assert summary.total.phases["a"].annotations == 6, "as written"
