"""The ledger, read only: for `status`, while a run is writing and when none is.

Invariants: nothing is written, nothing is checkpointed. SQLite before 3.51.3 can corrupt a WAL that
two connections reset, so a reader must never be the one to do it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from mirror.errors import DestinationError
from mirror.store.layout import STATE
from mirror.store.schema import FAILED, MIRRORED, NAME, check_version, translated
from mirror.store.values import FrameCounts

# by the index of (sequence, frame_id), so that nothing has to be sorted
_SEQUENCES = f"""
SELECT s.workspace_id, s.root_id, COUNT(*), SUM(f.state = {MIRRORED}), SUM(f.state = {FAILED}),
COALESCE(SUM(f.size), 0), MIN(f.id)
FROM frames f JOIN sequences s ON s.id = f.sequence GROUP BY f.sequence
"""  # noqa: S608 - constants
_FAILURES = f"""
SELECT reason, COUNT(*) FROM frames INDEXED BY failed_frames WHERE state = {FAILED}
GROUP BY reason ORDER BY 2 DESC, 1
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class SequenceSummary:
    """Frames of one (workspace, root) by state."""

    workspace_id: str
    root_id: str
    frames: FrameCounts


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """One ingested export. `ingested_at`: UTC, ISO 8601."""

    path: str
    sha256: str
    size: int
    sequences: int
    frames: int
    ingested_at: str


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """All that a ledger says in short. `size`: bytes of the mirrored frames; `failures`: frames by
    reason; `sequences` and `exports` in the order they came."""

    frames: FrameCounts
    size: int
    sequences: list[SequenceSummary]
    failures: dict[str, int]
    exports: list[ExportSummary]


class LedgerReader:
    """Use `LedgerReader.open`; a context manager. Methods may raise `LedgerError`."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    @classmethod
    def open(cls, root: Path) -> LedgerReader:
        """The ledger of the destination at `root`.

        Raises `DestinationError` where there is none, and `LedgerError`.
        """
        path = root.absolute() / STATE / NAME
        if not path.is_file():
            raise DestinationError(
                f"{str(root)!r} holds no ledger: nothing was mirrored there, or the path is wrong."
            )
        # without a WAL nobody writes, and nothing needs to be made to read
        mode = "mode=ro" if path.with_name(f"{NAME}-wal").exists() else "immutable=1"
        with translated(path):
            db = sqlite3.connect(
                f"file:{quote(str(path))}?{mode}", uri=True, timeout=10, isolation_level=None
            )
            try:
                db.execute("PRAGMA query_only = ON")
                db.execute("PRAGMA temp_store = MEMORY")
                check_version(db, path)
            except BaseException:
                db.close()
                raise
        return cls(db, path)

    def __repr__(self) -> str:
        return f"<LedgerReader {str(self._path)!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

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
            [ExportSummary(*row) for row in exports],
        )
