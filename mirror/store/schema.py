"""The ledger's tables, and a connection to them. Documented in `docs/ledger.md`.

Invariants: what is committed is durable (WAL, `synchronous=FULL`); an ingest or a commit is one
transaction; errors of SQLite leave here as `LedgerError` and never as themselves. No URL, no token.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror.errors import ConfigurationError, LedgerError

NAME = "ledger.sqlite3"
VERSION = 1
APPLICATION = 0x4D495252
"""'MIRR', in the file's header: what tells a ledger from any other database."""
TABLES = """
CREATE TABLE about (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE exports (
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE,
  size INTEGER NOT NULL,
  sequences INTEGER NOT NULL,
  frames INTEGER NOT NULL DEFAULT 0,
  ingested_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
CREATE TABLE sequences (
  id INTEGER PRIMARY KEY,
  workspace_id TEXT NOT NULL COLLATE NOCASE,
  root_id TEXT NOT NULL COLLATE NOCASE,
  UNIQUE (root_id, workspace_id)
);
CREATE TABLE frames (
  id INTEGER PRIMARY KEY,
  sequence INTEGER NOT NULL REFERENCES sequences,
  frame_id TEXT NOT NULL COLLATE NOCASE,
  state INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2)),
  attempts INTEGER NOT NULL DEFAULT 0,
  reason TEXT,
  detail TEXT,
  size INTEGER,
  sha256 BLOB,
  width INTEGER,
  height INTEGER,
  mirrored_at TEXT,
  UNIQUE (sequence, frame_id)
);
CREATE TABLE export_frames (
  export INTEGER NOT NULL REFERENCES exports,
  frame INTEGER NOT NULL REFERENCES frames,
  PRIMARY KEY (export, frame)
) WITHOUT ROWID;
CREATE INDEX failed_frames ON frames (id) WHERE state = 2;
"""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class DamagedLedgerError(LedgerError):
    """The file is no ledger, or a broken one."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors, around the call and the iteration, as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ledger_error(path, error) from None


def _ledger_error(path: Path, error: sqlite3.Error) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    where = f"The ledger {str(path)!r}"
    if code in _DAMAGED:
        return DamagedLedgerError(
            f"{where} is damaged: run again; if that does not help, move it away: a new one is"
            " made from the exports and the files."
        )
    if code == sqlite3.SQLITE_FULL:
        return LedgerError(f"{where} can't grow, the disk is full: make room and run again.")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return LedgerError(f"{where} is locked by another program: close it and run again.")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return LedgerError(f"{where} can't be written: make it writable and run again.")
    # SQLite's own words hold no data of ours, but for constraint errors, which are bugs
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return LedgerError(f"{where} can't be used ({name}): check the disk and run again.")


def open_database(path: Path, template: str) -> sqlite3.Connection:
    """The one writing connection; tables are made in a new, empty file.

    Raises `DamagedLedgerError`, `LedgerError` for a newer schema and for what the disk says, and
    `ConfigurationError` where the frames are laid out by another template.
    """
    with translated(path):
        # one thread at a time uses it, and that thread is not always the one that opened it
        db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA cache_size = -16384")
            db.execute("PRAGMA journal_size_limit = 67108864")
            db.execute("PRAGMA secure_delete = ON")  # an erased frame leaves no trace of its ids
            _prepare(db, path, template)
        except BaseException:
            db.close()
            raise
        return db


def _prepare(db: sqlite3.Connection, path: Path, template: str) -> None:
    version = pragma(db, "user_version")
    if version == 0 and not pragma(db, "application_id") and not pragma(db, "schema_version"):
        with transaction(db):
            for statement in TABLES.split(";\n"):
                db.execute(statement)
            db.execute("INSERT INTO about VALUES ('template', ?)", (template,))
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        return
    check_version(db, path)
    if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise DamagedLedgerError(f"The ledger {str(path)!r} is damaged.")
    ours = db.execute("SELECT value FROM about WHERE name = 'template'").fetchone()
    if ours[0] != template:
        raise ConfigurationError(
            f"The frames of this destination are laid out as {ours[0]!r}, but path_template is"
            f" {template!r}: set it to the former, or choose another destination."
        )


def check_version(db: sqlite3.Connection, path: Path) -> None:
    """Raises `DamagedLedgerError` for a foreign file, `LedgerError` for a newer schema."""
    if pragma(db, "application_id") != APPLICATION:
        raise DamagedLedgerError(f"{str(path)!r} is no ledger of mirror.")
    version = pragma(db, "user_version")
    if version != VERSION:
        raise LedgerError(
            f"The ledger {str(path)!r} has version {version}, and this mirror knows {VERSION}:"
            " use the newer mirror."
        )


def pragma(db: sqlite3.Connection, name: str) -> int:
    """An integer of the file's header."""
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite rolls some failures back by itself
            db.execute("ROLLBACK")
        raise


def make_file(path: Path, mode: int) -> None:
    """An empty file of exactly this mode, if there is none: its WAL inherits it."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError:
        return
    try:
        os.fchmod(file, mode)
    finally:
        os.close(file)
