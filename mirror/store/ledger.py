"""The ledger of a destination: what is mirrored, failed, pending. The one connection that writes.

Invariants: a change is one durable transaction or nothing; memory does not grow with the number of
frames; one thread at a time uses it. What a run asks for lives beside the ledger, in a scratch
database that is gone with the run. Reading alone is `LedgerReader`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from mirror.closing import Closing
from mirror.errors import LedgerError
from mirror.export import SequenceFrames
from mirror.frames import FrameRef
from mirror.shards import Shard
from mirror.store import asking, shards
from mirror.store.audit import Purged, read_audit, unfinished
from mirror.store.damage import translated
from mirror.store.destination import Destination
from mirror.store.ingest import ingest
from mirror.store.missing import Missing
from mirror.store.opening import identity, open_ledger
from mirror.store.reader import recorded_frames, recorded_page
from mirror.store.schema import NAME, check_whole, transaction
from mirror.store.seal import is_noted, note, note_of
from mirror.store.steps import Step
from mirror.store.trouble import destination_error
from mirror.store.values import (
    ExportRecord,
    Failure,
    Folded,
    FrameCounts,
    IngestResult,
    PendingFrame,
    RecordedFrame,
    Written,
)

# States are numbered as in `FrameState`. CROSS JOIN fixes the order of the loops: what was asked
# for leads, row by row.
_PENDING = """
SELECT f.id, s.workspace_id, s.root_id, f.frame_id, f.attempts
FROM run.asked a CROSS JOIN frames f ON f.id = a.row
CROSS JOIN sequences s ON s.id = f.sequence
WHERE a.row > ? AND f.state <> 1 ORDER BY a.row LIMIT ?
"""
_FAILED = """
SELECT f.id, s.workspace_id, s.root_id, f.frame_id, f.attempts, f.reason, f.detail
FROM frames f INDEXED BY failed_frames
CROSS JOIN sequences s ON s.id = f.sequence
WHERE f.state = 2 AND f.id IN run.asked ORDER BY f.id LIMIT ?
"""
_MIRROR = """
UPDATE frames SET state = 1, attempts = ?, reason = NULL, detail = NULL, size = ?,
sha256 = ?, width = ?, height = ?, mirrored_at = ? WHERE id = ?
"""
_FAIL = "UPDATE frames SET state = 2, attempts = ?, reason = ?, detail = ? WHERE id = ?"
_FORGET = """
UPDATE frames SET state = 0, attempts = 0 WHERE id = ?
"""


class Ledger(Closing):
    """Use `Ledger.open`; a context manager. Every method may raise `LedgerError`.

    `recovered`: a sentence about what was found and where it is now, when the ledger was damaged
    and a new one was made; the frames that are there are adopted by the run.
    """

    def __init__(self, db: sqlite3.Connection, destination: Destination, recovered: str | None):
        self._db = db
        self._destination = destination
        self._path = destination.state / NAME
        self._file = identity(self._path)
        self.recovered = recovered

    @classmethod
    def open(cls, destination: Destination) -> Ledger:
        """The ledger of a destination that is held; made where there is none."""
        try:
            db, recovered = open_ledger(destination)
        except OSError as error:
            raise destination_error(destination.root, error) from None
        return cls(db, destination, recovered)

    def __repr__(self) -> str:
        return f"<Ledger {str(self._path)!r}>"

    def close(self) -> None:
        """Close the connection; the last word is already on the disk. Safe to repeat."""
        self._db.close()
        self._destination.reached(Step.LEDGER_CLOSED)

    def check_place(self) -> None:
        """Raise `LedgerError` when the file in use is not the one at its path any more: what it
        says, nobody will read."""
        if self._file is None or identity(self._path) != self._file:
            raise LedgerError(
                f"The ledger {str(self._path)!r} is not where it was: it, or the destination, was"
                " moved, replaced or deleted while this run used it. Put it back, if you can, and"
                " run again: frames that are there are not fetched twice."
            )

    def seal(self) -> None:
        """Check what was written, and note what the ledger is now: the next run, if it finds that,
        need not check it again. Nothing may be written any more.

        Nothing is noted while a reader keeps the log from being taken in. Raises
        `DamagedLedgerError`.
        """
        with translated(self._path):
            checkpoint = self._db.execute("PRAGMA main.wal_checkpoint(PASSIVE)")
            _, logged, moved = checkpoint.fetchone()
            if logged != moved or (not logged and is_noted(self._path)):
                return
            if logged:
                check_whole(self._db, self._path)
        try:
            noted = note(self._path)
        except OSError as error:
            raise destination_error(self._destination.root, error) from None
        self._destination.write_state(note_of(self._path), [noted])

    # --- shards -----------------------------------------------------------------------------------

    def fold_shards(self) -> Folded:
        """Take in what the ledgers of all shards say, and remove them.

        Raises `DestinationBusyError` where a process still works for one.
        """
        return shards.fold_all(self._destination, self._db)

    def fold_others(self, shard: Shard) -> None:
        """Take in what shards of another count have recorded; theirs stay as they are."""
        shards.fold_others(self._destination, shard, self._db)

    def hand_out(self, shard: Shard) -> int:
        """Make this shard's own ledger with its share of what is asked for and not mirrored; how
        many frames that is."""
        return shards.hand_out_share(self._destination, self._db, shard)

    # --- exports ------------------------------------------------------------------------------

    def knows(self, sha256: str) -> bool:
        """Whether the export with this digest (hex) was ingested."""
        with translated(self._path):
            found = self._db.execute("SELECT 1 FROM exports WHERE sha256 = ?", (sha256,))
            return found.fetchone() is not None

    def ingest(self, export: ExportRecord, groups: Iterable[SequenceFrames]) -> IngestResult:
        """Take in which frames an export names: all of them, or after any error none. An export
        that is known is left as it is, and `groups` unread. What was purged here is left out.

        `groups` must give each (workspace, root) once. Raises `ExportError`, which names both,
        where two frames (of this export or any before it) would share a file, or have names that
        some file systems take for one.
        """
        purged = Purged(read_audit(self._destination.root_fd))
        with translated(self._path), transaction(self._db):
            result = ingest(self._db, self._destination.layout, export, groups, purged)
            self._destination.reached(Step.INGESTING)
        self._destination.reached(Step.INGESTED)
        return result

    # --- what this run asks for -----------------------------------------------------------------

    def ask_exports(self, sha256s: Sequence[str], limit: int | None) -> None:
        """Ask for the frames of these ingested exports; the first `limit` in export order."""
        with translated(self._path), transaction(self._db):
            asking.ask_exports(self._db, sha256s, limit)

    def ask_frames(self, groups: Iterable[SequenceFrames], limit: int | None) -> None:
        """Ask for these frames of ingested exports, the first `limit` of them. What the ledger does
        not hold (it was purged) is not asked for."""
        with translated(self._path), transaction(self._db):
            asking.ask_frames(self._db, groups, limit)

    def ask_lost(self) -> None:
        """Ask for what was mirrored once and is not any more, and for nothing else."""
        with translated(self._path), transaction(self._db):
            asking.ask_lost(self._db)

    def ask_rows(self, rows: Iterable[int]) -> None:
        """Ask for these frames, too."""
        with translated(self._path), transaction(self._db):
            asking.ask_rows(self._db, rows)

    def ask_unsettled(self) -> None:
        """Ask for every frame of the ledger that is neither mirrored nor failed."""
        with translated(self._path), transaction(self._db):
            asking.ask_unsettled(self._db)

    def keep_unpurged(self) -> bool:
        """Of what was asked for, leave out what a purge that was cut short was to erase; whether
        there was one."""
        target = unfinished(read_audit(self._destination.root_fd))
        if target is None:
            return False
        with translated(self._path), transaction(self._db):
            asking.leave_out(self._db, target)
        return True

    def keep_failed(self, reason: str | None) -> None:
        """Of what was asked for, keep what has failed; only with this reason, if one is given."""
        with translated(self._path), transaction(self._db):
            asking.keep_failed(self._db, reason)

    def keep_first(self, limit: int) -> None:
        """Of what was asked for, keep the first `limit` frames by row."""
        with translated(self._path), transaction(self._db):
            asking.keep_first(self._db, limit)

    def keep_shard(self, shard: Shard) -> None:
        """Of what was asked for, keep what this shard holds."""
        with translated(self._path), transaction(self._db):
            asking.keep_shard(self._db, shard)

    def counts(self) -> FrameCounts:
        """What was asked for, by state."""
        with translated(self._path):
            return asking.counts(self._db)

    def pending(self, after: int, limit: int) -> list[PendingFrame]:
        """The next frames to fetch: asked for, not mirrored, behind the row `after`, by row."""
        with translated(self._path):
            rows = self._db.execute(_PENDING, (after, limit)).fetchall()
        return [_pending(row) for row in rows]

    def missing(self) -> Iterator[tuple[int, FrameRef]]:
        """Frames asked for and recorded as mirrored whose file is not there, or of another size:
        row and name.

        `forget` may be called between two of them. Raises `DestinationError`.
        """
        with self._destination.directories() as directories:
            looking = Missing(directories, self._destination.layout, self._destination.root)
            after = 0
            while True:
                with translated(self._path):
                    page = looking.page(self._db, after)
                if not page:
                    return
                after = page[-1][0]
                yield from looking.gone(page)

    def forget(self, rows: Iterable[int]) -> None:
        """These frames are pending again."""
        with translated(self._path), transaction(self._db):
            self._db.executemany(_FORGET, ((row,) for row in rows))
        self._destination.reached(Step.FORGOTTEN)

    # --- what became of frames --------------------------------------------------------------------

    def record(self, written: Sequence[Written], failures: Sequence[Failure]) -> None:
        """Durably: these are mirrored, those have failed. Call it when the files are durable."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with translated(self._path), transaction(self._db):
            self._db.executemany(_MIRROR, (_mirrored(item, now) for item in written))
            self._db.executemany(
                _FAIL,
                ((item.attempts, item.reason, item.detail, item.frame.row) for item in failures),
            )
            self._destination.reached(Step.RECORDING)

    def mirrored(self) -> Iterator[RecordedFrame]:
        """Every frame recorded as mirrored, by row; `forget` may be called between two of them."""
        return recorded_frames(lambda after: recorded_page(self._db, self._path, after))

    def failures(self, limit: int) -> list[Failure]:
        """The first frames that were asked for and have failed, by row."""
        with translated(self._path):
            rows = self._db.execute(_FAILED, (limit,)).fetchall()
        return [Failure(_pending(row), row[5], row[6], row[4]) for row in rows]


def _pending(row: tuple[int, str, str, str, int, *tuple[object, ...]]) -> PendingFrame:
    return PendingFrame(row[0], FrameRef(row[1], row[2], row[3]), row[4])


def _mirrored(item: Written, now: str) -> tuple[object, ...]:
    # what is adopted cost no attempt
    attempts = item.frame.attempts + (item.name is not None)
    return attempts, item.size, item.sha256, item.width, item.height, now, item.frame.row
