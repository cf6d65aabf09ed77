"""What SQLite's errors mean for the ledger: the one place that reads them.

Errors of SQLite leave `store/` as `LedgerError` and never as themselves. While a ledger is opened,
whatever is wrong with the file itself is damage, so that it is set aside and made anew; what the
disk, the permissions or another program are to blame for never is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror.errors import LedgerError

_DAMAGED = frozenset(
    # too big: a broken length, for nothing that we write comes near SQLite's limit
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG}
)
_DAMAGED_AT_OPENING = _DAMAGED.union(
    {
        sqlite3.SQLITE_ERROR,  # an unknown file format; a table that is not there
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_MISMATCH,
    }
)


class DamagedLedgerError(LedgerError):
    """The file is no ledger, or a broken one."""


def damaged(path: Path) -> DamagedLedgerError:
    """What is said of a ledger that can't be opened because of what it holds."""
    return DamagedLedgerError(
        f"The ledger {str(path)!r} is damaged: run `mirror sync`, which sets it aside and makes a"
        " new one from the exports and the files that are there."
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors, around the call and the iteration, as ours."""
    try:
        yield
    except MemoryError:  # SQLite was asked for what a broken length says
        raise DamagedLedgerError(
            f"The ledger {str(path)!r} asks for more memory than there is: run again; if that does"
            " not help it is damaged, so move it away: a new one is made from the exports and the"
            " files."
        ) from None
    except sqlite3.Error as error:
        raise _ledger_error(path, error) from None


@contextmanager
def translated_opening(path: Path) -> Iterator[None]:
    """The same while the ledger is opened and checked."""
    try:
        yield
    except (UnicodeDecodeError, MemoryError):
        # SQLite quotes a broken schema, and Python decodes what it says; or it asks for what a
        # broken length says
        raise damaged(path) from None
    except sqlite3.Error as error:
        if _shows_damage(error, _DAMAGED_AT_OPENING) or _denied_by_header(path, error):
            raise damaged(path) from None
        raise _ledger_error(path, error) from None


def _ledger_error(path: Path, error: sqlite3.Error) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    where = f"The ledger {str(path)!r}"
    if _shows_damage(error, _DAMAGED):
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


def _shows_damage(error: sqlite3.Error, codes: frozenset[int]) -> bool:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python's own: a text can't be decoded; others of its errors are bugs
        return type(error) in {sqlite3.OperationalError, sqlite3.DatabaseError}
    return code & 0xFF in codes


def _denied_by_header(path: Path, error: sqlite3.Error) -> bool:
    """Whether a file that may be written says that it may not: its format's version is broken."""
    code = getattr(error, "sqlite_errorcode", None)  # the extended ones blame the disk
    return code == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK)
