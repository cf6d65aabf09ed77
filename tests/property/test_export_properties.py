"""Whatever the document, reading agrees with `json.loads` or refuses with `ExportError`."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mirror.errors import ExportError
from mirror.export import (
    ExportFile,
    ExportSummary,
    Selection,
    decode_annotations,
    select_frames,
    summarize,
)

SAMPLES = [
    path.read_bytes() for path in sorted((Path(__file__).parents[1] / "samples").glob("*.json"))
]

# few and lower case, so that repeats are common and case twins absent
ids = st.sampled_from([f"{letter}-{n}" for letter in "abc" for n in range(4)])
codes = st.sampled_from(["liver", "hook", "ü\U0001f986", "a b"])
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
points = st.lists(st.fixed_dictionaries({"x": st.floats(-1, 2), "y": st.floats(0, 1)}), max_size=4)
shapes = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["rectangle", "ellipse"]),
        "shape_type": st.just("keypoint"),
        "points": points | st.none(),
        "createdBy": junk,
    },
)
labels = st.fixed_dictionaries(
    {"code": codes}, optional={"shapes": st.lists(shapes, max_size=3) | st.none(), "x": junk}
)
frames = st.fixed_dictionaries(
    {"id": ids},
    optional={"labels": st.lists(labels, max_size=3) | st.none(), "frameNumber": junk},
)
sequences = st.fixed_dictionaries(
    {"rootId": ids, "workspaceId": ids},
    optional={"featureSet": st.lists(frames, max_size=6) | st.none(), "sequences": junk},
)
documents = st.fixed_dictionaries(
    {"sequences": st.lists(sequences, max_size=5)}, optional={"name": junk, "project": junk}
)


@contextmanager
def _opened(content: bytes) -> Iterator[ExportFile]:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(content)
        file.flush()
        with ExportFile.open(file.name) as export:
            yield export


def _naive(document: dict[str, Any]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for entry in document["sequences"]:
        for frame in entry.get("featureSet") or []:
            yield (entry["workspaceId"], entry["rootId"]), frame


def _is_selected(frame: dict[str, Any], selection: Selection) -> bool:
    carried = {label["code"] for label in frame.get("labels") or []}
    if selection.labels:
        return bool(carried & selection.labels)
    return bool(carried) or not selection.labelled_only


@given(
    document=documents,
    selection=st.builds(
        Selection, st.frozensets(ids, max_size=2), st.frozensets(codes, max_size=2), st.booleans()
    ),
    indent=st.sampled_from([None, 1]),
    escaped=st.booleans(),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_selected_frames_are_those_that_json_loads_gives(
    document: dict[str, Any], selection: Selection, indent: int | None, escaped: bool, mark: bytes
) -> None:
    content = mark + json.dumps(document, indent=indent, ensure_ascii=escaped).encode()
    expected: dict[tuple[str, str], list[str]] = {}
    for (workspace, root), frame in _naive(document):
        wanted = not selection.sequences or root in selection.sequences
        if wanted and _is_selected(frame, selection):
            expected.setdefault((workspace, root), []).append(frame["id"])
    with _opened(content) as export:
        groups = list(select_frames([export], selection))
    found = {(group.workspace_id, group.root_id): group for group in groups}
    assert len(found) == len(groups)
    assert {key: list(group.frame_ids) for key, group in found.items()} == {
        key: list(dict.fromkeys(frame_ids)) for key, frame_ids in expected.items()
    }
    for key, group in found.items():
        assert group.repeats == len(expected[key]) - len(group.frame_ids)


@given(document=documents)
def test_the_summary_counts_what_json_loads_gives(document: dict[str, Any]) -> None:
    written = list(_naive(document))
    written_labels = [label for _, frame in written for label in frame.get("labels") or []]
    written_shapes = [shape for label in written_labels for shape in label.get("shapes") or []]
    distinct = {(group, frame["id"]) for group, frame in written}
    labelled = {(group, frame["id"]) for group, frame in written if frame.get("labels")}
    outside = sum(
        not (0 <= point["x"] <= 1)
        for shape in written_shapes
        for point in shape.get("points") or []
    )
    with _opened(json.dumps(document).encode()) as export:
        total = summarize([export]).total
    assert total.sequences == len(document["sequences"])
    assert total.frames == len(distinct)
    assert total.repeated_frames == len(written) - len(distinct)
    assert total.labelled_frames == len(labelled)
    assert total.labels == Counter(label["code"] for label in written_labels)
    assert total.shapes == Counter(
        shape.get("type", shape.get("shape_type", "(no type)")) for shape in written_shapes
    )
    assert total.points_outside == outside


@given(document=documents)
def test_whole_sequences_come_back_as_json_loads_gives_them(document: dict[str, Any]) -> None:
    with _opened(json.dumps(document).encode()) as export:
        assert [decode_annotations(piece) for piece in export.sequences] == document["sequences"]


def _read_all(content: bytes) -> ExportSummary | None:
    """Everything that can be read of it; None where it is refused, as only `ExportError` may."""
    try:
        with _opened(content) as export:
            for selection in (Selection(), Selection(labelled_only=True)):
                for _ in select_frames([export], selection):
                    pass
            summary = summarize([export])
            for piece in export.sequences:
                decode_annotations(piece)
            return summary
    except ExportError as error:
        told = str(error)
        assert "\n" not in told
        assert told.replace("…", "").isascii()
        return None


@given(sample=st.sampled_from(SAMPLES), data=st.data())
def test_a_truncated_export_is_refused_never_half_read(sample: bytes, data: st.DataObject) -> None:
    whole = sample.rstrip()
    assert _read_all(whole) is not None
    length = data.draw(st.integers(0, len(whole) - 1))
    assert _read_all(whole[:length]) is None


@given(
    sample=st.sampled_from(SAMPLES),
    where=st.floats(0, 1, exclude_max=True),
    removed=st.integers(0, 12),
    inserted=st.binary(max_size=6)
    | st.sampled_from(
        [b"null", b"{}", b"[", b"]", b'"', b"\\", b",", b"\\ud800", b"1e999", b"\xff"]
    ),
)
def test_a_mutated_export_is_read_or_refused(
    sample: bytes, where: float, removed: int, inserted: bytes
) -> None:
    at = int(where * len(sample))
    _read_all(sample[:at] + inserted + sample[at + removed :])


@given(
    content=st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_anything_else_is_refused(content: bytes) -> None:
    _read_all(content)
