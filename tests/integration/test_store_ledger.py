"""The ledger: exports in, frames asked for, what became of them, damage."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_kit import Store, failing, files, group, ids, names, png, record, store

from mirror.errors import (
    ConfigurationError,
    DestinationError,
    ExitCode,
    ExportError,
    LedgerError,
)
from mirror.export import SequenceFrames
from mirror.store import (
    Destination,
    Failure,
    FrameCounts,
    FrameState,
    IngestResult,
    Layout,
    Ledger,
    LedgerReader,
    PendingFrame,
)

OTHER = "cd" * 32


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Store]:
    with store(tmp_path) as opened:
        yield opened


def keep(one: Store, frames: list[PendingFrame]) -> None:
    one.committer.commit(one.write(frames), [])


def fail(one: Store, frame: PendingFrame, reason: str = "not_found") -> None:
    one.ledger.record([], [Failure(frame, reason, "why", 2)])


# --- exports --------------------------------------------------------------------------------------


def test_an_export_is_taken_in_once(one: Store) -> None:
    assert not one.ledger.knows(record().sha256)
    result = one.ledger.ingest(record(), [group("f1", "f2"), group("f1", root="r2")])
    assert result == IngestResult(frames=3, added=3, left=0)
    assert one.ledger.knows(record().sha256)

    def unread() -> Iterator[SequenceFrames]:
        raise AssertionError("a known export is not read again")
        yield

    assert one.ledger.ingest(record(), unread()) == IngestResult(3, 0, 0)


def test_fault_60_an_edited_export_adds_the_difference_and_counts_what_left(one: Store) -> None:
    one.ledger.ingest(record(), [group("f1", "f2"), group("f1", root="r2")])
    edited = one.ledger.ingest(record(OTHER), [group("f2", "f3", "f4")])
    assert edited == IngestResult(frames=3, added=2, left=2)
    elsewhere = one.ledger.ingest(record("ef" * 32, "other.json"), [group("f1")])
    assert elsewhere == IngestResult(frames=1, added=0, left=0)
    one.ledger.ask_exports([OTHER], None)
    assert ids(one.ledger.pending(0, 10)) == ["f2", "f3", "f4"]


def test_a_broken_export_leaves_nothing(one: Store) -> None:
    def broken() -> Iterator[SequenceFrames]:
        yield group("f1")
        raise ExportError("byte 17")

    with pytest.raises(ExportError, match="byte 17"):
        one.ledger.ingest(record(), broken())
    assert not one.ledger.knows(record().sha256)
    assert one.ledger.ingest(record(), [group("f1")]).added == 1


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (group("F1"), group("x", "f1"), ("'f1'", "'F1'")),
        (group("f1", root="R1"), group("f2", root="r1"), ("'r1'", "'R1'")),
        (group("f1", workspace="W1"), group("f2", workspace="w1"), ("'w1'", "'W1'")),
    ],
)
def test_attack_05_ids_that_differ_only_by_case_are_found_before_the_run(
    one: Store, first: SequenceFrames, second: SequenceFrames, both: tuple[str, str]
) -> None:
    """Against whatever was taken in before."""
    one.ledger.ingest(record(), [first])
    with pytest.raises(ExportError) as caught:
        one.ledger.ingest(record(OTHER), [second])
    assert all(name in str(caught.value) for name in both)
    assert not one.ledger.knows(OTHER)


def test_attack_05_ids_that_differ_only_by_case_within_one_export(one: Store) -> None:
    with pytest.raises(ExportError, match="'A' and 'a'"):
        one.ledger.ingest(record(), [group("a", "A")])
    with pytest.raises(ExportError, match="'R1' and 'r1'"):
        one.ledger.ingest(record(), [group("a"), group("a", root="R1")])
    assert not one.ledger.knows(record().sha256)


def test_two_workspaces_may_share_a_root_but_not_a_file(one: Store) -> None:
    one.ledger.ingest(record(), [group("f1", "f2")])
    apart = one.ledger.ingest(record(OTHER), [group("f3", workspace="w2")])
    assert apart.added == 1
    with pytest.raises(ExportError, match=r"'w2'.*'w1'.*same file 'r1/f2.png'"):
        one.ledger.ingest(record("ef" * 32), [group("f4", "f2", workspace="w2")])
    assert one.ledger.ingest(record("ef" * 32), [group("f4", workspace="w2")]).added == 1


def test_a_template_with_the_workspace_keeps_workspaces_apart(tmp_path: Path) -> None:
    with store(tmp_path, Layout("{workspace_id}/{root_id}/{frame_id}.png")) as one:
        frames = one.ask(group("f1"), group("f1", workspace="w2"))
        keep(one, frames)
        assert files(tmp_path) == {"w1/r1/f1.png", "w2/r1/f1.png"}


def test_a_template_that_runs_ids_together_is_watched(tmp_path: Path) -> None:
    with store(tmp_path, Layout("{root_id}-{frame_id}.png")) as one:
        one.ledger.ingest(record(), [group("c", root="a-b"), group("c", root="a")])
        with pytest.raises(ExportError, match=r"same file 'a-b-C\.png'"):
            one.ledger.ingest(record(OTHER), [group("b-C", root="a")])
        # the run goes on with the ledger it has
        one.ledger.ask_exports([record().sha256], None)
        assert one.ledger.counts().total == 2


# --- what a run asks for --------------------------------------------------------------------------


def test_frames_come_in_export_order_page_by_page(one: Store) -> None:
    wanted = one.ask(group("z", "a", "m"), group("b", root="r0"))
    assert ids(wanted) == ["z", "a", "m", "b"]
    first = one.ledger.pending(0, 3)
    assert ids(first) == ["z", "a", "m"]
    assert ids(one.ledger.pending(first[-1].row, 3)) == ["b"]
    assert one.ledger.pending(wanted[-1].row, 3) == []


def test_asking_takes_the_first_frames_of_the_exports_each_once(one: Store) -> None:
    one.ledger.ingest(record(), [group("a", "b", "c")])
    one.ledger.ingest(record(OTHER), [group("c", "d", "e")])
    shas = [record().sha256, OTHER]
    one.ledger.ask_exports(shas, 4)
    assert ids(one.ledger.pending(0, 10)) == ["a", "b", "c", "d"]
    one.ledger.ask_exports(shas, None)
    assert one.ledger.counts().total == 5
    one.ledger.ask_exports(shas, 2)
    assert one.ledger.counts().total == 2


def test_asking_for_an_unknown_export_is_an_error_not_nothing(one: Store) -> None:
    with pytest.raises(LedgerError, match="does not know"):
        one.ledger.ask_exports([OTHER], None)


def test_asking_for_chosen_frames(one: Store) -> None:
    one.ledger.ingest(record(), [group("a", "b", "c"), group("a", root="r2")])
    chosen = [group("b", "c", "unknown"), group("a", root="r2"), group("a", root="r9")]
    one.ledger.ask_frames(chosen, None)
    assert [str(frame.ref) for frame in one.ledger.pending(0, 9)] == ["r1/b", "r1/c", "r2/a"]
    one.ledger.ask_frames(chosen, 1)
    assert ids(one.ledger.pending(0, 9)) == ["b"]
    one.ledger.ask_frames(iter(chosen), 2)
    assert ids(one.ledger.pending(0, 9)) == ["b", "c"]


def test_failed_frames_are_tried_again_and_can_be_asked_for_alone(one: Store) -> None:
    a, b, c, d = one.ask(group("a", "b", "c", "d"))
    keep(one, [a])
    fail(one, b)
    fail(one, c, "timeout")
    assert one.ledger.counts() == FrameCounts(4, 1, 2, 1)
    assert ids(one.ledger.pending(0, 9)) == ["b", "c", "d"]
    assert one.ledger.pending(0, 9)[0].attempts == 2
    assert one.ledger.counts().failed == 2
    assert ids(failure.frame for failure in one.ledger.failures(1)) == ["b"]
    one.ledger.keep_failed(None)
    assert ids(one.ledger.pending(0, 9)) == ["b", "c"]
    one.ledger.keep_failed("timeout")
    assert ids(one.ledger.pending(0, 9)) == ["c"]
    assert one.ledger.counts() == FrameCounts(1, 0, 1, 0)
    one.ledger.ask_exports([record().sha256], None)
    keep(one, [c])
    assert ids(one.ledger.pending(0, 9)) == ["b", "d"]
    assert d.attempts == 0


def test_the_first_of_what_is_left_are_kept(one: Store) -> None:
    """A limit that applies after `keep_failed`, not before it."""
    frames = one.ask(group("a", "b", "c", "d", "e"))
    for frame in (frames[1], frames[3], frames[4]):
        fail(one, frame)
    one.ledger.keep_failed(None)
    one.ledger.keep_first(9)
    assert ids(one.ledger.pending(0, 9)) == ["b", "d", "e"]
    one.ledger.keep_first(2)
    assert ids(one.ledger.pending(0, 9)) == ["b", "d"]
    one.ledger.keep_first(0)
    assert one.ledger.counts().total == 0
    one.ledger.ask_exports([record().sha256], None)
    assert one.ledger.counts().total == 5


def test_failures_of_frames_not_asked_for_are_not_reported(one: Store) -> None:
    (frame,) = one.ask(group("a"))
    fail(one, frame)
    one.ask(group("b"), sha256=OTHER)
    assert one.ledger.failures(9) == []
    assert one.ledger.counts().failed == 0


# --- files that are gone --------------------------------------------------------------------------


@pytest.mark.parametrize("listed", [100_000, 1])
def test_fault_50_a_recorded_file_that_is_gone_is_pending_again(
    one: Store, monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    """Whether the folder is listed or asked name by name; a link or a folder is no frame's file."""
    monkeypatch.setattr("mirror.store.missing.LISTED", listed)
    frames = one.ask(group("a", "b", "c", "d"), group("a", "b", root="r2"), group("x", root="r3"))
    keep(one, frames[:-1])
    assert list(one.ledger.missing()) == []
    (one.root / "r1/b.png").unlink()
    (one.root / "r1/c.png").unlink()
    (one.root / "r1/c.png").symlink_to("a.png")
    (one.root / "r1/d.png").unlink()
    (one.root / "r1/d.png").mkdir()
    for path in (one.root / "r2").iterdir():
        path.unlink()
    (one.root / "r2").rmdir()
    gone = [frames[n].row for n in (1, 2, 3, 4, 5)]
    assert [row for row, _ in one.ledger.missing()] == gone
    one.ledger.forget(row for row, _ in one.ledger.missing())
    assert one.ledger.counts() == FrameCounts(7, 1, 0, 6)
    assert list(one.ledger.missing()) == []


@pytest.mark.parametrize("listed", [100_000, 1])
def test_a_recorded_file_of_another_size_is_gone_and_the_next_look_sets_it_aside(
    one: Store, monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    """Cut, emptied or grown since; the frame is fetched again and the file kept."""
    monkeypatch.setattr("mirror.store.missing.LISTED", listed)
    frames = one.ask(group("a", "b", "c", "d"))
    keep(one, frames)
    path = one.path(frames[1].ref)
    os.truncate(path, path.stat().st_size - 1)
    os.truncate(one.path(frames[2].ref), 0)
    with one.path(frames[3].ref).open("ab") as file:
        file.write(b"more")
    assert [row for row, _ in one.ledger.missing()] == [frame.row for frame in frames[1:]]
    one.ledger.forget(row for row, _ in one.ledger.missing())
    adopted = one.writer.adopt(one.ledger.pending(0, 9))
    assert adopted.written == []
    assert [frame for frame, _ in adopted.set_aside] == adopted.absent
    keep(one, adopted.absent)
    assert one.ledger.counts() == FrameCounts(4, 4, 0, 0)
    assert list(one.ledger.missing()) == []
    assert path.read_bytes() == png(frames[1].row)


def test_a_file_that_goes_while_its_folder_is_listed_is_gone_alone(
    one: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = one.ask(group("a", "b", "c"))
    keep(one, frames)
    real = os.scandir

    @contextmanager
    def scandir(folder: int) -> Iterator[list[os.DirEntry[str]]]:
        with real(folder) as entries:
            found = list(entries)
        one.path(frames[1].ref).unlink()
        yield found

    monkeypatch.setattr(os, "scandir", scandir)
    assert [row for row, _ in one.ledger.missing()] == [frames[1].row]


def test_only_frames_asked_for_are_looked_for(one: Store) -> None:
    keep(one, one.ask(group("a")))
    (one.root / "r1/a.png").unlink()
    one.ask(group("b"), sha256=OTHER)
    assert list(one.ledger.missing()) == []


def test_a_folder_that_cant_be_listed_ends_the_run(
    one: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(one, one.ask(group("a")))
    monkeypatch.setattr(os, "scandir", failing(5))
    with pytest.raises(DestinationError, match="can't be read: the disk reports errors"):
        list(one.ledger.missing())


# --- the database ---------------------------------------------------------------------------------


def test_what_was_recorded_is_there_after_a_kill(tmp_path: Path) -> None:
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from store_kit import group, store
with store(Path(sys.argv[1])) as one:
    one.committer.commit(one.write(one.ask(group("a", "b"))), [])
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    with LedgerReader.open(tmp_path) as reader:
        assert reader.summary().frames == FrameCounts(2, 2, 0, 0)
    with store(tmp_path) as one:
        one.ledger.ask_exports([record().sha256], None)
        assert one.ledger.counts() == FrameCounts(2, 2, 0, 0)
        assert one.ledger.recovered is None


def test_writes_are_durable_by_the_connections_settings(one: Store) -> None:
    assert one.ledger._db.execute("PRAGMA main.journal_mode").fetchone() == ("wal",)
    assert one.ledger._db.execute("PRAGMA main.synchronous").fetchone() == (2,)


def test_a_closed_run_leaves_one_file_and_no_temporary(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        keep(one, one.ask(group("a")))
        assert one.temporaries() == []
    assert names(tmp_path / ".mirror") == ["ledger.sqlite3", "lock", "tmp"]


def damage_by_text(path: Path) -> None:
    path.write_bytes(b"this is no database, but it is as long as a header" * 100)


def damage_by_zeros(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(path.stat().st_size - 4096))


def damage_by_cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace_by_foreign(path: Path) -> None:
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (a)")
    db.close()


def replace_by_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere.sqlite3"))
    path.symlink_to("elsewhere.sqlite3")


@pytest.mark.parametrize(
    "damage",
    [damage_by_text, damage_by_zeros, damage_by_cut, replace_by_foreign, replace_by_link],
)
def test_fault_49_a_damaged_ledger_is_set_aside_and_rebuilt_from_the_files(
    tmp_path: Path, damage: object
) -> None:
    with store(tmp_path) as one:
        keep(one, one.ask(group(*(f"f{n}" for n in range(200)))))
    path = tmp_path / ".mirror/ledger.sqlite3"
    damage(path)  # type: ignore[operator]  # a function of the path
    with store(tmp_path) as one:
        kept = [name for name in names(tmp_path / ".mirror") if "damaged" in name]
        assert len(kept) == 1
        assert one.ledger.recovered is not None
        assert kept[0] in one.ledger.recovered
        frames = one.ask(group(*(f"f{n}" for n in range(200))))
        adopted = one.writer.adopt(frames)
        assert len(adopted.written) == 200
        one.committer.commit(adopted.written, [])
        assert one.ledger.counts() == FrameCounts(200, 200, 0, 0)
    with store(tmp_path) as one:
        assert one.ledger.recovered is None


def test_fault_49_a_deleted_ledger_with_its_wal_left_behind(tmp_path: Path) -> None:
    """A WAL without its database must not find its way into the new one."""
    with store(tmp_path) as one:
        keep(one, one.ask(group("a")))
        wal = (tmp_path / ".mirror/ledger.sqlite3-wal").read_bytes()
    (tmp_path / ".mirror/ledger.sqlite3").unlink()
    (tmp_path / ".mirror/ledger.sqlite3-wal").write_bytes(wal)
    with store(tmp_path) as one:
        assert not one.ledger.knows(record().sha256)
        assert len(one.writer.adopt(one.ask(group("a"))).written) == 1


def test_a_newer_ledger_is_refused_and_kept(tmp_path: Path) -> None:
    with store(tmp_path):
        pass
    db = sqlite3.connect(tmp_path / ".mirror/ledger.sqlite3")
    db.execute("ALTER TABLE frames ADD COLUMN colour TEXT")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match="version 99") as caught, store(tmp_path):
        pass
    assert caught.value.exit_code is ExitCode.DESTINATION
    assert names(tmp_path / ".mirror") == ["ledger.sqlite3", "lock", "tmp"]


def test_another_template_is_refused_and_both_are_named(tmp_path: Path) -> None:
    with store(tmp_path):
        pass
    with (
        pytest.raises(ConfigurationError, match=r"laid out as '\{root_id\}/.*is 'x/"),
        store(tmp_path, Layout("x/{root_id}/{frame_id}.png")),
    ):
        pass


def test_a_ledger_locked_by_another_program_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        one.ledger._db.execute("PRAGMA busy_timeout = 1")
        other = sqlite3.connect(tmp_path / ".mirror/ledger.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked by another program"):
            one.ask(group("a"))
        other.close()


def test_a_ledger_that_cant_be_opened_is_not_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Destination.open(tmp_path, Layout()) as destination:

        def unable(*_: object, **__: object) -> None:
            error = sqlite3.OperationalError("unable to open")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error

        monkeypatch.setattr(sqlite3, "connect", unable)
        with pytest.raises(LedgerError, match="check the disk"):
            Ledger.open(destination)
        monkeypatch.undo()
        monkeypatch.setattr(os, "fsync", failing(28))
        with pytest.raises(DestinationError, match="full"):
            Ledger.open(destination)


def test_attack_22_the_ledger_has_no_place_for_a_url(one: Store) -> None:
    """What a frame's row may hold is fixed; nothing of a request is among it."""
    columns = {row[1] for row in one.ledger._db.execute("PRAGMA table_info(frames)")}
    assert columns == {
        "id", "sequence", "frame_id", "state", "attempts", "reason", "detail",
        "size", "sha256", "width", "height", "mirrored_at",
    }  # fmt: skip


# --- reading alone --------------------------------------------------------------------------------


def test_a_reader_sees_a_run_that_is_writing(one: Store) -> None:
    a, b, c = one.ask(group("a"), group("b", "c", root="r2"))
    keep(one, [a])
    fail(one, b)
    with LedgerReader.open(one.root) as reader:
        summary = reader.summary()
        assert summary.frames == FrameCounts(3, 1, 1, 1)
        assert summary.size == len(png(a.row))
        assert [(s.root_id, s.frames.total) for s in summary.sequences] == [("r1", 1), ("r2", 2)]
        assert summary.failures == {"not_found": 1}
        assert [export.path for export in summary.exports] == ["batch.json"]
        keep(one, [c])
        assert reader.summary().frames.mirrored == 2
        assert reader.known_exports() == {record().sha256}
        assert reader.states("w1", "r2") == {
            "b": (FrameState.FAILED, "not_found"),
            "c": (FrameState.MIRRORED, None),
        }
        assert "LedgerReader" in repr(reader)
        with pytest.raises(sqlite3.OperationalError):
            reader._db.execute("DELETE FROM frames")


def test_a_reader_makes_nothing_where_no_run_is(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        keep(one, one.ask(group("a")))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / ".mirror").iterdir()}
    with LedgerReader.open(tmp_path) as reader:
        assert reader.summary().frames.mirrored == 1
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / ".mirror").iterdir()}


def test_sequences_are_listed_in_export_order(one: Store) -> None:
    one.ask(group("a", root="z"), group("a", root="b"), group("a", root="m"))
    with LedgerReader.open(one.root) as reader:
        assert [s.root_id for s in reader.summary().sequences] == ["z", "b", "m"]


def test_no_ledger_is_said_or_found_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="holds no ledger"):
        LedgerReader.open(tmp_path / "nowhere")
    assert LedgerReader.find(tmp_path / "nowhere") is None


def test_a_damaged_ledger_is_none_to_a_run_and_an_error_to_a_reader(tmp_path: Path) -> None:
    (tmp_path / ".mirror").mkdir()
    damage_by_text(tmp_path / ".mirror/ledger.sqlite3")
    assert LedgerReader.find(tmp_path) is None
    with pytest.raises(LedgerError, match="damaged"):
        LedgerReader.open(tmp_path)


def test_damage_that_shows_while_reading_knows_no_export(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.ask(group("a"))
    path = tmp_path / ".mirror/ledger.sqlite3"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    reader = LedgerReader.find(tmp_path)
    assert reader is not None
    with reader:
        assert reader.known_exports() == frozenset()
        with pytest.raises(LedgerError):
            reader.summary()
