"""What a run asks for: rows of the ledger, in a scratch database that is gone with the run.

Plain functions of the connection, inside the caller's transaction. `Ledger` is their one caller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from mirror.errors import LedgerError
from mirror.export import SequenceFrames
from mirror.shards import Shard
from mirror.store.audit import PurgeTarget
from mirror.store.folding import ask_for_shards
from mirror.store.values import FrameCounts

_EXPORT = """
INSERT OR IGNORE INTO run.asked SELECT frame FROM export_frames WHERE export = ? ORDER BY frame
"""
_FIRST = """
INSERT INTO run.asked SELECT frame FROM export_frames WHERE export = ?
AND frame NOT IN run.asked ORDER BY frame LIMIT ?
"""
_FRAME = """
INSERT OR IGNORE INTO run.asked SELECT f.id FROM sequences s JOIN frames f ON f.sequence = s.id
WHERE s.root_id = ? AND s.workspace_id = ? AND f.frame_id = ?
"""
_KEEP_FAILED = """
DELETE FROM run.asked WHERE row NOT IN
(SELECT id FROM frames INDEXED BY failed_frames WHERE state = 2 AND reason = COALESCE(?, reason))
"""
_KEEP_FIRST = """
DELETE FROM run.asked WHERE row >= (SELECT row FROM run.asked ORDER BY row LIMIT 1 OFFSET ?)
"""
_LEAVE_OUT = """
DELETE FROM run.asked WHERE row IN (SELECT f.id FROM sequences s JOIN frames f ON f.sequence = s.id
WHERE s.root_id = ? AND s.workspace_id = ?
"""
_KEEP_SHARD = """
DELETE FROM run.asked WHERE row IN (SELECT a.row FROM run.asked a
CROSS JOIN frames f ON f.id = a.row CROSS JOIN sequences s ON s.id = f.sequence
WHERE shard_of(s.workspace_id, s.root_id, f.frame_id) <> ?)
"""
# sums need no sorting, as groups do
_COUNTS = """
SELECT COUNT(*), TOTAL(f.state = 1), TOTAL(f.state = 2)
FROM run.asked a CROSS JOIN frames f ON f.id = a.row
"""


def ask_exports(db: sqlite3.Connection, sha256s: Sequence[str], limit: int | None) -> None:
    """See `Ledger.ask_exports`."""
    left = _ask_anew(db, limit)
    for sha256 in sha256s:
        found = db.execute("SELECT id FROM exports WHERE sha256 = ?", (sha256,)).fetchone()
        if found is None:
            raise LedgerError(f"The ledger does not know the export {sha256}.")
        if limit is None:
            db.execute(_EXPORT, found)
        else:
            left -= db.execute(_FIRST, (found[0], left)).rowcount


def ask_frames(db: sqlite3.Connection, groups: Iterable[SequenceFrames], limit: int | None) -> None:
    """See `Ledger.ask_frames`."""
    left = _ask_anew(db, limit)
    for group in groups:
        if not left:
            return
        for frame_id in group.frame_ids:
            added = db.execute(_FRAME, (group.root_id, group.workspace_id, frame_id)).rowcount
            left -= added if limit is not None else 0
            if not left:
                return


def ask_lost(db: sqlite3.Connection) -> None:
    """See `Ledger.ask_lost`."""
    _ask_anew(db, None)
    db.execute("INSERT INTO run.asked SELECT id FROM frames WHERE state <> 1 AND sha256 NOT NULL")


def ask_rows(db: sqlite3.Connection, rows: Iterable[int]) -> None:
    """See `Ledger.ask_rows`."""
    db.executemany("INSERT OR IGNORE INTO run.asked VALUES (?)", ((row,) for row in rows))


def ask_unsettled(db: sqlite3.Connection) -> None:
    """See `Ledger.ask_unsettled`."""
    _ask_anew(db, None)
    db.execute("INSERT INTO run.asked SELECT id FROM frames WHERE state = 0")


def leave_out(db: sqlite3.Connection, target: PurgeTarget) -> None:
    """Ask for nothing of these sequences and frames."""
    db.executemany(
        f"{_LEAVE_OUT})", ((name.root_id, name.workspace_id) for name in target.sequences)
    )
    db.executemany(
        f"{_LEAVE_OUT} AND f.frame_id = ?)",
        ((name.root_id, name.workspace_id, name.frame_id) for name in target.frames),
    )


def keep_failed(db: sqlite3.Connection, reason: str | None) -> None:
    """See `Ledger.keep_failed`."""
    db.execute(_KEEP_FAILED, (reason,))


def keep_first(db: sqlite3.Connection, limit: int) -> None:
    """See `Ledger.keep_first`."""
    db.execute(_KEEP_FIRST, (limit,))


def keep_shard(db: sqlite3.Connection, shard: Shard) -> None:
    """See `Ledger.keep_shard`."""
    ask_for_shards(db, shard.count)
    db.execute(_KEEP_SHARD, (shard.index,))


def counts(db: sqlite3.Connection) -> FrameCounts:
    """See `Ledger.counts`."""
    total, mirrored, failed = map(int, db.execute(_COUNTS).fetchone())
    return FrameCounts(total, mirrored, failed, total - mirrored - failed)


def _ask_anew(db: sqlite3.Connection, limit: int | None) -> int:
    """Nothing is asked for now; the limit as SQL has it (-1: none)."""
    db.execute("DELETE FROM run.asked")
    return -1 if limit is None else limit
