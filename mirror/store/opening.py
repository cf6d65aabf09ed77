"""Opening the ledger of a destination that is held: made, attached, or set aside when damaged."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from mirror.store.damage import DamagedLedgerError, damaged, translated
from mirror.store.destination import TEMPORARIES, Destination
from mirror.store.schema import NAME, make_file, open_database
from mirror.store.steps import Step

_SUFFIXES = ("", "-wal", "-shm", "-journal")
"""The database, and what SQLite puts beside it."""


def open_ledger(destination: Destination) -> tuple[sqlite3.Connection, str | None]:
    """The writing connection, and a sentence where a damaged ledger had to be set aside.

    Raises `LedgerError`, `ConfigurationError` and `OSError`.
    """
    recovered = None
    try:
        db = _open(destination)
    except DamagedLedgerError:
        recovered = _set_aside(destination)
        db = _open(destination)
    os.fsync(destination.state_fd)
    destination.reached(Step.LEDGER_OPENED)
    return db, recovered


def identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at `path`; None: none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open(destination: Destination) -> sqlite3.Connection:
    path = destination.state / NAME
    refuse_odd(path, destination.state_fd)
    make_file(path, destination.layout.file_mode)
    destination.reached(Step.LEDGER_MADE)
    db = open_database(path, destination.layout.template)
    try:
        with translated(path):
            _attach_scratch(db, destination)
    except BaseException:
        db.close()
        raise
    return db


def refuse_odd(path: Path, folder: int) -> None:
    """Raise `DamagedLedgerError` where the ledger at `path`, in the open `folder`, or what SQLite
    puts beside it, is something that SQLite must not open."""
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            found = os.stat(NAME + suffix, dir_fd=folder, follow_symlinks=False)
            # SQLite waits for a pipe, and writes through a second name of another file
            if not stat.S_ISREG(found.st_mode) or (suffix and found.st_nlink > 1):
                raise damaged(path)


def _attach_scratch(db: sqlite3.Connection, destination: Destination) -> None:
    """A database for what this run asks for: on the destination's disk, because /tmp may be small,
    in memory or not writable; its name is removed at once, so that nothing can be left behind."""
    name = destination.temporary()
    os.close(destination.create(name))
    path = destination.state / TEMPORARIES / name
    try:
        db.execute("ATTACH DATABASE ? AS run", (str(path),))
        db.execute("PRAGMA run.cache_size = -512")
        db.execute("PRAGMA run.journal_mode = MEMORY")
        db.execute("PRAGMA run.synchronous = OFF")
        db.execute("CREATE TABLE run.asked (row INTEGER PRIMARY KEY)")
    finally:
        destination.remove(name)


def _set_aside(destination: Destination) -> str:
    """Move a damaged ledger out of the way; the sentence that says so."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    kept = f"ledger.damaged-{now}.sqlite3"
    state = destination.state_fd
    # the database before its WAL: SQLite discards a WAL without a database, not the reverse
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            os.rename(NAME + suffix, kept + suffix, src_dir_fd=state, dst_dir_fd=state)
            destination.reached(Step.LEDGER_MOVED)
    os.fsync(state)
    where = str(destination.state / kept)
    return (
        f"The ledger was damaged; it is now {where!r}. A new one is made from the exports, and the"
        " frames that are there are checked and kept."
    )
