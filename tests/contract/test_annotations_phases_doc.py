"""The document on phases names every count, and its examples are what is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mirror.annotations import Collection, Note, Problems, Skip, Tally
from mirror.annotations.phases import write_activitynet, write_cholec80, write_webvtt
from mirror.annotations.phases.cholec80 import LONGEST
from mirror.annotations.phases.webvtt import POINT_CUE
from mirror.annotations.phases.words import UNLABELLED
from mirror.export import ExportFile

HERE = Path(__file__).parents[2]
DOC = (HERE / "docs/annotations-phases.md").read_text()
VIDEOS = HERE / "tests/samples/video-batch.json"
NOTES = (
    *(Note.OVERLAPS, Note.OPEN_STARTS, Note.OPEN_ENDS, Note.POINT_EVENTS, Note.BEYOND_DURATION),
    *(Note.BETWEEN_ROWS, Note.HIDDEN, Note.REWORDED),
)
EXAMPLES = re.findall(r"```\w*\n(.*?)```", DOC, re.DOTALL)


def test_every_count_is_explained() -> None:
    for word in (*NOTES, Skip.NO_INTERVALS, UNLABELLED):
        assert f"`{word}" in DOC


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"stays for {POINT_CUE // 1000} s" in DOC
    assert f"more than {LONGEST // 3_600_000} hours" in DOC


def test_the_examples_are_what_the_sample_gives(tmp_path: Path) -> None:
    with ExportFile.open(VIDEOS) as export:
        collection = Collection([export], None, Problems())
        write_webvtt(collection, tmp_path, Tally())
        write_activitynet(collection, tmp_path, Tally())
        write_cholec80(collection, tmp_path, Tally(), 25.0, frozenset({"bleeding", "hook"}))
    vtt, cholec80, activitynet = EXAMPLES
    assert next(tmp_path.glob("*.vtt")).read_text().startswith(vtt)
    beside = zip(
        next(tmp_path.glob("*-phase.txt")).read_text().splitlines(),
        next(tmp_path.glob("*-tool.txt")).read_text().splitlines(),
        strict=False,
    )
    shown = cholec80.splitlines()
    assert [line.split() for line in shown] == [
        [*phase.split(), *tool.split()] for phase, tool in list(beside)[: len(shown)]
    ]
    (theirs,) = json.loads(activitynet)["database"].values()
    (ours,) = json.loads((tmp_path / "activitynet.json").read_bytes())["database"].values()
    assert theirs["annotations"] == ours["annotations"][:1]
    assert theirs["duration"] == ours["duration"]
