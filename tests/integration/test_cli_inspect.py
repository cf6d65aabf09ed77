"""`mirror inspect`: for people, for pipes, for machines."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from mirror.cli import inspect as command
from mirror.cli import tables
from mirror.cli.commands import build_app
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
