"""The edges of the ledger: what is recorded to the letter, and what is said."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from store_kit import failing, group, record, store

from mirror.errors import DestinationError, ExportError, LedgerError
from mirror.store import (
    Destination,
    Failure,
    Layout,
    Ledger,
    LedgerReader,
    RecordedFrame,
    Step,
    missing,
    recorded_at,
)
from mirror.store.schema import make_file

WHEN = "%Y-%m-%dT%H:%M:%SZ"


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clocks on the wall are nine hours ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "EAST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_the_time_of_a_frame_is_recorded_in_utc_to_the_second(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        before = datetime.now(UTC).replace(microsecond=0)
        one.committer.commit(one.write(one.ask(group("f1"))), [])
        ((text,),) = one.ledger._db.execute("SELECT mirrored_at FROM frames").fetchall()
    at = datetime.strptime(text, WHEN).replace(tzinfo=UTC)
    assert before <= at <= before + timedelta(seconds=120)


def test_a_reader_tells_each_failure_with_its_frame(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2"))
        failures = [Failure(frame, "not_found", f"404 of {frame.row}", 3) for frame in frames]
        one.ledger.record([], failures)
    with LedgerReader.open(tmp_path) as reader:
        told = list(reader.failures())
    assert [(one.frame.row, one.frame.ref) for one in told] == [(f.row, f.ref) for f in frames]
    assert [(one.reason, one.detail, one.attempts) for one in told] == [
        ("not_found", "404 of 1", 3),
        ("not_found", "404 of 2", 3),
    ]


def test_a_reader_tells_a_single_failure(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        (frame,) = one.ask(group("f1"))
        one.ledger.record([], [Failure(frame, "not_found", "404", 3)])
    with LedgerReader.open(tmp_path) as reader:
        assert [failure.frame.ref for failure in reader.failures()] == [frame.ref]


def test_the_recorded_frames_of_a_destination_that_is_not_held(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1", "f2", "f3"))[:2])
        one.committer.commit(written, [])
    assert list(recorded_at(tmp_path)) == [
        RecordedFrame(one.frame.row, one.frame.ref, one.size, one.sha256, one.width, one.height)
        for one in written
    ]


def test_a_reader_tells_the_bytes_of_each_mirrored_frame(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2", "f3"))
        written = one.write(frames[:2])
        one.committer.commit(written, [])
    with LedgerReader.open(tmp_path) as reader:
        assert reader.sizes("w1", "r1") == {"f1": written[0].size, "f2": written[1].size}
        assert reader.sizes("w1", "r2") == {}


def test_a_reader_that_meets_damage_names_the_ledger(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.ask(group("f1"))
    with LedgerReader.open(tmp_path) as reader:
        reader._db.close()
        for ask in (reader.summary, lambda: reader.states("w1", "r1")):
            with pytest.raises(LedgerError) as caught:
                ask()
            assert str(tmp_path / ".mirror/ledger.sqlite3") in str(caught.value)


def test_a_ledger_that_meets_damage_is_named(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.ledger._db.close()
        with pytest.raises(LedgerError) as caught:
            one.ledger.failures(1)
    assert str(tmp_path / ".mirror/ledger.sqlite3") in str(caught.value)


def test_a_ledger_that_was_moved_away_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / ".mirror/ledger.sqlite3"
    with store(tmp_path) as one:
        one.ledger.check_place()
        path.rename(tmp_path / "elsewhere")
        with pytest.raises(LedgerError) as caught:
            one.ledger.check_place()
    assert str(caught.value) == (
        f"The ledger {str(path)!r} is not where it was: it, or the destination, was moved, replaced"
        " or deleted while this run used it. Put it back, if you can, and run again: frames that"
        " are there are not fetched twice."
    )


def test_missing_frames_are_found_page_by_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "_PAGE", missing._PAGE.replace("LIMIT 1024", "LIMIT 2"))
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2", "f3", "f4", "f5"))
        one.committer.commit(one.write(frames), [])
        for frame in frames:
            one.path(frame.ref).unlink()
        assert [row for row, _ in one.ledger.missing()] == [frame.row for frame in frames]


def test_a_file_that_is_there_is_no_new_ledger(tmp_path: Path) -> None:
    path, target = tmp_path / "ledger.sqlite3", tmp_path / "elsewhere"
    path.write_bytes(b"old")
    path.chmod(0o640)
    make_file(path, 0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"old", 0o640)
    path.unlink()
    path.symlink_to(target)
    make_file(path, 0o600)
    assert not target.exists()


def test_frames_that_would_be_one_file_are_told_with_what_to_do(tmp_path: Path) -> None:
    with store(tmp_path) as one, pytest.raises(ExportError) as caught:
        one.ledger.ingest(record(), [group("f1"), group("f1", workspace="w2")])
    assert str(caught.value) in {
        f"Frame r1/f1 of workspace {first!r} and frame r1/f1 of workspace {second!r} would be the"
        " same file 'r1/f1.png': give each its own with a path_template that has {workspace_id},"
        " or sync them to two destinations."
        for first, second in (("w1", "w2"), ("w2", "w1"))
    }


def test_names_that_differ_by_case_are_told_with_what_to_do(tmp_path: Path) -> None:
    with store(tmp_path) as one, pytest.raises(ExportError) as caught:
        one.ledger.ingest(record(), [group("f1"), group("f2", root="R1")])
    assert str(caught.value) == (
        "The roots 'R1' and 'r1' differ only by case, so some file systems take them for one: have"
        " one of them renamed, or choose another destination for this export."
    )


def test_the_longest_name_is_looked_at_wherever_it_stands(tmp_path: Path) -> None:
    layout = Layout("{workspace_id}-{root_id}-{frame_id}.png")
    with store(tmp_path, layout) as one:
        ids = group("z", "f" * 199, "y", root="r" * 60)
        with pytest.raises(ExportError) as caught:
            one.ledger.ingest(record(), [ids])
    assert str(caught.value) == (
        f"Frame {'f' * 199!r} of root {'r' * 60!r} would get a name of more than 255 bytes: give a"
        " path_template that puts fewer ids into one name."
    )


@pytest.mark.usefixtures("far_east")
def test_fault_49_a_damaged_ledger_is_kept_under_the_time_and_that_is_told(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.ask(group("f1"))
    (tmp_path / ".mirror/ledger.sqlite3").write_bytes(b"no ledger" * 100)
    steps: list[Step] = []
    with (
        Destination.open(tmp_path, Layout(), steps.append) as destination,
        Ledger.open(destination) as ledger,
    ):
        (kept,) = (tmp_path / ".mirror").glob("ledger.damaged-*.sqlite3")
        assert ledger.recovered == (
            f"The ledger was damaged; it is now {str(kept)!r}. A new one is made from the exports,"
            " and the frames that are there are checked and kept."
        )
    found = re.fullmatch(r"ledger\.damaged-(\d{8}T\d{6})\.\d{6}Z\.sqlite3", kept.name)
    assert found
    at = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - at) < timedelta(seconds=120)
    assert kept.read_bytes() == b"no ledger" * 100
    assert steps[steps.index(Step.SWEPT) + 1 : -1] == [
        Step.LEDGER_MADE,  # it was there
        Step.LEDGER_MOVED,
        Step.LEDGER_MADE,
        Step.LEDGER_OPENED,
    ]


def test_a_ledger_without_a_place_for_what_is_asked_for_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.store.opening.TEMPORARIES", "nowhere")
    with (
        Destination.open(tmp_path, Layout()) as destination,
        pytest.raises(LedgerError) as caught,
    ):
        Ledger.open(destination)
    assert str(caught.value) == (
        f"The ledger {str(tmp_path / '.mirror/ledger.sqlite3')!r} can't be used (SQLITE_CANTOPEN):"
        " check the disk and run again."
    )


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_second_name_of_another_file_beside_the_ledger_is_not_written_through(
    tmp_path: Path, suffix: str
) -> None:
    with store(tmp_path) as one:
        one.ask(group("f1"))
    other = tmp_path / "another"
    other.write_bytes(b"of somebody else")
    os.link(other, tmp_path / f".mirror/ledger.sqlite3{suffix}")
    with store(tmp_path) as one:
        one.ask(group("f2"))
        assert one.ledger.recovered
    assert other.read_bytes() == b"of somebody else"


def test_a_ledger_that_cannot_be_made_names_the_destination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Destination.open(tmp_path, Layout()) as destination:
        monkeypatch.setattr("mirror.store.opening.make_file", failing(errno.ENOSPC))
        with pytest.raises(DestinationError) as caught:
            Ledger.open(destination)
    assert str(caught.value).startswith(
        f"The destination {str(tmp_path)!r} can't be written: it is"
    )


def test_a_newer_ledger_is_named_with_both_versions(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.ask(group("f1"))
        version = one.ledger._db.execute("PRAGMA user_version").fetchone()[0]
        one.ledger._db.execute("CREATE TABLE more (x)")
        one.ledger._db.execute(f"PRAGMA user_version = {version + 1}")
    path = tmp_path / ".mirror/ledger.sqlite3"
    says = (
        f"The ledger {str(path)!r} has version {version + 1}, and this mirror knows {version}: use"
        " the newer mirror."
    )
    with pytest.raises(LedgerError) as caught, closing(LedgerReader.open(tmp_path)):
        pass
    assert str(caught.value) == says
    with (
        Destination.open(tmp_path, Layout()) as destination,
        pytest.raises(LedgerError) as caught,
    ):
        Ledger.open(destination)
    assert str(caught.value) == says


def test_a_state_that_cannot_be_written_names_the_destination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Destination.open(tmp_path, Layout()) as destination:
        monkeypatch.setattr(os, "fsync", failing(errno.EROFS))
        with pytest.raises(DestinationError) as caught:
            destination.write_state("report.json", [b"{}"])
    assert str(caught.value) == (
        f"The destination {str(tmp_path)!r} can't be written: it is mounted read-only: mount it"
        " read-write and run again."
    )
