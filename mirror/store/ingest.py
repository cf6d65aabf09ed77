"""Taking an export's frame references into the ledger. Runs inside the caller's transaction.

Memory is that of one sequence's ids. Two frames that a file system could take for one are found
here: the tables compare ids without case, and paths are held against each other where the template
can bring two frames to one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import repeat

from mirror.errors import ExportError
from mirror.export import SequenceFrames
from mirror.frames import FrameRef
from mirror.store.audit import Purged
from mirror.store.layout import Layout
from mirror.store.values import ExportRecord, IngestResult

_HELD = "SELECT COUNT(*) FROM export_frames WHERE export = ?"
_LONGEST_NAME = 255
"""Bytes of one name, on every common file system. Ids are ASCII."""
_LEFT = """
SELECT COUNT(*) FROM export_frames old WHERE old.export = ? AND NOT EXISTS
(SELECT 1 FROM export_frames new WHERE new.export = ? AND new.frame = old.frame)
"""
_SHARED_ROOTS = """
WHERE s.root_id IN (SELECT root_id FROM sequences GROUP BY root_id HAVING COUNT(*) > 1)
"""
_PATHS = """
INSERT OR IGNORE INTO run.paths SELECT path(s.workspace_id, s.root_id, f.frame_id), f.id
FROM sequences s JOIN frames f ON f.sequence = s.id
"""
_CLASH = """
SELECT s.workspace_id, s.root_id, f.frame_id, t.workspace_id, t.root_id, g.frame_id
FROM sequences s JOIN frames f ON f.sequence = s.id
JOIN run.paths p ON p.path = path(s.workspace_id, s.root_id, f.frame_id) AND p.frame <> f.id
JOIN frames g ON g.id = p.frame JOIN sequences t ON t.id = g.sequence
"""


def ingest(
    db: sqlite3.Connection,
    layout: Layout,
    export: ExportRecord,
    groups: Iterable[SequenceFrames],
    purged: Purged,
) -> IngestResult:
    """See `Ledger.ingest`."""
    known = db.execute(
        "SELECT id, frames FROM exports WHERE sha256 = ?", (export.sha256,)
    ).fetchone()
    if known:
        held = _one(db, _HELD, known[0]) if purged else known[1]
        return IngestResult(frames=known[1], added=0, left=0, purged=known[1] - held)
    previous = db.execute(
        "SELECT id FROM exports WHERE path = ? ORDER BY id DESC LIMIT 1", (export.path,)
    ).fetchone()
    new = db.execute(
        "INSERT INTO exports (path, sha256, size, sequences) VALUES (?, ?, ?, ?) RETURNING id",
        (export.path, export.sha256, export.size, export.sequences),
    ).fetchone()[0]
    added = left_out = 0
    for group in groups:
        kept = purged.without(group)
        left_out += len(group.frame_ids) - len(kept.frame_ids)
        if kept.frame_ids or not group.frame_ids:
            _refuse_long_names(layout, kept)
            added += _take_group(db, new, kept)
    if added:
        _refuse_shared_paths(db, layout)
    frames = left_out + _one(db, _HELD, new)
    db.execute("UPDATE exports SET frames = ? WHERE id = ?", (frames, new))
    left = _one(db, _LEFT, previous[0], new) if previous else 0
    return IngestResult(frames, added, left, left_out)


def _take_group(db: sqlite3.Connection, export: int, group: SequenceFrames) -> int:
    """Take one (workspace, root); how many of its frames are new."""
    sequence = _sequence(db, group)
    last = _one(db, "SELECT COALESCE(MAX(id), 0) FROM frames")
    added = db.executemany(
        "INSERT OR IGNORE INTO frames (sequence, frame_id) VALUES (?, ?)",
        zip(repeat(sequence), group.frame_ids, strict=False),
    ).rowcount
    if added == len(group.frame_ids):  # all are new, so they lie side by side
        db.execute(
            "INSERT INTO export_frames SELECT ?, id FROM frames WHERE id > ? ORDER BY id",
            (export, last),
        )
    else:
        db.executemany(
            "INSERT OR IGNORE INTO export_frames VALUES (?, ?)",
            zip(repeat(export), _rows(db, sequence, group), strict=False),
        )
    return added


def _rows(db: sqlite3.Connection, sequence: int, group: SequenceFrames) -> Iterator[int]:
    for frame_id in group.frame_ids:
        row, known = db.execute(
            "SELECT id, frame_id FROM frames WHERE sequence = ? AND frame_id = ?",
            (sequence, frame_id),
        ).fetchone()
        if known != frame_id:
            raise _twins(f"The frames {frame_id!r} and {known!r} of root {group.root_id!r}")
        yield row


def _sequence(db: sqlite3.Connection, group: SequenceFrames) -> int:
    """The row of (workspace, root), new or known."""
    relatives = db.execute(
        "SELECT id, workspace_id, root_id FROM sequences WHERE root_id = ?", (group.root_id,)
    ).fetchall()
    for row, workspace_id, root_id in relatives:
        if root_id != group.root_id:
            raise _twins(f"The roots {group.root_id!r} and {root_id!r}")
        if workspace_id == group.workspace_id:
            return int(row)
        if workspace_id.lower() == group.workspace_id.lower():
            raise _twins(f"The workspaces {group.workspace_id!r} and {workspace_id!r}")
    return _one(
        db,
        "INSERT INTO sequences (workspace_id, root_id) VALUES (?, ?) RETURNING id",
        group.workspace_id,
        group.root_id,
    )


def _refuse_long_names(layout: Layout, group: SequenceFrames) -> None:
    """Raises `ExportError` where the template makes a name of ids that no file can have."""
    longest = max(group.frame_ids, key=len, default="")
    path = layout.relative(FrameRef(group.workspace_id, group.root_id, longest))
    if any(len(name.encode()) > _LONGEST_NAME for name in path.split("/")):
        raise ExportError(
            f"Frame {longest!r} of root {group.root_id!r} would get a name of more than"
            f" {_LONGEST_NAME} bytes: give a path_template that puts fewer ids into one name."
        )


def _twins(two: str) -> ExportError:
    return ExportError(
        f"{two} differ only by case, so some file systems take them for one: have one of them"
        " renamed, or choose another destination for this export."
    )


def _refuse_shared_paths(db: sqlite3.Connection, layout: Layout) -> None:
    """Raises `ExportError` where two frames have one path, but for the case of letters."""
    if layout.sharing == "never":
        return
    scope = _SHARED_ROOTS if layout.sharing == "roots" else ""

    def path(workspace_id: str, root_id: str, frame_id: str) -> str:
        return layout.relative(FrameRef(workspace_id, root_id, frame_id))

    db.create_function("path", 3, path, deterministic=True)
    db.execute(
        "CREATE TABLE run.paths (path TEXT COLLATE NOCASE PRIMARY KEY, frame INTEGER NOT NULL)"
        " WITHOUT ROWID"
    )
    db.execute(_PATHS + scope)
    clash = db.execute(_CLASH + scope + " LIMIT 1").fetchone()
    db.execute("DROP TABLE run.paths")
    if clash:
        one, other = FrameRef(*clash[:3]), FrameRef(*clash[3:])
        raise ExportError(
            f"Frame {one} of workspace {one.workspace_id!r} and frame {other} of workspace"
            f" {other.workspace_id!r} would be the same file {layout.relative(one)!r}: give each"
            " its own with a path_template that has {workspace_id}, or sync them to two"
            " destinations."
        )


def _one(db: sqlite3.Connection, query: str, *values: object) -> int:
    return int(db.execute(query, values).fetchone()[0])
