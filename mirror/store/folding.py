"""What one ledger says taken into another, and a shard's share handed out. Plain SQL, no locks.

Both ledgers are whole and belong to the caller; the other one is attached as `shard`. Invariants:
taking in is one transaction; what is recorded as mirrored stays so, unless the other found its file
gone since, and the later record wins.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from mirror.shards import Shard, shard_of
from mirror.store.damage import translated
from mirror.store.schema import transaction
from mirror.store.values import Folded, FrameState

_NEW_EXPORTS = """
SELECT id, path, sha256, size, sequences, frames, ingested_at FROM shard.exports
WHERE sha256 NOT IN (SELECT sha256 FROM main.exports) ORDER BY id
"""
_TAKE_EXPORT = """
INSERT INTO main.exports (path, sha256, size, sequences, frames, ingested_at)
VALUES (?, ?, ?, ?, ?, ?) RETURNING id
"""
_TAKE_SEQUENCES = """
INSERT INTO main.sequences (workspace_id, root_id)
SELECT s.workspace_id, s.root_id FROM shard.sequences s WHERE NOT EXISTS
(SELECT 1 FROM main.sequences m WHERE m.root_id = s.root_id AND m.workspace_id = s.workspace_id)
ORDER BY s.id
"""
# A frame that has a time and is not mirrored was, until its file was found gone: what was recorded
# before that says nothing any more. Times are of whole seconds, so attempts tell equal ones apart.
NEWER = """CASE
WHEN f.state = 1 THEN mf.mirrored_at IS NULL OR mf.mirrored_at < f.mirrored_at
  OR mf.mirrored_at = f.mirrored_at AND (mf.state = 0 OR mf.state = 2 AND mf.attempts < f.attempts)
WHEN mf.state = 1 THEN mf.mirrored_at <= f.mirrored_at
WHEN f.state = 2 THEN mf.state = 0 OR mf.attempts < f.attempts END
"""
"""SQL: whether what a shard's ledger says of a frame, `f`, goes before what is recorded, `mf`."""
# CROSS JOIN fixes the order of the loops: the shard's rows lead
_PAIRED = """
FROM shard.frames f CROSS JOIN shard.sequences s ON s.id = f.sequence
CROSS JOIN main.sequences ms ON ms.root_id = s.root_id AND ms.workspace_id = s.workspace_id
"""
_TAKE_FRAMES = f"""
INSERT OR IGNORE INTO main.frames (sequence, frame_id)
SELECT ms.id, f.frame_id {_PAIRED} ORDER BY f.id
"""
_TAKE_MEMBERS = f"""
INSERT OR IGNORE INTO main.export_frames SELECT ?, mf.id {_PAIRED}
CROSS JOIN main.frames mf ON mf.sequence = ms.id AND mf.frame_id = f.frame_id
CROSS JOIN shard.export_frames e ON e.export = ? AND e.frame = f.id
"""
_SETTLED = f"""
SELECT f.id, f.state, f.attempts, f.reason, f.detail, f.size, f.sha256, f.width, f.height,
f.mirrored_at, mf.id {_PAIRED}
CROSS JOIN main.frames mf ON mf.sequence = ms.id AND mf.frame_id = f.frame_id
WHERE f.id > ?1 AND CASE WHEN {NEWER} THEN shard_of(s.workspace_id, s.root_id, f.frame_id) = ?2 END
ORDER BY f.id LIMIT 4096
"""
# what was mirrored once stays known: a process that was handed its share does not have it
_SETTLE = """
UPDATE main.frames SET state = ?, attempts = ?, reason = ?, detail = ?, size = COALESCE(?, size),
sha256 = COALESCE(?, sha256), width = COALESCE(?, width), height = COALESCE(?, height),
mirrored_at = COALESCE(?, mirrored_at) WHERE id = ?
"""
_HAND_OUT = """
INSERT INTO shard.frames (id, sequence, frame_id, attempts)
SELECT f.id, f.sequence, f.frame_id, f.attempts FROM run.asked a
CROSS JOIN main.frames f ON f.id = a.row CROSS JOIN main.sequences s ON s.id = f.sequence
WHERE f.state <> 1 AND shard_of(s.workspace_id, s.root_id, f.frame_id) = ? ORDER BY f.id
"""
_HAND_OUT_SEQUENCES = """
INSERT INTO shard.sequences (id, workspace_id, root_id)
SELECT id, workspace_id, root_id FROM main.sequences
WHERE id IN (SELECT DISTINCT sequence FROM shard.frames)
"""


def fold(db: sqlite3.Connection, shard: Shard, path: Path) -> Folded:
    """Take in what the ledger at `path`, which has no log, says of this shard's frames; of others
    it may know less than `db`. Raises `LedgerError`."""
    mirrored = failed = 0
    with _attached(db, path, "?immutable=1"), translated(path), transaction(db):
        exports = db.execute(_NEW_EXPORTS).fetchall()
        if exports:  # one that was handed its share names none, and no frame of its own
            db.execute(_TAKE_SEQUENCES)
            db.execute(_TAKE_FRAMES)
        for row, *export in exports:
            new = db.execute(_TAKE_EXPORT, export).fetchone()[0]
            db.execute(_TAKE_MEMBERS, (new, row))
        ask_for_shards(db, shard.count)
        after = 0
        while page := db.execute(_SETTLED, (after, shard.index)).fetchall():
            after = page[-1][0]
            db.executemany(_SETTLE, (row[1:] for row in page))
            mirrored += sum(row[1] == FrameState.MIRRORED for row in page)
            failed += sum(row[1] == FrameState.FAILED for row in page)
    return Folded(1, mirrored, failed)


def hand_out(db: sqlite3.Connection, shard: Shard, path: Path) -> int:
    """Give the new, empty ledger at `path` what was asked for and is this shard's to fetch; how
    many frames that is. Raises `LedgerError`."""
    with _attached(db, path), translated(path), transaction(db):
        ask_for_shards(db, shard.count)
        frames = db.execute(_HAND_OUT, (shard.index,)).rowcount
        db.execute(_HAND_OUT_SEQUENCES)
    return frames


def ask_for_shards(db: sqlite3.Connection, count: int) -> None:
    """Let SQL know which of `count` shards holds a frame: `shard_of(workspace, root, frame)`."""

    def index(workspace_id: str, root_id: str, frame_id: str) -> int:
        return shard_of(workspace_id, root_id, frame_id, count)

    db.create_function("shard_of", 3, index, deterministic=True)


@contextmanager
def _attached(db: sqlite3.Connection, path: Path, how: str = "") -> Iterator[None]:
    with translated(path):
        db.execute("ATTACH DATABASE ? AS shard", (f"file:{quote(str(path))}{how}",))
        db.execute("PRAGMA shard.synchronous = FULL")
    try:
        yield
    finally:
        db.execute("DETACH DATABASE shard")
