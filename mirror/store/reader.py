"""The ledger, read only: for `status`, while a run is writing and when none is.

Invariants: nothing is written, nothing is checkpointed. SQLite before 3.51.3 can corrupt a WAL that
two connections reset, so a reader must never be the one to do it.
"""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from mirror.closing import Closing
from mirror.errors import DestinationError
from mirror.frames import FrameRef
from mirror.store.damage import DamagedLedgerError, damaged, translated, translated_opening
from mirror.store.layout import STATE
from mirror.store.lock import no_run_begins
from mirror.store.schema import NAME, check_tables
from mirror.store.summary import LedgerSummary, summarize
from mirror.store.trouble import why
from mirror.store.values import (
    Failure,
    FrameState,
    PendingFrame,
    RecordedFrame,
)

_FAILED = """
SELECT f.id, s.workspace_id, s.root_id, f.frame_id, f.attempts, f.reason, f.detail
FROM frames f INDEXED BY failed_frames CROSS JOIN sequences s ON s.id = f.sequence
WHERE f.state = 2 AND f.id > ? ORDER BY f.id LIMIT 4096
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
_DIMENSIONS = """
SELECT f.frame_id, f.width, f.height FROM frames f JOIN sequences s ON s.id = f.sequence
WHERE s.root_id = ? AND s.workspace_id = ? AND f.state = 1
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

T = TypeVar("T")


class LedgerReader(Closing):
    """Use `LedgerReader.open`; a context manager. Methods may raise `LedgerError`."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    @classmethod
    def find(cls, root: Path, place: str = STATE) -> LedgerReader | None:
        """As `open`; None where there is no ledger, or one so damaged that a run makes it anew."""
        path = _path(root, place)
        if not is_file(path):
            return None
        with suppress(DamagedLedgerError):
            try:
                return cls.open(root, place)
            except DestinationError:
                if is_file(path):
                    raise  # and where not, a merge has removed it meanwhile
        return None

    @classmethod
    def open(cls, root: Path, place: str = STATE) -> LedgerReader:
        """The ledger of the destination at `root`, or that of a shard, in its own `place`.

        Raises `DestinationError` where there is none, and `LedgerError`.
        """
        path = _path(root, place)
        if not is_file(path):
            raise DestinationError(
                f"{str(root)!r} holds no ledger: nothing was mirrored there, or the path is wrong."
            )
        with translated_opening(path):
            db = sqlite3.connect(readable(path), uri=True, timeout=10, isolation_level=None)
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

    def dimensions(self, workspace_id: str, root_id: str) -> dict[str, tuple[int, int]]:
        """Width and height, in pixels, of each mirrored frame of one (workspace, root), by frame
        id. Equal ones are one tuple: a video's frames are of one size."""
        known: dict[tuple[int, int], tuple[int, int]] = {}
        with translated(self._path):
            return {
                frame_id: known.setdefault((width, height), (width, height))
                for frame_id, width, height in self._db.execute(
                    _DIMENSIONS, (root_id, workspace_id)
                )
            }

    def copy(self, target: Path) -> None:
        """The whole ledger, as of one instant, into the empty file `target`; not durable yet."""
        with translated(self._path), closing(sqlite3.connect(target)) as copy:
            self._db.backup(copy)

    def mirrored(self) -> Iterator[RecordedFrame]:
        """Every frame recorded as mirrored, by row; where a run may begin meanwhile, use
        `recorded_at`."""
        return recorded_frames(self.page)

    def page(self, after: int) -> list[RecordedFrame]:
        """The next frames recorded as mirrored behind the row `after`; none at the end."""
        return recorded_page(self._db, self._path, after)

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
        after = 0
        while True:
            with translated(self._path):  # not across a yield: whoever takes them may be slow
                page = self._db.execute(_FAILED, (after,)).fetchall()
            if not page or page[-1][0] <= after:
                return
            after = page[-1][0]
            for row in page:
                frame = PendingFrame(row[0], FrameRef(row[1], row[2], row[3]), row[4])
                yield Failure(frame, row[5], row[6], row[4])

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """What a function of `store/` reads by itself."""
        with translated(self._path):
            return question(self._db)

    def summary(self) -> LedgerSummary:
        """Everything counted, as of one instant."""
        with translated(self._path):
            self._db.execute("BEGIN")
            try:
                return summarize(self._db)
            finally:
                self._db.execute("ROLLBACK")


def recorded_frames(load: Callable[[int], list[RecordedFrame]]) -> Iterator[RecordedFrame]:
    """Every recorded frame, by row, from pages of those behind a row."""
    after = 0
    while page := load(after):
        after = page[-1].row
        yield from page


def recorded_page(db: sqlite3.Connection, path: Path, after: int) -> list[RecordedFrame]:
    """The next frames recorded as mirrored behind the row `after`; `path` is for messages."""
    with translated(path):
        rows = db.execute(_MIRRORED, (after,)).fetchall()
    if rows and rows[-1][0] <= after:  # rows out of order: it would never end
        raise damaged(path)
    return [RecordedFrame(row[0], FrameRef(*row[1:4]), *row[4:]) for row in rows]


def recorded_at(root: Path) -> Iterator[RecordedFrame]:
    """Every recorded frame of a destination that is not held, while runs come and go: a reader for
    each page, since one that began without a run does not see what a run writes."""

    def load(after: int) -> list[RecordedFrame]:
        with no_run_begins(root), LedgerReader.open(root) as reader:
            return reader.page(after)

    return recorded_frames(load)


def readable(path: Path) -> str:
    """How SQLite opens a ledger so that nothing is written."""
    # without a WAL nobody writes, and nothing needs to be made to read
    mode = "mode=ro" if path.with_name(f"{NAME}-wal").exists() else "immutable=1"
    return f"file:{quote(str(path))}?{mode}"


def is_file(path: Path) -> bool:
    """Whether a file is there. Raises `DestinationError` where that can't be known."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DestinationError(f"{str(path)!r} can't be read: {why(error)}.") from None


def _path(root: Path, place: str) -> Path:
    return root.absolute() / place / NAME
