"""The edges of purging: what is told, which folders go, what the ledger forgot."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from store_kit import failing, files, group, store

from mirror.errors import DestinationError, LedgerError, UsageError
from mirror.store import Destination, Erased, Layout, LedgerReader, Purge, PurgeTarget, find_target
from mirror.store.audit import FrameName, SequenceName

R1 = PurgeTarget(sequences=(SequenceName("w1", "r1"),))
A = PurgeTarget(frames=(FrameName("w1", "r1", "a"),))
NESTED = Layout("{root_id}/pictures/{frame_id}.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two frames of one sequence, mirrored."""
    return mirrored(tmp_path / "dest", Layout())


def mirrored(root: Path, layout: Layout) -> Path:
    with store(root, layout) as one:
        one.committer.commit(one.write(one.ask(group("a", "b"))), [])
    return root


def erase(root: Path, target: PurgeTarget, layout: Layout) -> Erased:
    with Destination.open(root, layout) as destination, Purge.open(destination) as purging:
        return purging.erase(target, lambda _: None)


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a picture")


def test_each_frame_that_is_erased_is_told(root: Path) -> None:
    told: list[tuple[int, int]] = []
    two = PurgeTarget(frames=(FrameName("w1", "r1", "a"), FrameName("w1", "r1", "b")))
    with Destination.open(root, Layout()) as destination, Purge.open(destination) as purging:
        purging.erase(two, lambda erased: told.append((erased.frames, erased.files)))
    assert told == [(1, 1), (2, 2)]


def test_every_folder_that_is_empty_now_goes(tmp_path: Path) -> None:
    mirrored(tmp_path, NESTED)
    erase(tmp_path, R1, NESTED)
    assert not (tmp_path / "r1").exists()


def test_a_folder_above_one_that_is_gone_already_goes_too(tmp_path: Path) -> None:
    mirrored(tmp_path, NESTED)
    for name in ("a", "b"):
        (tmp_path / f"r1/pictures/{name}.png").unlink()
    (tmp_path / "r1/pictures").rmdir()
    erase(tmp_path, R1, NESTED)
    assert not (tmp_path / "r1").exists()


def test_attack_28_a_frame_without_a_row_goes_from_its_own_workspace(tmp_path: Path) -> None:
    layout = Layout("{workspace_id}/{root_id}/{frame_id}.png")
    mirrored(tmp_path, layout)
    put(tmp_path / "w1/r1/c.png")
    put(tmp_path / "w2/r1/c.png")
    erase(tmp_path, PurgeTarget(frames=(FrameName("w1", "r1", "c"),)), layout)
    assert files(tmp_path) == {"w1/r1/a.png", "w1/r1/b.png", "w2/r1/c.png"}


def test_attack_28_a_copy_set_aside_goes_also_where_no_file_stands_at_its_name(root: Path) -> None:
    put(root / ".mirror/set-aside/r1/c.png.2")
    put(root / ".mirror/set-aside/r1/c.png.x")
    erase(root, R1, Layout())
    assert files(root / ".mirror/set-aside") == {"r1/c.png.x"}


def test_attack_28_braces_in_a_template_hide_nothing(tmp_path: Path) -> None:
    layout = Layout("{root_id}/{{of {frame_id}}}.png")
    mirrored(tmp_path, layout)
    put(tmp_path / "r1/{of c}.png")
    erase(tmp_path, R1, layout)
    assert files(tmp_path) == set()


def test_a_ledger_that_cannot_be_opened_names_the_destination(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.store.purge.open_ledger", failing(errno.EROFS))
    with (
        Destination.open(root, Layout()) as destination,
        pytest.raises(DestinationError) as caught,
    ):
        Purge.open(destination)
    assert str(caught.value) == (
        f"The destination {str(root)!r} can't be written: it is mounted read-only: mount it"
        " read-write and run again."
    )


def test_a_ledger_that_another_program_reads_is_named(root: Path) -> None:
    path = root / ".mirror/ledger.sqlite3"
    with Destination.open(root, Layout()) as destination, Purge.open(destination) as purging:
        reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        with closing(reader):
            reader.execute("BEGIN")
            reader.execute("SELECT COUNT(*) FROM frames").fetchone()
            purging._db.execute("PRAGMA busy_timeout = 50")
            with pytest.raises(LedgerError) as caught:
                purging.erase(A, lambda _: None)
    assert str(caught.value) == (
        f"The ledger {str(path)!r} is read by another program, so what was erased is still in its"
        " log: end that program, and run `mirror purge` again."
    )


def test_a_ledger_that_fails_among_strays_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Destination.open(root, Layout()) as destination, Purge.open(destination) as purging:

        def lose_the_ledger(*_: object) -> set[str]:
            purging._db.close()
            return {"a"}

        monkeypatch.setattr("mirror.store.purge.stray_frames", lose_the_ledger)
        with pytest.raises(LedgerError) as caught:
            purging.erase(R1, lambda _: None)
    assert str(root / ".mirror/ledger.sqlite3") in str(caught.value)


def test_a_name_that_fits_nothing_or_too_much_is_told_with_what_to_do(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.ask(*(group(f"f{n}", workspace=f"w{n}") for n in range(7)))
    with LedgerReader.open(tmp_path) as reader:
        with pytest.raises(UsageError) as caught:
            find_target(reader, [], ["r2"], [])
        assert str(caught.value) == (
            "The ledger knows no sequence 'r2'; `mirror status` lists the sequences."
            " Nothing was erased."
        )
        with pytest.raises(UsageError) as caught:
            find_target(reader, [], ["r1"], [])
    assert str(caught.value) == (
        "The sequence 'r1' is one of several: say which, w0/r1 or w1/r1 or w2/r1 or w3/r1 or w4/r1."
        " Nothing was erased."
    )
