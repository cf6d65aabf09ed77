"""A note of what a ledger was, byte for byte, when a run had checked it whole and ended.

A ledger that still is that needs no check row by row, which takes ten times as long as hashing it.
Invariant: whatever else is found (no note, another digest, a log beside the ledger, which a run
that was killed leaves) proves nothing, and the ledger is checked. So a note is never wrong in a way
that harms, and losing it costs time alone. Why: `docs/decisions/ledger-checks.md`.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from hashlib import file_digest
from pathlib import Path

_LOGS = ("-wal", "-journal")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST = 200


def note_of(ledger: Path) -> str:
    """The name of a ledger's note, in the same folder."""
    return f"{ledger.stem}.sha256"


def is_sealed(ledger: Path) -> bool:
    """Whether `ledger`, which no connection uses, is what its note says, and has no log."""
    with suppress(OSError):
        noted = _read(ledger.with_name(note_of(ledger)))
        return noted is not None and not _has_log(ledger) and noted == note(ledger)
    return False


def is_noted(ledger: Path) -> bool:
    """Whether the note was written after the last change of `ledger`."""
    with suppress(OSError):
        noted = ledger.with_name(note_of(ledger)).lstat().st_mtime_ns
        return noted >= ledger.stat().st_mtime_ns  # one tick of the clock may be both
    return False


def note(ledger: Path) -> bytes:
    """What the note of `ledger`, as it is now, says: a line for `sha256sum --check`.

    Raises `OSError`.
    """
    with os.fdopen(os.open(ledger, _FLAGS), "rb", buffering=0) as file:
        return f"{file_digest(file, 'sha256').hexdigest()}  {ledger.name}\n".encode()


def _read(path: Path) -> bytes | None:
    """What a note says; None where it is no regular file. Raises `OSError`."""
    with os.fdopen(os.open(path, _FLAGS), "rb", buffering=0) as file:
        return file.read(_LONGEST) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None


def _has_log(ledger: Path) -> bool:
    for suffix in _LOGS:
        with suppress(FileNotFoundError):
            if ledger.with_name(ledger.name + suffix).lstat().st_size:
                return True
    return False
