"""A folder that is made whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.annotations.output import fresh_folder
from mirror.errors import DestinationError, UsageError

MARKER = "made.json"


def make(place: Path, text: str) -> None:
    with fresh_folder(place, MARKER) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / MARKER).write_text(text)
        (folder / text).touch()


def test_what_an_earlier_run_made_is_replaced_whole(tmp_path: Path) -> None:
    place = tmp_path / "new" / "out"
    make(place, "first")
    make(place, "second")
    assert sorted(path.name for path in place.iterdir()) == [MARKER, "second"]
    assert [path.name for path in place.parent.iterdir()] == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    make(tmp_path, "first")
    assert (tmp_path / "first").exists()


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
    with pytest.raises(UsageError, match="did not make it"), fresh_folder(place, MARKER):
        pytest.fail("nothing is to be built")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "out"
    make(place, "first")
    with pytest.raises(ZeroDivisionError):
        break_off(place)
    assert (place / "first").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_the_disk_says_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DestinationError, match="can't be written"),
        fresh_folder(tmp_path / "file" / "out", MARKER),
    ):
        pytest.fail("nothing is to be built")
