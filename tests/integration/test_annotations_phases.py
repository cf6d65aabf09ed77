"""Phases of the samples and of awkward exports, accepted by readers that are not ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import webvtt
from annotations_kit import FRAMES, VIDEOS, frame, label, phase, sequence, shape, write

from mirror.annotations import (
    Choice,
    Collection,
    Problems,
    Skip,
    StrictProblems,
    Tally,
    parse_splits,
)
from mirror.annotations.phases import write_activitynet, write_cholec80, write_webvtt
from mirror.errors import ExportError, UsageError
from mirror.export import ExportFile

SAMPLE = "3d3221cc-4cc5-46f2-80d0-dfba2bfc7ffd"
NO_TOOLS: frozenset[str] = frozenset()


def _run(writer: Callable[..., None], out: Path, *exports: Path, **options: Any) -> Tally:
    """`options` of the writer, and `problems`, `choice`, `splits` of the collection."""
    out.mkdir()
    tally = Tally()
    of_collection = {key: options.pop(key) for key in ("choice", "splits") if key in options}
    problems = options.pop("problems", None) or Problems()
    with ExitStack() as stack:
        opened = [stack.enter_context(ExportFile.open(path)) for path in exports]
        writer(Collection(opened, None, problems, **of_collection), out, tally, **options)
    return tally


def _files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def _read_phases(path: Path) -> list[str]:
    """Strictly: header, one tab, consecutive frames from 0, an end of line after each."""
    lines = path.read_bytes().decode().split("\n")
    assert lines[0] == "Frame\tPhase"
    assert lines.pop() == ""
    cells = [line.split("\t") for line in lines[1:]]
    assert all(len(each) == 2 and each[1] and not each[1].split()[1:] for each in cells)
    assert [each[0] for each in cells] == [str(n) for n in range(len(cells))]
    return [each[1] for each in cells]


def _read_tools(path: Path, step: int) -> tuple[list[str], list[list[int]]]:
    """Strictly: header, a line for every `step`th frame, nothing but 0 and 1."""
    lines = path.read_bytes().decode().split("\n")
    assert lines.pop() == ""
    first, *columns = lines[0].split("\t")
    assert first == "Frame"
    assert len(set(columns)) == len(columns)
    cells = [line.split("\t") for line in lines[1:]]
    assert [each[0] for each in cells] == [str(n * step) for n in range(len(cells))]
    assert all(len(each) == 1 + len(columns) and set(each[1:]) <= {"0", "1"} for each in cells)
    return columns, [[int(cell) for cell in each[1:]] for each in cells]


def _videos(path: Path, *phases: dict[str, Any], **more: Any) -> Path:
    return write(path, sequence("r", phases=phases, **more))


def test_a_vtt_parser_reads_the_video_sample(tmp_path: Path) -> None:
    tally = _run(write_webvtt, tmp_path / "out", VIDEOS, FRAMES)
    assert _files(tmp_path / "out") == [f"{SAMPLE}.vtt"]
    captions = webvtt.read(str(tmp_path / f"out/{SAMPLE}.vtt"), strict=True).captions
    found = [(each.identifier, each.start, each.end, each.text) for each in captions]
    assert found[3:] == [
        ("4", "00:10:40.000", "00:10:41.000", "Critical view of safety"),
        ("5", "00:11:42.000", "00:23:22.250", "Gallbladder dissection"),
        ("6", "00:23:10.000", "00:23:45.000", "Bleeding"),
        ("7", "00:23:45.000", "00:30:30.000", "Gallbladder packaging"),
    ]
    assert len(found) == 7
    assert tally.written == {"sequences": 1, "intervals": 7}
    assert tally.noted == {"overlaps": 2, "open_ends": 1, "point_events": 1}
    assert tally.skipped == {Skip.NO_INTERVALS: 4}


def test_names_that_look_like_markup_or_times_are_shown_as_they_are(tmp_path: Path) -> None:
    names = ["a & b", "<i>x</i>", "1 --> 2", "00:01.000 --> 00:02.000", "NOTE x", "WEBVTT", "&lt;"]
    phases = [
        {"timestampStart": n, "timestampEnd": n + 1, "label": {"code": "c", "displayName": name}}
        for n, name in enumerate(names)
    ]
    tally = _run(write_webvtt, tmp_path / "out", _videos(tmp_path / "e.json", *phases))
    read = webvtt.read(str(tmp_path / "out/r.vtt"), strict=True)
    raw = [each.raw_text for each in read.captions]
    assert raw[:3] == ["a &amp; b", "&lt;i&gt;x&lt;/i&gt;", "1 --&gt; 2"]
    unescaped = [
        each.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for each in raw
    ]
    assert unescaped == names
    assert not tally.noted


def test_a_name_of_several_lines_is_written_in_one_and_counted(tmp_path: Path) -> None:
    phases = [
        {"timestampStart": 0, "timestampEnd": 9, "label": {"code": "c", "displayName": "a\n\nb"}}
    ] * 2
    tally = _run(write_webvtt, tmp_path / "out", _videos(tmp_path / "e.json", *phases))
    captions = webvtt.read(str(tmp_path / "out/r.vtt"), strict=True).captions
    assert [each.text for each in captions] == ["a b"] * 2
    assert tally.noted == {"overlaps": 1, "reworded": 1}


def test_cues_are_in_the_order_of_their_starts(tmp_path: Path) -> None:
    export = _videos(tmp_path / "e.json", phase("b", 500, 900), phase("a", 0, 600))
    _run(write_webvtt, tmp_path / "out", export)
    captions = webvtt.read(str(tmp_path / "out/r.vtt"), strict=True).captions
    assert [(each.identifier, each.text) for each in captions] == [("1", "a"), ("2", "b")]


def test_cholec80_of_the_video_sample(tmp_path: Path) -> None:
    tally = _run(
        write_cholec80, tmp_path / "out", VIDEOS, fps=25.0, tools=frozenset({"bleeding", "hook"})
    )
    assert _files(tmp_path / "out") == [f"{SAMPLE}-phase.txt", f"{SAMPLE}-tool.txt"]
    phases = _read_phases(tmp_path / f"out/{SAMPLE}-phase.txt")
    runs = [(name, len(list(frames))) for name, frames in groupby(phases)]
    assert runs == [
        ("preparation", 2300),
        ("calot_dissection", 12988),  # to 611.5 s, so up to frame 15,287
        ("clipping_cutting", 712),
        ("critical_view", 1),
        ("clipping_cutting", 1549),
        ("gallbladder_dissection", 17507),
        ("unlabelled", 568),
        ("packaging", 10125),
    ]
    columns, rows = _read_tools(tmp_path / f"out/{SAMPLE}-tool.txt", 25)
    assert columns == ["bleeding", "hook"]
    assert [n for n, row in enumerate(rows) if row != [0, 0]] == list(range(1390, 1425))
    assert tally.written["phase_lines"] == len(phases) == 45750
    assert tally.written["tool_lines"] == len(rows) == 1830
    assert tally.noted == {"overlaps": 1, "open_ends": 1, "point_events": 1}


def test_without_tools_every_label_is_a_phase_and_a_column(tmp_path: Path) -> None:
    _run(write_cholec80, tmp_path / "out", VIDEOS, fps=25.0, tools=NO_TOOLS)
    phases = _read_phases(tmp_path / f"out/{SAMPLE}-phase.txt")
    columns, rows = _read_tools(tmp_path / f"out/{SAMPLE}-tool.txt", 25)
    assert set(columns) == set(phases)
    assert columns == sorted(columns)
    assert rows[1400] == [
        int(column in ("bleeding", "gallbladder_dissection")) for column in columns
    ]


def test_all_tool_files_have_the_same_columns(tmp_path: Path) -> None:
    export = write(
        tmp_path / "e.json",
        sequence("r1", phases=[phase("b", 0, 2000)]),
        sequence("r2", phases=[phase("a", 1000, 2000)]),
    )
    _run(write_cholec80, tmp_path / "out", export, fps=10.0, tools=NO_TOOLS)
    assert _read_tools(tmp_path / "out/r1-tool.txt", 10) == (["a", "b"], [[0, 1], [0, 1]])
    assert _read_tools(tmp_path / "out/r2-tool.txt", 10) == (["a", "b"], [[0, 0], [1, 0]])
    assert _read_phases(tmp_path / "out/r2-phase.txt") == ["unlabelled"] * 10 + ["a"] * 10


def test_codes_that_would_break_a_line_are_reworded_and_counted(tmp_path: Path) -> None:
    export = _videos(tmp_path / "e.json", phase("a\tb\n", 0, 100), phase("unlabelled", 200, 300))
    tally = _run(write_cholec80, tmp_path / "out", export, fps=10.0, tools=NO_TOOLS)
    assert _read_phases(tmp_path / "out/r-phase.txt") == ["a_b_", "unlabelled", "unlabelled_2"]
    assert _read_tools(tmp_path / "out/r-tool.txt", 10)[0] == ["a_b_", "unlabelled_2"]
    assert tally.noted == {"reworded": 2, "between_rows": 1}


def test_what_a_frame_or_a_row_never_shows_is_counted(tmp_path: Path) -> None:
    export = _videos(
        tmp_path / "e.json", phase("a", 0, 2000), phase("b", 0, 2000), phase("c", 100, 100)
    )
    tally = _run(write_cholec80, tmp_path / "out", export, fps=10.0, tools=NO_TOOLS)
    phases = _read_phases(tmp_path / "out/r-phase.txt")
    assert phases == ["b", "c", *["b"] * 18]
    assert tally.noted == {"overlaps": 2, "point_events": 1, "hidden": 1, "between_rows": 1}


def test_a_rate_that_is_not_whole_has_a_tool_line_for_each_rounded_second(tmp_path: Path) -> None:
    export = _videos(tmp_path / "e.json", phase("a", 0, 2002), videoDuration=2002)
    _run(write_cholec80, tmp_path / "out", export, fps=29.97, tools=NO_TOOLS)
    assert len(_read_phases(tmp_path / "out/r-phase.txt")) == 60  # 59.99994 frames
    assert len(_read_tools(tmp_path / "out/r-tool.txt", 30)[1]) == 2


def test_a_rate_that_is_none_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--fps"):
        _run(write_cholec80, tmp_path / "out", VIDEOS, fps=0.0, tools=NO_TOOLS)
    assert _files(tmp_path / "out") == []


def test_a_time_that_no_operation_lasts_fills_no_disk(tmp_path: Path) -> None:
    export = _videos(tmp_path / "e.json", phase("a", 0, 10**15))
    problems = Problems()
    tally = _run(
        write_cholec80, tmp_path / "out", export, fps=25.0, tools=NO_TOOLS, problems=problems
    )
    assert _files(tmp_path / "out") == []
    assert problems.counts == {"times": 1}
    assert "sequence r: it lasts" in str(problems.examples[0])
    assert not tally.written
    with pytest.raises(ExportError, match="too long for a line a frame"):
        _run(
            write_cholec80,
            *(tmp_path / "strict", export),
            fps=25.0,
            tools=NO_TOOLS,
            problems=StrictProblems(),
        )


def test_an_interval_beyond_the_duration_is_not_cut(tmp_path: Path) -> None:
    export = _videos(
        tmp_path / "e.json", phase("a", 0, 3000), phase("b", 2000, None), videoDuration=1000
    )
    tally = _run(write_cholec80, tmp_path / "out", export, fps=1.0, tools=NO_TOOLS)
    assert _read_phases(tmp_path / "out/r-phase.txt") == ["a", "a", "b"]
    assert tally.noted == {"beyond_duration": 1, "open_ends": 1, "overlaps": 1}


def test_an_open_start_is_zero_and_counted(tmp_path: Path) -> None:
    tally = _run(
        write_activitynet, tmp_path / "out", _videos(tmp_path / "e.json", phase("a", None, 1000))
    )
    found = json.loads((tmp_path / "out/activitynet.json").read_bytes())
    assert found["database"]["r"]["annotations"] == [{"segment": [0, 1], "label": "a"}]
    assert tally.noted == {"open_starts": 1}


def test_activitynet_of_the_video_sample(tmp_path: Path) -> None:
    tally = _run(write_activitynet, tmp_path / "out", VIDEOS, FRAMES)
    assert _files(tmp_path / "out") == ["activitynet.json"]
    found = json.loads((tmp_path / "out/activitynet.json").read_bytes())
    assert set(found) == {"version", "database"}
    (entry,) = found["database"].values()
    assert (entry["duration"], entry["subset"]) == (1830, "all")
    assert entry["annotations"][-1] == {"segment": [1425, 1830], "label": "packaging"}
    assert {"segment": [640, 640], "label": "critical_view"} in entry["annotations"]
    assert len(entry["annotations"]) == tally.written["intervals"] == 7


def test_activitynet_has_its_own_words_for_splits(tmp_path: Path) -> None:
    entries = [sequence(f"r{n}", phases=[phase("a", 0, 1)]) for n in range(30)]
    export = write(tmp_path / "e.json", *entries)
    splits = parse_splits("train=0.4,val=0.3,extra=0.3", 0)
    _run(write_activitynet, tmp_path / "out", export, splits=splits)
    database = json.loads((tmp_path / "out/activitynet.json").read_bytes())["database"]
    words = {"train": "training", "val": "validation", "extra": "extra"}
    found = {name: entry["subset"] for name, entry in database.items()}
    assert found == {f"r{n}": words[splits.of("w", f"r{n}")] for n in range(30)}
    assert set(found.values()) == set(words.values())


@pytest.mark.parametrize("writer", [write_webvtt, write_activitynet])
def test_only_labels_that_are_wanted_are_phases(
    writer: Callable[..., None], tmp_path: Path
) -> None:
    choice = Choice(labels=frozenset({"bleeding"}))
    tally = _run(writer, tmp_path / "out", VIDEOS, choice=choice)
    assert tally.written["intervals"] == 1


def test_an_export_without_phases_leaves_an_empty_database(tmp_path: Path) -> None:
    tally = _run(write_activitynet, tmp_path / "out", FRAMES)
    found = json.loads((tmp_path / "out/activitynet.json").read_bytes())
    assert found["database"] == {}
    assert tally.skipped == {Skip.NO_INTERVALS: 3}


def test_sequences_that_share_a_root_or_have_none_get_files_of_their_own(tmp_path: Path) -> None:
    """Two workspaces with one root id, and entries without ids in two exports."""
    event = [phase("a", 0, 1000)]
    nameless = {"videoAnnotations": event}
    rootless = {"rootId": "x", "videoAnnotations": event}
    first = write(
        tmp_path / "1.json",
        *(sequence("r", phases=event), sequence("r", phases=event, workspaceId="v")),
        *(nameless, rootless, rootless),
    )
    second = write(tmp_path / "2.json", {}, {}, nameless)
    tally = _run(write_webvtt, tmp_path / "out", first, second)
    assert _files(tmp_path / "out") == [
        *("sequence-2-2.vtt", "sequence-2.vtt", "v/r.vtt", "w/r.vtt", "x-2.vtt", "x.vtt")
    ]
    assert tally.written["sequences"] == 6
    assert tally.skipped == {Skip.NO_INTERVALS: 2}
    assert {path.name for path in tmp_path.iterdir()} == {"1.json", "2.json", "out"}


def test_a_sequence_of_frames_and_phases_has_both(tmp_path: Path) -> None:
    entry = sequence(
        "r", frame("f", label("b", shape("keypoint", (0, 0)))), phases=[phase("a", 0, 40)]
    )
    export = write(tmp_path / "e.json", entry)
    _run(write_cholec80, tmp_path / "out", export, fps=25.0, tools=NO_TOOLS)
    assert _read_phases(tmp_path / "out/r-phase.txt") == ["a"]
