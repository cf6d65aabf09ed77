"""Mirrored frames with equal bytes: what the ledger's digests say, part by part."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from store_kit import Store, body, group, store

from mirror.errors import DestinationError, LedgerError
from mirror.frames import FrameRef
from mirror.store import Body, Duplicates, EqualFrames, PendingFrame, Written, duplicates
from mirror.store import equal_frames as find


def _commit(one: Store, frames: Sequence[PendingFrame], *alike: str) -> None:
    """Frames mirrored with bytes of their own, but for those in `alike`, which have the same."""
    first = next(frame for frame in frames if frame.ref.frame_id in alike)
    bodies = [
        Body(frame, body(first).chunks, body(first).size)
        if frame.ref.frame_id in alike
        else body(frame)
        for frame in frames
    ]
    written = [each for each in one.writer.write(bodies) if isinstance(each, Written)]
    one.committer.commit(written, [])


def test_equal_bytes_under_different_ids_are_one_group(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("a", "b", "c"), group("d", root="r2"))
        _commit(one, frames, "d", "a", "c")
        (found,) = find(tmp_path)
        size = body(frames[0]).size
    assert found.frames == (
        *(FrameRef("w1", "r1", name) for name in "ac"),
        FrameRef("w1", "r2", "d"),
    )
    assert (found.size, found.spent_twice, found.sequences) == (size, 2 * size, 2)
    assert len(bytes.fromhex(found.sha256)) == 32


def test_frames_that_are_not_mirrored_equal_nothing(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("a", "b", "c"))
        _commit(one, frames[:1], "a")
        assert list(find(tmp_path)) == []
        _commit(one, frames[1:], "b", "c")
        assert [each.frames[0].frame_id for each in find(tmp_path)] == ["b"]


def _record(root: Path, digests: Sequence[bytes], size: int = 10) -> None:
    """As many frames of the sequence `r1`, recorded as mirrored with these digests."""
    with store(root) as one:
        one.ask(group(*(f"f{number}" for number in range(len(digests)))))
    with closing(sqlite3.connect(root / ".mirror/ledger.sqlite3")) as db, db:
        db.executemany(
            "UPDATE frames SET state = 1, size = ?, sha256 = ? WHERE frame_id = ?",
            [(size, digest, f"f{number}") for number, digest in enumerate(digests)],
        )


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_every_digest_belongs_to_one_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """However many parts there are, and at their very borders."""
    monkeypatch.setattr(duplicates, "_A_PART", at_once)
    monkeypatch.setattr(duplicates, "_AT_ONCE", at_once)
    starts = [0, 1, 0x3FFF, 0x4000, 0x7FFF, 0x8000, 0xC000, 0xFFFF]
    digests = [start.to_bytes(2, "big") + end * 30 for start in starts for end in (b"\0", b"\xff")]
    _record(tmp_path, [*digests, *digests])
    found = list(find(tmp_path))
    assert [each.sha256 for each in found] == [digest.hex() for digest in sorted(digests)]
    place = {digest.hex(): number for number, digest in enumerate(digests)}
    for each in found:
        number = place[each.sha256]
        assert [frame.frame_id for frame in each.frames] == [f"f{number}", f"f{number + 16}"]


def test_the_ledger_is_looked_through_a_bounded_number_of_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_A_PART", 1)
    monkeypatch.setattr(duplicates, "_MOST_PARTS", 5)
    opened: list[Path] = []
    real = duplicates.LedgerReader.open

    def note(root: Path) -> duplicates.LedgerReader:
        opened.append(root)
        return real(root)

    _record(tmp_path, [bytes([n]) * 32 for n in (0, 9, 9, 200, 255, 255, 255)])
    monkeypatch.setattr(duplicates.LedgerReader, "open", note)
    assert [len(each.frames) for each in find(tmp_path)] == [2, 3]
    assert len(opened) == 1 + 5


def test_it_reads_only_and_sees_what_a_run_commits_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_A_PART", 1)
    with store(tmp_path) as one:
        frames = one.ask(group("a", "b", "c", "d"))
        groups = find(tmp_path)
        _commit(one, frames, "a", "b")
        assert len(list(groups)) == 1
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert len(list(find(tmp_path))) == 1
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_no_ledger_and_an_unreadable_one_are_errors_of_ours(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="holds no ledger"):
        list(find(tmp_path))
    _record(tmp_path, [b"a" * 32] * 2)
    path = tmp_path / ".mirror/ledger.sqlite3"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    with pytest.raises(LedgerError):
        list(find(tmp_path))


def test_what_a_damaged_row_says_is_left_out(tmp_path: Path) -> None:
    _record(tmp_path, [b"a" * 32] * 8)
    with closing(sqlite3.connect(tmp_path / ".mirror/ledger.sqlite3")) as db, db:
        db.execute("UPDATE frames SET sha256 = NULL WHERE frame_id = 'f0'")
        db.execute("UPDATE frames SET sha256 = 'text' WHERE frame_id = 'f1'")
        db.execute("UPDATE frames SET size = NULL WHERE frame_id IN ('f2', 'f6')")
        db.execute("UPDATE frames SET state = 0 WHERE frame_id = 'f7'")
        db.execute("UPDATE frames SET sequence = 99 WHERE frame_id = 'f3'")
    (found,) = find(tmp_path)
    assert [frame.frame_id for frame in found.frames] == ["f4", "f5"]


def _equal(name: str, size: int, *roots: str) -> EqualFrames:
    return EqualFrames(
        "ab" * 32, size, tuple(FrameRef("w", root, f"{name}{n}") for n, root in enumerate(roots))
    )


def test_the_counts_add_up_and_the_largest_are_kept() -> None:
    total = Duplicates(2)
    small, large = _equal("s", 5, "r", "r"), _equal("l", 100, "r", "r")
    many = _equal("m", 5, "r", "q", "q")
    for found in small, large, replace(small, sha256="cd" * 32), many:
        total.add(found)
    assert (total.groups, total.frames, total.spent_twice, total.across) == (4, 9, 120, 1)
    assert total.by_sequence == {("w", "r"): 7, ("w", "q"): 2}
    assert total.largest() == [large, many]


def test_of_groups_as_large_the_first_are_kept_in_their_order() -> None:
    total = Duplicates(2)
    groups = [_equal(name, 5, "r", "r") for name in "abc"]
    for found in groups:
        total.add(found)
    assert total.largest() == groups[:2]
