"""What SQLite's errors say about the ledger's file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mirror.errors import LedgerError
from mirror.store.damage import DamagedLedgerError, translated, translated_opening

PATH = Path("frames/.mirror/ledger.sqlite3")
DAMAGED_WHILE_OPENED = (
    "The ledger 'frames/.mirror/ledger.sqlite3' is damaged: run `mirror sync`, which sets it aside"
    " and makes a new one from the exports and the files that are there."
)
DAMAGED_IN_USE = (
    "The ledger 'frames/.mirror/ledger.sqlite3' is damaged: run again; if that does not help, move"
    " it away: a new one is made from the exports and the files."
)
WHERE = "The ledger 'frames/.mirror/ledger.sqlite3'"


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as found:
        yield found


def error_of(
    code: int, name: str = "SQLITE_X", kind: type[sqlite3.Error] = sqlite3.Error
) -> Exception:
    error = kind("words of SQLite")
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


def test_fault_49_a_length_beyond_all_limits_is_damage(db: sqlite3.Connection) -> None:
    with pytest.raises(DamagedLedgerError) as caught, translated_opening(PATH):
        db.execute("SELECT zeroblob(2000000000)").fetchone()
    assert str(caught.value) == DAMAGED_WHILE_OPENED
    with pytest.raises(DamagedLedgerError) as caught, translated(PATH):
        db.execute("SELECT zeroblob(2000000000)").fetchone()
    assert str(caught.value) == DAMAGED_IN_USE


def test_a_table_that_is_not_there_is_damage_only_while_opening(db: sqlite3.Connection) -> None:
    with pytest.raises(DamagedLedgerError), translated_opening(PATH):
        db.execute("SELECT * FROM frames")
    with pytest.raises(LedgerError) as caught, translated(PATH):
        db.execute("SELECT * FROM frames")
    assert type(caught.value) is LedgerError
    assert str(caught.value) == (
        f"{WHERE} can't be used (SQLITE_ERROR): check the disk and run again."
    )


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT | 0x0200]
)
def test_broken_pages_are_damage_whenever_they_are_met(code: int) -> None:
    for around in (translated, translated_opening):
        with pytest.raises(DamagedLedgerError), around(PATH):
            raise error_of(code)


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_MISMATCH]
)
def test_what_no_sound_ledger_says_while_it_is_opened_is_damage(code: int) -> None:
    with pytest.raises(DamagedLedgerError), translated_opening(PATH):
        raise error_of(code)
    with pytest.raises(LedgerError) as caught, translated(PATH):
        raise error_of(code)
    assert not isinstance(caught.value, DamagedLedgerError)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (sqlite3.SQLITE_FULL, "can't grow, the disk is full: make room and run again."),
        (sqlite3.SQLITE_BUSY, "is locked by another program: close it and run again."),
        (sqlite3.SQLITE_LOCKED, "is locked by another program: close it and run again."),
        (sqlite3.SQLITE_READONLY, "can't be written: make it writable and run again."),
        (sqlite3.SQLITE_PERM, "can't be written: make it writable and run again."),
        (sqlite3.SQLITE_IOERR, "can't be used (SQLITE_X): check the disk and run again."),
        (sqlite3.SQLITE_IOERR | 0x0100, "can't be used (SQLITE_X): check the disk and run again."),
    ],
)
def test_what_the_disk_is_to_blame_for_is_no_damage(code: int, sentence: str) -> None:
    for around in (translated, translated_opening):
        with pytest.raises(LedgerError) as caught, around(PATH):
            raise error_of(code)
        assert type(caught.value) is LedgerError
        assert str(caught.value) == f"{WHERE} {sentence}"


@pytest.mark.parametrize("kind", [sqlite3.OperationalError, sqlite3.DatabaseError])
def test_a_text_that_python_cannot_decode_is_damage(kind: type[sqlite3.Error]) -> None:
    for around in (translated, translated_opening):
        with pytest.raises(DamagedLedgerError), around(PATH):
            raise kind("Could not decode to UTF-8 column 'path'")
    with pytest.raises(DamagedLedgerError), translated_opening(PATH):
        b"\xff".decode()


def test_fault_49_memory_that_a_broken_length_asks_for_is_damage() -> None:
    with pytest.raises(DamagedLedgerError) as caught, translated_opening(PATH):
        raise MemoryError
    assert str(caught.value) == DAMAGED_WHILE_OPENED
    with pytest.raises(DamagedLedgerError) as caught, translated(PATH):
        raise MemoryError
    assert str(caught.value) == (
        f"{WHERE} asks for more memory than there is: run again; if that does not help it is"
        " damaged, so move it away: a new one is made from the exports and the files."
    )


def test_a_mistake_of_ours_is_not_called_damage() -> None:
    for around in (translated, translated_opening):
        with pytest.raises(LedgerError) as caught, around(PATH):
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        assert type(caught.value) is LedgerError
        assert str(caught.value) == (
            f"{WHERE} can't be used (ProgrammingError): check the disk and run again."
        )


def test_what_is_not_of_sqlite_passes() -> None:
    for around in (translated, translated_opening):
        with pytest.raises(KeyError), around(PATH):
            raise KeyError


def test_a_file_that_may_be_written_and_says_it_may_not_is_damaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Path, int]] = []

    def access(path: Path, mode: int) -> bool:
        asked.append((path, mode))
        return len(asked) == 1

    monkeypatch.setattr(os, "access", access)
    with pytest.raises(DamagedLedgerError), translated_opening(PATH):
        raise error_of(sqlite3.SQLITE_READONLY)
    for code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_READONLY | 0x0100):
        with pytest.raises(LedgerError) as caught, translated_opening(PATH):
            raise error_of(code)
        assert type(caught.value) is LedgerError
    assert asked == [(PATH, os.W_OK)] * 2
