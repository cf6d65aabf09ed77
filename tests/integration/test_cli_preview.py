"""`mirror preview`: what it writes and replaces, what it counts, and how it ends."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

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
from PIL import Image
from typer.testing import CliRunner, Result

from mirror.annotations.preview.gallery import Gallery
from mirror.cli import preview as command
from mirror.cli.shell import register

ROOT = "795b929e-9a9a-40fd-aa7b-5bf55eb561a4"
FIRST = "ed038db4-de38-4784-a6d0-b944a2863a7f"
BOX = shape("rectangle", (0.2, 0.2), (0.6, 0.6))


def run(*words: str | Path) -> Result:
    app = typer.Typer()
    register(app, command.preview)
    return CliRunner().invoke(app, [str(word) for word in words])


def as_object(*words: str | Path) -> dict[str, Any]:
    result = run(*words, "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def files(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return mirror_export(tmp_path / "frames", FRAMES, (320, 180))


@pytest.fixture
def many(tmp_path: Path) -> tuple[Path, Path]:
    """An export of thirty labelled frames in two sequences, and its destination."""
    export = write(
        tmp_path / "many.json",
        sequence("r1", *(frame(f"a{number:02}", label("knife", BOX)) for number in range(27))),
        sequence("r2", *(frame(f"b{number}", label("hook", BOX)) for number in range(3))),
    )
    return export, mirror_export(tmp_path / "many", export)


def test_the_samples_become_pictures_a_sheet_a_page_and_a_timeline(
    tmp_path: Path, dest: Path
) -> None:
    out = tmp_path / "out"
    result = run(FRAMES, VIDEOS, "--frames", dest, "--out", out)
    assert result.exit_code == 0, result.stderr
    told, *notes = result.stdout.splitlines()
    assert told == (
        f"{out}: 10 of 10 frames drawn, 12 shapes on them, 1 contact sheet,"
        " 7 video annotations on 1 timeline."
    )
    assert notes == [
        "- Shapes of a kind that can't be drawn: ellipse \N{MULTIPLICATION SIGN}1",
        f"Open {out}/index.html in a browser; it needs no network.",
    ]
    pictures = {f"frames/{path.relative_to(dest)}" for path in dest.glob("*/*.png")}
    assert len(pictures) == 10
    assert files(out) == pictures | {"index.html", "sheet.png", "timeline.svg", "preview.json"}
    with Image.open(out / f"frames/{ROOT}/{FIRST}.png") as drawn:
        assert drawn.width == 320
        assert drawn.height > 180
    page = (out / "index.html").read_text("utf-8")
    assert page.count("<figure ") == 10
    assert "http" not in page.replace("http-equiv", "")


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path, dest: Path) -> None:
    out = tmp_path / "new" / "out"
    as_object(FRAMES, "--frames", dest, "--out", out)
    for path in [out, *out.rglob("*")]:
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == allowed, path


def test_the_same_for_machines(tmp_path: Path, dest: Path) -> None:
    out = tmp_path / "out"
    found = as_object(FRAMES, VIDEOS, "--frames", dest, "--out", out)
    assert found.pop("out") == str(out)
    assert found.items() <= json.loads((out / "preview.json").read_text()).items()
    counts = {"frames": 10, "frames_read": 10, "shapes": 12, "sheets": 1, "intervals": 7}
    assert counts.items() <= found.items()
    assert found["unknown"] == {"ellipse": 1}


def test_a_video_batch_needs_neither_frames_nor_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mirror.annotations.preview.gallery", None)
    out = tmp_path / "out"
    found = as_object(VIDEOS, "--out", out)
    assert (found["timelines"], found["frames"]) == (1, 0)
    assert files(out) == {"index.html", "timeline.svg", "preview.json"}


def test_frames_without_pillow_name_the_extra(
    tmp_path: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mirror.annotations.preview.gallery", None)
    result = run(FRAMES, "--frames", dest, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "pip install 'savant-mirror[preview]'" in result.stderr
    assert not (tmp_path / "out").exists()


def test_frames_need_a_destination_unless_there_are_phases(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(FRAMES, "--out", out)
    assert result.exit_code == 2
    assert "--frames" in result.stderr
    assert not out.exists()
    found = as_object(FRAMES, VIDEOS, "--out", out)
    assert (found["frames"], found["without_destination"], found["timelines"]) == (0, 10, 1)
    assert "10 frames" in run(FRAMES, VIDEOS, "--out", out).stdout


def test_pillow_is_not_loaded_where_nothing_is_drawn() -> None:
    code = "import sys, mirror.cli.preview; print('PIL' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout == b"False\n"


def test_frames_that_are_not_mirrored_are_counted_and_named(tmp_path: Path) -> None:
    dest = mirror_export(tmp_path / "frames", FRAMES, without=[FIRST])
    out = tmp_path / "out"
    found = as_object(FRAMES, "--frames", dest, "--out", out)
    assert (found["frames"], found["not_mirrored"]) == (9, 1)
    assert found["missing"] == [f"{ROOT}/{FIRST}"]
    told = f"Not mirrored, so not drawn: 1 frame ({ROOT}/{FIRST})"
    assert told in (out / "index.html").read_text("utf-8")


def test_files_that_cannot_be_drawn_are_named_and_exit_1(tmp_path: Path, dest: Path) -> None:
    gone, damaged, *_ = sorted((dest / ROOT).iterdir())
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:50])
    result = run(FRAMES, "--frames", dest, "--out", tmp_path / "out", "--json", "--quiet")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["frames"], found["unreadable"]) == (8, 2)
    assert set(found["examples"]) == {
        f"{ROOT}/{gone.stem}: its file is gone",
        f"{ROOT}/{damaged.stem}: its file can't be read as a PNG",
    }
    assert len(list((tmp_path / "out/frames").rglob("*.png"))) == 8


def test_an_earlier_preview_is_replaced_whole(tmp_path: Path, dest: Path) -> None:
    out = tmp_path / "out"
    as_object(FRAMES, "--frames", dest, "--out", out)
    as_object(VIDEOS, "--out", out)
    assert files(out) == {"index.html", "timeline.svg", "preview.json"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["frames", "out"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert as_object(VIDEOS, "--out", out)["timelines"] == 1


@pytest.mark.parametrize("place", ["out/notes.txt", "out/index.html"])
def test_a_folder_with_other_files_is_refused(tmp_path: Path, place: str) -> None:
    other = tmp_path / place
    other.parent.mkdir()
    other.write_text("mine")
    result = run(VIDEOS, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert files(tmp_path) == {place}
    assert other.read_text() == "mine"


def test_a_file_put_into_a_preview_is_not_lost(tmp_path: Path) -> None:
    out = tmp_path / "out"
    as_object(VIDEOS, "--out", out)
    (out / "notes.txt").write_text("mine")
    before = files(out)
    result = run(VIDEOS, "--out", out)
    assert result.exit_code == 2
    assert "notes.txt" in result.stderr
    assert files(out) == before


def test_a_destination_holds_no_preview(dest: Path) -> None:
    result = run(FRAMES, "--frames", dest, "--out", dest / "preview")
    assert result.exit_code == 2
    assert not (dest / "preview").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_is_cut_short_leaves_what_was_there(
    tmp_path: Path, dest: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    out = tmp_path / "out"
    as_object(VIDEOS, "--out", out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    add = Gallery.add

    def cut(self: Gallery, *rest: Any) -> None:
        add(self, *rest)
        raise error

    monkeypatch.setattr(Gallery, "add", cut)
    assert run(FRAMES, "--frames", dest, "--out", out, "--quiet").exit_code != 0
    assert {name: (out / name).read_bytes() for name in files(out)} == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["frames", "out"]


def test_a_disk_that_refuses_exits_74(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(VIDEOS, "--out", tmp_path / "file" / "out")
    assert result.exit_code == 74, result.stderr


def test_few_of_many_are_spread_over_the_sequences(tmp_path: Path, many: tuple[Path, Path]) -> None:
    out = tmp_path / "out"
    found = as_object(many[0], "--frames", many[1], "--out", out, "--limit", "8")
    assert (found["frames"], found["frames_read"]) == (8, 30)
    drawn = sorted(path.stem for path in (out / "frames").rglob("*.png"))
    assert [name for name in drawn if name[0] == "b"] == ["b0", "b1", "b2"]
    numbers = [int(name[1:]) for name in drawn if name[0] == "a"]
    assert numbers[0] == 0
    assert numbers[-1] >= 20
    assert min(after - before for before, after in pairwise(numbers)) >= 4


def test_few_of_many_sequences_are_spread_over_them(tmp_path: Path) -> None:
    names = [f"r{number:02}" for number in range(40)]
    frames = [[frame(f"{name}-{each}", label("a", BOX)) for each in range(3)] for name in names]
    export = write(tmp_path / "b.json", *map(sequence, names, *zip(*frames, strict=True)))
    dest = mirror_export(tmp_path / "frames", export)
    out = tmp_path / "out"
    found = as_object(export, "--frames", dest, "--out", out, "--limit", "3")
    assert (found["frames"], found["frames_read"]) == (3, 120)
    drawn = sorted(path.name for path in (out / "frames").iterdir())
    assert drawn == ["r00", "r20", "r39"]


def test_shapes_outside_and_timelines_beyond_the_bound_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.annotations.preview.writing.MOST_TRACKS", 2)
    monkeypatch.setattr("mirror.annotations.preview.previewed.MOST_TRACKS", 2)
    far = shape("keypoint", (7, 7))
    export = write(
        tmp_path / "b.json",
        sequence("r0", frame("f", label("a", far)), phases=[phase("p", 0, 9)]),
        *(sequence(f"r{number}", phases=[phase("p", 0, 9)]) for number in (1, 2)),
    )
    dest = mirror_export(tmp_path / "frames", export)
    result = run(export, "--frames", dest, "--out", tmp_path / "out")
    assert "- Shapes wholly outside their image, not drawn: 1" in result.stdout
    assert "- 2 of the 3 timelines are drawn" in result.stdout
    drawn = (tmp_path / "out/timeline.svg").read_text()
    assert drawn.count('class="tl-name"') == 2
    assert "1 more sequences are not drawn." in drawn


def test_all_of_many_go_to_several_sheets(tmp_path: Path, many: tuple[Path, Path]) -> None:
    out = tmp_path / "out"
    options = ("--limit", "0", "--columns", "2", "--size", "64")
    found = as_object(many[0], "--frames", many[1], "--out", out, *options)
    assert (found["frames"], found["sheets"], found["frames_on_page"]) == (30, 2, 30)
    assert {"sheet.png", "sheet-2.png"} <= files(out)


def test_a_page_of_very_many_holds_some_and_says_so(
    tmp_path: Path, many: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.annotations.preview.gallery.MOST_CARDS", 10)
    out = tmp_path / "out"
    found = as_object(many[0], "--frames", many[1], "--out", out, "--limit", "0")
    assert found["frames_on_page"] == 10
    page = (out / "index.html").read_text("utf-8")
    assert page.count("<figure ") == 10
    assert "10 of the 30 frames are on the page" in page


def test_a_choice_of_labels_and_sequences(tmp_path: Path, many: tuple[Path, Path]) -> None:
    out = tmp_path / "out"
    found = as_object(many[0], "--frames", many[1], "--out", out, "--label", "hook")
    assert (found["frames"], found["unlabelled"]) == (3, 27)
    found = as_object(many[0], "--frames", many[1], "--out", out, "--sequence", "r2")
    assert (found["frames"], found["sequences"]) == (3, 1)


def test_nothing_to_draw_is_said_and_strict_exits_65(
    tmp_path: Path, many: tuple[Path, Path]
) -> None:
    bare = write(tmp_path / "bare.json", sequence("r"))
    words = (bare, "--frames", many[1], "--out", tmp_path / "out")
    assert "nothing to draw" in as_object(*words)["lacking"]
    assert run(*words, "--strict").exit_code == 65


def test_a_label_that_nothing_has_is_refused(tmp_path: Path, many: tuple[Path, Path]) -> None:
    result = run(many[0], "--frames", many[1], "--out", tmp_path / "out", "--label", "none")
    assert result.exit_code == 2
    assert "has the label 'none'" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_wrong_annotation_is_left_out_and_strict_exits_65(tmp_path: Path) -> None:
    wrong = shape("close_polygon", (0.1, 0.1), (0.2, 0.2))
    export = write(
        tmp_path / "batch.json",
        sequence("r", frame("f", label("a", wrong, BOX)), phases=[phase("p", 5, 1)]),
    )
    dest = mirror_export(tmp_path / "frames", export)
    out = tmp_path / "out"
    found = as_object(export, "--frames", dest, "--out", out)
    assert (found["shapes"], found["left_out"]) == (1, {"points": 1, "backwards": 1})
    assert "sequence 0" in found["problems"][0]
    assert run(export, "--frames", dest, "--out", out, "--strict").exit_code == 65
    assert json.loads((out / "preview.json").read_text())["shapes"] == 1, "the earlier one stays"
