"""`mirror annotations`: for people and machines, whole or not at all, nothing left out unsaid."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import typer
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
from typer.testing import CliRunner, Result

from mirror.cli import annotations as command
from mirror.cli.shell import register

TRIANGLE = shape("close_polygon", (0.1, 0.1), (0.9, 0.1), (0.5, 0.9))


def run(*words: str | Path) -> Result:
    app = typer.Typer()
    register(app, command.annotations)
    return CliRunner().invoke(app, [str(word) for word in words])


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return mirror_export(tmp_path / "frames", FRAMES, (640, 360))


def test_the_list_names_every_format() -> None:
    known = json.loads(run("--to", "list", "--json").stdout)
    assert {"csv", "parquet", "webvtt", "cholec80", "coco", "yolo_ultralytics", "masks"} <= set(
        known
    )
    told = run("--to", "list").stdout
    assert set(known) <= set(re.split(r"[,\s]+", told))
    assert max(map(len, told.splitlines())) <= 100


def test_tables_need_no_frames(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(FRAMES, VIDEOS, "--to", "csv", "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["written"]["frames"] == 10
    assert found["written"]["shapes"] == 13
    assert found["written"]["intervals"] == 7
    assert files(out) == ["annotations.json", "frames.csv", "intervals.csv", "shapes.csv"]
    assert out.stat().st_mode & 0o777 == 0o700
    assert {(out / name).stat().st_mode & 0o777 for name in files(out)} == {0o600}
    with (out / "shapes.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 13


def test_a_dataset_keeps_its_numbers_when_it_is_written_again(tmp_path: Path, dest: Path) -> None:
    out = tmp_path / "out"
    words = (FRAMES, "--to", "coco_instances", "--frames", dest, "--out", out, "--quiet")
    first = run(*words, "--label", "liver")
    assert first.exit_code == 0, first.stderr
    again = run(*words)
    assert again.exit_code == 0, again.stderr
    assert "10 frames" in again.stdout
    assert "unknown kind" in again.stdout
    kept = (out / "categories.json").read_text()
    assert kept.index("liver") < kept.index("cystic_duct"), "the first run's number was not kept"
    assert "ellipse" not in kept


def test_splits_are_counted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    split = ("--split", "train=0.5,val=0.5", "--seed", "4")
    found = json.loads(run(FRAMES, "--to", "jsonl", "--out", out, *split, "--json").stdout)
    assert sum(found["splits"].values()) == found["sequences"] == 3
    assert json.loads((out / "annotations.json").read_text())["splits"] == found["splits"]


def test_an_unknown_format_is_told_with_what_is_near(tmp_path: Path) -> None:
    result = run(FRAMES, "--to", "cocoo", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "Did you mean coco" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "csv", "--out", "x"), "EXPORT is missing"),
        ((FRAMES, "--out", "x"), "--to FORMAT is missing"),
        ((FRAMES, "--to", "csv"), "--out DIR is missing"),
        ((FRAMES, "--to", "csv", "--out", "x", "--split", "train=2"), "not a number from 0 to 1"),
        ((FRAMES, "--to", "csv", "--out", "x", "--sequence", "nope"), "no sequence 'nope'"),
        ((FRAMES, "--to", "coco", "--out", "x"), "--frames"),
    ],
)
def test_a_wrong_command_line_is_told(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_frames_that_are_not_mirrored_are_named_or_left_out(tmp_path: Path) -> None:
    export = write(tmp_path / "a.json", sequence("r", *(frame(f"f{n}") for n in range(12))))
    dest = mirror_export(tmp_path / "frames", export, without=[f"f{n}" for n in range(1, 12)])
    words = (export, "--to", "csv", "--frames", dest, "--out", tmp_path / "out")
    refused = run(*words)
    assert refused.exit_code == 1
    assert "11 frames are not at" in refused.stderr
    assert "r/f1, " in refused.stderr
    assert "1 more" in refused.stderr
    assert not (tmp_path / "out").exists()
    found = json.loads(run(*words, "--allow-missing", "--json").stdout)
    assert (found["written"]["frames"], found["skipped"]["not_mirrored"]) == (1, 11)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (sequence("r", frame("f", label("c", TRIANGLE, shape("keypoint")))), "points"),
        (sequence("r", frame("f", label("c", TRIANGLE)), phases=[phase("p", 2, 1)]), "backwards"),
    ],
)
def test_what_is_wrong_is_counted_and_named_or_ends_it(
    tmp_path: Path, wrong: dict[str, object], kind: str
) -> None:
    export = write(tmp_path / "a.json", wrong)
    words = (export, "--to", "csv", "--out", tmp_path / "out")
    lenient = run(*words)
    assert lenient.exit_code == 0, lenient.stderr
    assert "left out: Export" in lenient.stdout
    assert json.loads((tmp_path / "out/annotations.json").read_text())["left_out"] == {kind: 1}
    strict = run(*words, "--strict")
    assert strict.exit_code == 65
    assert "sequence 0 (rootId 'r')" in strict.stderr
    assert (tmp_path / "out/annotations.json").exists(), "what was there is gone"


@pytest.mark.parametrize(
    ("export", "to", "what"),
    [(FRAMES, "webvtt", "video annotations"), (VIDEOS, "coco", "labelled frames")],
)
def test_an_export_without_what_was_asked_for_is_told(
    tmp_path: Path, export: Path, to: str, what: str
) -> None:
    dest = mirror_export(tmp_path / "frames", export)
    words = (export, "--to", to, "--out", tmp_path / "out", "--frames", dest)
    lenient = run(*words)
    assert lenient.exit_code == 0
    assert f"no {what}" in lenient.stderr
    strict = run(*words, "--strict")
    assert strict.exit_code == 65
    assert f"no {what}" in strict.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "csv", "--label", "livr"), "Did you mean 'liver'?"),
        (("--to", "csv", "--label", "liver", "--label", "graspr"), "'graspr'"),
        (("--to", "cholec80", "--tool", "bleding"), "Did you mean 'bleeding'?"),
    ],
)
def test_a_label_that_nothing_has_is_refused_and_what_was_there_stays(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    out = tmp_path / "out"
    assert run(FRAMES, VIDEOS, "--to", "csv", "--out", out).exit_code == 0
    result = run(FRAMES, VIDEOS, "--out", out, *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "shapes.csv" in files(out)


def test_the_folder_says_what_it_was_made_of(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(FRAMES, "--to", "csv", "--out", out, "--split", "train=0.5,val=0.5")
    made = json.loads((out / "annotations.json").read_text())
    assert made["exports"][0]["path"] == str(FRAMES)
    assert len(made["exports"][0]["sha256"]) == 64
    assert made["split"] == {"shares": {"train": 0.5, "val": 0.5}, "seed": 0}
    assert sum(map(len, made["sequences_by_split"].values())) == 3


def test_numbers_stay_through_a_format_that_has_none(tmp_path: Path, dest: Path) -> None:
    words = (FRAMES, "--out", tmp_path / "out", "--frames", dest)
    assert run(*words, "--to", "coco", "--label", "liver").exit_code == 0
    assert run(*words, "--to", "csv").exit_code == 0
    assert run(*words, "--to", "coco").exit_code == 0
    kept = (tmp_path / "out/categories.json").read_text()
    assert kept.index("liver") < kept.index("cystic_duct")


def test_an_export_in_the_folder_is_not_replaced(tmp_path: Path) -> None:
    export = tmp_path / "annotations.json"
    export.write_bytes(FRAMES.read_bytes())
    result = run(export, "--to", "csv", "--out", tmp_path)
    assert result.exit_code == 2
    assert export.read_bytes() == FRAMES.read_bytes()


def test_phases_need_no_frames(tmp_path: Path, dest: Path) -> None:
    (tmp_path / "other").mkdir()
    other = mirror_export(
        tmp_path / "other/frames", write(tmp_path / "o.json", sequence("q", frame("f")))
    )
    words = ("--to", "webvtt", "--out", tmp_path / "out", "--frames", other)
    assert run(FRAMES, VIDEOS, *words).exit_code == 0


def test_an_empty_split_is_told(tmp_path: Path) -> None:
    export = write(tmp_path / "a.json", sequence("r", frame("f", label("c", TRIANGLE))))
    result = run(export, "--to", "csv", "--out", tmp_path / "out", "--split", "train=0.9,val=0.1")
    assert result.exit_code == 0
    assert "No sequence came into the split" in result.stderr


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    result = run(FRAMES, "--to", "csv", "--out", tmp_path)
    assert result.exit_code == 2
    assert files(tmp_path) == ["thesis.tex"]


def test_an_export_that_is_none_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    result = run(tmp_path / "a.json", "--to", "csv", "--out", tmp_path / "out")
    assert result.exit_code == 65
    assert "byte 1" in result.stderr


def test_a_label_of_an_earlier_run_leads_no_file_astray(tmp_path: Path) -> None:
    """VOC names files by labels, and the numbers of an earlier run bring its labels along."""
    astray = tmp_path / "deep" / "escaped"
    export = write(tmp_path / "a.json", sequence("r", frame("f", label("good", TRIANGLE))))
    dest, out = mirror_export(tmp_path / "frames", export), tmp_path / "deep" / "out"
    words = (export, "--frames", dest, "--out", out)
    assert run(*words, "--to", "coco").exit_code == 0
    kept = out / "categories.json"
    kept.write_text(kept.read_text().replace('"good"', f'"{astray}"'))
    result = run(*words, "--to", "voc")
    assert result.exit_code == 2
    assert "can't be written as voc" in result.stderr
    assert not list(tmp_path.rglob("escaped*"))


def test_two_lists_of_voc_never_share_a_file(tmp_path: Path) -> None:
    export = write(
        tmp_path / "a.json",
        *(sequence(f"r{n}", frame("f", label("a", TRIANGLE))) for n in range(8)),
    )
    dest = mirror_export(tmp_path / "frames", export)
    words = ("--to", "voc", "--frames", dest, "--out", tmp_path / "out")
    result = run(export, *words, "--split", "a_c=0.5,c=0.5")
    assert result.exit_code == 2
    assert "'a_c'" in result.stderr


@pytest.mark.parametrize("to", ["csv", "jsonl", "parquet"])
def test_an_unknown_shape_may_nest_as_deep_as_it_can_be_read(tmp_path: Path, to: str) -> None:
    deep = {"type": "spiral", "points": [], "x": json.loads("[" * 300 + "]" * 300)}
    export = write(tmp_path / "a.json", sequence("r", frame("f", label("c", deep))))
    result = run(export, "--to", to, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
