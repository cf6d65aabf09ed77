"""A folder that is made whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.annotations.output import fresh_folder, refuse_overlap, write_marker
from mirror.errors import DestinationError, UsageError

MARKER = "made.json"


def make(place: Path, text: str) -> None:
    with fresh_folder(place, MARKER) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / text).touch()
        write_marker(folder, MARKER, {"text": text})


def test_what_an_earlier_run_made_is_replaced_whole(tmp_path: Path) -> None:
    place = tmp_path / "new" / "out"
    make(place, "first")
    make(place, "second")
    assert sorted(path.name for path in place.iterdir()) == ["deep", MARKER]
    assert [path.name for path in (place / "deep").iterdir()] == ["second"]
    assert [path.name for path in place.parent.iterdir()] == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    make(tmp_path, "first")
    assert (tmp_path / "deep/first").exists()


@pytest.mark.parametrize("where", ["notes.txt", "deep/notes.txt"])
def test_what_somebody_put_into_it_is_not_lost(tmp_path: Path, where: str) -> None:
    place = tmp_path / "out"
    make(place, "first")
    (place / where).touch()
    with pytest.raises(UsageError, match=r"notes\.txt|1 files or folders"):
        make(place, "second")
    assert (place / "deep/first").exists()
    assert (place / where).exists()


@pytest.mark.parametrize(
    "text", ["{}", "[]", "x", '{"made_by": "somebody", "entries": 9, "holds": ["mine"]}', None]
)
def test_a_file_with_the_markers_name_makes_no_folder_ours(
    tmp_path: Path, text: str | None
) -> None:
    (tmp_path / "mine").touch()
    if text is None:
        (tmp_path / MARKER).mkdir()
    else:
        (tmp_path / MARKER).write_text(text)
    with pytest.raises(UsageError, match="did not write"):
        make(tmp_path, "first")
    assert (tmp_path / "mine").exists()


def test_what_is_read_is_not_replaced_and_a_destination_holds_frames_alone(tmp_path: Path) -> None:
    dest, export = tmp_path / "data/frames", tmp_path / "data/a.json"
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for place in (tmp_path, tmp_path / "data", tmp_path / "link"):
        with pytest.raises(UsageError, match="name another folder"):
            refuse_overlap(place, [export], None)
    for place in (dest, dest / "out", dest / ".mirror/out", tmp_path / "link/frames/out"):
        with pytest.raises(UsageError, match="name another folder"):
            refuse_overlap(place, [], dest)
    refuse_overlap(tmp_path / "data/out", [export], dest)


def break_off(place: Path) -> None:
    with fresh_folder(place, MARKER) as folder:
        (folder / "half").touch()
        raise ZeroDivisionError


@pytest.mark.parametrize("kind", ["folder", "file", "link", "dangling"])
def test_what_is_somebody_elses_is_refused_and_left(tmp_path: Path, kind: str) -> None:
    place, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    if kind == "folder":
        place.mkdir()
        (place / "thesis.tex").touch()
    elif kind == "file":
        place.touch()
    else:
        if kind == "link":
            elsewhere.mkdir()
        place.symlink_to(elsewhere)
    before = sorted(tmp_path.rglob("*"))
    with (
        pytest.raises(UsageError, match=r"did not write|is no folder"),
        fresh_folder(place, MARKER),
    ):
        pytest.fail("nothing is to be built")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "out"
    make(place, "first")
    with pytest.raises(ZeroDivisionError):
        break_off(place)
    assert (place / "deep/first").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_the_disk_says_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DestinationError, match="can't be written"),
        fresh_folder(tmp_path / "file" / "out", MARKER),
    ):
        pytest.fail("nothing is to be built")


def make_slowly(place: Path) -> None:
    with fresh_folder(place, MARKER):
        place.mkdir()
        (place / "thesis.tex").touch()


def test_what_is_put_there_meanwhile_is_not_lost(tmp_path: Path) -> None:
    place = tmp_path / "out"
    with pytest.raises(UsageError, match="did not write"):
        make_slowly(place)
    assert (place / "thesis.tex").exists()


def test_a_signal_between_the_two_renames_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    make(place, "first")
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target == place and not self.name.endswith(".old"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(place, "second")
    assert (place / "deep/first").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
