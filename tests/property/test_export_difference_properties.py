"""Whatever the export: it does not differ from itself, and an edit is named, and nothing else."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mirror.export import ExportFile, Presence, SequenceDifference, compare, summarize

Json = dict[str, Any]

codes = st.sampled_from(["liver", "hook", "ü\U0001f986"])
points = st.lists(
    st.fixed_dictionaries({"x": st.floats(-1, 2), "y": st.floats(0, 1)}), min_size=1, max_size=3
)
shapes = st.fixed_dictionaries(
    {"type": st.sampled_from(["close_polygon", "keypoint", "ellipse"]), "points": points}
)
labels = st.fixed_dictionaries({"code": codes, "shapes": st.lists(shapes, max_size=2)})
times = st.none() | st.integers(0, 9)
phases = st.fixed_dictionaries(
    {
        "timestampStart": times,
        "timestampEnd": times,
        "label": st.fixed_dictionaries({"code": codes}),
    }
)


@st.composite
def entries(draw: st.DrawFn, root: str) -> Json:
    names = draw(st.lists(st.sampled_from("abcdef"), max_size=5))
    return {
        "rootId": root,
        "workspaceId": "w",
        "featureSet": [
            {"id": each, "labels": draw(st.lists(labels, max_size=2))} for each in names
        ],
        "videoAnnotations": draw(st.lists(phases, max_size=3)),
    }


@st.composite
def documents(draw: st.DrawFn) -> list[Json]:
    roots = draw(st.lists(st.sampled_from(["r0", "r1", "r2"]), min_size=1, max_size=4))
    return [draw(entries(root)) for root in roots]


@contextmanager
def _opened(*documents: list[Json]) -> Iterator[list[ExportFile]]:
    with tempfile.TemporaryDirectory() as folder:
        exports = []
        for number, document in enumerate(documents):
            path = Path(folder) / f"{number}.json"
            path.write_text(json.dumps({"sequences": document}, indent=number))
            exports.append(ExportFile.open(path))
        try:
            yield exports
        finally:
            for export in exports:
                export.close()


def _differences(old: list[Json], new: list[Json]) -> dict[str, SequenceDifference]:
    with _opened(old, new) as (one, other):
        found = list(compare(one, other))
    assert len({each.root_id for each in found}) == len(found)
    return {each.root_id: each for each in found}


def _kept(document: list[Json]) -> dict[tuple[str, str], list[Json]]:
    """The labels that count of each frame: the rule, written as it is said."""
    found: dict[tuple[str, str], list[Json]] = {}
    for entry in document:
        for frame in entry["featureSet"]:
            if frame["labels"] or (entry["rootId"], frame["id"]) not in found:
                found[entry["rootId"], frame["id"]] = frame["labels"]
    return found


def _essence(labels: list[Json]) -> Counter[str]:
    """Labels as a bag of what counts; numbers as they are."""
    return Counter(
        json.dumps([label["code"], sorted(json.dumps(shape) for shape in label["shapes"])])
        for label in labels
    )


@given(document=documents(), seed=st.integers(0, 99))
def test_an_export_does_not_differ_from_itself_in_any_order(
    document: list[Json], seed: int
) -> None:
    other = deepcopy(document)
    shuffle = random.Random(seed).shuffle
    for entry in other:
        entry["status"] = seed
        shuffle(entry["videoAnnotations"])
        for frame in entry["featureSet"]:
            shuffle(frame["labels"])
            for label in frame["labels"]:
                label["displayName"] = "x"
                shuffle(label["shapes"])
    assert _differences(document, other) == {}


@given(old=documents(), new=documents())
def test_what_differs_is_what_json_loads_gives(old: list[Json], new: list[Json]) -> None:
    before, after = _kept(old), _kept(new)
    found = _differences(old, new)
    roots = {entry["rootId"] for entry in old}, {entry["rootId"] for entry in new}
    for root in roots[0] | roots[1]:
        was = {frame for name, frame in before if name == root}
        now = {frame for name, frame in after if name == root}
        relabelled = {
            frame
            for frame in was & now
            if _essence(before[root, frame]) != _essence(after[root, frame])
        }
        if root not in found:
            assert (was, relabelled) == (now, set())
            assert root in roots[0] & roots[1]
            continue
        one = found[root]
        assert (set(one.added), set(one.removed)) == (now - was, was - now)
        assert set(one.relabelled) == relabelled
        assert (one.presence is Presence.ADDED) == (root not in roots[0])
        assert (one.presence is Presence.REMOVED) == (root not in roots[1])


@given(document=documents(), data=st.data())
def test_one_edit_is_named_and_nothing_else(document: list[Json], data: st.DataObject) -> None:
    """Of a frame that occurs once: away with it, or a label more, or a point moved."""
    often = Counter((each["rootId"], one["id"]) for each in document for one in each["featureSet"])
    once = [
        (number, place)
        for number, entry in enumerate(document)
        for place, frame in enumerate(entry["featureSet"])
        if often[entry["rootId"], frame["id"]] == 1
    ]
    if not once:
        return
    number, place = data.draw(st.sampled_from(once))
    edited = deepcopy(document)
    frame = edited[number]["featureSet"][place]
    drawn = [shape for label in frame["labels"] for shape in label["shapes"]]
    edit = data.draw(st.sampled_from(["remove", "label", *(["move"] if drawn else [])]))
    if edit == "remove":
        del edited[number]["featureSet"][place]
    elif edit == "label":
        frame["labels"].append({"code": "edited", "shapes": []})
    else:
        data.draw(st.sampled_from(drawn))["points"][0]["x"] = 2.5
    ((root, found),) = _differences(document, edited).items()
    assert root == document[number]["rootId"]
    expected = {"added": (), "removed": (), "relabelled": ()}
    expected["removed" if edit == "remove" else "relabelled"] = (frame["id"],)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.redrawn == (edit == "move")
    assert set(found.labels) == ({"edited"} if edit == "label" else set())
    assert (found.phases_added, found.phases_removed) == ((), ())
    ((_, back),) = _differences(edited, document).items()
    assert (back.added, back.removed) == (found.removed, found.added)
    assert back.relabelled == found.relabelled


@given(old=documents(), new=documents())
def test_the_summary_follows_the_same_rule(old: list[Json], new: list[Json]) -> None:
    kept = _kept([*old, *new])
    numbers = sorted(
        sum(len(label["shapes"]) for label in labels) for labels in kept.values() if labels
    )
    with _opened(old, new) as exports:
        summary = summarize(exports)
    total = summary.total
    assert total.coverage.labelled == (round(len(numbers) / len(kept), 4) if kept else None)
    spread = total.shapes_per_frame
    assert (spread is None) == (not numbers)
    if spread is not None:
        assert spread.frames == Counter(numbers)
        assert spread.median == (numbers[(len(numbers) - 1) // 2] + numbers[len(numbers) // 2]) / 2
    _check_repeats(summary.total.repeats, old, new)
    last = {}
    for entry in [*old, *new]:
        if entry["videoAnnotations"]:
            last[entry["rootId"]] = entry["videoAnnotations"]
    assert {
        each.root_id: sum(one.annotations for one in each.phases.values())
        for each in summary.videos
    } == {root: len(found) for root, found in last.items()}


def _check_repeats(repeats: Any, *documents: list[Json]) -> None:
    in_entry = in_export = across = 0
    anywhere: set[tuple[str, str]] = set()
    for document in documents:
        here: set[tuple[str, str]] = set()
        for entry in document:
            names = [(entry["rootId"], frame["id"]) for frame in entry["featureSet"]]
            in_entry += len(names) - len(set(names))
            in_export += len(set(names) & here)
            here |= set(names)
        across += len(here & anywhere)
        anywhere |= here
    assert (repeats.in_entry, repeats.in_export, repeats.across_exports) == (
        in_entry,
        in_export,
        across,
    )
