"""Erasing frames: their files, what was set aside of them, their records.

The order keeps the promises whatever ends it: the audit trail names them ▸ they are no longer
recorded as mirrored ▸ their files are gone, durably ▸ their rows are gone ▸ what else names them is
gone ▸ the audit trail says so. A purge that was cut short is finished by the same command; until
then no run fetches what it names. Blocks of the disk are not overwritten; snapshots, backups and
the exports themselves are for others to erase.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mirror.closing import Closing
from mirror.errors import LedgerError
from mirror.frames import FrameRef
from mirror.store import checksums
from mirror.store.audit import (
    AuditLine,
    Erased,
    FrameName,
    PurgeTarget,
    SequenceName,
    append_audit,
    now,
    whoever,
)
from mirror.store.damage import translated
from mirror.store.destination import SET_ASIDE, Destination
from mirror.store.directories import Directories, ancestors, split
from mirror.store.layout import STATE
from mirror.store.opening import open_ledger
from mirror.store.reader import recorded_frames, recorded_page
from mirror.store.schema import NAME, transaction
from mirror.store.shards import fold_all
from mirror.store.steps import Step
from mirror.store.strays import stray_frames
from mirror.store.summary import REPORT
from mirror.store.trouble import destination_error

PAGE = 1024
_OF_SEQUENCE = """
SELECT f.id, f.frame_id, f.size FROM frames f JOIN sequences s ON s.id = f.sequence
WHERE s.root_id = ? AND s.workspace_id = ? LIMIT ?
"""
_ONE = """
SELECT f.id, f.frame_id, f.size FROM frames f JOIN sequences s ON s.id = f.sequence
WHERE s.root_id = ? AND s.workspace_id = ? AND f.frame_id = ?
"""
_OF_ROOT = """
SELECT f.frame_id FROM frames f JOIN sequences s ON s.id = f.sequence WHERE s.root_id = ?
"""
_UNRECORD = """
UPDATE frames SET state = 0, reason = NULL, detail = NULL, size = NULL, sha256 = NULL,
width = NULL, height = NULL, mirrored_at = NULL WHERE id = ?
"""
_FORGET_IF_EMPTY = """
DELETE FROM sequences WHERE root_id = ? AND workspace_id = ?
AND NOT EXISTS (SELECT 1 FROM frames f WHERE f.sequence = sequences.id)
"""


@dataclass(frozen=True, slots=True)
class _Doomed:
    row: int
    path: str


class Purge(Closing):
    """Use `Purge.open`; a context manager. Methods raise `DestinationError` and `LedgerError`."""

    def __init__(self, destination: Destination, db: sqlite3.Connection) -> None:
        self._destination = destination
        self._db = db
        self._path = destination.state / NAME
        self._erased = Erased()

    @classmethod
    def open(cls, destination: Destination) -> Purge:
        """Over a destination that is held and has a ledger; those of shards are folded in."""
        try:
            db, recovered = open_ledger(destination)
        except OSError as error:
            raise destination_error(destination.root, error) from None
        if recovered:
            db.close()
            raise LedgerError(f"{recovered} Run `mirror sync` with the exports first, then purge.")
        try:
            fold_all(destination, db)
        except BaseException:
            db.close()
            raise
        return cls(destination, db)

    def __repr__(self) -> str:
        return f"<Purge {self._erased}>"

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def erase(self, target: PurgeTarget, tell: Callable[[Erased], None]) -> Erased:
        """Erase `target`; `tell` is told how far it is. What is gone already stays gone."""
        destination = self._destination
        sequences, frames = target.sequences, target.frames
        begun = AuditLine(now(), "purge_begun", whoever(), sequences, frames)
        append_audit(destination, begun)
        try:
            for sequence in sequences:
                self._erase_sequence(sequence, tell)
            for frame in frames:
                self._erase_frames(_sequence_of(frame), self._rows(_ONE, frame))
                self._erase_stray(frame)
                self._forget_if_empty(_sequence_of(frame))
                tell(self._erased)
            self._scrub(target)
        except OSError as error:
            raise destination_error(destination.root, error) from None
        done = AuditLine(now(), "purged", whoever(), sequences, frames, self._erased)
        append_audit(destination, done)
        return self._erased

    # --- frames -----------------------------------------------------------------------------------

    def _erase_sequence(self, sequence: SequenceName, tell: Callable[[Erased], None]) -> None:
        while rows := self._rows(_OF_SEQUENCE, sequence, PAGE):
            self._erase_frames(sequence, rows)
            tell(self._erased)
        self._erase_strays(sequence)
        self._forget_if_empty(sequence)

    def _erase_strays(self, sequence: SequenceName) -> None:
        """Files of the sequence without a row. Its own rows are gone; what is left of this root is
        another workspace's, whose files may lie in the same folder."""
        layout = self._destination.layout
        with self._destination.directories() as directories:
            frames = stray_frames(layout, sequence, directories)
        if layout.sharing == "roots":
            with translated(self._path):
                others = self._db.execute(_OF_ROOT, (sequence.root_id,))
                frames.difference_update(frame_id for (frame_id,) in others)
        names = (sequence.workspace_id, sequence.root_id)
        self._erase_files([_Doomed(0, layout.relative(FrameRef(*names, each))) for each in frames])

    def _erase_stray(self, frame: FrameName) -> None:
        """The file of a frame whose row is gone, unless it is another workspace's by now."""
        with translated(self._path):
            others = self._db.execute(_OF_ROOT, (frame.root_id,)).fetchall()
        if (frame.frame_id,) not in others:
            path = self._destination.layout.relative(
                FrameRef(frame.workspace_id, frame.root_id, frame.frame_id)
            )
            self._erase_files([_Doomed(0, path)])

    def _forget_if_empty(self, sequence: SequenceName) -> None:
        with translated(self._path), transaction(self._db):
            self._db.execute(_FORGET_IF_EMPTY, (sequence.root_id, sequence.workspace_id))

    def _rows(
        self, query: str, name: SequenceName | FrameName, *more: object
    ) -> list[tuple[int, str, int | None]]:
        ids = (name.frame_id,) if isinstance(name, FrameName) else ()
        with translated(self._path):
            values = (name.root_id, name.workspace_id, *ids, *more)
            return self._db.execute(query, values).fetchall()

    def _erase_frames(
        self, sequence: SequenceName, rows: Sequence[tuple[int, str, int | None]]
    ) -> None:
        layout = self._destination.layout
        names = (sequence.workspace_id, sequence.root_id)
        doomed = [
            _Doomed(row, layout.relative(FrameRef(*names, frame_id))) for row, frame_id, _ in rows
        ]
        with translated(self._path), transaction(self._db):
            self._db.executemany(_UNRECORD, ((each.row,) for each in doomed))
        self._destination.reached(Step.UNRECORDED)
        self._erase_files(doomed)
        self._destination.reached(Step.FILES_ERASED)
        with translated(self._path), transaction(self._db):
            for each in doomed:
                self._db.execute(
                    "DELETE FROM export_frames WHERE frame = ?"
                    " AND export IN (SELECT id FROM exports)",  # by its key, and not by a scan
                    (each.row,),
                )
                self._db.execute("DELETE FROM frames WHERE id = ?", (each.row,))
        self._destination.reached(Step.ROWS_ERASED)
        self._erased.frames += len(doomed)

    def _erase_files(self, doomed: Sequence[_Doomed]) -> None:
        places: dict[str, list[str]] = {}
        for each in doomed:
            place, name = split(each.path)
            places.setdefault(place, []).append(name)
        with self._destination.directories() as directories:
            for place, names in places.items():
                self._erase_at(place, names, directories)
                self._erase_set_aside(
                    f"{STATE}/{SET_ASIDE}/{place}".rstrip("/"), names, directories
                )

    def _erase_at(self, place: str, names: Sequence[str], directories: Directories) -> None:
        with suppress(FileNotFoundError):
            folder = directories.find(place)
            for name in names:
                with suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if self._unlinked(name, folder):
                        self._erased.files += 1
                        self._erased.bytes += found.st_size
            os.fsync(folder)
        self._remove_empty(place, directories, top="")

    def _erase_set_aside(self, place: str, names: Sequence[str], directories: Directories) -> None:
        wanted = set(names)
        with suppress(FileNotFoundError):
            folder = directories.find(place)
            for name in os.listdir(folder):  # noqa: PTH208 - of a descriptor
                if re.sub(r"\.[0-9]+$", "", name) in wanted:
                    self._erased.set_aside += self._unlinked(name, folder)
            os.fsync(folder)
        self._remove_empty(place, directories, top=f"{STATE}/{SET_ASIDE}")

    def _unlinked(self, name: str, folder: int) -> bool:
        """Remove a file, a link or the like. A folder is none of ours: it is left, and counted."""
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            self._erased.folders_left += 1
            return False
        return True

    def _remove_empty(self, place: str, directories: Directories, *, top: str) -> None:
        """A folder may be named by an id: remove it, and those above it below `top`, if empty."""
        directories.close()  # a folder that is held open would keep its name
        for path in ancestors(place):
            if path in {top, ""}:
                return
            above, name = split(path)
            try:
                parent = directories.find(above)
                os.rmdir(name, dir_fd=parent)
                os.fsync(parent)
            except FileNotFoundError:
                continue
            except OSError:
                return  # it holds something else

    # --- what else names them ---------------------------------------------------------------------

    def _scrub(self, target: PurgeTarget) -> None:
        with translated(self._path):
            busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise LedgerError(
                f"The ledger {str(self._path)!r} is read by another program, so what was erased is"
                " still in its log: end that program, and run `mirror purge` again."
            )
        destination = self._destination
        state = destination.state_fd
        for name in self._old_ledgers():
            os.unlink(name, dir_fd=state)
            self._erased.ledgers += not name.endswith(("-wal", "-shm"))
        with suppress(FileNotFoundError):
            report = (destination.state / REPORT).read_bytes()
            if any(name.encode() in report for name in _ids(target)):
                os.unlink(REPORT, dir_fd=state)
        os.fsync(state)
        if checksums.has_checksums(destination):
            frames = recorded_frames(lambda after: recorded_page(self._db, self._path, after))
            checksums.write_checksums(destination, frames)

    def _old_ledgers(self) -> list[str]:
        """Damaged ledgers that were set aside: they may name anything."""
        names = os.listdir(self._destination.state_fd)  # noqa: PTH208 - of a descriptor
        return [name for name in names if name.startswith("ledger.damaged-")]


def _sequence_of(frame: FrameName) -> SequenceName:
    return SequenceName(frame.workspace_id, frame.root_id)


def _ids(target: PurgeTarget) -> Iterator[str]:
    yield from (sequence.root_id for sequence in target.sequences)
    yield from (frame.frame_id for frame in target.frames)
