"""A ledger damaged anywhere ends in a usable one, set aside and made anew where it must be."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest
from store_kit import group, names, record, store

from mirror.errors import ConfigurationError, LedgerError
from mirror.store import Destination, Failure, FrameCounts, Layout, Ledger, LedgerReader
from mirror.store.damage import DamagedLedgerError

FRAMES = 120
GROUP = group(*(f"frame-{n}" for n in range(FRAMES)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A finished ledger: mirrored frames, and a failed one."""
    root = tmp_path_factory.mktemp("whole")
    with store(root) as one:
        frames = one.ask(GROUP)
        written = one.write(frames[:-1])
        one.committer.commit(written, [Failure(frames[-1], "not_found", "The API says 404.", 1)])
    return (root / ".mirror/ledger.sqlite3").read_bytes()


def place(root: Path, content: bytes) -> Path:
    """The ledger's file with this content, and nothing else of it."""
    state = root / ".mirror"
    state.mkdir(exist_ok=True)
    for old in state.glob("ledger.*"):
        old.unlink()
    path = state / "ledger.sqlite3"
    path.write_bytes(content)
    return path


def use(root: Path) -> str | None:
    """Everything that a run asks of its ledger, none of whose files is there; what it says about
    recovery."""
    with Destination.open(root, Layout()) as destination, Ledger.open(destination) as ledger:
        ledger.ingest(record(), [GROUP])
        ledger.ingest(record("cd" * 32, "more.json"), [GROUP])
        ledger.ask_exports([record().sha256], None)
        ledger.forget([row for row, _ in ledger.missing()])
        frames = ledger.pending(0, FRAMES + 1)
        assert [frame.ref.frame_id for frame in frames] == list(GROUP.frame_ids)
        ledger.failures(FRAMES)
        ledger.record([], [Failure(frame, "timeout", "late", 2) for frame in frames])
        with LedgerReader.open(root) as reader:
            assert reader.summary().frames == FrameCounts(FRAMES, 0, FRAMES, 0)
            assert len(list(reader.failures())) == FRAMES
        return ledger.recovered


def read(root: Path) -> None:
    """Reading alone says in `mirror`'s words what is wrong, or reads."""
    reader = LedgerReader.find(root)
    if reader is None:
        with pytest.raises(LedgerError, match="mirror sync"):
            LedgerReader.open(root)
        return
    with reader:
        reader.known_exports()
        for ask in (
            reader.summary,
            lambda: reader.states("w1", "r1"),
            lambda: [*reader.failures()],
        ):
            with suppress(LedgerError):
                ask()


def use_of(root: Path, content: bytes) -> str | None:
    place(root, content)
    read(root)
    return use(root)


@pytest.mark.parametrize("seed", range(6))
def test_fault_49_any_damage_ends_in_a_usable_ledger(
    tmp_path: Path, whole: bytes, seed: int
) -> None:
    """300 damages of 1 to 64 bytes in all: in the header and the schema, and in the middle."""
    dice = Random(seed)
    assert use_of(tmp_path, whole) is None
    for number in range(50):
        damaged = bytearray(whole)
        length = dice.randint(1, 64)
        at = dice.randrange(8192 if number % 3 else len(whole)) % (len(whole) - length)
        if number % 2:
            damaged[at : at + length] = dice.randbytes(length)
        else:
            for _ in range(length):
                damaged[(at + dice.randrange(4096)) % len(whole)] = dice.randrange(256)
        try:
            use_of(tmp_path, bytes(damaged))
        except Exception as error:
            raise AssertionError(f"seed {seed}, damage {number}: {length} at {at}") from error


def overwrite(at: int, what: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[at : at + len(what)] = what
        path.write_bytes(content)

    return damage


def replace(old: bytes, new: bytes) -> Callable[[Path], None]:
    """The last of them: the schema comes first in the file."""

    def damage(path: Path) -> None:
        before, found, after = path.read_bytes().rpartition(old)
        assert found
        path.write_bytes(before + new + after)

    return damage


def execute(statement: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(statement)

    return damage


DAMAGES = {
    "schema format": overwrite(47, b"\xff"),
    "write version, which makes it read-only": overwrite(18, b"\x09"),
    "version of the tables": overwrite(60, b"\x00\x00\x00\x02"),
    "version of the tables, beyond any": overwrite(60, b"\xff"),
    "text encoding": overwrite(56, b"\x00\x00\x00\x02"),
    "application id": overwrite(68, b"X"),
    "a table's name, that is no text": replace(b"CREATE TABLE exports", b"CREATE TABLE \xffxports"),
    "a column's name": replace(b"mirrored_at TEXT", b"mirrored_ax TEXT"),
    "a frame's id": replace(b"frame-7", b"fraMe-8"),
    "a failure's words": replace(b"The API says", b"The \xff\xff\xff says"),
    "an export's path": replace(b"batch.json", b"batch\xffjson"),
    "the template": replace(b"{frame_id}.png", b"{frame_id}.pnq"),
    "the template, that is no text": replace(b"{frame_id}.png", b"{frame_id}\xffpng"),
    "about without its row": execute("DELETE FROM about WHERE name = 'template'"),
    "about without any": execute("DELETE FROM about"),
    "no table about": execute("DROP TABLE about"),
    "no index": execute("DROP INDEX failed_frames"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_fault_49_a_broken_header_or_schema_or_text_is_damage(
    tmp_path: Path, whole: bytes, damage: Callable[[Path], None]
) -> None:
    path = place(tmp_path, whole)
    damage(path)
    size = path.stat().st_size
    recovered = use(tmp_path)
    (kept,) = [name for name in names(tmp_path / ".mirror") if "damaged" in name]
    assert recovered is not None
    assert kept in recovered
    assert (tmp_path / ".mirror" / kept).stat().st_size == size
    assert use(tmp_path) is None


def test_a_reader_finds_no_ledger_in_a_broken_one_and_says_who_rebuilds_it(
    tmp_path: Path, whole: bytes
) -> None:
    overwrite(47, b"\xff")(place(tmp_path, whole))
    assert LedgerReader.find(tmp_path) is None
    with pytest.raises(DamagedLedgerError, match="is damaged: run `mirror sync`, which sets it"):
        LedgerReader.open(tmp_path)


def test_another_template_of_a_whole_ledger_is_no_damage(tmp_path: Path, whole: bytes) -> None:
    path = place(tmp_path, whole)
    with (
        Destination.open(tmp_path, Layout("x/{root_id}/{frame_id}.png")) as destination,
        pytest.raises(ConfigurationError, match="laid out as"),
    ):
        Ledger.open(destination)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (sqlite3.SQLITE_FULL, "full"),
        (sqlite3.SQLITE_BUSY, "locked"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "can't be written"),
        (sqlite3.SQLITE_IOERR, "check the disk"),
        (sqlite3.SQLITE_CANTOPEN, "check the disk"),
        (sqlite3.SQLITE_NOMEM, "check the disk"),
    ],
)
def test_what_the_disk_or_others_are_to_blame_for_is_no_damage(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, code: int, says: str
) -> None:
    path = place(tmp_path, whole)

    def check(*_: object) -> None:
        error = sqlite3.OperationalError("as SQLite says it")
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr("mirror.store.schema.check_tables", check)
    with Destination.open(tmp_path, Layout()) as destination:
        with pytest.raises(LedgerError, match=says) as caught:
            Ledger.open(destination)
        assert not isinstance(caught.value, DamagedLedgerError)
    assert path.read_bytes() == whole


def test_a_ledger_that_may_not_be_written_is_no_damage(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answer of SQLite as for a broken header; what the file's permissions say decides."""
    path = place(tmp_path, whole)
    overwrite(18, b"\x09")(path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with (
        Destination.open(tmp_path, Layout()) as destination,
        pytest.raises(LedgerError, match="make it writable"),
    ):
        Ledger.open(destination)
    assert names(tmp_path / ".mirror")[0] == "ledger.sqlite3"
