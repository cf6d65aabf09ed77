"""What a run that ended says of its ledger, so that the next need not check it row by row."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from store_kit import group, names, store

from mirror.errors import LedgerError
from mirror.store import Destination, Layout, Ledger, LedgerReader, schema
from mirror.store.seal import is_sealed

FRAMES = tuple(f"frame-{number}" for number in range(40))


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for each time that a ledger is checked row by row."""
    done: list[str] = []
    real = schema.check_whole

    def check(db: sqlite3.Connection, path: Path) -> None:
        done.append("checked")
        real(db, path)

    monkeypatch.setattr("mirror.store.schema.check_whole", check)
    monkeypatch.setattr("mirror.store.ledger.check_whole", check)
    return done


def ledger_of(root: Path) -> Path:
    return root / ".mirror/ledger.sqlite3"


def sealed(root: Path) -> Path:
    """The ledger of a run that mirrored some frames and ended."""
    with store(root) as one:
        one.committer.commit(one.write(one.ask(group(*FRAMES))), [])
        one.ledger.seal()
    return ledger_of(root)


def opened(root: Path) -> str | None:
    """What a run that opens the ledger says of recovery."""
    with Destination.open(root, Layout()) as destination, Ledger.open(destination) as ledger:
        return ledger.recovered


def test_a_sealed_ledger_is_not_checked_again(tmp_path: Path, checks: list[str]) -> None:
    """New, it is checked when opened, and again when what was written is sealed."""
    path = sealed(tmp_path)
    assert checks == ["checked", "checked"]
    assert opened(tmp_path) is None
    assert checks == ["checked", "checked"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    said = path.with_name("ledger.sha256")
    assert said.read_text() == f"{digest}  ledger.sqlite3\n"
    assert said.stat().st_mode & 0o777 == 0o600


def test_what_a_run_did_not_seal_is_checked(tmp_path: Path, checks: list[str]) -> None:
    with store(tmp_path) as one:
        one.ask(group(*FRAMES))
    checks.clear()
    assert opened(tmp_path) is None
    assert checks == ["checked"]


def test_what_was_written_since_the_seal_is_checked(tmp_path: Path, checks: list[str]) -> None:
    path = sealed(tmp_path)
    with store(tmp_path) as one:
        one.ledger.forget([1])
    assert not is_sealed(path)
    checks.clear()
    opened(tmp_path)
    assert checks == ["checked"]


def test_a_run_that_wrote_nothing_leaves_the_seal_as_it_is(
    tmp_path: Path, checks: list[str]
) -> None:
    path = sealed(tmp_path)
    said = path.with_name("ledger.sha256")
    before = said.stat()
    checks.clear()
    with store(tmp_path) as one:
        one.ledger.seal()
    assert checks == []
    assert (said.stat().st_ino, said.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_ledger_that_was_checked_and_is_as_it_was_is_sealed_without_another_check(
    tmp_path: Path, checks: list[str]
) -> None:
    """As after the note was lost."""
    path = sealed(tmp_path)
    path.with_name("ledger.sha256").unlink()
    checks.clear()
    with store(tmp_path) as one:
        one.ledger.seal()
    assert checks == ["checked"]
    assert is_sealed(path)


@pytest.mark.parametrize("at", [5_000, -3_000, -10])
def test_fault_49_a_bit_that_turned_since_the_seal_is_checked_for(
    tmp_path: Path, checks: list[str], at: int
) -> None:
    path = sealed(tmp_path)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    checks.clear()
    opened(tmp_path)
    assert checks[:1] == ["checked"]


def test_fault_49_a_frame_whose_id_was_damaged_since_the_seal_is_found(tmp_path: Path) -> None:
    """A table and its index that differ: nothing but the check of every row sees it."""
    path = sealed(tmp_path)
    before, found, after = path.read_bytes().rpartition(b"frame-7")
    assert found
    path.write_bytes(before + b"frame-x" + after)
    said = opened(tmp_path)
    assert said is not None
    assert any("damaged" in name for name in names(tmp_path / ".mirror"))


def test_fault_49_a_log_that_a_killed_run_left_is_never_passed_over(
    tmp_path: Path, checks: list[str]
) -> None:
    """The note fits the ledger's own file; what the log holds is not in it yet."""
    path = sealed(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("UPDATE frames SET attempts = 9")
        left = {
            name: (path.parent / name).read_bytes()
            for name in names(path.parent)
            if name.startswith("ledger.sqlite3")
        }
    for name, content in left.items():
        (path.parent / name).write_bytes(content)
    assert (
        hashlib.sha256(path.read_bytes()).hexdigest() in path.with_name("ledger.sha256").read_text()
    )
    assert not is_sealed(path)
    checks.clear()
    opened(tmp_path)
    assert checks == ["checked"]


def _folder(note: Path) -> None:
    note.unlink()
    note.mkdir()


def _pipe(note: Path) -> None:
    note.unlink()
    os.mkfifo(note)


def _link(note: Path) -> None:
    note.rename(note.with_name("elsewhere"))
    note.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        _folder,
        _pipe,
        _link,
        lambda note: note.write_bytes(b""),
        lambda note: note.write_bytes(note.read_bytes() + b"\n"),
        lambda note: note.write_bytes(b"\xff" * 500),
    ],
    ids=["gone", "a folder", "a pipe", "a link", "empty", "longer", "no text"],
)
def test_a_note_that_is_not_the_ledgers_own_proves_nothing(
    tmp_path: Path, checks: list[str], spoil: object
) -> None:
    path = sealed(tmp_path)
    assert callable(spoil)
    spoil(path.with_name("ledger.sha256"))
    checks.clear()
    opened(tmp_path)
    assert checks == ["checked"]


def test_nothing_is_noted_while_a_reader_holds_the_log(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group(*FRAMES))
        with LedgerReader.open(tmp_path) as reader:
            db = reader._db
            db.execute("BEGIN")
            db.execute("SELECT COUNT(*) FROM frames").fetchone()
            one.committer.commit(one.write(frames), [])
            one.ledger.seal()
            db.execute("ROLLBACK")
        assert not ledger_of(tmp_path).with_name("ledger.sha256").exists()


def test_what_a_run_wrote_is_called_whole_only_when_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise LedgerError("broken")

    with store(tmp_path) as one:
        one.ask(group(*FRAMES))
        with monkeypatch.context() as patch:
            patch.setattr("mirror.store.ledger.check_whole", broken)
            with pytest.raises(LedgerError):
                one.ledger.seal()
        assert not ledger_of(tmp_path).with_name("ledger.sha256").exists()
