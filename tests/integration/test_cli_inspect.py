"""`mirror inspect`: for people, for pipes, for machines."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from mirror.cli import inspect as command
from mirror.cli import tables
from mirror.cli.commands import build_app
from mirror.cli.contents import percent
from mirror.cli.shell import register

SAMPLES = Path(__file__).parents[1] / "samples"
FRAMES, VIDEO = str(SAMPLES / "frame-batch.json"), str(SAMPLES / "video-batch.json")


def _run(*arguments: str) -> Result:
    app = typer.Typer()
    register(app, command.inspect)
    return CliRunner().invoke(app, list(arguments))


def test_it_is_a_subcommand_of_mirror() -> None:
    assert CliRunner().invoke(build_app(), ["inspect", VIDEO]).exit_code == 0


def test_json_is_one_object_with_the_totals_at_the_top() -> None:
    result = _run(FRAMES, VIDEO, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert set(found) == {
        *("exports", "by_sequence", "videos", "sequences", "distinct_sequences", "frames"),
        *("repeated_frames", "repeats", "labelled_frames", "labels", "label_frames", "coverage"),
        *("shapes", "shapes_per_frame", "points_outside", "outside", "phases", "video"),
        *("unreadable_shapes", "unreadable_at"),
    }
    assert (found["sequences"], found["frames"], found["repeated_frames"]) == (6, 10, 3)
    assert found["labels"]["gallbladder"] == 4
    assert found["shapes"]["ellipse"] == 1
    assert found["phases"]["critical_view"] == {
        "annotations": 1,
        "milliseconds": 0,
        "point_events": 1,
        "open_ends": 0,
        "backwards": 0,
    }
    first = found["exports"][0]
    assert first["path"] == FRAMES
    assert first["size"] == Path(FRAMES).stat().st_size
    assert len(first["sha256"]) == 64
    assert set(first) == {"path", "sha256", "size"} | set(found) - {
        *("exports", "by_sequence", "videos")
    }
    assert len(found["by_sequence"]) == 5


def test_the_document_names_every_field() -> None:
    text = (SAMPLES.parents[1] / "docs" / "exports.md").read_text()
    text = text[: text.index("## `mirror inspect --diff")]
    documented = re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)
    assert sorted(documented) == sorted(json.loads(_run(VIDEO, "--json").stdout))


def test_for_a_pipe_it_is_plain_lines() -> None:
    result = _run(FRAMES, VIDEO)
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["export", "size", "sequences", "frames", "repeated", "labelled"] in lines
    assert ["together", "20.3", "kB", "6", "10", "3", "8", "(80.0", "%)"] in lines
    assert ["gallbladder", "4", "2", "20.0", "%"] in lines
    assert ["ellipse", "1"] in lines
    assert (
        "2 points outside the frame (x or y beyond 0..1), by at most 0.4 % of its width or height\n"
        f"first: Export '{FRAMES}', sequence 0 (rootId '795b929e-9a9a-40fd-aa7b-5bf55eb561a4'),"
        " frame 4, labels[0].shapes[0]\n"
    ) in result.stdout
    assert ["gallbladder_dissection", "1", "11", "min", "40", "s", "0", "0", "0"] in lines
    assert ["795b929e-9a9a-40fd-aa7b-5bf55eb561a4", "6", "4"] in lines
    assert "\x1b" not in result.stdout


def test_one_export_needs_no_line_of_totals() -> None:
    assert "together" not in _run(VIDEO).stdout


def test_on_a_terminal_it_is_tables_with_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        tables, "Console", lambda **_: Console(file=screen, force_terminal=True, width=100)
    )
    assert _run(FRAMES).exit_code == 0
    drawn = screen.getvalue()
    assert "\x1b[1m" in drawn
    assert "gallbladder" in drawn
    assert "2 points outside" in drawn
    assert re.search(r"\n *\n.*shape.*entries", drawn), "an empty line between two tables"


def _hostile(tmp_path: Path) -> Path:
    label = {"code": "[red]\x1b[2J\u202e[/red]", "shapes": [{"type": "\x07[bold]"}]}
    frame = {"id": "f", "labels": [label]}
    entry = {"rootId": "r", "workspaceId": "w", "featureSet": [frame]}
    video = {"videoAnnotations": [{"label": {"code": "a\nb"}}]}
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps({"sequences": [entry, video]}))
    return path


def test_attack_24_labels_cannot_steer_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(_hostile(tmp_path))
    plain = _run(path).stdout
    screen = io.StringIO()
    monkeypatch.setattr(
        tables, "Console", lambda **_: Console(file=screen, force_terminal=True, width=200)
    )
    _run(path)
    for told in (plain, screen.getvalue()):
        assert r"[red]\x1b[2J\u202e[/red]" in told
        assert r"\x07[bold]" in told
        assert r"a\nb" in told
        assert "\x1b[2J" not in told
        assert "\u202e" not in told


def test_only_the_first_sequences_are_listed_for_people(tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    entries = [{"rootId": f"r{n:02}", "workspaceId": "w"} for n in range(23)]
    path.write_text(json.dumps({"sequences": entries}))
    told = _run(str(path)).stdout
    assert "r19" in told
    assert "r20" not in told
    assert "and 3 more; --json lists all" in told
    assert len(json.loads(_run(str(path), "--json").stdout)["by_sequence"]) == 23


def test_an_export_that_cannot_be_read_ends_with_65_and_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    for path in (tmp_path / "x.json", tmp_path, tmp_path / "none.json"):
        result = _run(FRAMES, str(path))
        assert result.exit_code == 65
        assert result.stdout == ""
        assert result.stderr.startswith("mirror: Export ")
        assert len(result.stderr.splitlines()) == 1


def _written(path: Path, *entries: dict[str, Any]) -> str:
    path.write_text(json.dumps({"sequences": entries}))
    return str(path)


def _entry(root: str, *frames: str, **fields: Any) -> dict[str, Any]:
    """Each frame `id` or `id:code`."""
    featured = []
    for frame in frames:
        name, _, code = frame.partition(":")
        featured.append({"id": name, "labels": [{"code": code}] if code else []})
    return {"rootId": root, "workspaceId": "w", "featureSet": featured, **fields}


def _phases(*times: tuple[str, int | None, int | None]) -> list[dict[str, Any]]:
    return [
        {"label": {"code": code}, "timestampStart": start, "timestampEnd": end}
        for code, start, end in times
    ]


def test_repeats_are_told_apart_for_people(tmp_path: Path) -> None:
    one = _written(tmp_path / "1.json", _entry("r", "a", "a"), _entry("r", "a"))
    two = _written(tmp_path / "2.json", _entry("r", "a"))
    assert (
        "frames that occur again: 1 within one frame list, 1 in another stage of the sequence,"
        " 1 in another of these exports\n"
    ) in _run(one, two).stdout
    assert "occur again" not in _run(two).stdout


def test_the_time_that_phases_cover_is_told_by_sequence(tmp_path: Path) -> None:
    half = _phases(("a", 1000, 2000), ("a", 3000, 4000))
    all_of_it = _phases(("b", 0, 60_000), ("c", 9, None))
    path = _written(
        tmp_path / "v.json",
        _entry("half", videoAnnotations=half),
        _entry("none"),
        {"videoAnnotations": all_of_it},
    )
    lines = [" ".join(line.split()) for line in _run(path).stdout.splitlines()]
    assert "phases cover 96.9 % of 1 min 04 s, from 0 to the last end of 2 sequences" in lines
    nameless = f"(no ids: sequence 2 of {path})"
    at = lines.index("phases by sequence entries duration point events open ends backwards")
    assert lines[at + 1 : at + 6] == [
        *("half", "a 2 2 s 0 0 0"),
        *(nameless, "b 1 1 min 00 s 0 0 0", "c 1 0 s 0 1 0"),
    ]
    at = lines.index("sequence (rootId) frames labelled last end phases cover")
    rows = ["half 0 0 4 s 50.0 %", "none 0 0", f"{nameless} 0 0 1 min 00 s 100 %"]
    assert lines[at + 1 : at + 4] == rows


@pytest.mark.parametrize(
    ("share", "told"),
    [(0, "0 %"), (0.0001, "0.1 %"), (0.5, "50.0 %"), (0.9999, "99.9 %"), (1, "100 %")],
)
def test_only_all_is_100_percent_and_only_nothing_is_0(share: float, told: str) -> None:
    assert percent(share) == told


def test_one_video_is_not_told_twice(tmp_path: Path) -> None:
    path = _written(tmp_path / "v.json", _entry("r", videoAnnotations=_phases(("a", 0, 0))))
    told = _run(path).stdout
    assert "phases by sequence" not in told
    assert "phases cover" in told, "the column"
    assert "phases cover 0 %" not in told, "nothing can be covered of nothing"


def test_many_videos_are_listed_for_machines(tmp_path: Path) -> None:
    videos = [_entry(f"r{n:02}", videoAnnotations=_phases(("a", 0, n))) for n in range(23)]
    path = _written(tmp_path / "v.json", *videos)
    told = _run(path).stdout
    assert "and 3 more sequences; --json lists all" in told
    assert told.count("r19") == 2
    assert "r20" not in told
    found = json.loads(_run(path, "--json").stdout)
    assert [each["root_id"] for each in found["videos"]] == [f"r{n:02}" for n in range(23)]
    lasting = {"point_events": 0, "open_ends": 0, "backwards": 0}
    assert found["videos"][4] == {
        "export": path,
        "sequence": 4,
        "workspace_id": "w",
        "root_id": "r04",
        "span_milliseconds": 4,
        "covered_milliseconds": 4,
        "phases": {"a": {**lasting, "annotations": 1, "milliseconds": 4}},
    }


def test_a_point_far_outside_has_its_place_and_distance(tmp_path: Path) -> None:
    def shape(x: float) -> dict[str, Any]:
        return {"type": "keypoint", "points": [{"x": x, "y": 0.5}]}

    frame = {"id": "f", "labels": [{"code": "a", "shapes": [shape(1.25), shape(0), shape(4.5)]}]}
    path = _written(tmp_path / "x.json", {"rootId": "r", "workspaceId": "w", "featureSet": [frame]})
    where = f"Export '{path}', sequence 0 (rootId 'r'), frame 0, labels[0].shapes"
    assert (
        "2 points outside the frame (x or y beyond 0..1), by at most 3.5 times its width or height"
        f"\nfirst: {where}[0]\nfarthest: {where}[2]\n"
    ) in _run(path).stdout
    lines = [line.split() for line in _run(path).stdout.splitlines()]
    assert ["1", "3", "3", "3.00", "3"] in lines, "shapes of the labelled frames"


def test_a_difference_is_told_to_people(tmp_path: Path) -> None:
    old = _written(tmp_path / "old.json", _entry("r", "a:x", "b:x", "c"), _entry("gone", "z"))
    new = _written(
        tmp_path / "new.json",
        _entry("r", "a:y", "b:x", "d"),
        _entry("came", videoAnnotations=_phases(("p", 0, 1))),
    )
    result = _run("--diff", old, new)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:4] == [
        f"{old} → {new}",
        "Sequences: 1 added, 1 removed, 1 changed",
        "Frames: 1 added, 2 removed, 1 relabelled",
        "Video annotations: 1 added, 0 removed (a changed one is both)",
    ]
    assert "r changed 1 1 1 - - -" in lines
    assert "gone removed - 1 - - - -" in lines
    assert "came added - - - - 1 -" in lines
    assert "x 0 1" in lines
    assert "y 1 0" in lines


def test_no_difference_is_one_sentence_and_exit_0() -> None:
    result = _run("--diff", FRAMES, FRAMES)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{FRAMES} → {FRAMES}",
        "No difference in sequences, frames, labels, shapes or video annotations.",
    ]
    found = json.loads(_run("--diff", FRAMES, FRAMES, "--json").stdout)
    assert (found["differs"], found["by_sequence"]) == (False, [])


def test_a_difference_is_one_json_object(tmp_path: Path) -> None:
    old = _written(tmp_path / "old.json", _entry("r", "a:x", "b:x"))
    new = _written(tmp_path / "new.json", _entry("r", "a:y", "c"))
    result = _run("--diff", old, new, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["old"]["path"] == old
    assert found["new"]["size"] == Path(new).stat().st_size
    assert len(found["new"]["sha256"]) == 64
    assert found["differs"] is True
    assert found["sequences"] == {"added": 0, "removed": 0, "changed": 1}
    assert found["frames"] == {"added": 1, "removed": 1, "relabelled": 1, "redrawn": 0}
    assert found["phases"] == {"added": 0, "removed": 0}
    changed = {"x": {"gained": 0, "lost": 1}, "y": {"gained": 1, "lost": 0}}
    assert found["labels"] == changed
    assert found["by_sequence"] == [
        {
            "workspace_id": "w",
            "root_id": "r",
            "presence": "both",
            "added": ["c"],
            "removed": ["b"],
            "relabelled": ["a"],
            "redrawn": 0,
            "labels": changed,
            "phases_added": [],
            "phases_removed": [],
        }
    ]


def test_the_document_names_every_field_of_a_difference() -> None:
    text = (SAMPLES.parents[1] / "docs" / "exports.md").read_text()
    part = text[text.index("| in the object |") : text.index("## How much it takes")]
    first = re.findall(r"^\| (`.*?`) \|", part, flags=re.MULTILINE)
    found = json.loads(_run("--diff", FRAMES, VIDEO, "--json").stdout)
    assert sorted(re.findall(r"`(\w+)`", " ".join(first))) == sorted(found)
    (last,) = re.findall(r"^\| `by_sequence` \| (.*) \|$", part, flags=re.MULTILINE)
    assert set(found["by_sequence"][0]) <= set(re.findall(r"`(\w+)`", last))


def test_many_changed_sequences_are_cut_for_people(tmp_path: Path) -> None:
    old = _written(tmp_path / "old.json")
    new = _written(tmp_path / "new.json", *(_entry(f"r{n:02}", "a") for n in range(22)))
    told = _run("--diff", old, new).stdout
    assert "and 2 more sequences; --json lists all, with the frames' ids" in told
    assert "r19" in told
    assert "r20" not in told


@pytest.mark.parametrize("paths", [[FRAMES], [FRAMES, VIDEO, FRAMES]])
def test_a_difference_is_of_exactly_two(paths: list[str]) -> None:
    result = _run("--diff", *paths)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "--diff holds two exports against each other, the older one first" in result.stderr


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_difference_with_an_unreadable_export_ends_with_65(
    tmp_path: Path, form: list[str]
) -> None:
    """Nothing of the result is printed before everything is read."""
    good = _written(tmp_path / "good.json", _entry("q", "a"), _entry("r", "a:x"))
    bad = _written(tmp_path / "bad.json", _entry("r", "a:x", "../x"))
    for pair in (good, bad), (bad, good):
        result = _run("--diff", *pair, *form)
        assert (result.exit_code, result.stdout) == (65, "")
        assert "frame 1: id '../x' can't be an id" in result.stderr


def test_attack_24_a_difference_cannot_steer_a_terminal(tmp_path: Path) -> None:
    nothing = _written(tmp_path / "old.json", _entry("r", "f"))
    told = _run("--diff", nothing, str(_hostile(tmp_path))).stdout
    assert r"[red]\x1b[2J\u202e[/red]" in told
    assert "\x1b" not in told
    assert "\u202e" not in told
