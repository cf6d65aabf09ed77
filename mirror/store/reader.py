"""The ledger, read only: for `status`, while a run is writing and when none is.

Invariants: nothing is written, nothing is checkpointed. SQLite before 3.51.3 can corrupt a WAL that
two connections reset, so a reader must never be the one to do it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from mirror.closing import Closing
from mirror.errors import DestinationError
from mirror.frames import FrameRef
from mirror.store.damage import DamagedLedgerError, damaged, translated, translated_opening
from mirror.store.layout import STATE
from mirror.store.schema import NAME, check_tables
from mirror.store.values import (
    Failure,
    FrameCounts,
    FrameState,
    PendingFrame,
    RecordedFrame,
)

REPORT = "report.json"
_LONGEST_REPORT = 16 * 1024**2
# by the index of (sequence, frame_id), so that nothing has to be sorted
_SEQUENCES = """
SELECT s.workspace_id, s.root_id, COUNT(*), SUM(f.state = 1), SUM(f.state = 2),
COALESCE(SUM(f.size), 0), MIN(f.id)
FROM frames f JOIN sequences s ON s.id = f.sequence GROUP BY f.sequence
"""
_FAILED = """
SELECT f.id, s.workspace_id, s.root_id, f.frame_id, f.attempts, f.reason, f.detail
FROM frames f INDEXED BY failed_frames CROSS JOIN sequences s ON s.id = f.sequence
WHERE f.state = 2 ORDER BY f.id
"""
_FAILURES = """
SELECT reason, COUNT(*) FROM frames INDEXED BY failed_frames WHERE state = 2
GROUP BY reason ORDER BY 2 DESC, 1
"""


_SIZES = """
SELECT f.frame_id, f.size FROM frames f JOIN sequences s ON s.id = f.sequence
WHERE s.root_id = ? AND s.workspace_id = ? AND f.state = 1
"""
_MIRRORED = """
SELECT f.id, s.workspace_id, s.root_id, f.frame_id, f.size, f.sha256, f.width, f.height
FROM frames f CROSS JOIN sequences s ON s.id = f.sequence
WHERE f.id > ? AND f.state = 1 ORDER BY f.id LIMIT 4096
"""
_NAMED = """
SELECT s.workspace_id, s.root_id, f.frame_id FROM sequences s
CROSS JOIN frames f ON f.sequence = s.id AND f.frame_id = ?1
WHERE s.root_id = COALESCE(?2, s.root_id) AND s.workspace_id = COALESCE(?3, s.workspace_id)
"""
_STATES = """
SELECT f.frame_id, f.state, f.reason FROM frames f JOIN sequences s ON s.id = f.sequence
WHERE s.root_id = ? AND s.workspace_id = ?
"""


@dataclass(frozen=True, slots=True)
class SequenceSummary:
    """Frames of one (workspace, root) by state."""

    workspace_id: str
    root_id: str
    frames: FrameCounts


@dataclass(frozen=True, slots=True)
class IngestedExport:
    """One ingested export. `ingested_at`: UTC, ISO 8601."""

    path: str
    sha256: str
    size: int
    sequences: int
    frames: int
    ingested_at: str


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run, as its report has it. `ended_at`: UTC, ISO 8601."""

    outcome: str
    exit_code: int
    ended_at: str


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """All that a ledger says in short. `size`: bytes of the mirrored frames; `failures`: frames by
    reason; `sequences` and `exports` in the order they came."""

    frames: FrameCounts
    size: int
    sequences: list[SequenceSummary]
    failures: dict[str, int]
    exports: list[IngestedExport]


class LedgerReader(Closing):
    """Use `LedgerReader.open`; a context manager. Methods may raise `LedgerError`."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    @classmethod
    def find(cls, root: Path) -> LedgerReader | None:
        """As `open`; None where there is no ledger, or one so damaged that a run makes it anew."""
        if not _path(root).is_file():
            return None
        with suppress(DamagedLedgerError):
            return cls.open(root)
        return None

    @classmethod
    def open(cls, root: Path) -> LedgerReader:
        """The ledger of the destination at `root`.

        Raises `DestinationError` where there is none, and `LedgerError`.
        """
        path = _path(root)
        if not path.is_file():
            raise DestinationError(
                f"{str(root)!r} holds no ledger: nothing was mirrored there, or the path is wrong."
            )
        # without a WAL nobody writes, and nothing needs to be made to read
        mode = "mode=ro" if path.with_name(f"{NAME}-wal").exists() else "immutable=1"
        with translated_opening(path):
            db = sqlite3.connect(
                f"file:{quote(str(path))}?{mode}", uri=True, timeout=10, isolation_level=None
            )
            try:
                db.execute("PRAGMA query_only = ON")
                db.execute("PRAGMA temp_store = MEMORY")
                check_tables(db, path)
            except BaseException:
                db.close()
                raise
        return cls(db, path)

    def __repr__(self) -> str:
        return f"<LedgerReader {str(self._path)!r}>"

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def known_exports(self) -> frozenset[str]:
        """The SHA-256 (hex) of every export that was ingested; none where that can't be read."""
        with suppress(DamagedLedgerError), translated(self._path):
            rows = self._db.execute("SELECT sha256 FROM exports").fetchall()
            return frozenset(row[0] for row in rows)
        return frozenset()

    def states(self, workspace_id: str, root_id: str) -> dict[str, tuple[FrameState, str | None]]:
        """State, and reason of the failed, of each frame of one (workspace, root), by frame id."""
        with translated(self._path):
            rows = self._db.execute(_STATES, (root_id, workspace_id)).fetchall()
        try:
            return {frame_id: (FrameState(state), reason) for frame_id, state, reason in rows}
        except ValueError:  # nothing was checked but the tables
            raise damaged(self._path) from None

    def sizes(self, workspace_id: str, root_id: str) -> dict[str, int]:
        """Bytes of each mirrored frame of one (workspace, root), by frame id."""
        with translated(self._path):
            return dict(self._db.execute(_SIZES, (root_id, workspace_id)).fetchall())

    def mirrored(self) -> Iterator[RecordedFrame]:
        """Every frame recorded as mirrored, by row; page by page, so that a run may write."""
        yield from recorded_frames(self._db, self._path)

    def template(self) -> str:
        """How the frames are laid out: the `path_template` they were mirrored with."""
        with translated(self._path):
            found = self._db.execute("SELECT value FROM about WHERE name = 'template'").fetchone()
        if found is None:
            raise damaged(self._path)
        return str(found[0])

    def sequences_named(self, root_id: str, workspace_id: str | None) -> list[tuple[str, str]]:
        """(workspace, root) of the sequences with these ids; any workspace where None."""
        with translated(self._path):
            return self._db.execute(
                "SELECT workspace_id, root_id FROM sequences WHERE root_id = ?1"
                " AND workspace_id = COALESCE(?2, workspace_id)",
                (root_id, workspace_id),
            ).fetchall()

    def frames_named(
        self, frame_id: str, root_id: str | None, workspace_id: str | None
    ) -> list[FrameRef]:
        """The frames with these ids; of any root and workspace where None."""
        with translated(self._path):
            rows = self._db.execute(_NAMED, (frame_id, root_id, workspace_id)).fetchall()
        return [FrameRef(*row) for row in rows]

    def failures(self) -> Iterator[Failure]:
        """Every frame that has failed, one by one, by row."""
        with translated(self._path):
            for row in self._db.execute(_FAILED):
                frame = PendingFrame(row[0], FrameRef(row[1], row[2], row[3]), row[4])
                yield Failure(frame, row[5], row[6], row[4])

    def summary(self) -> LedgerSummary:
        """Everything counted, as of one instant."""
        with translated(self._path):
            self._db.execute("BEGIN")
            try:
                return self._summary()
            finally:
                self._db.execute("ROLLBACK")

    def _summary(self) -> LedgerSummary:
        size = 0
        found: list[tuple[int, SequenceSummary]] = []
        for workspace_id, root_id, total, mirrored, failed, held, first in self._db.execute(
            _SEQUENCES
        ):
            frames = FrameCounts(total, mirrored, failed, total - mirrored - failed)
            found.append((first, SequenceSummary(workspace_id, root_id, frames)))
            size += held
        sequences = [summary for _, summary in sorted(found, key=lambda pair: pair[0])]
        exports = self._db.execute(
            "SELECT path, sha256, size, sequences, frames, ingested_at FROM exports ORDER BY id"
        )
        return LedgerSummary(
            FrameCounts(
                sum(each.frames.total for each in sequences),
                sum(each.frames.mirrored for each in sequences),
                sum(each.frames.failed for each in sequences),
                sum(each.frames.pending for each in sequences),
            ),
            size,
            sequences,
            dict(self._db.execute(_FAILURES).fetchall()),
            [IngestedExport(*row) for row in exports],
        )


def recorded_frames(db: sqlite3.Connection, path: Path) -> Iterator[RecordedFrame]:
    """See `LedgerReader.mirrored`; `path` is for messages."""
    after = 0
    while True:
        with translated(path):
            page = db.execute(_MIRRORED, (after,)).fetchall()
        if not page:
            return
        after = page[-1][0]
        for row in page:
            yield RecordedFrame(row[0], FrameRef(row[1], row[2], row[3]), *row[4:])


def last_run(root: Path) -> LastRun | None:
    """What the report of the last run says; None where there is none that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        file = os.open(root / STATE / REPORT, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(file, "rb") as lines:  # a pipe or a device that was put there ends nothing
            report = json.loads(lines.read(_LONGEST_REPORT))
            seen = os.fstat(file).st_mtime
        ended = datetime.fromtimestamp(seen, UTC).isoformat(timespec="seconds")
        return LastRun(str(report["outcome"]), int(report["exit_code"]), ended)
    return None


def _path(root: Path) -> Path:
    return root.absolute() / STATE / NAME
