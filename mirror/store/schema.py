"""The ledger's tables, and a connection to them. Documented in `docs/ledger.md`.

Invariants: what is committed is durable (WAL, `synchronous=FULL`); an ingest or a commit is one
transaction; a ledger is used only when its tables are ours to the letter and its content is whole,
which is checked here, or was when it was sealed (`seal.py`).
No URL, no token. What SQLite's errors mean is in `damage.py`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

from mirror.errors import ConfigurationError, LedgerError
from mirror.store.damage import damaged, translated_opening
from mirror.store.seal import is_sealed

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
_NEWER = range(VERSION + 1, 1000)
"""Versions that a newer mirror may have written; what lies beyond is a broken header."""
_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"
# every text that a run reads and no index holds twice; SQLite itself never decodes it
_TEXTS = """
SELECT path, ingested_at FROM exports UNION ALL
SELECT reason, detail FROM frames INDEXED BY failed_frames WHERE state = 2
"""


def open_database(path: Path, template: str) -> sqlite3.Connection:
    """The one writing connection; tables are made in a new, empty file.

    Raises `DamagedLedgerError`, `LedgerError` for a newer schema and for what the disk says, and
    `ConfigurationError` where the frames are laid out by another template.
    """
    with translated_opening(path):
        sealed = is_sealed(path)  # before a connection could change anything
        # one thread at a time uses it, and that thread is not always the one that opened it
        db = sqlite3.connect(
            path, timeout=10, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA cache_size = -2048")
            db.execute("PRAGMA journal_size_limit = 67108864")
            db.execute("PRAGMA secure_delete = ON")  # an erased frame leaves no trace of its ids
            _make_if_new(db, template)
            check_tables(db, path)
            if not sealed:
                check_whole(db, path)
            _check_texts(db, path, template)
        except BaseException:
            db.close()
            raise
        return db


def _is_new(db: sqlite3.Connection) -> bool:
    return not any(
        pragma(db, name) for name in ("user_version", "application_id", "schema_version")
    )


def _fill(db: sqlite3.Connection, template: str) -> None:
    _make_tables(db)
    about = [("template", template), ("template_sha256", _digest(template))]
    db.executemany("INSERT INTO about VALUES (?, ?)", about)
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def _make_if_new(db: sqlite3.Connection, template: str) -> None:
    if _is_new(db):
        with transaction(db):
            if _is_new(db):  # where locks lie, another run may have been quicker
                _fill(db, template)


def check_whole(db: sqlite3.Connection, path: Path) -> None:
    """Every page, row and index: about a second for each million frames.

    Raises `DamagedLedgerError`, and as SQLite does.
    """
    if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise damaged(path)


def _check_texts(db: sqlite3.Connection, path: Path, template: str) -> None:
    for _ in db.execute(_TEXTS):
        pass
    db.execute("DELETE FROM about WHERE 0")  # a broken header can make it read-only
    _check_template(dict(db.execute("SELECT name, value FROM about").fetchall()), path, template)


def _check_template(about: dict[str, str], path: Path, template: str) -> None:
    ours = about.get("template")
    if ours == template:
        return
    if ours is None or about.get("template_sha256") != _digest(ours):
        raise damaged(path)
    raise ConfigurationError(
        f"The frames of this destination are laid out as {ours!r}, but path_template is"
        f" {template!r}: set it to the former, or choose another destination."
    )


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def check_tables(db: sqlite3.Connection, path: Path) -> None:
    """Raises `DamagedLedgerError` for a foreign or broken file, `LedgerError` for a newer schema.

    A newer version has other tables than ours, or its number is what is broken.
    """
    version = pragma(db, "user_version")
    found = set(db.execute(_SCHEMA).fetchall())
    with closing(sqlite3.connect(":memory:")) as model:
        _make_tables(model)
        ours = found == set(model.execute(_SCHEMA).fetchall())
    if pragma(db, "application_id") != APPLICATION:
        raise damaged(path)
    if version in _NEWER and not ours:
        raise LedgerError(
            f"The ledger {str(path)!r} has version {version}, and this mirror knows {VERSION}:"
            " use the newer mirror."
        )
    if version != VERSION or not ours:
        raise damaged(path)


def _make_tables(db: sqlite3.Connection) -> None:
    for statement in TABLES.split(";\n"):
        db.execute(statement)


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
