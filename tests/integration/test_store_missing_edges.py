"""Recorded frames whose files are not there any more: what counts as there, and what stands in
their place."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from store_kit import Store, failing, group, store

from mirror.errors import DestinationError
from mirror.frames import FrameRef
from mirror.store import Layout, PendingFrame, missing, moved_aside


@pytest.fixture(params=["listed", "asked one by one"])
def looking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Folders of few files are listed, the others asked for each file."""
    if request.param != "listed":
        monkeypatch.setattr(missing, "LISTED", 0)
    return str(request.param)


def mirrored(one: Store, *frame_ids: str) -> list[PendingFrame]:
    frames = one.ask(group(*frame_ids))
    one.committer.commit(one.write(frames), [])
    return frames


def gone(one: Store) -> list[str]:
    return [str(ref) for _, ref in one.ledger.missing()]


@pytest.mark.usefixtures("looking")
def test_only_a_regular_file_of_the_recorded_size_is_there(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = mirrored(one, "whole", "gone", "cut", "longer", "link", "folder")
        path = {frame.ref.frame_id: one.path(frame.ref) for frame in frames}
        assert gone(one) == []
        size = path["link"].stat().st_size
        path["gone"].unlink()
        os.truncate(path["cut"], size - 1)
        os.truncate(path["longer"], size + 1)
        path["link"].unlink()
        path["link"].symlink_to("x" * size)  # as long as the file was
        path["folder"].unlink()
        path["folder"].mkdir()
        assert gone(one) == ["r1/gone", "r1/cut", "r1/longer", "r1/link", "r1/folder"]


@pytest.mark.usefixtures("looking")
def test_a_link_to_a_file_of_the_recorded_size_is_not_there(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        (frame,) = mirrored(one, "f1")
        path = one.path(frame.ref)
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
        assert gone(one) == ["r1/f1"]


@pytest.mark.usefixtures("looking")
def test_nothing_is_there_where_the_folder_is_gone(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        (frame,) = mirrored(one, "f1")
        one.path(frame.ref).unlink()
        (tmp_path / "r1").rmdir()
        assert gone(one) == ["r1/f1"]
        (tmp_path / "r1").write_bytes(b"no folder")
        assert gone(one) == ["r1/f1"]


@pytest.mark.usefixtures("looking")
@pytest.mark.parametrize(
    "template",
    ["{frame_id}/{root_id}.png", "{root_id}/{frame_id}-{frame_id}.png", "a/{frame_id}@{root_id}"],
)
def test_a_file_is_looked_for_where_the_template_puts_it(tmp_path: Path, template: str) -> None:
    """A folder for each frame, an id twice in a name, text behind it."""
    with store(tmp_path, Layout(template)) as one:
        frames = mirrored(one, "here", "gone", "cut", "here-too")
        assert gone(one) == []
        one.path(frames[1].ref).unlink()
        os.truncate(one.path(frames[2].ref), 1)
        assert gone(one) == ["r1/gone", "r1/cut"]


def test_a_file_without_a_recorded_size_is_not_there(tmp_path: Path) -> None:
    """No run writes such a row."""
    with store(tmp_path) as one:
        mirrored(one, "f1", "f2")
        one.ledger._db.execute("UPDATE frames SET size = NULL WHERE frame_id = 'f1'")
        (tmp_path / "r1/f1.png").unlink()
        assert gone(one) == ["r1/f1"]


def test_frames_of_no_sequence_are_not_looked_for(tmp_path: Path) -> None:
    """No run writes such a row; no other question to the ledger finds it either."""
    with store(tmp_path) as one:
        frames = mirrored(one, "f1", "f2")
        one.ledger._db.execute("UPDATE frames SET sequence = 99 WHERE id = ?", (frames[0].row,))
        one.path(frames[0].ref).unlink()
        one.path(frames[1].ref).unlink()
        assert gone(one) == ["r1/f2"]


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        mirrored(one, "f1")
        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", failing(errno.EACCES))
            with pytest.raises(DestinationError) as caught:
                gone(one)
        assert str(caught.value) == (
            f"The folder {str(tmp_path / 'r1')!r} can't be read: permission denied: make it"
            " writable for this user and run again."
        )


def test_what_stands_in_the_place_of_a_frame_is_set_aside_and_told(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = mirrored(one, "whole", "gone", "cut")
        one.path(frames[1].ref).unlink()
        one.path(frames[2].ref).write_bytes(b"something else")
        told: list[tuple[FrameRef, str]] = []
        rows = list(
            moved_aside(one.ledger.missing(), one.destination, lambda *what: told.append(what))
        )
        assert rows == [frames[1].row, frames[2].row]
        ((ref, kept),) = told
        assert ref == frames[2].ref
        assert (tmp_path / kept).read_bytes() == b"something else"
        assert not one.path(ref).exists()


def test_frames_whose_folder_is_gone_have_nothing_in_their_place(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        (frame,) = mirrored(one, "f1")
        one.path(frame.ref).unlink()
        (tmp_path / "r1").rmdir()
        told: list[object] = []
        rows = moved_aside(one.ledger.missing(), one.destination, lambda *what: told.append(what))
        assert list(rows) == [frame.row]
        assert told == []


def test_a_destination_where_nothing_can_be_set_aside_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        (frame,) = mirrored(one, "f1")
        one.path(frame.ref).write_bytes(b"something else")
        monkeypatch.setattr(one.destination, "set_aside", failing(errno.EROFS))
        with pytest.raises(DestinationError) as caught:
            list(moved_aside(one.ledger.missing(), one.destination, lambda *_: None))
        assert str(caught.value).startswith(
            f"The destination {str(tmp_path)!r} can't be written: it is mounted read-only"
        )
